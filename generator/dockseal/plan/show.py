"""Show a plan as an aligned table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockseal.plan.steps import Step

HEADINGS = ("", "step", "root", "reads", "writes", "restarts")


def plan_table(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the lines of a table with one row per step, grouped by party where the party changes.

    Paths without a leading '/' or '~' stand in the working folder (`--dir`).
    """
    rows = [HEADINGS, *(line for number, step in enumerate(steps, 1) for line in _lines(number, step))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _lines(number: int, step: Step) -> Iterator[tuple[str, ...]]:
    columns = (
        (str(number),),
        (step.path, f"  {step.purpose}"),
        ("yes" if step.needs_root else "no",),
        step.all_reads or ("nothing",),
        (*step.writes, *(f"removes {path}" for path in step.effects.removes)) or ("nothing",),
        step.restarts or ("nothing",),
    )
    for index in range(max(len(column) for column in columns)):
        yield tuple(column[index] if index < len(column) else "" for column in columns)
