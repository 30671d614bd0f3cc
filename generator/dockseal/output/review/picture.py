"""Where the boxes and lines of the picture stand: the CA above, clients on the left, hosts on the right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockseal.output.review.access import hosts_by_shape, listens
from dockseal.output.review.facts import MUTUAL, PLAIN, Site
from dockseal.output.review.shapes import Shape

# In units of the picture's own; a phone shows one as somewhat less than a pixel.
WIDTH, BOX, HEIGHT, STEP, TOP = 440, 184, 50, 64, 128
LEFT, RIGHT = 6, WIDTH - BOX - 6
SHOWN, SHOWN_NAME, SHOWN_TEXT = 10, 22, 29
EVERYONE = "everyone"
_WORDS = {MUTUAL: "TLS both ways", "server-only": "TLS, no client cert.", PLAIN: "plain TCP"}


@dataclass(frozen=True, slots=True)
class Box:
    """A party, or several of one shape: its place, two lines of text, the whole name, and what it stands for."""

    x: int
    y: int
    name: str
    text: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line from one box to another as an SVG path; `kind` is the style."""

    path: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything to draw; width and height in units of the picture's own."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    description: str


def draw(site: Site) -> Picture:
    """Return the picture of a site."""
    hosts = dict(_hosts(site))
    clients = dict(_clients(site))
    rows = max(len(hosts), len(clients), 1)
    boxes = [*hosts.values(), *clients.values()]
    arrows = list(_arrows(site, clients, hosts))
    if site.certificates:
        boxes.insert(0, Box((WIDTH - BOX) // 2, 8, "CA", _cut(_ca_name(site), SHOWN_TEXT), _ca_name(site), "ca"))
        arrows += list(_signs(site))
    words = "; ".join(arrow.title for arrow in arrows)
    return Picture(WIDTH, TOP + rows * STEP, tuple(boxes), tuple(arrows), words)


def _ca_name(site: Site) -> str:
    return next((name for head in site.heads.values() if (name := head.text("ca_common_name"))), "")


def _hosts(site: Site) -> Iterator[tuple[str, Box]]:
    for row, (shape, host) in enumerate(hosts_by_shape(site)):
        if row == SHOWN:
            yield "", Box(RIGHT, TOP + row * STEP, "and more hosts", "see the table", "and more hosts", "host")
            return
        ports = sorted({place.rpartition(":")[2] for place in host.listens})
        text = f"port {', '.join(ports)}, {_WORDS[host.mode]}"
        kind = "host" if host.mode == MUTUAL else "open"
        title = f"{shape.title}, {listens(shape, host)}"
        yield shape.title + shape.parties[0], Box(RIGHT, TOP + row * STEP, _name(shape), text, title, kind)


def _clients(site: Site) -> Iterator[tuple[str, Box]]:
    shapes = [shape for shape in site.shapes if shape.parties[0].startswith("clients/")]
    for row, shape in enumerate(shapes[:SHOWN]):
        days = sorted({one.days for one in site.certificates if one.party in shape.parties})
        text = f"certificate for {' or '.join(days)} days" if days else "client"
        yield shape.parties[0], Box(LEFT, TOP + row * STEP, _name(shape), text, shape.title, "client")
    row = min(len(shapes), SHOWN)
    if len(shapes) > SHOWN:
        yield "", Box(LEFT, TOP + row * STEP, "and more clients", "see the table", "and more clients", "client")
        row += 1
    if any(host.mode != MUTUAL for _, host in hosts_by_shape(site)):
        yield EVERYONE, Box(LEFT, TOP + row * STEP, "everyone", "who reaches the port", "everyone", "open")


def _name(shape: Shape) -> str:
    count = len(shape.parties)
    name = shape.parties[0].partition("/")[2]
    return _cut(name, SHOWN_NAME) if count == 1 else f"{count:,} {shape.parties[0].partition('/')[0]} of one shape"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _arrows(site: Site, clients: dict[str, Box], hosts: dict[str, Box]) -> Iterator[Arrow]:
    """Yield a line for each client that is set up to use a host, and for everyone where a host asks for nothing."""
    contexts = {client.party: {name for name, _ in client.contexts} for client in site.clients}
    for shape, host in hosts_by_shape(site):
        there = hosts.get(shape.title + shape.parties[0])
        if there is None:
            continue
        own = {party.partition("/")[2] for party in shape.parties}
        for party, box in clients.items():
            if own & contexts.get(party, set()):
                yield _line(box, there, "uses", f"{box.name} uses {there.name}")
            elif party == EVERYONE and host.mode != MUTUAL:
                yield _line(box, there, "danger", f"everyone who reaches it is root on {there.name}")


def _line(start: Box, end: Box, kind: str, title: str) -> Arrow:
    left, right = start.x + BOX, end.x - 3
    middle = (left + right) // 2
    first, last = start.y + HEIGHT // 2, end.y + HEIGHT // 2
    return Arrow(f"M{left} {first}C{middle} {first} {middle} {last} {right} {last}", kind, title)


def _signs(site: Site) -> Iterator[Arrow]:
    kinds = {one.party.partition("/")[0] for one in site.certificates}
    for kind, x, start in (("clients", LEFT + BOX // 2, WIDTH // 2 - 40), ("hosts", RIGHT + BOX // 2, WIDTH // 2 + 40)):
        if kind in kinds:
            yield Arrow(f"M{start} 58L{x} {TOP - 4}", "signs", f"the CA signs the certificates of {kind}")
