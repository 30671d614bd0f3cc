"""Read what verifications print with --json, from files of many machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from hashlib import sha256

from dockseal.errors import UsageError, printable

RESULTS = ("PASS", "FAIL", "SKIP")
SHOWN_PROBLEMS = 20
LARGEST = 16 * 1024 * 1024  # octets of a result file; a verification prints some 20,000
GIVE = "give what 90-verify.sh --json printed"


@dataclass(frozen=True, slots=True)
class Control:
    """One control as a script reported it; `result` is one of RESULTS, each other field is text.

    `machine` is what the machine calls itself, `version` that of the dockseal which rendered the script.
    """

    machine: str
    script: str
    version: str
    id: str
    result: str
    what: str
    asked: str
    evidence: str
    remedy: str
    benchmark: str


NAMES = tuple(field.name for field in fields(Control))
NEEDED = ("machine", "script", "id")


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file with results: its name as it was given, the sha256 of its octets (hexadecimal), and its controls."""

    name: str
    sha256: str
    controls: tuple[Control, ...]


class LineError(Exception):
    """A line is no result: its number, and what is wrong with it."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


def read_results(files: Iterable[tuple[str, bytes]]) -> list[ResultFile]:
    """Return the results of files, each with its name and octets; raise UsageError with the first problem of each.

    What a script printed on one machine may come once: of two runs nobody could say which one counts.
    """
    found: list[ResultFile] = []
    problems: list[str] = []
    runs: dict[tuple[str, str], str] = {}
    for given, octets in files:
        name = printable(given)
        try:
            controls = _controls(octets)
            _note_runs(name, controls, runs)
        except LineError as error:
            place = f"{name}:{error.number}" if error.number else name
            problems.append(f"{place}: {error}")
            continue
        found.append(ResultFile(name, sha256(octets).hexdigest(), tuple(controls)))
    if problems:
        rest = len(problems) - SHOWN_PROBLEMS
        more = [f"... and {rest} more files; mend these first"] if rest > 0 else []
        raise UsageError("\n".join([*problems[:SHOWN_PROBLEMS], *more]))
    return found


def _controls(octets: bytes) -> list[Control]:
    """Return the controls of a file, the line of each being its place in the list, from 1."""
    if len(octets) > LARGEST:
        raise LineError(0, f"has more than {LARGEST // 1024**2} MiB; {GIVE}")
    lines = octets.decode("utf-8", "replace").split("\n")
    whole = lines[-1] == ""
    if whole:
        lines.pop()
    if not lines:
        raise LineError(0, f"holds no results; {GIVE}")
    return [_control(number, line, number < len(lines) or whole) for number, line in enumerate(lines, 1)]


def _control(number: int, line: str, whole: bool) -> Control:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    if data is None and not whole and line.startswith("{"):
        raise LineError(number, "is cut off; copy the file again, or run the script again")
    if isinstance(data, dict) and data.keys() >= {*NAMES} - {"machine", "version"} and not data.keys() >= {*NAMES}:
        raise LineError(number, "does not say its machine and version; render and run the script again")
    if not isinstance(data, dict) or not data.keys() >= {*NAMES}:
        raise LineError(number, f"is no result of a verification; {GIVE}")
    for name in NAMES:
        if not isinstance(data[name], str) or (name in NEEDED and not data[name]):
            raise LineError(number, f"its {name} is {_shown(data[name])}, expected text; {GIVE}")
    if data["result"] not in RESULTS:
        expected = ", ".join(RESULTS)
        raise LineError(number, f"its result is {_shown(data['result'])}, expected one of {expected}; {GIVE}")
    return Control(**{name: plain(data[name]) for name in NAMES})


def _shown(value: object) -> str:
    text = printable(json.dumps(value))
    return text if len(text) <= 40 else f"{text[:37]}..."


def plain(text: str) -> str:
    """Return what a terminal or a page would obey as blanks, as lib/common.sh does; line ends stay."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def _note_runs(name: str, controls: Iterable[Control], runs: dict[tuple[str, str], str]) -> None:
    """Add the runs of a file to `runs`, each with the place of its first control."""
    own: dict[tuple[str, str], str] = {}
    seen: dict[tuple[str, ...], int] = {}
    for number, one in enumerate(controls, 1):
        run = (one.machine, one.script)
        if run in runs:
            raise LineError(number, f"{_run(one)} stands in {runs[run]} too; give one run alone")
        own.setdefault(run, f"{name}:{number}")
        first = seen.setdefault((*run, one.id, one.what), number)
        if first != number:
            raise LineError(number, f"{one.id} of {_run(one)} stands in line {first} too; give one run alone")
    runs.update(own)


def _run(control: Control) -> str:
    return f"{control.script} on {control.machine}"


def all_controls(files: Iterable[ResultFile]) -> Iterator[Control]:
    """Yield the controls of files, in order."""
    for file in files:
        yield from file.controls
