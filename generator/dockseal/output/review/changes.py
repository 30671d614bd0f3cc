"""Which constants and effects differ between two folders, each with both values and both places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dockseal.output.review.bundle import Script
from dockseal.output.review.constants import Constant, Word
from dockseal.output.review.facts import Site

ABSENT = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: of a constant, of one word or row of it, or of an effect (then `name` is its kind).

    `row` is the first word of a row, `column` what differs in it; `old` or `new` is None where there is none. Lines
    count from 1; ABSENT where there is none.
    """

    path: str
    party: str
    name: str
    old: str | None
    new: str | None
    old_line: int
    new_line: int
    row: str = ""
    column: str = ""


def find_changes(old: Site, new: Site) -> Iterator[Change]:
    """Yield every difference between the constants and effects of the scripts that both folders have."""
    before = {script.path: script for script in old.bundle.scripts}
    for script in new.bundle.scripts:
        if script.path in before and script.sha256 != before[script.path].sha256:
            yield from _constants(script, old, new)
        if script.path in before:
            yield from _effects(before[script.path], script)


def _constants(script: Script, old: Site, new: Site) -> Iterator[Change]:
    first, second = old.heads[script.path].constants, new.heads[script.path].constants
    for name in dict.fromkeys([*first, *second]):
        if name == "key_command":
            yield from _whole(script, name, first.get(name), second.get(name))
        elif name in first and name in second and first[name].columns and second[name].columns:
            yield from _rows(script, first[name], second[name])
        elif (name in first and first[name].is_array) or (name in second and second[name].is_array):
            yield from _list(script, name, first.get(name), second.get(name))
        else:
            yield from _whole(script, name, first.get(name), second.get(name))
    yield from _others(script, old, new)


def _others(script: Script, old: Site, new: Site) -> Iterator[Change]:
    """Yield the lines of code above the mark that only one version has."""
    before, after = (tuple(Word(text, at) for at, text in site.heads[script.path].others) for site in (old, new))
    for word in _only_in(before, after):
        yield Change(script.path, script.party, "line", word.text, None, word.line, ABSENT)
    for word in _only_in(after, before):
        yield Change(script.path, script.party, "line", None, word.text, ABSENT, word.line)


def _whole(script: Script, name: str, old: Constant | None, new: Constant | None) -> Iterator[Change]:
    first, second = (" ".join(one.texts) if one else None for one in (old, new))
    if first != second:
        lines = (old.line if old else ABSENT, new.line if new else ABSENT)
        yield Change(script.path, script.party, name, first, second, *lines)


def _list(script: Script, name: str, old: Constant | None, new: Constant | None) -> Iterator[Change]:
    """Yield the words that only one of two lists has, and a change of their order."""
    before, after = (one.words if one else () for one in (old, new))
    gone = list(_only_in(before, after))
    come = list(_only_in(after, before))
    for word in gone:
        yield Change(script.path, script.party, name, word.text, None, word.line, ABSENT)
    for word in come:
        yield Change(script.path, script.party, name, None, word.text, ABSENT, word.line)
    if not gone and not come:
        yield from _whole(script, name, old, new)


def _only_in(words: tuple[Word, ...], others: tuple[Word, ...]) -> Iterator[Word]:
    left = Counter(word.text for word in others)
    for word in words:
        if left[word.text]:
            left[word.text] -= 1
        else:
            yield word


def _rows(script: Script, old: Constant, new: Constant) -> Iterator[Change]:
    """Yield rows that come and go, named by their first word, and the columns that differ in the others."""
    before, after = ({row[0].text: row for row in one.rows} for one in (old, new))
    place = (script.path, script.party, old.name)
    for key in dict.fromkeys([*before, *after]):
        first, second = before.get(key), after.get(key)
        if first and second:
            for column, one, other in zip(new.columns, first, second, strict=True):
                if one.text != other.text:
                    yield Change(*place, one.text, other.text, one.line, other.line, key, column)
        elif first:
            yield Change(*place, _text(first), None, first[0].line, ABSENT, key)
        elif second:
            yield Change(*place, None, _text(second), ABSENT, second[0].line, key)


def _text(row: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in row)


def _effects(old: Script, new: Script) -> Iterator[Change]:
    """Yield what only one version of a script leaves behind, restarts, removes or starts."""
    before, after = _by_name(old), _by_name(new)
    for kind, name in dict.fromkeys([*before, *after]):
        first, second = before.get((kind, name)), after.get((kind, name))
        if first != second:
            yield Change(new.path, new.party, f"effect {kind}", first, second, ABSENT, ABSENT, name)


def _by_name(script: Script) -> Mapping[tuple[str, str], str]:
    """Return the effects of a script by kind and name; of a file owner and mode are told."""
    found: dict[tuple[str, str], str] = {}
    for kind, effects in script.effects.items():
        for one in effects:
            if isinstance(one, str):
                found[kind, one] = ""
            else:
                found[kind, one["path"]] = f"{one['owner']} {one['mode']}"
    return found
