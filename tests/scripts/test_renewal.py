"""A renewal keeps the pair that was in use, and what is not the scripts' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.machine import REQUEST_CLIENT, SIGN_CLIENTS, Machine, configure

FOLDER = "clients/client"
PAIR = ("client-key.pem", "client-certificate.pem")


def ask_again(machine: Machine) -> dict[str, str]:
    """Ask for a new pair and have it signed; return the one in use."""
    used = {name: machine.read(f"{FOLDER}/{name}") for name in PAIR}
    machine.run(REQUEST_CLIENT, "--renew", "--new-key")
    machine.run(SIGN_CLIENTS)
    return used


def test_a_renewal_keeps_what_somebody_put_beside_the_previous_pair(machine: Machine, tmp_path: Path) -> None:
    machine.make_all()
    assert configure(machine, tmp_path).returncode == 0
    previous = machine.work / FOLDER / "previous"
    for kept in (set(), {"notes"}):
        used = ask_again(machine)
        if kept:
            (previous / "notes").write_text("mine\n")
        done = configure(machine, tmp_path)
        assert done.returncode == 0, done.stderr
        assert {path.name for path in previous.iterdir()} == {*PAIR, *kept}
        assert {name: (previous / name).read_text() for name in PAIR} == used
        assert not (machine.work / FOLDER / "renewal").exists()
    assert (previous / "notes").read_text() == "mine\n"
    machine.run(REQUEST_CLIENT, "--undo", "--remove-keys")
    assert [path.name for path in previous.iterdir()] == ["notes"]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_renewal_writes_through_nothing_that_has_the_folder_s_name(
    machine: Machine, tmp_path: Path, kind: str
) -> None:
    machine.make_all()
    assert configure(machine, tmp_path).returncode == 0
    used = ask_again(machine)
    victim, previous = tmp_path / "victim", machine.work / FOLDER / "previous"
    victim.mkdir(mode=0o700)
    if kind == "link":
        previous.symlink_to(victim)
    else:
        previous.write_text("mine\n")
    done = configure(machine, tmp_path)
    assert (done.returncode, f"{previous} is " in done.stderr) == (2, True), done.stderr
    assert [*victim.iterdir()] == []
    assert (tmp_path / ".docker/cert.pem").read_text() == used["client-certificate.pem"]
    assert previous.is_symlink() or previous.read_text() == "mine\n"
    assert {name: machine.read(f"{FOLDER}/{name}") for name in PAIR} == used
    previous.unlink()
    assert configure(machine, tmp_path).returncode == 0
    assert {name: (previous / name).read_text() for name in PAIR} == used


def test_a_folder_under_a_name_of_the_previous_pair_is_told_before_anything_changes(
    machine: Machine, tmp_path: Path
) -> None:
    """The name that a file has for a moment too. The control: once they are away, the new pair is installed."""
    machine.make_all()
    assert configure(machine, tmp_path).returncode == 0
    used = ask_again(machine)
    previous, renewal = machine.work / FOLDER / "previous", machine.work / FOLDER / "renewal"
    previous.mkdir(mode=0o700)
    for name in (name + end for name in PAIR for end in ("", ".new")):
        folder = previous / name
        folder.mkdir()
        (folder / "notes").write_text("mine\n")
        for words in ((), ("--check",)):
            done = configure(machine, tmp_path, *words)
            said = f"{folder} is not a regular file; nothing was changed\n"
            assert (done.returncode, done.stderr.endswith(said)) == (2, True), done.stderr
            assert (tmp_path / ".docker/cert.pem").read_text() == used["client-certificate.pem"]
            assert {path.name for path in renewal.iterdir()} == {*PAIR}
        folder.rename(tmp_path / name)
        assert [*previous.iterdir()] == []
    assert configure(machine, tmp_path).returncode == 0
    assert {name: (previous / name).read_text() for name in PAIR} == used
    assert (tmp_path / ".docker/cert.pem").read_text() != used["client-certificate.pem"]
