"""Files that a full disk or a stick that was pulled has cut off: they are refused in words that fit."""

from __future__ import annotations

import pytest

from tests.scripts.machine import BACK_UP, CREATE, FOLDER, LIST, REQUEST, ROLL_OVER, SIGN_SERVERS, Machine

SCRIPTS = {CREATE: [], SIGN_SERVERS: [], ROLL_OVER: ["--begin"], LIST: []}


def edited_ledgers(whole: bytes) -> list[bytes]:
    """Return a ledger with lines that are none, at its end and in its middle, and with line ends of Windows.

    Of the last, all lines have them, or those below the header, or one.
    """
    first, second, *others = whole.splitlines(keepends=True)
    blank = b"".join([first, second, b"\n", *others])
    lines = b"".join([second, *others])
    windows = [end.replace(b"\n", b"\r\n") for end in (whole, lines, second)]
    return [
        *(whole + b"\n", whole + b"AB one\n", blank, windows[0]),
        *(first + windows[1], first + windows[2] + b"".join(others)),
    ]


@pytest.mark.parametrize("name", ["ca-public.pem", "ledger.txt"])
def test_what_is_cut_off_is_refused(machine: Machine, name: str) -> None:
    """The control: once it is whole again, each script has its status of before."""
    machine.make_all()
    file, to = machine.work / "ca" / name, machine.passphrase.parent / "back-up"
    whole = file.read_bytes()
    scripts = {**SCRIPTS, BACK_UP: ["--to", str(to)]}
    edited = edited_ledgers(whole) if name == "ledger.txt" else []
    for octets in (b"", whole[: len(whole) // 2], bytes(len(whole)), *edited):
        file.write_bytes(octets)
        before = sorted(machine.work.rglob("*"))
        for script, words in scripts.items():
            done = machine.run(script, *words, check=False)
            said = f"{file} is empty" in done.stderr and "back-up" in done.stderr
            assert (done.returncode, said) == (2, True), (script, done.stderr)
        assert (file.read_bytes(), sorted(machine.work.rglob("*")), to.exists()) == (octets, before, False)
    file.write_bytes(whole)
    for script, words in scripts.items():
        machine.run(script, *words)


def test_a_ledger_that_was_moved_away_is_written_anew(machine: Machine) -> None:
    """As its refusal says."""
    machine.make_all()
    ledger = machine.work / "ca/ledger.txt"
    ledger.write_bytes(b"")
    ledger.rename(machine.work / "away")
    machine.run(SIGN_SERVERS)
    assert f" {FOLDER} " in machine.run(LIST).stdout


def test_a_ledger_may_grow(machine: Machine) -> None:
    """A fleet's has more than the 64 KiB of a certificate that is carried here."""
    machine.make_all()
    ledger = machine.work / "ca/ledger.txt"
    serial, rest = ledger.read_text().splitlines(keepends=True)[-1].split(" ", 1)
    ledger.write_text(ledger.read_text() + "".join(f"{number:04}{serial} {rest}" for number in range(400)))
    assert ledger.stat().st_size > 65536
    machine.run(REQUEST, "--renew")
    machine.run(SIGN_SERVERS)
    assert (machine.work / FOLDER / "renewal/certificate.pem").exists()
    machine.run(LIST)


@pytest.mark.parametrize("folder", ["", "ca"])
def test_a_ledger_that_others_can_change_is_not_read(machine: Machine, folder: str) -> None:
    machine.make_all()
    (machine.work / folder).chmod(0o777)
    done = machine.run(LIST, check=False)
    assert (done.returncode, "others c" in done.stderr) == (2, True), done.stderr
    (machine.work / folder).chmod(0o700)
    machine.run(LIST)


def test_a_certificate_that_is_in_the_ledger_twice_is_refused(machine: Machine) -> None:
    """As where two ledgers were put together: the last line of a party is the certificate that it is to use."""
    machine.make_all()
    ledger = machine.work / "ca/ledger.txt"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join([*lines, lines[2]]))
    for script in (SIGN_SERVERS, LIST):
        done = machine.run(script, check=False)
        assert (done.returncode, f"{ledger} is empty" in done.stderr) == (2, True), (script, done.stderr)
