"""Compare a folder with an older one: what changes by meaning, which steps were reviewed before, and the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff

from dockseal.output.manifest import LIBRARY, README
from dockseal.output.review.bundle import Bundle, Script
from dockseal.output.review.changes import Change, find_changes
from dockseal.output.review.facts import Site
from dockseal.output.review.meaning import Context, Sentence, sentences
from dockseal.output.review.shapes import Shape

UNCHANGED, LOADS_OTHER, VALUES, BODY, ADDED, REMOVED = (
    "unchanged",
    "same text, other library",
    "other values",
    "other text",
    "added",
    "removed",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A unified diff of one file; `others` are as many parties of its shape whose diff differs in values alone."""

    path: str
    lines: tuple[str, ...]
    others: int


@dataclass(frozen=True, slots=True)
class Since:
    """What is different: sentences, the changes behind them, states of steps, library and other files, and the text."""

    old_digest: str
    sentences: tuple[Sentence, ...]
    changes: tuple[Change, ...]
    states: dict[str, str]
    library: dict[str, str]
    others: dict[str, str]
    differences: tuple[Difference, ...]


def compare(old: Site, new: Site) -> Since:
    """Return the differences between two folders."""
    changes = tuple(find_changes(old, new))
    before, after = ({script.party for script in site.bundle.scripts} for site in (old, new))
    words = {
        script.path.rpartition("/")[0]: (
            old.heads[script.path].texts("dockerd_words"),
            new.heads[script.path].texts("dockerd_words"),
        )
        for script in new.bundle.scripts
        if script.path.endswith("/20-configure-daemon.sh") and script.path in old.heads
    }
    context = Context(frozenset(after - before), frozenset(before - after), words)
    return Since(
        old.bundle.digest,
        tuple(sentences(changes, context)),
        changes,
        _states(old, new),
        dict(_files(old.bundle, new.bundle, _of_library(old.bundle, new.bundle))),
        dict(_files(old.bundle, new.bundle, {README, *old.bundle.unused, *new.bundle.unused})),
        tuple(_differences(old, new)),
    )


def _states(old: Site, new: Site) -> dict[str, str]:
    """Return how each script compares; it is unchanged only where all that it loads is unchanged too."""
    before = {script.path: script for script in old.bundle.scripts}
    found = {script.path: _state(before.get(script.path), script, old, new) for script in new.bundle.scripts}
    return found | {path: REMOVED for path in before if path not in found}


def _state(before: Script | None, script: Script, old: Site, new: Site) -> str:
    if before is None:
        return ADDED
    loads_same = _loaded(old.bundle, script.path) == _loaded(new.bundle, script.path)
    if before.sha256 == script.sha256:
        return UNCHANGED if loads_same else LOADS_OTHER
    lines = [[text for _, text in site.heads[script.path].others] for site in (old, new)]
    same = before.body_sha256 == script.body_sha256 and before.template == script.template and lines[0] == lines[1]
    return VALUES if same and loads_same else BODY


def _loaded(bundle: Bundle, path: str) -> dict[str, str]:
    """Return the digests of all that a script reads from the library."""
    settings = [one for one in bundle.digests if one.startswith(f"{LIBRARY}/") and not one.endswith(".sh")]
    return {one: bundle.digests[one] for one in (*bundle.loads(path), *settings)}


def _of_library(old: Bundle, new: Bundle) -> set[str]:
    return {path for path in (*old.digests, *new.digests) if path.startswith(f"{LIBRARY}/")}


def _files(old: Bundle, new: Bundle, paths: set[str]) -> Iterator[tuple[str, str]]:
    """Yield those of these files that differ, and how."""
    for path in sorted(paths):
        first, second = old.digests.get(path), new.digests.get(path)
        if first != second:
            yield path, ADDED if first is None else REMOVED if second is None else BODY


def _differences(old: Site, new: Site) -> Iterator[Difference]:
    """Yield a diff for each file that both have; parties of the same old and the same new shape have one."""
    shapes = {party: number for number, shape in enumerate(old.shapes) for party in shape.parties}
    for shape in new.shapes:
        groups: dict[int, list[str]] = {}
        for party in shape.parties:
            if party in shapes:
                groups.setdefault(shapes[party], []).append(party)
        for parties in groups.values():
            yield from _of_party(old, new, shape, parties)
    for path, state in _files(old.bundle, new.bundle, {README, *_of_library(old.bundle, new.bundle)}):
        if state == BODY:
            yield Difference(path, _diff(old.bundle, new.bundle, path), 0)


def _of_party(old: Site, new: Site, shape: Shape, parties: list[str]) -> Iterator[Difference]:
    first = parties[0]
    for script in shape.scripts:
        path = script.path.replace(shape.parties[0], first, 1) if "/" in first else script.path
        if path in old.heads and old.bundle.digests[path] != new.bundle.digests.get(path):
            yield Difference(path, _diff(old.bundle, new.bundle, path), len(parties) - 1)


def _diff(old: Bundle, new: Bundle, path: str) -> tuple[str, ...]:
    before, after = (bundle.texts.get(path, "").split("\n") for bundle in (old, new))
    return tuple(unified_diff(before, after, "old", "new", lineterm="", n=2))
