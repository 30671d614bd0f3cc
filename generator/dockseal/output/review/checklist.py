"""What a reviewer signs: the digests, and a line for everything that was to be read."""

from __future__ import annotations

from collections.abc import Iterator

from dockseal import __version__
from dockseal.output.review import access
from dockseal.output.review.facts import Site
from dockseal.output.review.shapes import general
from dockseal.output.review.since import Since

BOX = "[ ]"


def checklist(site: Site, since: Since | None) -> str:
    """Return the checklist as plain text, with a line feed at its end."""
    return "\n".join(_lines(site, since)) + "\n"


def _lines(site: Site, since: Since | None) -> Iterator[str]:
    bundle = site.bundle
    yield "Review of a folder that dockseal rendered"
    yield ""
    yield f"SHA256SUMS  {bundle.digest}"
    yield f"lib/        {bundle.library}"
    if since:
        yield f"compared with SHA256SUMS {since.old_digest}"
    yield ""
    yield f"{BOX} both digests were compared with the sender's over another channel"
    known = "is" if site.is_library_known else "is NOT"
    yield f"{BOX} lib/ {known} that of dockseal {__version__}; it was reviewed in full, here or before"
    yield from (f"{BOX} seen: {warning}" for warning in access.warnings(site))
    yield from (f"     {path}:{number}" for path, number, _ in site.strange)
    for one in access.accesses(site):
        yield f"{BOX} accepted: {one.who}: {one.may[0].lower()}{one.may[1:]}: {one.where}"
    if since:
        yield from _changes(since)
    yield ""
    yield "Scripts, in the order in which they run, with the sha256 of the script,"
    yield "or of the body of several that differ in values alone:"
    yield from _scripts(site, since)
    yield ""
    yield "Result:    [ ] accepted   [ ] accepted, with remarks   [ ] refused"
    yield "Reviewer:  ______________________________   Date: ______________"
    yield "Remarks:"


def _changes(since: Since) -> Iterator[str]:
    for sentence in since.sentences:
        yield f"{BOX} change seen: {access_names(sentence.subjects)}: {sentence.text}"
    for path, state in (since.library | since.others).items():
        yield f"{BOX} change seen: {path}: {state}"


def access_names(subjects: tuple[str, ...], shown: int = 3) -> str:
    """Return whom a change is about, the first ones of many."""
    more = f" and {len(subjects) - shown:,} more" if len(subjects) > shown else ""
    return ", ".join(subjects[:shown]) + more


def _scripts(site: Site, since: Since | None) -> Iterator[str]:
    shapes = {script.path: shape for shape in site.shapes for script in shape.scripts}
    for script in site.bundle.scripts:
        shape = shapes.get(script.path)
        if shape is None:
            continue
        count = len(shape.parties)
        title = (
            script.path
            if count == 1
            else f"{general(script.party)(script.path)} ({count:,}, and their table of values)"
        )
        digest = script.sha256 if count == 1 else script.body_sha256
        states = (
            {since.states[script.path.replace(script.party, party, 1)] for party in shape.parties} if since else set()
        )
        state = f"  ({', '.join(sorted(states))})" if states else ""
        yield f"{BOX} {digest}  {title}{state}"
