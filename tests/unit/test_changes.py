"""Facts about the functions that change something, and about those that look before the first change."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sites import library


def write(file: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Write a text with the library's write_file."""
    code = f'set -Eeuo pipefail; script=x.sh\n{library("common", "change")}\nwrite_file "$1" 0644 "$2"'
    return subprocess.run(["bash", "-c", code, "bash", file, text], check=True, capture_output=True, text=True)


@pytest.mark.parametrize("octets", [b"one\ntw\0o\n", b"one\ntwo\n\0", b"\0one\ntwo\n", b"one\ntwo"])
def test_a_file_that_differs_by_a_byte_that_bash_drops_is_written_anew(tmp_path: Path, octets: bytes) -> None:
    """The control: the file that comes of it is left alone."""
    file = tmp_path / "file"
    file.write_bytes(octets)
    assert "+ cat >" in write(file, "one\ntwo").stderr
    assert file.read_bytes() == b"one\ntwo\n"
    number = file.stat().st_ino
    assert write(file, "one\ntwo").stderr == ""
    assert (file.stat().st_ino, list(tmp_path.iterdir())) == (number, [file])


def need_docker(path: Path) -> subprocess.CompletedProcess[str]:
    """Look for docker in one folder alone."""
    loaded = library("common", "daemon", "create_networks")
    code = f"set -Eeuo pipefail; script=hosts/one/30-create-networks.sh\n{loaded}\nPATH=$1; need_docker"
    return subprocess.run(["bash", "-c", code, "bash", path], check=False, capture_output=True, text=True)


def test_a_missing_docker_is_named_with_the_packages_that_have_it(tmp_path: Path) -> None:
    """Debian's and Docker's own. The control: a docker that answers."""
    done = need_docker(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert {"docker.io", "docker-ce-cli"} <= set(done.stderr.split())
    for name in ("docker", "timeout"):
        (tmp_path / name).write_text("#!/bin/true\n")
        (tmp_path / name).chmod(0o755)
    done = need_docker(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
