"""Facts about how a verify script reports: as text, as JSON lines and as JUnit XML, run by bash."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.sites import TEMPLATES

CONTROLS = r"""
asked='first --option'
judge A-1 'it holds' '' $'one\ntwo' 'nothing' 2.7
judge B-1 'it does not & "quoted"' $'found <this>\nand \\ that \xff\x01' 'unused' 'do <that>'
report C-1 SKIP 'not here' 'no reason' ''
finish_report
"""


@dataclass(frozen=True)
class Report:
    """What came of the three controls."""

    status: int
    stdout: str
    junit: str


def report(folder: Path, setting: str = "") -> Report:
    """Report three controls."""
    junit = folder / "report.xml"
    script = (
        "set -Eeuo pipefail; export LC_ALL=C; script=hosts/one/90-verify.sh\n"
        f"{(TEMPLATES / 'parts' / 'common.sh').read_text()}\n"
        f"junit=$1\n{(TEMPLATES / 'parts' / 'json.sh').read_text()}\n"
        f"{(TEMPLATES / 'parts' / 'report.sh').read_text()}\n{setting}\n{CONTROLS}"
    )
    done = subprocess.run(["bash", "-c", script, "bash", str(junit)], capture_output=True, check=False)
    assert done.stderr == b""
    return Report(done.returncode, done.stdout.decode("ascii"), junit.read_text("ascii") if junit.exists() else "")


def test_text_has_the_evidence_of_what_does_not_hold(tmp_path: Path) -> None:
    assert report(tmp_path) == Report(
        4,
        "A-1      PASS  it holds [CIS 2.7]\n"
        'B-1      FAIL  it does not & "quoted"\n'
        "              found: found <this>\n"
        "                     and \\ that   \n"
        "              do:    do <that>\n"
        "C-1      SKIP  not here\n"
        "              found: no reason\n"
        "CIS items are those of the CIS Docker Benchmark v1.6.0.\n",
        report(tmp_path).junit,
    )


def test_text_can_have_the_evidence_of_everything(tmp_path: Path) -> None:
    lines = report(tmp_path, "show_evidence=1").stdout.splitlines()
    assert lines[1:3] == ["              found: one", "                     two"]


def test_json_is_one_object_a_control(tmp_path: Path) -> None:
    found = [json.loads(line) for line in report(tmp_path, "json=1").stdout.splitlines()]
    assert found[0] == {
        "id": "A-1",
        "result": "PASS",
        "what": "it holds",
        "asked": "first --option",
        "evidence": "one\ntwo",
        "remedy": "",
        "benchmark": "CIS Docker Benchmark v1.6.0, 2.7",
    }
    assert found[1]["evidence"] == "found <this>\nand \\ that   "
    assert [one["result"] for one in found] == ["PASS", "FAIL", "SKIP"]
    assert found[2]["asked"] == found[2]["benchmark"] == ""


def test_junit_counts_and_explains(tmp_path: Path) -> None:
    suite = ElementTree.fromstring(report(tmp_path).junit)
    assert suite.attrib == {"name": "hosts/one/90-verify.sh", "tests": "3", "failures": "1", "skipped": "1"}
    first, second, third = suite
    assert first.attrib == {
        "classname": "hosts/one/90-verify.sh",
        "name": "A-1 it holds [CIS Docker Benchmark v1.6.0, 2.7]",
    }
    assert first.findtext("system-out") == "first --option\none\ntwo"
    failure = second.find("failure")
    assert failure is not None
    assert (failure.attrib["message"], failure.text) == ("found <this> and \\ that   ", "do <that>")
    skipped = third.find("skipped")
    assert skipped is not None
    assert skipped.attrib == {"message": "no reason"}


def test_what_a_terminal_would_obey_is_shown_as_plain_text(tmp_path: Path) -> None:
    """Names of processes and of certificates stand in each of these."""
    setting = r"judge D-1 $'what\e[1m' $'found\e[2m' '' $'do\e[3m'"
    said = report(tmp_path, setting)
    assert said.stdout.startswith(
        "D-1      FAIL  what [1m\n              found: found [2m\n              do:    do [3m\n"
    )
    assert "what [1m" in said.junit
    lines = report(tmp_path, f"json=1; {setting}").stdout.splitlines()
    assert [json.loads(lines[0])[key] for key in ("what", "evidence", "remedy")] == ["what [1m", "found [2m", "do [3m"]


def test_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    assert report(tmp_path, "junit=''").junit == ""
    assert list(tmp_path.iterdir()) == []
