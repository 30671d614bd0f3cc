"""What came of the attempts: a row for each class and script, a table, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HEADER = ("class", "script", "tried", "of", "lost", "seconds")


@dataclass(frozen=True)
class Attempt:
    """One run with a fault: its number and what was wrong afterwards; nothing if all was well."""

    number: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What one script withstood in one class of faults."""

    fault: str  # the class
    script: str
    release: str
    tried: int
    of: int  # how many attempts there could be
    lost: int
    seconds: float
    problems: tuple[str, ...]  # "NUMBER: what", the attempts that lost something


def attempts_of(text: str) -> list[Attempt]:
    """Read what the driver printed: number, tab, problem or "ok"; several lines may tell of one attempt."""
    found: dict[int, list[str]] = {}
    for line in text.splitlines():
        number, _, problem = line.partition("\t")
        problems = found.setdefault(int(number), [])
        if problem != "ok":
            problems.append(problem)
    return [Attempt(number, tuple(problems)) for number, problems in found.items()]


def merged(rows: Iterable[Row]) -> list[Row]:
    """Return one row for each class, script and release."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.fault, row.script, row.release), []).append(row)
    return [
        Row(
            *key,
            tried=sum(row.tried for row in group),
            of=max(row.of for row in group),
            lost=sum(row.lost for row in group),
            seconds=round(sum(row.seconds for row in group), 1),
            problems=tuple(problem for row in group for problem in row.problems),
        )
        for key, group in groups.items()
    ]


def renewed(earlier: Iterable[Row], rows: Iterable[Row]) -> list[Row]:
    """Return the rows, and before them the earlier ones of other classes, scripts or releases."""
    new = list(rows)
    places = {(row.fault, row.script, row.release) for row in new}
    return [*(row for row in earlier if (row.fault, row.script, row.release) not in places), *new]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text, with a sum at the end."""
    lines = [HEADER]
    lines += [(row.fault, row.script, str(row.tried), str(row.of), str(row.lost), f"{row.seconds:.0f}") for row in rows]
    tried, lost = sum(row.tried for row in rows), sum(row.lost for row in rows)
    of, seconds = sum(row.of for row in rows), sum(row.seconds for row in rows)
    lines.append(("all", "", str(tried), str(of), str(lost), f"{seconds:.0f}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def summary(rows: Sequence[Row]) -> str:
    """Return one line for each class: what the README quotes."""
    lines = []
    for fault in dict.fromkeys(row.fault for row in rows):
        of_class = [row for row in rows if row.fault == fault]
        lines.append(
            f"{fault}: {sum(row.tried for row in of_class)} tried with {len(of_class)} scripts and verbs, "
            f"{sum(row.lost for row in of_class)} lost"
        )
    return "\n".join(lines)


def readme_table(rows: Sequence[Row], what: Mapping[str, str]) -> list[str]:
    """Return the table of classes as the README shows it, a line each; `what` tells what a class does.

    Several rows of one script, as of several releases, are one script.
    """
    lines = ["| class | what is done | scripts and verbs | places | tried | lost |", "|---|---|---|---|---|---|"]
    for fault, text in what.items():
        of_class = [row for row in rows if row.fault == fault]
        of, tried, lost = (sum(getattr(row, name) for row in of_class) for name in ("of", "tried", "lost"))
        if of_class:
            scripts = len({row.script for row in of_class})
            lines.append(f"| {fault} | {text} | {scripts} | {of:,} | {tried:,} | {lost} |")
    return lines


def read_json(path: Path) -> list[Row]:
    """Read what `write_json` wrote."""
    return [Row(**{**row, "problems": tuple(row["problems"])}) for row in json.loads(path.read_text())]


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Keep the rows as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
