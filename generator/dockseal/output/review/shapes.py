"""Put parties together whose scripts differ in values alone: reviewing one of them is reviewing all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dockseal.output.review.bundle import Bundle, Script
from dockseal.output.review.constants import MARK, Head, Word

NAME = "NAME"
# textwrap breaks the manual's lines at their words, and a long path between its folder and its name.
_WRAPPED = re.compile(r"\n# +")


@dataclass(frozen=True, slots=True)
class Column:
    """A value in which parties differ: the constants that have it, and its text for each party, in their order."""

    names: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Parties of one shape, the scripts of the first of them, and the values in which the others differ from it."""

    parties: tuple[str, ...]
    scripts: tuple[Script, ...]
    columns: tuple[Column, ...]

    @property
    def title(self) -> str:
        """The party, or `hosts/NAME` for several."""
        return self.parties[0] if len(self.parties) == 1 else f"{self.parties[0].partition('/')[0]}/{NAME}"


def general(party: str) -> Callable[[str], str]:
    """Return a function that puts NAME in the place of a party's name: in its paths, and where it stands alone."""
    kind, _, name = party.partition("/")
    if not name:
        return lambda text: text
    pattern = re.compile(rf"\b{re.escape(party)}(?![\w.-])")
    return lambda text: NAME if text == name else pattern.sub(f"{kind}/{NAME}", text)


def find_shapes(bundle: Bundle, heads: Mapping[str, Head]) -> tuple[Shape, ...]:
    """Return the shapes of a folder's parties, in the order in which they first run."""
    scripts: dict[str, list[Script]] = {}
    for script in bundle.scripts:
        scripts.setdefault(script.party, []).append(script)
    groups: dict[str, list[str]] = {}
    for party, own in scripts.items():
        key = "\0".join(_skeleton(bundle, script, heads[script.path], general(party)) for script in own)
        groups.setdefault(key, []).append(party)
    return tuple(
        Shape(tuple(parties), tuple(scripts[parties[0]]), tuple(_columns(scripts, parties, heads)))
        for parties in groups.values()
    )


def _skeleton(bundle: Bundle, script: Script, head: Head, rename: Callable[[str], str]) -> str:
    """Return everything of a script but its values and its party's name; of an option of dockerd the name counts.

    What stands below the mark is in the digest of its body, which has been verified.
    """
    top = bundle.texts[script.path].partition(f"\n{MARK}")[0]
    comment = "\n".join(line for line in top.split("\n") if line.startswith("#"))
    constants = [
        f"{one.name} {one.is_array} {' '.join(_option(one.name, word) for word in one.words)}"
        for one in head.constants.values()
    ]
    about = [script.template, script.body_sha256, script.undo, *script.reads, json.dumps(script.effects)]
    about.append(_WRAPPED.sub(" ", comment).replace("/: ", "/"))
    return "\n".join([*(rename(line) for line in about), *constants, *(line for _, line in head.others)])


def _option(name: str, word: Word) -> str:
    return word.text.partition("=")[0] if name == "dockerd_words" and word.text.startswith("-") else "?"


def _columns(
    scripts: Mapping[str, list[Script]], parties: Iterable[str], heads: Mapping[str, Head]
) -> Iterable[Column]:
    """Yield the values in which parties differ; constants that are the same as another everywhere share a column."""
    rows = [_values(scripts[party], party, heads) for party in parties]
    found: dict[tuple[str, ...], dict[str, None]] = {}
    for at, (name, text) in enumerate(rows[0]):
        texts = tuple(row[at][1] for row in rows)
        if any(other != text for other in texts):
            found.setdefault(texts, {})[name] = None
    for texts, names in _merged(found).items():
        yield Column(tuple(names), texts)


def _merged(found: Mapping[tuple[str, ...], Iterable[str]]) -> dict[tuple[str, ...], list[str]]:
    """Put a value that is another one behind the same prefix everywhere, as tcp:// is, into the other's column."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for texts, names in found.items():
        for other in merged:
            prefix = texts[0].removesuffix(other[0])
            if all(text == prefix + first for text, first in zip(texts, other, strict=True)):
                merged[other] += [f"{name} behind {prefix}" for name in names]
                break
        else:
            merged[texts] = list(names)
    return merged


def _values(scripts: Iterable[Script], party: str, heads: Mapping[str, Head]) -> list[tuple[str, str]]:
    rename = general(party)
    return [
        (f"{one.name}[{at}]" if one.is_array else one.name, rename(word.text))
        for script in scripts
        for one in heads[script.path].constants.values()
        for at, word in enumerate(one.words)
    ]
