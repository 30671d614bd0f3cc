"""What --undo of the CA's scripts knows of keys, also of those that a killed run left."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.scripts.machine import (
    BACK_UP,
    CREATE,
    REQUEST,
    REQUEST_CLIENT,
    ROLL_OVER,
    SIGN_CLIENTS,
    SIGN_SERVERS,
    Machine,
    of_another_site,
)

# What a run leaves that is killed in the middle of each of these.
KILLED = [
    *(f"hosts/localhost/{name}" for name in ("server-key.pem.new", "request.csr.new")),
    *(f"hosts/localhost/{name}" for name in ("certificate.pem.new", "ca-public.pem.new", "renewal/server-key.pem.new")),
    "clients/client/client-key.pem.new",
    *(
        f"ca/{name}"
        for name in ("ca-private.pem.new", "ca-private.pem.first.new", "ca-public.pem.new", "ledger.txt.new")
    ),
    *(f"ca/{name}" for name in ("extfile.cnf.new", "authorities.pem.new")),
    *(f"ca/next/{name}" for name in ("ca-private.pem.new", "ca-private.pem.first.new")),
    *("ca/previous.dockseal.new/ca-private.pem", "ca.dockseal.new/ca-private.pem"),
    "ca.dockseal.new/retired-0A/ca-private.pem",
]
UNDO = (BACK_UP, ROLL_OVER, SIGN_CLIENTS, REQUEST_CLIENT, SIGN_SERVERS, REQUEST, CREATE)  # as setup.sh --undo does


def undo(machine: Machine, *words: str) -> str:
    """Undo every script that makes files in the working folder; return what they said."""
    return "".join(machine.run(script, "--undo", *words).stderr for script in UNDO)


def keys(machine: Machine) -> set[str]:
    """Return every file in the working folder that is, or is becoming, a private key."""
    return {
        str(path.relative_to(machine.work))
        for path in machine.work.rglob("*")
        if re.search("-(key|private).pem", path.name)
    }


def test_undo_knows_every_key_that_a_killed_run_left(machine: Machine) -> None:
    for name in KILLED:
        path = machine.work / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text("half a key\n")
    left = keys(machine)
    said = undo(machine)
    assert keys(machine) == left
    kept = re.findall(rf"kept: {machine.work}/(\S+) \(--undo", said)
    assert left - set(kept) == {name for name in left if name.startswith("ca.dockseal.new/")}
    assert "ca.dockseal.new" in kept
    undo(machine, "--remove-keys")
    assert not machine.work.exists()


@pytest.mark.parametrize("stages", [("--begin",), ("--begin", "--switch"), ("--begin", "--switch", "--finish")])
def test_undo_knows_the_keys_of_each_stage_of_a_roll_over(machine: Machine, stages: tuple[str, ...]) -> None:
    machine.run(CREATE)
    for stage in stages:
        machine.run(ROLL_OVER, stage)
    said = undo(machine)
    assert ("the switch is not undone: go on with --finish" in said) == (stages[-1] == "--switch")
    assert (machine.work / "ca/authorities.pem").exists() == (stages[-1] == "--switch")
    assert len(keys(machine)) == 2
    for name in keys(machine):
        assert f": kept: {machine.work}/{name} (--undo --remove-keys removes it)\n" in said
    undo(machine, "--remove-keys")
    assert not machine.work.exists()


def test_undo_removes_nothing_of_the_operator_s_beside_a_retired_ca(machine: Machine) -> None:
    machine.run(CREATE)
    for stage in ("--begin", "--switch", "--finish"):
        machine.run(ROLL_OVER, stage)
    (retired,) = (machine.work / "ca").glob("retired-*")
    (retired / "notes.txt").write_text("mine\n")
    undo(machine, "--remove-keys")
    assert [path for path in machine.work.rglob("*.*") if path.is_file() and path.name != ".lock"] == [
        retired / "notes.txt"
    ]


def set_up(machine: Machine, *words: str) -> str:
    """Run setup.sh of the CA's machine; return what it said."""
    argv = ["bash", str(machine.out / "setup.sh"), "--as", "ca", "--dir", str(machine.work), "--yes", *words]
    home = {"HOME": str(machine.out.parent)}
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=home, check=True)
    return done.stderr


def test_undo_names_the_folders_of_another_site_and_leaves_them(machine: Machine) -> None:
    """The control: those of its own parties go, and are not named."""
    machine.make_all()
    other = of_another_site(machine)
    for script in ("hosts/second/10-request-certificate.sh", SIGN_SERVERS, "clients/other/10-request-certificate.sh"):
        other.run(script)
    theirs = [machine.work / party for party in ("hosts/second", "clients/other")]
    before = {path: path.read_bytes() for folder in theirs for path in folder.rglob("*.*")}
    undo(machine, "--remove-keys")
    said = set_up(machine, "--undo", "--remove-keys")
    for folder in theirs:
        assert f": kept: {folder}/, of no party of this site; its own site's setup.sh --undo is for that\n" in said
    assert said.count("of no party of this site") == len(theirs)
    assert {path: path.read_bytes() for path in machine.work.rglob("*.*") if path.is_file()} == before
