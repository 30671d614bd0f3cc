"""What 60-check-expiry.sh says of the certificates in ~/.docker."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.scripts.machine import Machine

CHECK_EXPIRY = "clients/client/60-check-expiry.sh"
PLAIN = re.compile("[ -~\n]+")


def test_lines_are_plain_text(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With escapes in the folder's name and in a subject; one certificate is good, and one is none."""
    machine.make_all()
    docker = tmp_path / "home\x1b[31m\r\x07" / ".docker"
    docker.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(docker.parent))
    key = ["-key", "clients/client/client-key.pem"]
    machine.openssl("req", "-x509", *key, "-days", "90", "-subj", "/CN=\x1b]0;x\x07", "-out", docker / "cert.pem")
    shutil.copy(machine.work / "ca/ca-public.pem", docker / "ca.pem")
    done = machine.run(CHECK_EXPIRY)
    assert [line[:5] for line in done.stdout.splitlines()] == ["ok   ", "ok   "]
    assert PLAIN.fullmatch(done.stdout)
    (docker / "cert.pem").write_text("\x1b[31m")
    done = machine.run(CHECK_EXPIRY, check=False)
    assert (done.returncode, done.stdout[:4], done.stderr) == (4, "BAD ", "")
    assert PLAIN.fullmatch(done.stdout)
    assert f"{tmp_path}/home [31m  /.docker/cert.pem cannot be read as a certificate\n" in done.stdout
