"""What a rehearsal found, as a table, as JSON, and as text to keep."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Control:
    """One thing that a verify script proved, or did not."""

    machine: str
    step: str
    id: str
    result: str  # PASS, FAIL or SKIP
    what: str
    asked: str = ""
    evidence: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Stage:
    """One command of the rehearsal on one machine, and what it changed there."""

    machine: str
    name: str
    command: str
    status: int
    seconds: float
    problem: str = ""  # empty: as expected
    changes: tuple[str, ...] = ()


@dataclass
class Rehearsal:
    """All that was found."""

    site: str
    release: str
    engine: str
    versions: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Tell whether every stage went as expected and no control failed."""
        return not self.problems and not any(control.result == "FAIL" for control in self.controls)

    @property
    def problems(self) -> list[str]:
        """Return what went otherwise than expected."""
        return [f"{stage.machine}: {stage.name}: {stage.problem}" for stage in self.stages if stage.problem]

    def as_json(self) -> str:
        """Return everything as a JSON document."""
        everything = {"good": self.good, **asdict(self), "problems": self.problems}
        return json.dumps(everything, indent=2) + "\n"


def controls_from(output: str, machine: str, step: str) -> list[Control]:
    """Read the JSON lines of a verify script."""
    fields = ("id", "result", "what", "asked", "evidence", "remedy")
    rows = [json.loads(line) for line in output.splitlines() if line.strip()]
    return [Control(machine, step, **{key: str(row.get(key, "")) for key in fields}) for row in rows]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines with columns of equal width; the last one is as long as it is."""
    everything = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[place]) for row in everything) for place in range(len(head) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in everything
    ]


def report(found: Rehearsal) -> list[str]:
    """Return the rehearsal as lines: controls, changes by stage, and the verdict."""
    lines = ["Controls", ""]
    lines += table(
        ("ID", "RESULT", "WHERE", "WHAT"),
        ((control.id, control.result, control.step, control.what) for control in found.controls),
    )
    for control in found.controls:
        if control.result != "PASS":
            lines += ["", f"{control.id} {control.result} {control.what}", f"    found: {control.evidence}"]
            lines += [f"    do:    {control.remedy}"] if control.remedy else []
    lines += ["", "What changed on each machine, stage by stage"]
    for stage in found.stages:
        lines += ["", f"{stage.machine}: {stage.name} ({stage.command}; {stage.seconds:.1f} s)"]
        lines += [f"    {change}" for change in stage.changes] or ["    nothing"]
        lines += [f"    PROBLEM: {stage.problem}"] if stage.problem else []
    return [*lines, "", verdict(found)]


def verdict(found: Rehearsal) -> str:
    """Return one line for the whole rehearsal."""
    counts = Counter(control.result for control in found.controls)
    said = ", ".join(f"{counts[result]} {result}" for result in ("PASS", "FAIL", "SKIP") if counts[result])
    trouble = f"; {len(found.problems)} stage(s) went wrong" if found.problems else ""
    word = "good" if found.good else "NOT GOOD"
    return f"{found.site} on {found.release}: {word}: {said or 'no controls'}{trouble}"


def keep(folder: Path, found: Rehearsal, transcript: str) -> None:
    """Write transcript.txt and results.json; under sudo they belong to who called it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder, folder / "transcript.txt", folder / "results.json"]
    made[1].write_text(transcript)
    made[2].write_text(found.as_json())
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and user.isdigit() and group.isdigit():
        for path in made:
            os.chown(path, int(user), int(group))
