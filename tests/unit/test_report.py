"""Facts about how verifications report, and about what `dockseal report` makes of their JSON lines."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from dockseal import __version__
from dockseal.cli import main
from dockseal.output.report import junit_octets
from dockseal.output.results import Control, all_controls, read_results
from tests.sites import library

CONTROLS = r"""
asked='first --option'
judge A-1 'it holds' '' $'one\ntwo' 'nothing' 2.7
judge B-1 'it does not & "quoted"' $'found <this>\nand \\ that \xff\x01' 'unused' 'do <that>'
report C-1 SKIP 'not here' 'no reason' ''
finish_report
"""


def report(setting: str = "") -> tuple[int, str]:
    """Report three controls; return the exit status and what is printed."""
    loaded = library("common", "report")
    script = f"set -Eeuo pipefail; export LC_ALL=C; script=hosts/one/90-verify.sh\n{loaded}\n{setting}\n{CONTROLS}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert done.stderr == b""
    return done.returncode, done.stdout.decode("ascii")


def test_text_has_the_evidence_of_what_does_not_hold() -> None:
    assert report() == (
        4,
        "A-1      PASS  it holds [CIS 2.7]\n"
        'B-1      FAIL  it does not & "quoted"\n'
        "              found: found <this>\n"
        "                     and \\ that   \n"
        "              do:    do <that>\n"
        "C-1      SKIP  not here\n"
        "              found: no reason\n"
        "CIS items are those of the CIS Docker Benchmark v1.6.0.\n",
    )


def test_text_can_have_the_evidence_of_everything() -> None:
    lines = report("show_evidence=1")[1].splitlines()
    assert lines[1:3] == ["              found: one", "                     two"]


def test_json_is_one_object_a_control() -> None:
    found = [json.loads(line) for line in report("json=1")[1].splitlines()]
    assert found[0] == {
        "machine": platform.node(),
        "script": "hosts/one/90-verify.sh",
        "version": __version__,
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


def test_what_a_terminal_would_obey_is_shown_as_plain_text() -> None:
    """Names of processes and of certificates stand in each of these."""
    setting = r"judge D-1 $'what\e[1m' $'found\e[2m' '' $'do\e[3m'"
    assert report(setting)[1].startswith(
        "D-1      FAIL  what [1m\n              found: found [2m\n              do:    do [3m\n"
    )
    lines = report(f"json=1; {setting}")[1].splitlines()
    assert [json.loads(lines[0])[key] for key in ("what", "evidence", "remedy")] == ["what [1m", "found [2m", "do [3m"]


# ---- What Python makes of the lines -----------------------------------------


@pytest.fixture
def lines() -> str:
    return report("json=1")[1].replace(f'"machine":"{platform.node()}"', '"machine":"docker1"')


def controls_of(*texts: str) -> list[Control]:
    return [*all_controls(read_results((f"f{number}", text.encode()) for number, text in enumerate(texts)))]


def test_junit_counts_and_explains(lines: str) -> None:
    (suite,) = ElementTree.fromstring(junit_octets(controls_of(lines)))
    assert suite.attrib == {
        "name": "hosts/one/90-verify.sh",
        "hostname": "docker1",
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    first, second, third = suite
    assert first.attrib == {"classname": "hosts/one/90-verify.sh", "name": "A-1"}
    assert first.findtext("system-out") == "it holds\nCIS Docker Benchmark v1.6.0, 2.7\nfirst --option\none\ntwo"
    failure = second.find("failure")
    assert failure is not None
    assert (failure.attrib["message"], failure.text) == ("found <this>\nand \\ that   ", "do <that>")
    skipped = third.find("skipped")
    assert skipped is not None
    assert skipped.attrib == {"message": "no reason"}


def test_junit_has_a_suite_for_each_script_of_a_machine(lines: str) -> None:
    others = lines.replace("hosts/one", "hosts/two"), lines.replace("docker1", "docker2")
    suites = ElementTree.fromstring(junit_octets(controls_of(lines, *others)))
    assert [(suite.attrib["hostname"], suite.attrib["name"]) for suite in suites] == [
        ("docker1", "hosts/one/90-verify.sh"),
        ("docker1", "hosts/two/90-verify.sh"),
        ("docker2", "hosts/one/90-verify.sh"),
    ]


def test_what_xml_cannot_hold_is_a_blank() -> None:
    control = Control("m", "s", "1", "A-1", "SKIP", "a\x00b", "", "\ud800\ufffe", "", "")
    (suite,) = ElementTree.fromstring(junit_octets([control]))
    assert suite[0].findtext("system-out") == "a b\n  "


def run(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(main, ["report", *words], input=given)


def test_the_command_sums_up_and_writes(lines: str, tmp_path: Path) -> None:
    result = run("-", "--junit", str(tmp_path / "report.xml"), given=lines)
    assert (result.exit_code, result.stdout) == (
        4,
        "docker1: hosts/one/90-verify.sh: 1 PASS, 1 FAIL, 1 SKIP\n"
        '  B-1 FAIL: it does not & "quoted"\n  C-1 SKIP: not here\n',
    )
    assert (tmp_path / "report.xml").read_bytes() == junit_octets(controls_of(lines))


def test_controls_that_hold_are_status_0(lines: str, tmp_path: Path) -> None:
    (tmp_path / "results").write_text(lines.splitlines()[0])
    assert run(str(tmp_path / "results")).exit_code == 0


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run(str(tmp_path / "none"))
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: {tmp_path}/none: cannot be read: No such file or directory\n",
    )


def test_a_place_that_cannot_be_written_to_is_named(lines: str, tmp_path: Path) -> None:
    place = tmp_path / "none" / "report.xml"
    result = run("-", "--junit", str(place), given=lines)
    assert result.exit_code == 1
    assert f"{place}: cannot be written: No such file or directory" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_a_report_is_a_new_file_with_the_mode_of_one(lines: str, tmp_path: Path) -> None:
    """One that is there is replaced, and not written to: another name that it has keeps what it had."""
    place, other, normal = (tmp_path / name for name in ("report.xml", "other", "normal"))
    other.write_text("precious\n")
    other.chmod(0o600)
    place.hardlink_to(other)
    normal.touch()
    for _ in range(2):
        assert run("-", "--junit", str(place), given=lines).exit_code == 4
        assert place.read_bytes() == junit_octets(controls_of(lines))
    assert (other.read_text(), place.stat().st_mode) == ("precious\n", normal.stat().st_mode)
    assert set(tmp_path.iterdir()) == {place, other, normal}


def test_a_report_that_is_cut_short_leaves_the_old_one(
    lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Path, _target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = tmp_path / "report.xml"
    place.write_text("old\n")
    monkeypatch.setattr(Path, "replace", full)
    result = run("-", "--junit", str(place), given=lines)
    assert (result.exit_code, f"{place}: cannot be written: No space left" in result.stderr) == (1, True)
    assert ([*tmp_path.iterdir()], place.read_text()) == ([place], "old\n")
    monkeypatch.undo()
    assert run("-", "--junit", str(place), given=lines).exit_code == 4


@pytest.mark.parametrize("kind", ["link", "link to nothing", "link to a folder", "folder", "pipe"])
def test_a_report_is_written_over_nothing_but_a_file(lines: str, tmp_path: Path, kind: str) -> None:
    """The control: the same name is taken once nothing else has it."""
    place, victim, folder = (tmp_path / name for name in ("report.xml", "victim", "folder"))
    victim.write_text("precious\n")
    folder.mkdir()
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to({"link": victim, "link to a folder": folder}.get(kind, tmp_path / "none"))
    before = place.lstat()
    result = run("-", "--junit", str(place), given=lines)
    assert (result.exit_code, result.stdout, str(place) in result.stderr) == (2, "", True)
    assert isinstance(result.exception, SystemExit)
    assert (place.lstat().st_ino, victim.read_text()) == (before.st_ino, "precious\n")
    assert set(tmp_path.rglob("*")) == {place, victim, folder}
    if kind == "folder":
        place.rmdir()
    else:
        place.unlink()
    assert run("-", "--junit", str(place), given=lines).exit_code == 4
