"""The table of the document's commands against the scripts of the document's own site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documented import ROWS, SITE, Documented
from tests.sites import render, scripts, whole

ID = re.compile(r"\bD[0-9]{2}\b")
KINDS = ("command", "file", "drop-in", "flag", "control")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of the document's own site."""
    return render(SITE.read_text(), tmp_path_factory.mktemp("document") / "out")


def comments(script: Path) -> str:
    """Return a script's comments, each run of them as one line."""
    text = re.sub(r"\n *# +", " ", re.sub(r"(?m)^ *[^ #\n].*$", "", whole(script)))
    return re.sub(r" +", " ", text)


def test_the_table_has_each_id_once_in_order() -> None:
    assert [row.id for row in ROWS] == [f"D{number:02}" for number in range(1, 29)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_says_what_differs_and_why(row: Documented) -> None:
    assert row.shown_by in KINDS
    assert row.section
    assert row.documented or row.works
    assert row.works
    assert row.where
    assert row.why or row.documented.replace("\\\n", " ").split() == row.works.split()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_an_id_stands_in_a_comment_of_the_scripts_that_have_the_command(row: Documented, out: Path) -> None:
    found = {str(script.relative_to(out)) for script in scripts(out) if row.id in ID.findall(comments(script))}
    assert found >= set(row.where)


def test_no_script_has_an_id_that_the_table_does_not_know(out: Path) -> None:
    known = {row.id for row in ROWS}
    for script in scripts(out):
        assert set(ID.findall(comments(script))) <= known


# The comments of a part that two scripts share name both commands.
AS_DOCUMENTED = ("D04", "D06", "D11", "D12")


@pytest.mark.parametrize("row", [row for row in ROWS if row.id in AS_DOCUMENTED], ids=lambda row: row.id)
def test_the_comment_has_the_documented_command(row: Documented, out: Path) -> None:
    for path in row.where:
        assert f"{row.id}: {row.documented}" in comments(out / path)
