"""The state that a script tells when a command fails is what it has printed, not what somebody once wrote down."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sites import ONE_HOST, TEMPLATES, render

FOLDER = "hosts/docker.example.com"
DONE = "state: the lines above that begin with + were run, the last one perhaps in part; run this again to finish"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(f"{ONE_HOST}    key: ec:P-256\n", tmp_path_factory.mktemp("states") / "out")


def run(out: Path, work: Path) -> str:
    """Make a request with descriptors below 10 alone, and a lock has a higher one; return what the script said."""
    script = out / FOLDER / "10-request-certificate.sh"
    words = ["bash", "-c", 'ulimit -n 10; exec bash "$@"', "bash", str(script), "--dir", str(work)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert not (work / FOLDER / "server-key.pem").exists()
    return result.stderr.splitlines()[-1]


def test_after_a_change_the_state_is_what_was_printed(out: Path, tmp_path: Path) -> None:
    assert run(out, tmp_path).endswith(DONE)


def test_the_state_before_the_first_change_is_that_nothing_was_changed(out: Path, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    for part in (tmp_path / "hosts", tmp_path / FOLDER):
        part.chmod(0o700)
    assert "state: nothing was changed" in run(out, tmp_path)


def test_every_change_says_so_first() -> None:
    """`changed` is set in one place, which keeps the state too."""
    found = [path.name for path in TEMPLATES.rglob("*.sh") if "  changed=1\n" in path.read_text()]
    assert found == ["change.sh"]
