"""The text of a file as the page shows it: highlighted, with line numbers, and long lists of parties folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from dockseal.output.review import highlight
from dockseal.output.review.constants import MARK

# So many rows in a list that differ in the party's name alone are shown, before the others are only counted.
SHOWN_ROWS = 3
_ROW = re.compile(r" +'")
_PARTY = re.compile(r"(?:hosts|clients)/([^/ ']+)")
_FIRST_WORD = re.compile(r" +'([^']+)'")


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or as many that are folded: they differ from the one above in the name of their party alone."""

    number: int
    html: Markup
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """A file on the page; `key` is the start of its lines' ids."""

    path: str
    key: str
    lines: tuple[Line, ...]

    @property
    def length(self) -> int:
        """How many lines are to be read."""
        return sum(not line.folded for line in self.lines)


class Listings:
    """The files on the page, and the place of each line on it; `parties` are hosts/NAME and clients/NAME."""

    def __init__(self, texts: Iterable[tuple[str, str]], parties: Iterable[str]) -> None:
        names = frozenset(party.partition("/")[2] for party in parties)
        self.by_path = {path: _listing(path, f"f{number}", text, names) for number, (path, text) in enumerate(texts, 1)}
        self._shown = {
            f"{listing.key}-{line.number}"
            for listing in self.by_path.values()
            for line in listing.lines
            if not line.folded
        }

    def link(self, path: str, line: int) -> str:
        """Return the id of a line, or nothing where it is not on the page."""
        listing = self.by_path.get(path)
        name = f"{listing.key}-{line}" if listing else ""
        return name if name in self._shown else ""


def _listing(path: str, key: str, text: str, names: frozenset[str]) -> Listing:
    return Listing(path, key, tuple(_folded(text.removesuffix("\n").split("\n"), highlight.lines(text), names)))


def _folded(texts: list[str], html: list[Markup], names: frozenset[str]) -> Iterator[Line]:
    """Yield the lines; of rows above the mark that differ in the name of a party alone only the first ones."""
    end = next((at for at, text in enumerate(texts) if text.startswith(MARK)), 0)
    forms = [_form(text, names) if at < end else "" for at, text in enumerate(texts)]
    at = 0
    while at < len(texts):
        length = 1
        while forms[at] and at + length < end and forms[at + length] == forms[at]:
            length += 1
        shown = length if length <= SHOWN_ROWS + 1 else SHOWN_ROWS
        for offset in range(shown):
            yield Line(at + offset + 1, html[at + offset])
        if shown < length:
            yield Line(at + shown + 1, Markup(""), length - shown)
        at += length


def _form(text: str, names: frozenset[str]) -> str:
    """Return a row of a list with NAME in the place of a party's name; nothing for a row that is of no party."""
    found = (_PARTY.search(text) or _FIRST_WORD.match(text)) if _ROW.match(text) else None
    name = found[1] if found else ""
    return re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", "NAME", text) if name in names and name else ""
