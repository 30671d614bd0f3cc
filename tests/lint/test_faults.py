"""The bash that injects faults: shellcheck and shfmt have nothing to say."""

from __future__ import annotations

import subprocess
from pathlib import Path

from faults.cases import all_cases
from tests.lint.syntax import tool
from tests.sites import ROOT

HOST = ROOT / "faults" / "host"
# What is given to `bash -c` is in single quotes on purpose; the environment comes from elsewhere.
EXCEPTIONS = "SC2016,SC2153,SC2154"


def test_shfmt_has_nothing_to_change() -> None:
    done = subprocess.run(
        [tool("shfmt"), "-i", "2", "-ci", "-d", *HOST.iterdir()], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def whole_driver() -> str:
    """Return the driver with a case and with the files that it sources."""
    text = (HOST / "driver.sh").read_text()
    for line in text.splitlines():
        if line.startswith("source "):
            name = line.split('"')[1].rpartition("/")[2]
            sourced = all_cases()[0].text() if name == "$1" else (HOST / name).read_text()
            text = text.replace(f"{line}\n", sourced)
    return text


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    driver = tmp_path / "driver.sh"
    driver.write_text(whole_driver())
    assert "source " not in driver.read_text()
    others = [HOST / name for name in ("shim.sh", "sync.sh", "trap.sh")]
    argv: list[str | Path] = [tool("shellcheck"), "--norc", "--shell=bash", f"--exclude={EXCEPTIONS}", driver, *others]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    argv = [tool("shellcheck"), "--norc", "--shell=dash", HOST / "bash.sh"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
