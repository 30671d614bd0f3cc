"""Say what a change means: the same sentence for every place in which it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dockseal.output.reading import LOADS
from dockseal.output.review.access import MODES
from dockseal.output.review.changes import Change
from dockseal.output.review.facts import MUTUAL, mode_of

# What is told first: who gets in, then who is who, then what else changes on a machine.
ACCESS, IDENTITY, MACHINE, FILES = range(4)
Said = tuple[int, str, str]  # rank, whom it is about, what changes

_EVERYONE = "everyone who reaches the port is root"
_ICC = (
    "containers on the default bridge can talk to each other again",
    "containers on the default bridge are kept apart",
)
_EFFECTS = {
    "files": "leaves behind",
    "units": "starts or restarts",
    "commands": "runs",
    "networks": "creates the network",
    "users": "makes the user",
    "removes": "removes",
    "temporary": "has while it runs",
    "starts": "starts while it runs",
    "undoes": "removes with --undo --remove-keys",
}
_LABELS = {
    "ca_common_name": "the CA's name",
    "ca_days": "the lifetime of the CA's certificate, in days",
    "days": "the lifetime of the certificate, in days",
    "drop_in": "the drop-in of docker.service",
    "hosts": "the number of hosts",
    "key type": "the type of the key",
    "key usage": "the key usage in the certificate",
    "probe_image": "the image for throwaway containers",
    "shell_profile": "the shell profile that is written to",
    "textfile_directory": "the folder for the node_exporter",
    "tls_directory": "the folder of dockerd's certificate",
    "warn_days": "days before the end at which it is told",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """What changes, for whom, and the changes that show it."""

    rank: int
    text: str
    subjects: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a sentence depends on: parties that came and went, and the words that each host's dockerd gets and got."""

    come: frozenset[str]
    gone: frozenset[str]
    words: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]

    def modes(self, party: str) -> tuple[str, str]:
        """Return a host's mode before and now; the same twice where it is not known."""
        found = self.words.get(party)
        return (mode_of(found[0]), mode_of(found[1])) if found else (MUTUAL, MUTUAL)

    def listens(self, party: str) -> tuple[str, str]:
        """Return where a host's dockerd listened and listens."""
        old, new = ([one[6:] for one in words if one.startswith("tcp://")] for words in self.words.get(party, ((), ())))
        return ", ".join(old), ", ".join(new)


def sentences(changes: Iterable[Change], context: Context) -> list[Sentence]:
    """Return what changes, the most important first; each change is in one sentence."""
    said: dict[tuple[int, str, str], list[Change]] = {}
    for party in [*sorted(context.come), *sorted(context.gone)]:
        said[_party(party, context)] = []
    for change in changes:
        said.setdefault(_say(change, context), []).append(change)
    texts: dict[tuple[int, str], list[tuple[str, list[Change]]]] = {}
    for (rank, subject, text), found in said.items():
        texts.setdefault((rank, text), []).append((subject, found))
    merged = [
        Sentence(rank, text, tuple(subject for subject, _ in found), tuple(one for _, own in found for one in own))
        for (rank, text), found in texts.items()
    ]
    return sorted(merged, key=lambda one: one.rank)


def _party(party: str, context: Context) -> Said:
    kind = party.partition("/")[0].removesuffix("s")
    if party in context.come:
        what = (
            "a new client: root on each host that asks for certificates of this CA"
            if kind == "client"
            else "a new host"
        )
        return ACCESS, party, what
    gone = "is taken out; dockerd cannot revoke: its certificate works until it ends or the CA is replaced"
    return ACCESS, party, f"the client {gone}" if kind == "client" else "the host is taken out; nothing is undone on it"


def _say(change: Change, context: Context) -> Said:
    """Return rank, party and text of a change."""
    touched = _party_in(change)
    if touched in context.come or touched in context.gone:
        return _party(touched, context)
    if change.name.startswith("effect "):
        return _effect(change)
    found = _RULES[change.name](change) if change.name in _RULES else None
    if change.name in _DAEMON_RULES:
        found = _DAEMON_RULES[change.name](change, context)
    return found or _plain(change, change.party)


def _party_in(change: Change) -> str:
    """Return the party that a row, a word or a path is about; empty for none."""
    if change.name == "table":
        return f"{'hosts' if 'servers' in change.path else 'clients'}/{change.row}"
    if change.name in ("contexts", "hosts") and change.row:
        return f"hosts/{change.row}"
    text = (change.row or change.new or change.old or "").partition(" ")[0]
    parts = text.split("/")
    return "/".join(parts[:2]) if parts[0] in ("hosts", "clients") and len(parts) > 1 else ""


def _plain(change: Change, party: str) -> Said:
    label = _LABELS.get(change.column or change.name, change.name + f" {change.column}" * bool(change.column))
    if change.old is None:
        return MACHINE, party, f"{label}: {change.new} is new"
    if change.new is None:
        return MACHINE, party, f"{label}: {change.old} is gone"
    rank = IDENTITY if (change.column or change.name) in ("key type", "key usage", "days", "ca_days") else MACHINE
    return rank, party, f"{label}: {change.old or 'none'} -> {change.new or 'none'}"


def _effect(change: Change) -> Said:
    kind = change.name.removeprefix("effect ")
    what = _EFFECTS.get(kind, kind)
    if change.old is None:
        return FILES, change.party, f"now {what} {change.row} {change.new}".rstrip()
    if change.new is None:
        return FILES, change.party, f"no longer {what} {change.row} {change.old}".rstrip()
    return ACCESS, change.party, f"owner and mode of {change.row}: {change.old} -> {change.new}"


