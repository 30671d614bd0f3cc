"""Put the reviewer's page together: what the template shows, and nothing that depends on the day or the machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2

from dockseal import __version__
from dockseal.errors import TemplateError
from dockseal.output.manifest import LIBRARY, README
from dockseal.output.reading import MUST, WHEN, Lengths
from dockseal.output.review import access, picture
from dockseal.output.review.bundle import Script
from dockseal.output.review.checklist import checklist
from dockseal.output.review.commands import Command, Documented, commands, documented
from dockseal.output.review.constants import Constant
from dockseal.output.review.facts import Site, shown_files
from dockseal.output.review.listing import Listing, Listings
from dockseal.output.review.meaning import Sentence, places
from dockseal.output.review.shapes import NAME, Shape, general
from dockseal.output.review.since import Since

# A careful inspection of code that is new to its reader; studies find 200 to 500 lines an hour.
LINES_PER_HOUR = 400
SHOWN_WORDS, SHOWN_PLACES, SHOWN_SENTENCES, SHOWN_DIFFERENCES = 12, 4, 400, 200
_FOLDER = re.compile(r"^(hosts|clients)/[^/]+/")


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect in words; `count` is for how many parties."""

    text: str
    note: str
    count: int


@dataclass(frozen=True, slots=True)
class StepView:
    """A script on the page: that of the first party of its shape."""

    script: Script
    shape: Shape
    title: str
    key: str
    when: str
    state: str
    constants: tuple[Constant, ...]
    commands: tuple[Command, ...]
    more_commands: tuple[str, ...]
    rows: tuple[Documented, ...]
    effects: tuple[tuple[str, tuple[Effect, ...]], ...]
    listing: Listing


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is to be read, and how long that takes at LINES_PER_HOUR."""

    when: str
    steps: int
    library: int

    @property
    def time(self) -> str:
        """Hours and minutes, rounded up to five minutes."""
        return duration(self.steps + self.library)

    @property
    def own_time(self) -> str:
        """The same for the steps alone."""
        return duration(self.steps)


def duration(lines: int) -> str:
    """Return how long so many lines take, rounded up to five minutes."""
    minutes = -(-lines * 60 // LINES_PER_HOUR // 5) * 5
    return f"{minutes // 60} h {minutes % 60:02} min"


def page_octets(site: Site, since: Since | None) -> bytes:
    """Return the page: the same octets for the same folders."""
    listings = Listings(((path, site.bundle.texts[path]) for path in shown_files(site)), _names(site))
    lengths = Lengths()
    for path, text in site.bundle.texts.items():
        if path != README:
            lengths.add(path, text)
    steps = tuple(_steps(site, since, listings, lengths))
    values = {
        "version": __version__,
        "site": site,
        "since": since,
        "shapes": [shape for shape in site.shapes if len(shape.parties) > 1],
        "steps": steps,
        "library": [one for path, one in listings.by_path.items() if path.startswith(f"{LIBRARY}/")],
        "amounts": amounts(listings, lengths),
        "accesses": tuple(access.accesses(site)),
        "hosts": [(shape, host, access.listens(shape, host)) for shape, host in access.hosts_by_shape(site)],
        "parties": _parties(site),
        "warnings": tuple(access.warnings(site)),
        "restarts": tuple(access.restarts(site)),
        "picture": picture.draw(site),
        "checklist": checklist(site, since),
        "sentences": _sentences(since),
        "link": listings.link,
        "loads": site.bundle.loads,
        "when": lengths.when,
        "modes": access.MODES,
        "members": access.members,
        "places": places,
        "per_hour": LINES_PER_HOUR,
        "limits": {"words": SHOWN_WORDS, "places": SHOWN_PLACES, "differences": SHOWN_DIFFERENCES},
    }
    return _render(values)


def _names(site: Site) -> list[str]:
    return [party for shape in site.shapes for party in shape.parties]


def _render(values: dict[str, object]) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    try:
        return environment.get_template("review.html.j2").render(values).encode("utf-8")
    except jinja2.TemplateError as error:
        raise TemplateError(f"review.html.j2: {error.message}") from None


def _steps(site: Site, since: Since | None, listings: Listings, lengths: Lengths) -> Iterator[StepView]:
    shapes = {script.path: shape for shape in site.shapes for script in shape.scripts}
    for number, script in enumerate((one for one in site.bundle.scripts if one.path in shapes), 1):
        shape, head = shapes[script.path], site.heads[script.path]
        many = len(shape.parties) > 1
        found = tuple(commands(site.bundle, script.path, script.template, head)) if site.is_known(script) else ()
        told = " ".join(command.text for command in found)
        rows = documented()
        yield StepView(
            script=script,
            shape=shape,
            title=general(script.party)(script.path) if many else script.path,
            key=f"s{number}",
            when=lengths.when(script.path),
            state=state_of(since, script, shape),
            constants=tuple(one for one in head.constants.values() if one.name != "script"),
            commands=found,
            more_commands=tuple(one for one in script.effects.get("commands", ()) if one not in told),
            rows=tuple(rows[one] for one in dict.fromkeys(one for command in found for one in command.ids)),
            effects=tuple(_effects(script, general(script.party) if many else str)),
            listing=listings.by_path[script.path],
        )


def state_of(since: Since | None, script: Script, shape: Shape) -> str:
    """Return how a step compares with the older folder; for parties of one shape every state that one has."""
    if since is None:
        return ""
    paths = [script.path.replace(script.party, party, 1) for party in shape.parties]
    return ", ".join(sorted({since.states[path] for path in paths}))


def _effects(script: Script, rename: object) -> Iterator[tuple[str, tuple[Effect, ...]]]:
    """Yield the kinds of effects with what they are; those of several parties that are alike are one."""
    kinds = (
        ("files", "Leaves behind"),
        ("removes", "Removes"),
        ("units", "Restarts"),
        ("networks", "Networks"),
        ("users", "Users"),
        ("temporary", "While it runs"),
        ("starts", "Starts while it runs"),
        ("undoes", "With --remove-keys"),
    )
    for kind, label in kinds:
        found = tuple(_grouped(script.effects.get(kind, ()), rename))
        if found:
            yield label, found


def _grouped(effects: Iterable[object], rename: object) -> Iterator[Effect]:
    counts: dict[tuple[str, str], list[str]] = {}
    for one in effects:
        path, note = (one, "") if isinstance(one, str) else _file(one)
        counts.setdefault((_FOLDER.sub(rf"\1/{NAME}/", path), note), []).append(path)
    for (path, note), paths in counts.items():
        shown = path if len(paths) > 1 else paths[0]
        yield Effect(rename(shown) if callable(rename) else shown, note, len(paths))


def _file(one: object) -> tuple[str, str]:
    assert isinstance(one, dict)  # noqa: S101 - bundle._effect makes nothing else
    owner = f"{one['owner']} " if one["owner"] != "operator" else ""
    return one["path"], f"{owner}{one['mode']}"


def amounts(listings: Listings, lengths: Lengths) -> tuple[Amount, ...]:
    """Return how many lines of the page are to be read, and when; folded ones do not count."""
    found = {when: [0, 0] for when in WHEN}
    for path, listing in listings.by_path.items():
        if path in lengths.lines:
            found[lengths.when(path)][path.startswith(f"{LIBRARY}/")] += listing.length
    return tuple(Amount(when, *lines) for when, lines in found.items() if sum(lines))


def _parties(site: Site) -> list[tuple[Shape, str]]:
    """Return each shape of parties with what it is; not setup.sh, which is of all."""
    kinds = {"ca": "certificate authority", "hosts": "Docker host", "clients": "client"}
    shapes = [shape for shape in site.shapes if shape.parties[0] != "all"]
    return [(shape, kinds.get(shape.parties[0].partition("/")[0], "party")) for shape in shapes]


def _sentences(since: Since | None) -> tuple[Sentence, ...]:
    return since.sentences[:SHOWN_SENTENCES] if since else ()


def must_read(found: Iterable[Amount]) -> Amount:
    """Return what is to be read before the first privileged run."""
    return next((one for one in found if one.when == MUST), Amount(MUST, 0, 0))
