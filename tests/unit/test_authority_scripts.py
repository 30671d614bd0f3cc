"""Facts about the CA's scripts that bash and openssl alone show: what is signed, refused and handed out."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sites import TEMPLATES, render

SITE = """\
ca: {key: ec:P-256}
hosts:
  - {name: localhost, key: ec:P-256}
clients:
  - {name: client, key: ec:P-256}
"""
CREATE, SIGN_SERVERS, SIGN_CLIENTS = "ca/10-create-ca.sh", "ca/20-sign-servers.sh", "ca/30-sign-clients.sh"
ROLL_OVER, BACK_UP, LIST = "ca/60-roll-over-ca.sh", "ca/70-back-up-ca.sh", "ca/80-list-certificates.sh"
REQUEST, REQUEST_CLIENT = "hosts/localhost/10-request-certificate.sh", "clients/client/10-request-certificate.sh"
PASSPHRASE = "correct horse battery staple"
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Machine:
    """A working folder with everything in it, on this machine."""

    out: Path
    work: Path
    passphrase: Path

    def run(self, script: str, *words: str, check: bool = True) -> Done:
        """Run a script of the site on this folder."""
        signs = script.startswith("ca/") and script != LIST
        more = ["--yes", "--passphrase-file", str(self.passphrase)] if signs else []
        argv = ["bash", str(self.out / script), "--dir", str(self.work), *more, *words]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def openssl(self, *words: str | Path, check: bool = True) -> Done:
        """Run openssl in the working folder."""
        argv = ["openssl", *map(str, words)]
        return subprocess.run(argv, check=check, capture_output=True, text=True, cwd=self.work)

    def read(self, file: str) -> str:
        """Return the text of a working file."""
        return (self.work / file).read_text()

    def make_all(self) -> None:
        """Make the CA and both certificates."""
        for script in (CREATE, REQUEST, SIGN_SERVERS, REQUEST_CLIENT, SIGN_CLIENTS):
            self.run(script)


def new_machine(folder: Path, site: str = SITE) -> Machine:
    """Render a site into a folder; the CA is not made yet."""
    machine = Machine(render(site, folder / "out"), folder / "docker-tls", folder / "passphrase")
    machine.passphrase.touch(mode=0o600)
    machine.passphrase.write_text(f"{PASSPHRASE}\n")
    return machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has nothing yet."""
    return new_machine(tmp_path)


def digest(machine: Machine, file: str) -> str:
    """Return the sha256 of a certificate, as people compare it."""
    said = machine.openssl("x509", "-in", file, "-noout", "-fingerprint", "-sha256").stdout
    return said.partition("=")[2].strip().replace(":", "").lower()


# ---- Which CA is trusted ----------------------------------------------------


def judge(bundle: Path, installed: Path) -> str:
    """Return why a bundle is refused where another one is trusted."""
    text = f'set -eu; . "{TEMPLATES}/parts/trusted_authorities.sh"; why_not_trusted "$1" "$2"'
    return subprocess.run(
        ["bash", "-c", text, "bash", bundle, installed], check=True, capture_output=True, text=True
    ).stdout


def test_the_old_ca_announces_the_next_one(machine: Machine, tmp_path: Path) -> None:
    """A roll-over in three stages: what is handed out is trusted where the old CA is, and each leaf by both."""
    machine.make_all()
    old = tmp_path / "old.pem"
    old.write_text(machine.read("hosts/localhost/ca-public.pem"))
    machine.run(ROLL_OVER, "--begin")
    assert "nothing to do" in machine.run(ROLL_OVER, "--begin").stderr
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    bundle = machine.work / "hosts/localhost/ca-public.pem"
    assert judge(bundle, old) == ""
    assert "the one that announces" in judge(bundle, machine.work / "ca/next/ca-public.pem")
    machine.run(ROLL_OVER, "--switch")
    assert sorted(path.name for path in (machine.work / "ca").iterdir() if not path.name.startswith(".")) == [
        *("authorities.pem", "ca-private.pem", "ca-public.pem", "ca-public.srl", "ledger.txt", "previous"),
    ]
    machine.run(REQUEST, "--renew")
    machine.run(SIGN_SERVERS)
    for leaf in ("hosts/localhost/certificate.pem", "hosts/localhost/renewal/certificate.pem"):
        machine.openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", bundle, leaf)


def test_who_joins_after_the_switch_trusts_the_new_ca_alone(machine: Machine) -> None:
    machine.make_all()
    machine.run(ROLL_OVER, "--begin")
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    machine.run(ROLL_OVER, "--switch")
    for file in ("client-certificate.pem", "ca-public.pem", "client-key.pem"):
        (machine.work / "clients/client" / file).unlink()
    machine.run(REQUEST_CLIENT)
    for _ in range(2):
        machine.run(SIGN_CLIENTS)
        assert machine.read("clients/client/ca-public.pem") == machine.read("ca/ca-public.pem")


def test_the_digest_of_the_ca_is_shown(machine: Machine) -> None:
    first = machine.run(CREATE).stderr
    shown = f"CA certificate sha256: {digest(machine, 'ca/ca-public.pem')}\n"
    assert shown in first
    assert shown in machine.run(CREATE).stderr
    machine.run(REQUEST)
    machine.run(REQUEST_CLIENT)
    for script in (SIGN_SERVERS, SIGN_CLIENTS):
        for _ in range(2):
            assert shown in machine.run(script).stderr
    said = machine.run(ROLL_OVER, "--begin").stderr
    assert shown in said
    assert f"CA certificate sha256: {digest(machine, 'ca/next/ca-public.pem')}\n" in said