def _line(change: Change) -> Said | None:
    """Return a line of code above the mark; most of them load a file of the library."""
    loaded = LOADS.fullmatch(f"{change.new or change.old}\n")
    if loaded:
        return FILES, change.party, f"{'no longer loads' if change.new is None else 'now loads'} lib/{loaded[1]}"
    state = "gone" if change.new is None else "new"
    return ACCESS, change.party, f"a line of the script is {state}: {change.new or change.old}"


def _table(change: Change) -> Said | None:
    party = _party_in(change)
    if change.column == "alternative names":
        return _names(change, party)
    if change.column:
        return _plain(change, party)
    return IDENTITY, party, f"the CA {'no longer certifies' if change.new is None else 'now certifies'} it"


def _names(change: Change, party: str) -> Said:
    """Return which names a certificate gets and loses."""
    old, new = ((text or "").split(",") for text in (change.old, change.new))
    more = [name for name in new if name not in old]
    less = [name for name in old if name not in new]
    parts = [f"{'a name' if len(more) == 1 else 'names'} more in the certificate: {', '.join(more)}"] if more else []
    parts += [f"{'a name' if len(less) == 1 else 'names'} less in the certificate: {', '.join(less)}"] if less else []
    return IDENTITY, party, "; ".join(parts) or "the order of the names in the certificate"


def _alternative_names(change: Change) -> Said | None:
    return _names(change, change.party)


def _key(change: Change) -> Said | None:
    old, new = (key_type((text or "").split()) for text in (change.old, change.new))
    return IDENTITY, change.party, f"{_LABELS['key type']}: {old} -> {new}"


def key_type(words: list[str]) -> str:
    """Return the type of the key that a command makes, as the site file says it."""
    if "genrsa" in words:
        return f"rsa:{words[-1]}"
    curve = next((word.partition(":")[2] for word in words if word.startswith("ec_paramgen_curve:")), "")
    return f"ec:{curve}" if curve else "ed25519" if "ED25519" in words else " ".join(words)


def _place(change: Change, context: Context) -> Said | None:
    """Return where dockerd listens, for each constant that follows from it."""
    old, new = context.listens(change.party)
    if old == new:
        return None
    if old.rpartition(":")[0] == new.rpartition(":")[0]:
        return ACCESS, change.party, f"dockerd listens on port {old.rpartition(':')[2]} -> {new.rpartition(':')[2]}"
    return ACCESS, change.party, f"dockerd listens on {old} -> {new}"


def _word(change: Change, context: Context) -> Said | None:
    """Return what a word means that dockerd gets, or no longer gets."""
    word = change.new or change.old or ""
    if word.startswith("tcp://"):
        return _place(change, context)
    if word.startswith("--tls"):
        return _mode(change, context)
    if word == "--icc=false":
        return ACCESS, change.party, _ICC[change.new is not None]
    if word.startswith("--userns-remap="):
        return _userns(change, context)
    return ACCESS, change.party, f"dockerd {'gets' if change.new else 'no longer gets'} the word {word}"


def _mode(change: Change, context: Context) -> Said | None:
    old, new = context.modes(change.party)
    if old == new:
        return None
    text = f"mode {old} -> {new}: {MODES[new]}"
    return ACCESS, change.party, text if new == MUTUAL else f"{text}; {_EVERYONE}"


def _userns(change: Change, context: Context) -> Said | None:
    words = context.words.get(change.party, ((), ()))
    old, new = (next((one[15:] for one in found if one.startswith("--userns-remap=")), "off") for found in words)
    return ACCESS, change.party, f"user namespaces of containers: {old} -> {new}"


def _icc(change: Change) -> Said | None:
    return ACCESS, change.party, _ICC[change.new == "false"]


def _networks(change: Change) -> Said | None:
    if change.column == "icc":
        text = "are kept apart" if change.new == "false" else "can talk to each other"
        return ACCESS, change.party, f"containers on the network {change.row} {text} now"
    if change.column:
        return (
            MACHINE,
            change.party,
            f"network {change.row}: {change.column}: {change.old or 'none'} -> {change.new or 'none'}",
        )
    return ACCESS, change.party, f"the network {change.row} is {'gone' if change.new is None else 'new'}"


def _contexts(change: Change) -> Said | None:
    """Return which host a client uses, and at which address; name and port follow from that."""
    if change.column:
        return ACCESS, change.party, f"uses the host {change.row} at another address"
    if not change.row:
        return None
    return ACCESS, change.party, f"{'no longer uses' if change.new is None else 'now uses'} the host {change.row}"


# By the name of the constant.
_RULES: dict[str, Callable[[Change], Said | None]] = {
    "line": _line,
    "table": _table,
    "alternative_names": _alternative_names,
    "key_command": _key,
    "icc": _icc,
    "networks": _networks,
    "contexts": _contexts,
    "hosts": _contexts,
}
# The same of what follows from the words that dockerd gets.
_DAEMON_RULES: dict[str, Callable[[Change, Context], Said | None]] = {
    "listen": _place,
    "listen_port": _place,
    "listen_hex": _place,
    "probe_address": _place,
    "dockerd_words": _word,
    "daemon_mode": _mode,
    "userns_remap": _userns,
}


def places(sentence: Sentence) -> Iterator[tuple[str, int, bool]]:
    """Yield where a sentence shows, each place once: path, line, and whether that is in the older folder alone."""
    found = ((one.path, one.new_line or one.old_line, not one.new_line) for one in sentence.changes)
    yield from dict.fromkeys(place for place in found if place[1])
