"""The machine on which the scripts run with bash and openssl alone: everything of a small site is on it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from tests.sites import render

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
CONFIGURE_CLIENT = "clients/client/20-configure-client.sh"
PASSPHRASE = "correct horse battery staple"
Done = subprocess.CompletedProcess[str]
FOLDER = "hosts/localhost"


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


def configure(machine: Machine, home: Path, *words: str) -> Done:
    """Run the client's script on a home folder of its own."""
    argv = ["bash", str(machine.out / CONFIGURE_CLIENT), "--dir", str(machine.work), *words]
    return subprocess.run(argv, check=False, capture_output=True, text=True, env={"HOME": str(home)})


def new_machine(folder: Path, site: str = SITE) -> Machine:
    """Render a site into a folder; the CA is not made yet."""
    machine = Machine(render(site, folder / "out"), folder / "docker-tls", folder / "passphrase")
    machine.passphrase.touch(mode=0o600)
    machine.passphrase.write_text(f"{PASSPHRASE}\n")
    return machine


def of_another_site(machine: Machine) -> Machine:
    """Return the same working folder with the scripts of another site, whose parties have other names."""
    text = SITE.replace("localhost", "second").replace("client,", "other,")
    return replace(machine, out=render(text, machine.out.parent / "second"))


def digest(machine: Machine, file: str) -> str:
    """Return the sha256 of a certificate, as people compare it."""
    said = machine.openssl("x509", "-in", file, "-noout", "-fingerprint", "-sha256").stdout
    return said.partition("=")[2].strip().replace(":", "").lower()


def asking(machine: Machine) -> Path:
    """Make the CA and the server's request; return the request."""
    machine.run(CREATE)
    machine.run(REQUEST)
    return machine.work / FOLDER / "request.csr"


def text_of(machine: Machine, file: str = f"{FOLDER}/certificate.pem") -> str:
    """Return a certificate as openssl prints it, without its key and signature."""
    return machine.openssl("x509", "-in", file, "-noout", "-text", "-certopt", "no_pubkey,no_sigdump").stdout


def rolled_over(machine: Machine) -> None:
    """Bring a site with both certificates to its second stage: both CAs are trusted, the new one signs."""
    machine.make_all()
    machine.run(ROLL_OVER, "--begin")
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    machine.run(ROLL_OVER, "--switch")
