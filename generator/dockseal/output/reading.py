"""Count what a reviewer of a rendered folder has to read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dockseal.errors import UsageError
from dockseal.output.folder import reason
from dockseal.output.manifest import LIBRARY

# As many lines in a row that stand in another file too are a repetition; fewer are the language's own, such as `fi`.
REPETITION = 5

WHEN = MUST, MAY, ON_THE_DAY, NOT_USED = "must read", "may read", "on the day", "not used"
LOADS = re.compile(r'^ *\. "\$\{lib(?:\}|%[/*]+\}/lib)/([a-z_]+\.sh)"\n', re.MULTILINE)
# What a script loads in the sandbox of lib/confine.sh, where it can change nothing.
_CONFINED = re.compile(r"^if is_confined; then\n.*?^fi\n", re.MULTILINE | re.DOTALL)
_FIRST_STEPS = re.compile(r"(?:.*/)?[123]0-[^/]*|setup\.sh")
_ON_THE_DAY = re.compile(r"(?:.*/)?[678]0-[^/]*")


@dataclass(frozen=True, slots=True)
class Reading:
    """One bash file: its lines, how many of them stand in another file too, and when it is to be read.

    `must read` is what runs before the first privileged run is over: setup.sh, the steps 10 to 30, and the files of the
    library that they load outside of the sandbox of lib/confine.sh. `on the day` are steps that run only when they are
    named, and what a file of the library loads itself, for one option alone; `not used` are files of the library that
    no script of this site loads; `may read` is the rest.
    """

    path: str
    lines: int
    repeated: int
    when: str


class Lengths:
    """Lines of bash files, and when each is to be read; files are added one by one, and their text is not kept."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self._needed: set[str] = set()
        self._loaded: set[str] = set()
        self._for_an_option: set[str] = set()

    def add(self, path: str, text: str) -> None:
        """Count a file by its path in the rendered folder; what is not bash does not count."""
        if not path.endswith(".sh"):
            return
        self.lines[path] = text.count("\n")
        if path.startswith(f"{LIBRARY}/"):
            self._for_an_option.update(LOADS.findall(text))
            return
        self._loaded.update(LOADS.findall(text))
        if _FIRST_STEPS.fullmatch(path):
            self._needed.update(LOADS.findall(_CONFINED.sub("", text)))

    def when(self, path: str) -> str:
        """Return when a file is to be read, once all are added."""
        if path.startswith(f"{LIBRARY}/"):
            name = path.removeprefix(f"{LIBRARY}/")
            if name in self._needed:
                return MUST
            return MAY if name in self._loaded else ON_THE_DAY if name in self._for_an_option else NOT_USED
        if _ON_THE_DAY.fullmatch(path):
            return ON_THE_DAY
        return MUST if _FIRST_STEPS.fullmatch(path) else MAY

    def sums(self) -> dict[str, int]:
        """Return the lines of each kind of `WHEN`."""
        return {when: sum(n for path, n in self.lines.items() if self.when(path) == when) for when in WHEN}


def reading(folder: Path) -> list[Reading]:
    """Return an entry for every bash file of a rendered folder; raise UsageError where it is none."""
    texts = _texts(folder)
    lengths = Lengths()
    for path, text in texts.items():
        lengths.add(path, text)
    repeated = _repeated(texts)
    return [Reading(path, lengths.lines[path], repeated[path], lengths.when(path)) for path in sorted(texts)]


def reading_table(entries: Iterable[Reading]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row for each file, then the sums."""
    found = list(entries)
    rows = [(entry.path, entry.lines, entry.repeated, entry.when) for entry in found]
    rows += [_sum(f"**{when}**", [entry for entry in found if entry.when == when]) for when in WHEN]
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
