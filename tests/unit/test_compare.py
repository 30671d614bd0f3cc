"""Facts about `render --check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockseal.errors import UsageError
from dockseal.output.compare import differences
from dockseal.output.render import Rendered
from dockseal.output.write import replace_folder

FILES = [
    Rendered("a.sh", b"1\n2\n", 0o755),
    Rendered("manifest.json", b'{"files": ["a.sh", "gone", "manifest.json"]}\n', 0o644),
]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    replace_folder(tmp_path / "out", FILES)
    return tmp_path / "out"


def test_a_fresh_folder_has_no_differences(out: Path) -> None:
    assert list(differences(out, FILES)) == []


def test_a_changed_file_is_shown_as_a_unified_diff(out: Path) -> None:
    (out / "a.sh").write_text("1\n3\n")
    assert list(differences(out, FILES)) == [f"--- {out}/a.sh", f"+++ {out}/a.sh", "@@ -1,2 +1,2 @@", " 1", "-3", "+2"]


def test_a_missing_folder_is_all_new(tmp_path: Path) -> None:
    lines = list(differences(tmp_path / "none", FILES))
    assert lines[:2] == ["--- /dev/null", f"+++ {tmp_path}/none/a.sh"]
    assert not (tmp_path / "none").exists()


def test_a_file_that_is_not_rendered_any_more_is_shown(out: Path) -> None:
    (out / "gone").write_text("x\n")
    assert list(differences(out, FILES)) == [f"--- {out}/gone", "+++ /dev/null", "@@ -1 +0,0 @@", "-x"]


@pytest.mark.parametrize(("mode", "found"), [(0o644, "0644"), (0o600, "0644")])
def test_a_script_that_cannot_be_run_is_shown(out: Path, mode: int, found: str) -> None:
    (out / "a.sh").chmod(mode)
    assert list(differences(out, FILES)) == [f"{out}/a.sh: mode {found}, should be 0755"]


def test_other_mode_bits_do_not_count(out: Path) -> None:
    (out / "a.sh").chmod(0o700)
    (out / "manifest.json").chmod(0o600)
    assert list(differences(out, FILES)) == []


def test_a_foreign_file_is_an_error(out: Path) -> None:
    (out / "mine").touch()
    with pytest.raises(UsageError, match="mine: not written by dockseal"):
        list(differences(out, FILES))


def test_what_a_terminal_would_act_on_is_escaped(out: Path) -> None:
    (out / "a.sh").write_bytes(b"\x1b[31m\xff\n2\n")
    assert "-\\x1b[31m\\xff" in list(differences(out, FILES))
