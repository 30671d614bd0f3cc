"""Lint of the Python: what `make lint` runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lint.syntax import tool
from tests.sites import ROOT


@pytest.mark.parametrize("words", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], ids=" ".join)
def test_nothing_is_found(words: list[str], tmp_path: Path) -> None:
    cache = {"ruff": "--no-cache", "mypy": f"--cache-dir={tmp_path}"}[words[0]]
    result = subprocess.run([tool(words[0]), *words[1:], cache], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
