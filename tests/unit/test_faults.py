"""What the fault injection reports, and the run of it that the README tells of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from faults.cases import Case, all_cases
from faults.injector import FAULTS, Part
from faults.results import (
    Attempt,
    Row,
    attempts_of,
    merged,
    read_json,
    readme_table,
    renewed,
    summary,
    table,
    write_json,
)
from tests.sites import ROOT, scripts

RESULTS = ROOT / "docs" / "faults.json"
KILLED = Row("killed", "ca/10-create-ca.sh", "bookworm", 3, 6, 1, 1.25, ("2: a private key is gone",))
MORE = Row("killed", "ca/10-create-ca.sh", "bookworm", 3, 6, 0, 0.25, ())
FULL = Row("full", "ca/10-create-ca.sh", "bookworm", 1200, 1200, 0, 2.0, ())


def test_an_attempt_may_have_several_problems() -> None:
    said = "1\tok\n2\ta private key is gone\n2\tdockerd does not answer\n"
    assert attempts_of(said) == [
        Attempt(1, ()),
        Attempt(2, ("a private key is gone", "dockerd does not answer")),
    ]


def test_parts_of_a_case_are_one_row() -> None:
    assert merged([KILLED, FULL, MORE]) == [
        Row("killed", "ca/10-create-ca.sh", "bookworm", 6, 6, 1, 1.5, ("2: a private key is gone",)),
        FULL,
    ]


def test_results_replace_earlier_ones_of_the_same_class_and_script() -> None:
    assert renewed([KILLED, FULL], [MORE]) == [FULL, MORE]


def test_the_table_is_aligned_and_ends_with_the_sum() -> None:
    lines = table([KILLED, FULL]).splitlines()
    assert lines[0].split() == ["class", "script", "tried", "of", "lost", "seconds"]
    assert lines[-1].split() == ["all", "1203", "1206", "1", "3"]
    assert len({line.rindex(line.split()[-1]) + len(line.split()[-1]) for line in lines}) == 1


def test_the_summary_has_a_line_for_each_class() -> None:
    assert summary([KILLED, FULL]).splitlines() == [
        "killed: 3 tried with 1 scripts and verbs, 1 lost",
        "full: 1200 tried with 1 scripts and verbs, 0 lost",
    ]


def test_json_keeps_everything(tmp_path: Path) -> None:
    write_json([KILLED, FULL], tmp_path / "faults.json")
    assert read_json(tmp_path / "faults.json") == [KILLED, FULL]


def test_the_parts_of_a_case_try_each_place_and_each_class_once() -> None:
    case = next(case for case in all_cases() if case.parts == 3 and case.stride == 1)
    parts = [Part(number, 3) for number in range(3)]
    assert sorted(place for part in parts for place in part.choose(range(1, 101))) == list(range(1, 101))
    tried = [fault.name for part in parts for fault in part.of_faults(FAULTS, case)]
    for fault in FAULTS:
        assert tried.count(fault.name) == (0 if not fault.concerns(case) else 3 if fault.has_places else 1)


def verbs(case: Case) -> set[str]:
    return {"--check", "--undo"} & {*case.step.words} or {"apply"}


def test_every_kind_of_script_is_tried_with_every_verb() -> None:
    tried = {(case.step.script.rpartition("/")[2], verb) for case in all_cases() for verb in verbs(case)}
    names = {path.name for path in scripts(ROOT / "out")}
    assert {(name, verb) for name in names for verb in ("apply", "--check", "--undo")} <= tried


def test_no_two_cases_have_the_same_name() -> None:
    names = [str(case) for case in all_cases()]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def kept() -> list[Row]:
    """The results of the last release's run. Cases and scripts of today may have other names."""
    return read_json(RESULTS)


def test_the_kept_run_lost_nothing(kept: list[Row]) -> None:
    assert [row for row in kept if row.lost or row.problems] == []


def test_the_kept_run_tried_every_class_it_tells_of(kept: list[Row]) -> None:
    assert [row for row in kept if row.tried > row.of or (row.of and not row.tried)] == []
    places = [(row.fault, row.script, row.release) for row in kept]
    assert len(places) == len(set(places))


def test_the_readme_tells_of_that_run(kept: list[Row]) -> None:
    lines = readme_table(kept, {fault.name: fault.what for fault in FAULTS})
    assert "\n".join(lines) in (ROOT / "README.md").read_text()


def test_the_table_has_the_classes_that_were_tried() -> None:
    lines = readme_table([KILLED, replace(KILLED, release="trixie")], {"full": "Fill it up.", "killed": "Kill it."})
    assert lines[2:] == ["| killed | Kill it. | 1 | 12 | 6 | 2 |"]
