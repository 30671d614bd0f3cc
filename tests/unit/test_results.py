"""Facts about which files of results are read, and how the others are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dockseal.cli import main
from dockseal.errors import UsageError
from dockseal.output.results import LARGEST, NAMES, all_controls, read_results

GIVE = "give what 90-verify.sh --json printed"
AGAIN = "render and run the script again"


def line(**changed: object) -> str:
    """Return a line as a script prints it, with other values in some fields; None leaves one out."""
    values = {
        "machine": "docker1",
        "script": "hosts/one/90-verify.sh",
        "version": "0.1.0",
        "id": "TLS-1",
        "result": "PASS",
        "what": "it holds",
        "asked": "",
        "evidence": "seen",
        "remedy": "",
        "benchmark": "",
        **changed,
    }
    return json.dumps({name: value for name, value in values.items() if value is not None}) + "\n"


def refusal(*texts: str | bytes) -> str:
    """Read files f1, f2 and so on; return why they are refused."""
    files = [(f"f{at}", text.encode() if isinstance(text, str) else text) for at, text in enumerate(texts, 1)]
    with pytest.raises(UsageError) as refused:
        read_results(files)
    assert refused.value.exit_status == 2
    return str(refused.value)


def test_the_control_every_field_is_read_and_other_keys_are_left_alone() -> None:
    (file,) = read_results([("f1", line(more="x").encode())])
    (control,) = file.controls
    assert {name: getattr(control, name) for name in NAMES} == json.loads(line())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", f"f1: holds no results; {GIVE}", id="empty"),
        pytest.param("\n", f"f1:1: is no result of a verification; {GIVE}", id="a blank line"),
        pytest.param("TLS-1    PASS  x\n", f"f1:1: is no result of a verification; {GIVE}", id="the table"),
        pytest.param("[1]\n", f"f1:1: is no result of a verification; {GIVE}", id="a list"),
        pytest.param('{"id": "A"}\n', f"f1:1: is no result of a verification; {GIVE}", id="another object"),
        pytest.param(
            '{"serial": "01", "subject": "CN=x"}\n',
            f"f1:1: is no result of a verification; {GIVE}",
            id="the list of certificates",
        ),
        pytest.param("[" * 100_000 + "\n", f"f1:1: is no result of a verification; {GIVE}", id="nested"),
        pytest.param(b"\xff\xfe{\x00", f"f1:1: is no result of a verification; {GIVE}", id="UTF-16"),
        pytest.param(
            line() + "warning: x\n", f"f1:2: is no result of a verification; {GIVE}", id="with standard error"
        ),
        pytest.param(
            line() + line(id="B")[:-20],
            "f1:2: is cut off; copy the file again, or run the script again",
            id="half a line",
        ),
        pytest.param(
            line(machine=None, version=None),
            f"f1:1: does not say its machine and version; {AGAIN}",
            id="without machine and version",
        ),
        pytest.param(
            line(result="GOOD"), f'f1:1: its result is "GOOD", expected one of PASS, FAIL, SKIP; {GIVE}', id="result"
        ),
        pytest.param(
            line(result="\x1b[1m"),
            f'f1:1: its result is "\\u001b[1m", expected one of PASS, FAIL, SKIP; {GIVE}',
            id="an escape",
        ),
        pytest.param(line(what=1), f"f1:1: its what is 1, expected text; {GIVE}", id="a number"),
        pytest.param(line(machine=""), f'f1:1: its machine is "", expected text; {GIVE}', id="no machine"),
        pytest.param(
            line(evidence="x" * 99).replace('"xxx', '[9, "').replace('xxx"', '"]'),
            f'f1:1: its evidence is [9, "{"x" * 32}..., expected text; {GIVE}',
            id="long",
        ),
        pytest.param(
            line() + line(id="B") + line(result="FAIL"),
            "f1:3: TLS-1 of hosts/one/90-verify.sh on docker1 stands in line 1 too; give one run alone",
            id="a control twice",
        ),
        pytest.param(b" " * (LARGEST + 1), f"f1: has more than 16 MiB; {GIVE}", id="large"),
    ],
)
def test_what_is_no_result_is_named_with_its_line(text: str | bytes, said: str) -> None:
    assert refusal(text) == said


def test_two_runs_of_a_script_on_a_machine_are_refused_whatever_they_say() -> None:
    assert refusal(line(id="A") + line(id="B", script="x"), line(id="C", script="x")) == (
        "f2:1: x on docker1 stands in f1:2 too; give one run alone"
    )


@pytest.mark.parametrize(
    "other",
    [{"machine": "docker2"}, {"script": "clients/one/90-verify.sh"}, {"id": "TLS-2"}, {"what": "isolated: it holds"}],
    ids=["machine", "script", "control", "network"],
)
def test_the_control_what_differs_is_no_duplicate(other: dict[str, object]) -> None:
    (file,) = read_results([("f1", (line() + line(**other)).encode())])
    assert len(file.controls) == 2


def test_each_bad_file_is_named_and_many_are_counted() -> None:
    lines = refusal(line(), *["x\n"] * 30).splitlines()
    assert lines[0] == f"f2:1: is no result of a verification; {GIVE}"
    assert (len(lines), lines[-1]) == (21, "... and 10 more files; mend these first")


def test_what_a_terminal_or_a_page_would_obey_is_a_blank() -> None:
    text = line(what="a\x1b[1m\u202eb\x00", evidence="one\ntwo\r\t", machine="m\x9b\ud800")
    (control,) = all_controls(read_results([("f\x1b", text.encode())]))
    assert (control.what, control.evidence, control.machine) == ("a [1m b ", "one\ntwo  ", "m  ")


@pytest.mark.parametrize("option", ["--html", "--junit"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bad", "error: bad:1: is no result of a verification; " + GIVE),
        ("none", "error: none: cannot be read: No such file or directory"),
        (".", "error: .: cannot be read: Is a directory"),
    ],
)
def test_a_bad_file_among_good_ones_leaves_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good").write_text(line())
    Path("bad").write_text("x\n")
    result = CliRunner().invoke(main, ["report", "good", name, option, "report"])
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"{said}\n")
    assert not Path("report").exists()
    assert CliRunner().invoke(main, ["report", "good", option, "report"]).exit_code == 0
    assert Path("report").exists()


def test_a_report_is_not_written_over_a_result_or_another_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good").write_text(line())
    result = CliRunner().invoke(main, ["report", "good", "--html", "./good"])
    assert (result.exit_code, result.stderr) == (2, "error: good: is one of the results; name another file\n")
    result = CliRunner().invoke(main, ["report", "good", "--html", "x", "--junit", "./x"])
    assert (result.exit_code, result.stderr) == (2, "error: x: is to be both reports; name a file for each\n")
    assert [path.name for path in Path().iterdir()] == ["good"]
    Path("x").symlink_to("good")
    result = CliRunner().invoke(main, ["report", "-", "--html", "x", "--junit", "y"], input=line())
    assert (result.exit_code, Path("y").exists(), Path("good").read_text()) == (2, False, line())
