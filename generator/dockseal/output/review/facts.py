"""What a site is afterwards: its certificates, who may do what on which host, and what was found in its scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from dockseal.output.manifest import LIBRARY, body_of
from dockseal.output.render import library_of, template_folder
from dockseal.output.review.bundle import Bundle, Script
from dockseal.output.review.constants import MARK, Head, read_head
from dockseal.output.review.shapes import Shape, find_shapes

MUTUAL, SERVER_ONLY, PLAIN = "mutual", "server-only", "plain"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the CA puts into a party's certificate; `days` is its lifetime."""

    party: str
    key: str
    usage: str
    days: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """A Docker host: where its dockerd listens (tcp://ADDRESS:PORT without tcp://), for whom, and what it isolates."""

    party: str
    listens: tuple[str, ...]
    mode: str
    userns_remap: str
    icc: bool
    networks: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Client:
    """A client: the docker contexts that it gets, each with its address."""

    party: str
    contexts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that a page says of a folder; `strange` are lines that this version's template does not have."""

    bundle: Bundle
    heads: Mapping[str, Head]
    shapes: tuple[Shape, ...]
    hosts: tuple[Host, ...]
    clients: tuple[Client, ...]
    certificates: tuple[Certificate, ...]
    strange: tuple[tuple[str, int, str], ...]

    @property
    def is_library_known(self) -> bool:
        """Tell whether the library is that of this version of dockseal."""
        return self.bundle.library == own_library()

    def is_known(self, script: Script) -> bool:
        """Tell whether a script's text below its constants, and the library, are those of this version."""
        return self.is_library_known and own_bodies().get(script.template) == script.body_sha256


def read_site(bundle: Bundle) -> Site:
    """Return what is to be said of a folder."""
    heads = {script.path: read_head(bundle.texts[script.path]) for script in bundle.scripts}
    return Site(
        bundle,
        heads,
        find_shapes(bundle, heads),
        tuple(_hosts(bundle, heads)),
        tuple(
            Client(script.party, _pairs(heads[script.path].texts("contexts")))
            for script in bundle.scripts
            if script.template == "configure-client.sh"
        ),
        tuple(_certificates(bundle, heads)),
        tuple(_strange(bundle, heads)),
    )


def _hosts(bundle: Bundle, heads: Mapping[str, Head]) -> Iterator[Host]:
    networks = {
        script.party: tuple(tuple(word.text for word in row) for row in head.constants["networks"].rows)
        for script in bundle.scripts
        if script.template == "create-networks.sh" and "networks" in (head := heads[script.path]).constants
    }
    for script in bundle.scripts:
        words = heads[script.path].texts("dockerd_words")
        if script.template not in ("configure-daemon.sh", "configure-plain-daemon.sh"):
            continue
        yield Host(
            script.party,
            tuple(word.removeprefix("tcp://") for word in words if word.startswith("tcp://")),
            mode_of(words),
            next((word.partition("=")[2] for word in words if word.startswith("--userns-remap=")), ""),
            "--icc=false" not in words,
            networks.get(script.party, ()),
        )


def mode_of(words: tuple[str, ...]) -> str:
    """Return whom a dockerd answers that gets these words (dockerd(8)): with a certificate and no CA, everyone."""
    if "--tlsverify" in words:
        return MUTUAL
    return SERVER_ONLY if any(word.startswith("--tlscert=") for word in words) else PLAIN


def _pairs(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(texts[::2], texts[1::2], strict=False))


def _certificates(bundle: Bundle, heads: Mapping[str, Head]) -> Iterator[Certificate]:
    for script in bundle.scripts:
        table = heads[script.path].constants.get("table")
        if script.template not in ("sign-servers.sh", "sign-clients.sh") or not table or not table.columns:
            continue
        kind = "hosts" if script.template == "sign-servers.sh" else "clients"
        for name, key, usage, days, names in ((word.text for word in row) for row in table.rows):
            yield Certificate(f"{kind}/{name}", key, usage, days, tuple(names.split(",")))


def _strange(bundle: Bundle, heads: Mapping[str, Head]) -> Iterator[tuple[str, int, str]]:
    """Yield path, number and text of each line above the mark that is no constant and not in the template."""
    for script in bundle.scripts:
        known = _own_lines().get(script.template, frozenset())
        for number, line in heads[script.path].others:
            if line not in known:
                yield script.path, number, line


@cache
def own_library() -> str:
    """Return the digest of this version's library."""
    return library_of(template_folder())


@cache
def own_bodies() -> dict[str, str]:
    """Return the digests of the bodies of this version's templates."""
    return {
        path.name: sha256(body_of(path.name, path.read_bytes())).hexdigest() for path in template_folder().glob("*.sh")
    }


@cache
def _own_lines() -> dict[str, frozenset[str]]:
    """Return the lines above the mark of this version's templates that have no value in them."""
    return {
        path.name: frozenset(
            line for line in path.read_text().partition(f"\n{MARK}")[0].split("\n") if "@{" not in line
        )
        for path in template_folder().glob("*.sh")
    }


def shown_files(site: Site) -> list[str]:
    """Return the files that stand on the page: the scripts of each shape, and what of the library they load."""
    scripts = [script.path for shape in site.shapes for script in shape.scripts]
    loaded = dict.fromkeys(path for script in scripts for path in site.bundle.loads(script))
    texts = site.bundle.texts
    rest = [path for path in texts if path.startswith(f"{LIBRARY}/") and path not in loaded and path.endswith(".cnf")]
    return [*scripts, *sorted([*loaded, *rest])]
