"""Read the constants of a script: the values of its site, each with the line where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockseal.output.manifest import BODY_MARK

MARK = BODY_MARK.decode()
_WORD = r"'(?:[^']|'\\'')*'|[0-9]+"
# The words of a command are quoted where they must be.
_ANY_WORD = rf"{_WORD}|[A-Za-z0-9_%+=:,./@-]+"
_SCALAR = re.compile(rf"readonly ([a-z_]+)=({_WORD})")
_ARRAY = re.compile(r"readonly -a ([a-z_]+)=\(")
_ROW = re.compile(rf" +(?:{_ANY_WORD})(?: (?:{_ANY_WORD}))*")
# What the columns of an array are: its comment says the same. Every other array is a list of words.
COLUMNS = {
    "table": ("name", "key type", "key usage", "days", "alternative names"),
    "networks": ("name", "icc", "internal", "subnet", "IPv6 subnet"),
    "contexts": ("context", "address"),
    "hosts": ("context", "address", "name", "port"),
}


@dataclass(frozen=True, slots=True)
class Word:
    """One value, without its quotes, and its line (from 1)."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant: one word, or an array of words."""

    name: str
    line: int
    words: tuple[Word, ...]
    is_array: bool

    @property
    def texts(self) -> tuple[str, ...]:
        """The values."""
        return tuple(word.text for word in self.words)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the words of a row are; nothing for a list."""
        found = COLUMNS.get(self.name, ())
        return found if self.is_array and found and len(self.words) % len(found) == 0 else ()

    @property
    def is_inline(self) -> bool:
        """Tell whether it is a short list that reads well on one line, as a command does."""
        return not self.columns and 0 < len(self.words) <= 24 and not any(" " in text for text in self.texts)

    @property
    def rows(self) -> tuple[tuple[Word, ...], ...]:
        """The rows of a table; those of a list have one word each."""
        width = len(self.columns) or 1
        return tuple(self.words[start : start + width] for start in range(0, len(self.words), width))


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the mark: the constants, and every other line that is no comment (number, text)."""

    constants: dict[str, Constant]
    others: tuple[tuple[int, str], ...]

    def text(self, name: str) -> str:
        """Return the value of a constant of one word; empty where there is none."""
        found = self.constants.get(name)
        return found.words[0].text if found and found.words else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the values of an array; none where there is none."""
        found = self.constants.get(name)
        return found.texts if found else ()


def read_head(text: str) -> Head:
    """Return the constants of a script's text.

    A line in any form that the templates do not have, and a name that comes twice, is one of the others.
    """
    constants: dict[str, Constant] = {}
    others: list[tuple[int, str]] = []
    lines = enumerate(text.split("\n"), 1)
    for number, line in lines:
        if line.startswith(MARK):
            break
        scalar, array = _SCALAR.fullmatch(line), _ARRAY.fullmatch(line)
        name = scalar[1] if scalar else array[1] if array else ""
        if not name or name in constants:
            if line and not line.startswith("#"):
                others.append((number, line))
        elif scalar:
            constants[name] = Constant(name, number, tuple(_words(number, scalar[2])), False)
        else:
            constants[name] = Constant(name, number, tuple(_array(lines, others)), True)
    return Head(constants, tuple(others))


def _array(lines: Iterator[tuple[int, str]], others: list[tuple[int, str]]) -> Iterator[Word]:
    """Yield the words of an array up to its closing parenthesis; what is not words is one of the others."""
    for number, line in lines:
        if line == ")":
            return
        if _ROW.fullmatch(line):
            yield from _words(number, line)
        else:
            others.append((number, line))


def _words(number: int, text: str) -> Iterator[Word]:
    for found in re.findall(_ANY_WORD, text):
        yield Word(found[1:-1].replace("'\\''", "'") if found.startswith("'") else found, number)
