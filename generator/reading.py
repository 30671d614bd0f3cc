"""Count what a reviewer of a rendered folder has to read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.errors import UsageError
from generator.folder import reason
from generator.manifest import LIBRARY

# As many lines in a row that stand in another file too are a repetition; fewer are the language's own, such as `fi`.
REPETITION = 5

MUST, MAY, ON_THE_DAY = "must read", "may read", "on the day"
LOADS = re.compile(r'^\. "\$\{lib\}/([a-z_]+\.sh)"\n', re.MULTILINE)
_FIRST_STEPS = re.compile(r"(?:.*/)?[123]0-[^/]*|setup\.sh")
_ON_THE_DAY = re.compile(r"(?:.*/)?[678]0-[^/]*")


@dataclass(frozen=True, slots=True)
class Reading:
    """One bash file: its lines, how many of them stand in another file too, and when it is to be read.

    `must read` is what runs before the first privileged run is over: setup.sh, the steps 10 to 30, and the files of the
    library that they load. `on the day` are steps that run only when they are named; `may read` is the rest.
    """

    path: str
    lines: int
    repeated: int
    when: str


def reading(folder: Path) -> list[Reading]:
    """Return an entry for every bash file of a rendered folder; raise UsageError where it is none."""
    texts = _texts(folder)
    needed = {name for path, text in texts.items() if _FIRST_STEPS.fullmatch(path) for name in LOADS.findall(text)}
    repeated = _repeated(texts)
    return [
        Reading(path, len(text.splitlines()), repeated[path], _when(path, needed))
        for path, text in sorted(texts.items())
    ]


def reading_table(entries: Iterable[Reading]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row for each file, then the sums."""
    found = list(entries)
    rows = [(entry.path, entry.lines, entry.repeated, entry.when) for entry in found]
    rows += [_sum(f"**{when}**", [entry for entry in found if entry.when == when]) for when in (MUST, MAY, ON_THE_DAY)]
    own = [entry for entry in found if entry.when == MUST and not entry.path.startswith(f"{LIBRARY}/")]
    rows.append(_sum("of what must be read, the steps' own text", own))
    rows.append(_sum("**all**", found))
    yield "| file | lines | stand elsewhere too | when |"
    yield "|---|---|---|---|"
    for name, lines, repeated, when in rows:
        yield f"| {name} | {lines:,} | {repeated:,} | {when} |"


def _sum(name: str, entries: list[Reading]) -> tuple[str, int, int, str]:
    return name, sum(entry.lines for entry in entries), sum(entry.repeated for entry in entries), ""


def _texts(folder: Path) -> dict[str, str]:
    paths = sorted(folder.rglob("*.sh"))
    if not (folder / "setup.sh").is_file():
        raise UsageError(f"{folder}: there is no setup.sh; name a rendered folder")
    try:
        return {str(path.relative_to(folder)): path.read_text("ascii") for path in paths}
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"{folder}: cannot be read: {reason(error) if isinstance(error, OSError) else error}"
        ) from None


def _when(path: str, needed: set[str]) -> str:
    if _ON_THE_DAY.fullmatch(path):
        return ON_THE_DAY
    if path.startswith(f"{LIBRARY}/"):
        return MUST if path.removeprefix(f"{LIBRARY}/") in needed else MAY
    return MUST if _FIRST_STEPS.fullmatch(path) else MAY


def _repeated(texts: Mapping[str, str]) -> dict[str, int]:
    """Return for each file how many of its lines are part of a repetition; blank lines and comments do not count."""
    lines = {path: [line.strip() for line in text.splitlines()] for path, text in texts.items()}
    code = {path: [line for line in found if line and not line.startswith("#")] for path, found in lines.items()}
    places: Counter[tuple[str, ...]] = Counter()
    for found in code.values():
        places.update(set(_windows(found)))
    return {path: len(_inside(found, places)) for path, found in code.items()}


def _windows(lines: list[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(lines[start : start + REPETITION]) for start in range(len(lines) - REPETITION + 1))


def _inside(lines: list[str], places: Mapping[tuple[str, ...], int]) -> set[int]:
    starts = (start for start, window in enumerate(_windows(lines)) if places[window] > 1)
    return {start + offset for start in starts for offset in range(REPETITION)}
