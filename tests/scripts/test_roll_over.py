"""Which CA is trusted, before, while and after it is rolled over."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.scripts.machine import (
    FOLDER,
    LIST,
    REQUEST,
    REQUEST_CLIENT,
    ROLL_OVER,
    SIGN_CLIENTS,
    SIGN_SERVERS,
    Machine,
    asking,
    rolled_over,
)
from tests.sites import TEMPLATES


def judge(bundle: Path, installed: Path) -> str:
    """Return why a bundle is refused where another one is trusted."""
    text = f'set -eu; . "{TEMPLATES}/lib/certificates.sh"; why_not_trusted "$1" "$2"'
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


def test_only_who_is_named_is_shut_out(machine: Machine) -> None:
    rolled_over(machine)
    machine.run(REQUEST, "--renew")
    machine.run(SIGN_SERVERS)
    ledger = machine.work / "ca/ledger.txt"
    ledger.rename(machine.work / "kept")
    assert "there is no ledger" in machine.run(ROLL_OVER, "--finish", check=False).stderr
    (machine.work / "kept").rename(ledger)
    done = machine.run(ROLL_OVER, "--finish", check=False)
    assert (done.returncode, "--shut-out clients/client;" in done.stderr) == (2, True), done.stderr
    assert (machine.work / "ca/previous").exists()
    machine.run(ROLL_OVER, "--finish", "--shut-out", "clients/client")
    assert not (machine.work / "ca/previous").exists()


def test_a_ledger_that_was_lost_shuts_out_nobody(machine: Machine) -> None:
    """Written anew it lists certificates of the previous CA too; and where it does not, their files tell."""
    rolled_over(machine)
    ledger = machine.work / "ca/ledger.txt"
    ledger.unlink()
    assert (
        "run ca/20-sign-servers.sh and ca/30-sign-clients.sh" in machine.run(ROLL_OVER, "--finish", check=False).stderr
    )
    machine.run(SIGN_SERVERS)
    of_servers = ledger.read_text()
    machine.run(SIGN_CLIENTS)
    previous = machine.openssl("x509", "-in", "ca/previous/ca-public.pem", "-noout", "-serial").stdout
    assert [line.split()[6] for line in ledger.read_text().splitlines()[2:]] == [previous.strip().partition("=")[2]] * 2
    for text in (ledger.read_text(), of_servers):
        ledger.write_text(text)
        done = machine.run(ROLL_OVER, "--finish", check=False)
        assert (done.returncode, "--shut-out clients/client --shut-out hosts/localhost;" in done.stderr) == (2, True)
    machine.run(REQUEST, "--renew")
    machine.run(SIGN_SERVERS)
    done = machine.run(ROLL_OVER, "--finish", "--shut-out", "clients/client")
    assert "refused from then on: clients/client\n" in done.stderr


def test_who_never_joined_does_not_block_the_switch(machine: Machine) -> None:
    """The control: who has a certificate does, until it knows the next CA."""
    asking(machine)
    machine.run(SIGN_SERVERS)
    machine.run(ROLL_OVER, "--begin")
    done = machine.run(ROLL_OVER, "--switch", check=False)
    assert (done.returncode, "hosts/localhost would not trust the next CA: run" in done.stderr) == (2, True)
    told = machine.work / FOLDER / "ca-public.pem"
    told.rename(machine.work / "kept")
    assert "hosts/localhost would not trust" in machine.run(ROLL_OVER, "--switch", check=False).stderr
    (machine.work / "kept").rename(told)
    machine.run(SIGN_SERVERS)
    machine.run(ROLL_OVER, "--switch")
    machine.run(REQUEST_CLIENT)
    machine.run(SIGN_CLIENTS)


def test_what_is_none_of_the_ca_s_files_is_told_before_the_switch(machine: Machine, tmp_path: Path) -> None:
    """Nothing that somebody keeps beside the next CA is lost. The control: once it is away, the CA is switched."""
    machine.make_all()
    machine.run(ROLL_OVER, "--begin")
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    next_ca, before = machine.work / "ca/next", files(machine)
    for name in ("notes.txt", ".hidden", "ca-private.pem.old", "folder"):
        path = next_ca / name
        if name == "folder":
            path.mkdir()
        else:
            path.write_text("mine\n")
        for words in ((), ("--check",)):
            done = machine.run(ROLL_OVER, "--switch", *words, check=False)
            said = f"{path} is none of the CA's files; move it out of there; nothing was changed\n"
            assert (done.returncode, done.stderr.endswith(said)) == (2, True), done.stderr
        path.rename(tmp_path / name)
        assert files(machine) == before
    machine.run(ROLL_OVER, "--switch")
    assert not next_ca.exists()


def files(machine: Machine) -> dict[Path, bytes]:
    """Return what is in the working folder."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in machine.work.rglob("*")}


def states(machine: Machine) -> list[str]:
    """Return the states of the CAs, in the order in which they were made."""
    rows = [json.loads(line) for line in machine.run(LIST, "--json").stdout.splitlines()]
    of_serial = {row["serial"]: row["state"] for row in rows if row["party"] == "ca"}
    return [of_serial[line.split()[0]] for line in machine.read("ca/ledger.txt").splitlines() if " ca " in line]


def test_the_ca_that_signs_is_the_current_one(machine: Machine) -> None:
    """At each stage; a next CA that was given up is none."""
    machine.make_all()
    assert states(machine) == ["current"]
    machine.run(ROLL_OVER, "--begin")
    assert states(machine) == ["current", "next"]
    machine.run(ROLL_OVER, "--undo", "--remove-keys")
    assert states(machine) == ["current", "superseded"]
    machine.run(ROLL_OVER, "--begin")
    assert states(machine) == ["current", "superseded", "next"]
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    machine.run(ROLL_OVER, "--switch")
    assert states(machine) == ["superseded", "superseded", "current"]
    machine.run(ROLL_OVER, "--finish", "--shut-out", "hosts/localhost", "--shut-out", "clients/client")
    assert states(machine) == ["retired", "superseded", "current"]


def own_bundle(machine: Machine) -> str:
    """Return the file that a verification on this machine takes for the site's own CAs."""
    text = f'. "{TEMPLATES}/lib/judge.sh"; dir=$1 script={FOLDER}/90-verify.sh; own_bundle'
    argv = ["bash", "-c", text, "bash", str(machine.work)]
    found = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    return found.removeprefix(f"{machine.work}/")


def test_where_the_ca_is_its_own_word_counts(machine: Machine) -> None:
    """A file that was carried here, or changed here, has none. The control: where the CA is not here it has."""
    machine.make_all()
    assert own_bundle(machine) == "ca/ca-public.pem"
    machine.run(ROLL_OVER, "--begin")
    assert own_bundle(machine) == "ca/authorities.pem"
    (machine.work / "ca").rename(machine.work / "elsewhere")
    assert own_bundle(machine) == f"{FOLDER}/ca-public.pem"
