"""Facts about bytes that a terminal would obey: wherever a name comes from, they are blanks in what is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sites import library

# Escape, carriage return, bell, tabulator, delete, and C1 bytes, alone and as UTF-8.
OBEYED = b"\x1b[31m\r\x07\t\x7f\x9b2J\xc2\x9b"
SHOWN = b" [31m     2J  "


def bash(code: str, *words: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run a piece of code with the functions that say something."""
    loaded = library("common", "certificates", "expiry")
    text = f"set -Eeuo pipefail; export LC_ALL=C; script=ca/x.sh warn_days=30\n{loaded}\n{code}"
    return subprocess.run(["bash", "-c", text, "bash", *words], capture_output=True, check=False)


@pytest.mark.parametrize(
    ("code", "status", "begins"), [('die 6 "$@"', 6, b"error: ca/x.sh: "), ('note "$@"', 0, b"ca/x.sh: ")]
)
def test_what_a_terminal_would_obey_is_blank(code: str, status: int, begins: bytes) -> None:
    """The control: what is printable stays as it is, and so do line ends."""
    done = bash(code, b"it is " + OBEYED, b"~ 'a' \\033\nb")
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr == begins + b"it is " + SHOWN + b" ~ 'a' \\033\nb\n"


def certificate(folder: Path) -> bytes:
    """Make a certificate whose subject and whose file's name a terminal would obey; return its path."""
    path = bytes(folder) + b"/" + OBEYED + b".pem"
    subject = b"/CN=" + OBEYED.replace(b"\xc2", b"").replace(b"\x9b", b"")
    new: list[str | Path] = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        folder / "key",
        "-days",
        "90",
    ]
    argv: list[str | bytes | Path] = ["openssl", "req", "-x509", *new, "-out", path, "-subj", subject]
    subprocess.run(argv, check=True, capture_output=True)
    return path


@pytest.mark.parametrize(("limit", "word"), [(30, b"ok   "), (91, b"SOON ")])
def test_the_life_of_a_certificate_is_told_in_plain_text(tmp_path: Path, limit: int, word: bytes) -> None:
    path = certificate(tmp_path)
    done = bash(f'renewal_limit() {{ printf {limit * 86400}; }}; check_file "$1" "make $1 anew"', path)
    shown = path.replace(OBEYED, SHOWN)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, b"")
    assert lines[0].startswith(word)
    assert lines[0].endswith(b" days  " + shown)
    assert lines[1:] == ([b"             do: make " + shown + b" anew"] if word == b"SOON " else [])


def test_what_is_no_certificate_is_told_in_plain_text(tmp_path: Path) -> None:
    path = bytes(tmp_path) + b"/" + OBEYED
    shown = path.replace(OBEYED, SHOWN)
    Path(path.decode(errors="surrogateescape")).write_bytes(OBEYED)
    done = bash('check_file "$1" "make $1 anew"', path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines() == [
        b"BAD               " + shown + b" cannot be read as a certificate",
        b"             do: make " + shown + b" anew",
    ]
