"""Facts about the same site giving the same bytes everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sites import ROOT, TEMPLATES, dockseal


def digest(output: Path) -> bytes:
    return (output / "SHA256SUMS").read_bytes()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("reference") / "out"
    assert dockseal("render", "examples/fleet.yaml", "--output", output).returncode == 0
    return digest(output)


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Pacific/Chatham"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "4294967295"},
        {"HOME": "/nonexistent", "USER": "nobody"},
        {"PYTHONOPTIMIZE": "2"},
    ],
    ids=",".join,
)
def test_the_environment_does_not_matter(reference: bytes, tmp_path: Path, environment: dict[str, str]) -> None:
    result = dockseal("render", "examples/fleet.yaml", "--output", tmp_path / "out", environment=environment)
    assert result.returncode == 0, result.stderr
    assert digest(tmp_path / "out") == reference


def test_the_working_folder_and_the_names_of_files_do_not_matter(reference: bytes, tmp_path: Path) -> None:
    (tmp_path / "other name.yml").write_bytes((ROOT / "examples" / "fleet.yaml").read_bytes())
    result = dockseal("render", "other name.yml", "--output", "elsewhere", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert digest(tmp_path / "elsewhere") == reference


def test_no_template_holds_a_date_or_a_path_of_a_home_folder() -> None:
    for path in TEMPLATES.rglob("*.sh"):
        assert not re.search(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}|/home/|/Users/", path.read_text()), path
