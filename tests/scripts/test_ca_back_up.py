"""The encrypted back-up of the CA: what goes into it, and what it leaves alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.scripts.machine import (
    BACK_UP,
    CREATE,
    ROLL_OVER,
    Machine,
)


def test_a_back_up_goes_into_a_file_of_its_own(machine: Machine, tmp_path: Path) -> None:
    """Neither a file beside it is touched, nor what a link of its own temporary name leads to."""
    machine.make_all()
    other = tmp_path / "other"
    other.write_text("kept\n")
    (tmp_path / "back-up.new").write_text("kept\n")
    (tmp_path / "back-up.dockseal.new").symlink_to(other)
    machine.run(BACK_UP, "--to", str(tmp_path / "back-up"))
    assert other.read_text() == (tmp_path / "back-up.new").read_text() == "kept\n"
    assert not (tmp_path / "back-up.dockseal.new").is_symlink()
    restored = Machine(machine.out, tmp_path / "restored", machine.passphrase)
    restored.run(BACK_UP, "--restore", str(tmp_path / "back-up"))
    assert restored.read("ca/ledger.txt") == machine.read("ca/ledger.txt")


def test_a_name_that_somebody_takes_meanwhile_is_no_back_up(machine: Machine, tmp_path: Path) -> None:
    machine.run(CREATE)
    script = machine.out / BACK_UP
    moves = '  run mv -nT -- "${part}" "${to}"\n'
    text = script.read_text()
    assert text.count(moves) == 1
    script.write_text(text.replace(moves, f'  printf "mine\\n" >"${{to}}"\n{moves}'))
    to, part = tmp_path / "back-up", tmp_path / "back-up.dockseal.new"
    done = machine.run(BACK_UP, "--to", str(to), check=False)
    assert done.returncode == 1
    assert f"somebody has made {to} meanwhile: the back-up is {part}" in done.stderr
    assert "was read back" not in done.stderr
    assert to.read_text() == "mine\n"
    restored = Machine(machine.out, tmp_path / "restored", machine.passphrase)
    restored.run(BACK_UP, "--restore", str(part))


@pytest.mark.parametrize("stages", [("--begin",), ("--begin", "--switch"), ("--begin", "--switch", "--finish")])
def test_a_back_up_holds_every_stage_of_a_roll_over(machine: Machine, tmp_path: Path, stages: tuple[str, ...]) -> None:
    machine.run(CREATE)
    (machine.work / "ca/refused.txt").write_text("somebody\n")
    for stage in stages:
        machine.run(ROLL_OVER, stage)
    machine.run(BACK_UP, "--to", str(tmp_path / "back-up"))
    restored = Machine(machine.out, tmp_path / "restored", machine.passphrase)
    restored.run(BACK_UP, "--restore", str(tmp_path / "back-up"))
    compared = subprocess.run(
        ["diff", "-r", "--exclude=.lock", machine.work / "ca", restored.work / "ca"], capture_output=True, check=False
    )
    assert compared.stdout == b""


@pytest.mark.parametrize("name", ["my notes.txt", "old/x", "next/deep/x"])
def test_an_odd_file_is_named_before_a_back_up_is_made(machine: Machine, tmp_path: Path, name: str) -> None:
    machine.run(CREATE)
    odd = machine.work / "ca" / name
    odd.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    odd.write_text("mine\n")
    before = set(tmp_path.rglob("*"))
    for words in (["--check"], []):
        done = machine.run(BACK_UP, "--to", str(tmp_path / "back-up"), *words, check=False)
        assert done.returncode == 2
        assert f"{odd} is none of the CA's files, and no back-up holds it; move it out of" in done.stderr
        assert "nothing was changed" in done.stderr
        assert set(tmp_path.rglob("*")) == before
    odd.unlink()
    machine.run(BACK_UP, "--to", str(tmp_path / "back-up"))


def test_a_folder_with_a_back_up_s_temporary_name_is_refused(machine: Machine, tmp_path: Path) -> None:
    machine.run(CREATE)
    folder = tmp_path / "back-up.dockseal.new"
    folder.mkdir()
    done = machine.run(BACK_UP, "--to", str(tmp_path / "back-up"), check=False)
    assert (done.returncode, f"error: {BACK_UP}: {folder} is a folder or another" in done.stderr) == (2, True)
    folder.rmdir()
    done = machine.run(BACK_UP, "--to", str(folder), check=False)
    assert (done.returncode, "has the name of a back-up that is not whole" in done.stderr) == (2, True)
    machine.run(BACK_UP, "--to", str(tmp_path / "back-up"))
