"""Write results of verifications as one HTML page for an auditor: no script, nothing from elsewhere, no date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from dockseal.output.results import RESULTS, Control, ResultFile

_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many controls hold, fail and were not tested."""

    passed: int
    failed: int
    skipped: int

    @property
    def all(self) -> int:
        """Return how many there are."""
        return self.passed + self.failed + self.skipped


@dataclass(frozen=True, slots=True)
class Run:
    """What one script printed on one machine, and the name of the file it is from."""

    machine: str
    script: str
    version: str
    file: str
    controls: list[Control]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Machine:
    """The runs of one machine; `number` counts from 1 and names its place in the page."""

    number: int
    name: str
    runs: list[Run]


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a benchmark: the ids of its controls, their results, and the machines on which one does not hold."""

    name: str
    ids: list[str]
    counts: Counts
    failed_on: list[str]


@dataclass(frozen=True, slots=True)
class Skip:
    """A control that was not tested for the same reason on some machines."""

    id: str
    what: str
    reason: str
    machines: list[str]


def page_octets(files: Iterable[ResultFile]) -> bytes:
    """Return the page; the same results give the same octets, in whatever order their files are given."""
    found = sorted(files, key=lambda file: (_natural(file.name), file.sha256))
    machines = _machines(found)
    runs = [run for machine in machines for run in machine.runs]
    controls = [control for run in runs for control in run.controls]
    own: dict[str, list[Run]] = {}
    for run in runs:
        own.setdefault(run.file, []).append(run)
    text = _template().render(
        counts=_counts(controls),
        machines=machines,
        failures=[control for control in controls if control.result == "FAIL"],
        items=_items(controls),
        skips=_skips(controls),
        files=[(file, own[file.name]) for file in found],
        runs=len(runs),
    )
    return text.encode()


@cache
def _template() -> jinja2.Template:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template("page.html")


def _natural(text: str) -> list[tuple[int, str]]:
    """Return a key by which docker2 comes before docker10."""
    parts = _NUMBER.split(text)
    return [(int(part), "") if number % 2 else (0, part) for number, part in enumerate(parts)]


def _counts(controls: Iterable[Control]) -> Counts:
    results = [control.result for control in controls]
    return Counts(*(results.count(result) for result in RESULTS))


def _machines(files: list[ResultFile]) -> list[Machine]:
    origin: dict[tuple[str, str], tuple[str, list[Control]]] = {}
    for file in files:
        for control in file.controls:
            origin.setdefault((control.machine, control.script), (file.name, []))[1].append(control)
    runs: dict[str, list[Run]] = {}
    for (machine, script), (name, controls) in sorted(origin.items(), key=lambda one: _natural(one[0][1])):
        versions = ", ".join(dict.fromkeys(control.version for control in controls))
        runs.setdefault(machine, []).append(Run(machine, script, versions, name, controls, _counts(controls)))
    return [Machine(number, name, runs[name]) for number, name in enumerate(sorted(runs, key=_natural), 1)]


def _items(controls: Iterable[Control]) -> list[Item]:
    found: dict[str, list[Control]] = {}
    for control in controls:
        if control.benchmark:
            found.setdefault(control.benchmark, []).append(control)
    return [
        Item(
            name,
            sorted({one.id for one in found[name]}, key=_natural),
            _counts(found[name]),
            _unique(one.machine for one in found[name] if one.result == "FAIL"),
        )
        for name in sorted(found, key=_natural)
    ]


def _skips(controls: Iterable[Control]) -> list[Skip]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in controls:
        if one.result == "SKIP":
            found.setdefault((one.id, one.what, one.evidence), []).append(one.machine)
    return [Skip(*key, _unique(found[key])) for key in sorted(found, key=lambda key: _natural(key[0]))]


def _unique(names: Iterable[str]) -> list[str]:
    return [*dict.fromkeys(names)]
