"""Who may do what to whom when all steps have run, in words for whoever decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dockseal.output.review.facts import MUTUAL, PLAIN, Host, Site
from dockseal.output.review.shapes import Shape

EVERYWHERE = ("0.0.0.0:", "[::]:")
MODES = {
    MUTUAL: "TLS, asks for a client certificate",
    "server-only": "TLS, asks for no client certificate",
    PLAIN: "plain TCP, no TLS",
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what where, and until when or why; `open` is for everyone who reaches a port."""

    who: str
    may: str
    where: str
    note: str
    open: bool = False


def shape_of(site: Site, party: str) -> Shape:
    """Return the shape that a party has."""
    return next(shape for shape in site.shapes if party in shape.parties)


def members(shape: Shape) -> str:
    """Return a party's path, or how many parties a shape has."""
    count = len(shape.parties)
    return shape.title if count == 1 else f"{shape.title}: {shape.parties[0].partition('/')[2]} and {count - 1:,} more"


def names(parties: Iterable[str], shown: int = 12) -> str:
    """Return the names of parties, the first ones of many."""
    found = [party.partition("/")[2] or party for party in parties]
    more = f" and {len(found) - shown:,} more" if len(found) > shown else ""
    return (", ".join(found[:shown]) + more) or "nobody"


def hosts_by_shape(site: Site) -> Iterator[tuple[Shape, Host]]:
    """Yield each shape of hosts with its first host."""
    found = {host.party: host for host in site.hosts}
    for shape in site.shapes:
        if shape.parties[0] in found:
            yield shape, found[shape.parties[0]]


def listens(shape: Shape, host: Host) -> str:
    """Return where a host's dockerd listens; of several hosts the first one's place."""
    places = ", ".join(host.listens) or "no port"
    differ = any("listen" in column.names for column in shape.columns)
    return f"{places} (each its own)" if differ else places


def accesses(site: Site) -> Iterator[Access]:
    """Yield who may do what, the most powerful first."""
    if site.certificates:
        yield Access(
            "Who has the CA's key and its passphrase",
            "Make a certificate for anybody, and so become root",
            "every host that asks for certificates",
            "The key stands encrypted on the CA machine and never travels.",
        )
    clients = [one.party for one in site.certificates if one.party.startswith("clients/")]
    yield from _joined(_access(shape, host, clients) for shape, host in hosts_by_shape(site))
    if site.hosts:
        yield Access(
            "Who may use /var/run/docker.sock on a host",
            "Everything, as root there",
            "that host",
            "As before: these scripts leave the local socket as it is.",
        )


def _joined(found: Iterable[Access]) -> Iterator[Access]:
    """Yield one for each kind of access, with all places where it is had."""
    places: dict[Access, list[str]] = {}
    for one in found:
        places.setdefault(replace(one, where=""), []).append(one.where)
    for one, where in places.items():
        yield replace(one, where="; ".join(where))


def _access(shape: Shape, host: Host, clients: list[str]) -> Access:
    where = f"{members(shape)}, {listens(shape, host)}"
    if host.mode == MUTUAL:
        return Access(
            f"Who has the key of a client: {names(clients)}",
            "Everything, as root on the host",
            where,
            "dockerd looks at the CA, not at the name. It knows no revocation: until the certificate ends.",
        )
    note = "Whoever is in between reads and changes all of it." if host.mode == PLAIN else "TLS hides it from others."
    return Access("Everyone who reaches the port", "Everything, as root on the host", where, note, True)


def warnings(site: Site) -> Iterator[str]:
    """Yield what a reviewer has to know before anything else."""
    if site.strange:
        yield f"{len(site.strange)} line(s) above the mark of a script are in no form that dockseal writes. Read them:"
    if site.bundle.unused:
        yield f"No step of dockseal's, but in the folder: {', '.join(site.bundle.unused[:12])}. Ask the sender."
    bodies = sorted({one.template for one in site.bundle.scripts if not site.is_known(one)})
    if not site.is_library_known:
        yield "The library is not that of this version of dockseal: no command of it is explained here."
    elif bodies:
        yield f"The text below the constants is not that of this version: {', '.join(bodies)}."
    for shape, host in hosts_by_shape(site):
        if host.mode != MUTUAL:
            yield f"{members(shape)}: everyone who reaches {listens(shape, host)} is root there ({MODES[host.mode]})."
        elif any(place.startswith(EVERYWHERE) for place in host.listens):
            yield f"{members(shape)}: dockerd listens on every address of the machine ({listens(shape, host)})."


def restarts(site: Site) -> Iterator[tuple[str, str, str]]:
    """Yield unit, script and parties of everything that is started or restarted."""
    found: dict[tuple[str, str], list[str]] = {}
    for shape in site.shapes:
        for script in shape.scripts:
            when = ", when it is run by name" if script.on_demand else ""
            for unit in script.effects.get("units", ()):
                found.setdefault((unit, f"{script.path.rpartition('/')[2]}{when}"), []).append(members(shape))
    for (unit, when), parties in found.items():
        yield unit, when, "; ".join(parties)
