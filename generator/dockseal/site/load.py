"""Read a YAML file into plain values and remember where each one stands.

Only the YAML that a site file needs is read: mappings, lists, text and whole numbers. Whatever YAML 1.1 would turn into
something else (`no`, `1_000`, `0755`, a date) is kept as it was written, for a message that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dockseal.errors import KeyPath, Problem, SiteError, UsageError
from dockseal.site.values import shown

MAX_OCTETS = 4 * 1024 * 1024
MAX_DEPTH = 8
MAX_VALUES = 200_000  # a fleet of 10,000 hosts has fewer
MAX_SOURCE = 400  # characters of a source line that a problem keeps

# YAML 1.1 (yaml.org/type): plain scalars that are not text there.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
# The other spellings of YAML 1.1 are not read alike by everybody.
_BOOLEANS = {"true": True, "false": False}
_ODD = {
    "nothing": re.compile(r"~|null|Null|NULL|"),
    "a boolean": re.compile(r"y|Y|n|N|(?i:yes|no|true|false|on|off)"),
    "a number that is not plain decimal": re.compile(
        r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)"
    ),
    "a number with a fraction": re.compile(
        r"[-+]?(([0-9][0-9_]*)?\.[0-9_]+|[0-9][0-9_]*\.[0-9_]*|[0-9][0-9_.]*[eE][-+]?[0-9]+|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
    ),
    "a date": re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"),
    "a merge key": re.compile(r"<<|="),
}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Odd:
    """A plain scalar that YAML 1.1 does not read as text or as a plain number."""

    raw: str
    kind: str


@dataclass(slots=True)
class Document:
    """What a file holds: dicts, tuples, str, int, bool and Odd; and the line of every key path.

    Lines count from 1. `keys` has the line of a key, `values` the line where its value starts.
    """

    file: str
    lines: list[str]
    data: Any = None
    keys: dict[KeyPath, int] = field(default_factory=dict)
    values: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: KeyPath, message: str, line: int | None = None) -> Problem:
        """Return a problem at `path`, or at the nearest thing around it that the file has."""
        if line is None:
            around = (path[:end] for end in range(len(path), 0, -1))
            line = next((self.line(at) for at in around if self.line(at)), 0)
        source = self.lines[line - 1][:MAX_SOURCE] if 0 < line <= len(self.lines) else ""
        return Problem(self.file, line, path, message, source)

    def line(self, path: KeyPath) -> int:
        """Return the line of a key path, 0 where the file does not have it."""
        return self.keys.get(path) or self.values.get(path) or 0


class _Stop(Exception):
    """The rest of the file cannot be read."""


def load(path: Path, name: str | None = None) -> Document:
    """Read the YAML file at `path`; `name` is what messages call it.

    Raises UsageError when it cannot be read and SiteError when it is not one YAML document.
    """
    return parse(_read(path, name or str(path)), name or str(path))


def parse(octets: bytes, name: str) -> Document:
    """Parse the octets of a YAML file into a document; raise SiteError when that cannot be done."""
    document = _decode(octets, name)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    events = yaml.parse("\n".join(document.lines) + "\n", Loader=loader)
    try:
        document.data = _Builder(document, events).build()
    except yaml.MarkedYAMLError as error:
        raise SiteError([*document.problems, _syntax_problem(document, error)]) from None
    except _Stop:
        raise SiteError(document.problems) from None
    return document


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
    except FileNotFoundError:
        raise UsageError(f"{name}: no such file; `dockseal init` writes a commented one") from None
    except IsADirectoryError:
        raise UsageError(f"{name}: is a folder; name the site file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{name}: cannot be read: {reason}") from None
    if len(octets) > MAX_OCTETS:
        raise UsageError(f"{name}: is larger than {MAX_OCTETS >> 20} MiB; is this the right file?")
    return octets


def _decode(octets: bytes, name: str) -> Document:
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = octets.count(b"\n", 0, error.start) + 1
        message = f"octet 0x{octets[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise SiteError([Problem(name, place, (), message)]) from None
    # YAML 1.1 also breaks lines at NEL, LS and PS; comments and quoted text may hold them, so lines are \n only here.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    document = Document(name, lines)
    for number, text in enumerate(lines, 1):
        found = _FORBIDDEN.search(text)
        if found:
            message = f"control character U+{ord(found[0]):04X} is not allowed; remove it"
            document.problems.append(document.problem((), message, number))
    if document.problems:
        raise SiteError(document.problems)
    return document


def _syntax_problem(document: Document, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    source = document.lines[line - 1] if line <= len(document.lines) else ""
    if "\t" in source[: len(source) - len(source.lstrip())]:
        return document.problem((), "a tab stands in the indentation; use blanks", line)
    reason = str(error.problem or error.context or "syntax error")
    message = f"not valid YAML: {reason}; look for a missing ':', quote, bracket or indentation here or just above"
    return document.problem((), message, line)


class _Builder:
    """Turn parser events into values; note every problem that does not stop the reading."""

    def __init__(self, document: Document, events: Iterator[Any]) -> None:
        self.document = document
        self.events = events
        self.count = 0

    def build(self) -> Any:
        """Return the value of the only document in the stream."""
        next(self.events)  # StreamStart
        if isinstance(next(self.events), yaml.StreamEndEvent):
            self._note((), "the file is empty; `dockseal init` writes a commented one", 0)
            raise _Stop
        value = self._value(next(self.events), ())
        next(self.events)  # DocumentEnd
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._note((), "a second YAML document starts here; keep one per file", after.start_mark.line + 1)
            raise _Stop
        return value

    def _note(self, path: KeyPath, message: str, line: int) -> None:
        self.document.problems.append(self.document.problem(path, message, line))

    def _value(self, event: Any, path: KeyPath) -> Any:
        line = event.start_mark.line + 1
        self.document.values[path] = line
        self.count += 1
        if self.count > MAX_VALUES:
            self._note((), f"more than {MAX_VALUES} values; no site has that many", line)
            raise _Stop
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            self._note(path, f"{sign}{event.anchor} is a YAML alias; write the value out", line)
            raise _Stop
        if event.tag is not None:
            self._note(path, f"the tag {shown(event.tag)} is not allowed; write the value alone", line)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if len(path) >= MAX_DEPTH:
            self._note(path, "is nested too deeply; no site file needs that", line)
            raise _Stop
        return self._list(path) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(path)

    def _list(self, path: KeyPath) -> tuple[Any, ...]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return tuple(items)

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event, path)
            line = event.start_mark.line + 1
            at = (*path, key)
            if key in items:
                first = self.document.keys[at]
                self._note(at, f"this key is already on line {first}; remove one of the two", line)
                self._value(next(self.events), (*path, f"{key} (again)"))
                continue
            self.document.keys[at] = line
            items[key] = self._value(next(self.events), at)
        return items

    def _key(self, event: Any, path: KeyPath) -> str:
        plain = isinstance(event, yaml.ScalarEvent) and event.anchor is None and event.tag is None
        if not plain or _scalar(event) == Odd("<<", "a merge key"):
            message = "a key must be plain text; write the keys out, without anchors, merges, tags or brackets"
            self._note(path, message, event.start_mark.line + 1)
            raise _Stop
        return str(event.value)


def _scalar(event: yaml.ScalarEvent) -> str | int | bool | Odd:
    raw = str(event.value)
    if event.style or event.tag is not None:
        return raw
    if _INTEGER.fullmatch(raw):
        return int(raw)
    if raw in _BOOLEANS:
        return _BOOLEANS[raw]
    kind = next((kind for kind, pattern in _ODD.items() if pattern.fullmatch(raw)), None)
    return Odd(raw, kind) if kind else raw
