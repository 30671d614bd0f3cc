"""Facts about how much there is to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.errors import UsageError
from generator.reading import MAY, MUST, ON_THE_DAY, Reading, reading, reading_table
from tests.sites import ROOT

LOADS = '. "${lib}/%s.sh"\n'
BLOCK = "".join(f"echo {word}\n" for word in ("one", "two", "three", "four", "five"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "setup.sh": LOADS % "common",
        "ca/10-create-ca.sh": "# Creates the CA.\n" + LOADS % "change",
        "ca/60-roll-over-ca.sh": LOADS % "late",
        "hosts/one/90-verify.sh": LOADS % "report",
        **{f"lib/{name}.sh": "true\n" for name in ("common", "change", "late", "report")},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_a_first_step_loads_must_be_read(folder: Path) -> None:
    assert {entry.path: entry.when for entry in reading(folder)} == {
        "setup.sh": MUST,
        "ca/10-create-ca.sh": MUST,
        "ca/60-roll-over-ca.sh": ON_THE_DAY,
        "hosts/one/90-verify.sh": MAY,
        "lib/common.sh": MUST,
        "lib/change.sh": MUST,
        "lib/late.sh": MAY,
        "lib/report.sh": MAY,
    }


def test_blank_lines_and_comments_are_lines(folder: Path) -> None:
    (folder / "setup.sh").write_text("# why\n\ntrue\n")
    assert next(entry.lines for entry in reading(folder) if entry.path == "setup.sh") == 3


def test_five_lines_that_stand_in_two_files_are_counted_in_both(folder: Path) -> None:
    (folder / "setup.sh").write_text(f"true\n{BLOCK}")
    (folder / "lib/late.sh").write_text(BLOCK.replace("\n", "\n\n# why\n"))
    (folder / "lib/report.sh").write_text(BLOCK.replace("five", "six"))
    assert {entry.path: entry.repeated for entry in reading(folder) if entry.repeated} == {
        "setup.sh": 5,
        "lib/late.sh": 5,
    }


def test_the_table_ends_with_the_sums() -> None:
    entries = [Reading("setup.sh", 1200, 3, MUST), Reading("lib/common.sh", 30, 0, MUST), Reading("x.sh", 4, 1, MAY)]
    assert list(reading_table(entries))[-5:] == [
        "| **must read** | 1,230 | 3 |  |",
        "| **may read** | 4 | 1 |  |",
        "| **on the day** | 0 | 0 |  |",
        "| of what must be read, the steps' own text | 1,200 | 3 |  |",
        "| **all** | 1,234 | 4 |  |",
    ]


def test_a_folder_that_was_not_rendered_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=": there is no setup.sh; name a rendered folder$"):
        reading(tmp_path)


def test_the_default_site_does_not_grow() -> None:
    """The limits only ever go down."""
    entries = reading(ROOT / "out")
    must = [entry for entry in entries if entry.when == MUST]
    assert sum(entry.lines for entry in must) <= 5_750
    assert sum(entry.lines for entry in must if not entry.path.startswith("lib/")) <= 2_150
    assert sum(entry.lines for entry in entries) <= 9_950
    assert sum(entry.repeated for entry in entries) <= 180
