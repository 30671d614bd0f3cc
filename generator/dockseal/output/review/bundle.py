"""Read a rendered folder for a review: verified first, and then only the octets that were verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from dockseal.errors import OutputError, printable
from dockseal.output.folder import reason
from dockseal.output.manifest import LIBRARY, MANIFEST, README, SUMS
from dockseal.output.reading import LOADS
from dockseal.output.verify import FolderError, verify_folder


@dataclass(frozen=True, slots=True)
class Script:
    """One script as the manifest has it: who runs it, what it is made from, and everything that it changes."""

    path: str
    sha256: str
    party: str
    template: str
    purpose: str
    needs: str
    needs_root: bool
    on_demand: bool
    body_sha256: str
    undo: str
    reads: tuple[str, ...]
    effects: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified folder: its scripts in the order in which they run, the texts of bash and of README.md, all digests.

    `digest` is the sha256 of SHA256SUMS, `library` that of the files in lib/ (hexadecimal).
    """

    digest: str
    library: str
    scripts: tuple[Script, ...]
    texts: dict[str, str]
    digests: dict[str, str]

    @property
    def unused(self) -> tuple[str, ...]:
        """Return the files that no step is and that dockseal never writes: nothing here runs them."""
        known = {script.path for script in self.scripts} | {README, MANIFEST}
        return tuple(path for path in self.digests if path not in known and not path.startswith(f"{LIBRARY}/"))

    def loads(self, path: str) -> tuple[str, ...]:
        """Return the files of the library that a file loads, and those that these load, in their order."""
        found: dict[str, None] = {}
        todo = [path]
        while todo:
            names = [f"{LIBRARY}/{name}" for name in LOADS.findall(self.texts.get(todo.pop(0), ""))]
            new = [name for name in names if name in self.texts and name not in found]
            found.update(dict.fromkeys(new))
            todo = new + todo
        return tuple(found)


def read_bundle(folder: Path) -> Bundle:
    """Return a folder that is what its manifest says; raise FolderError or UsageError otherwise, as `verify` does."""
    found = verify_folder(folder)
    sums = _octets(folder, SUMS)
    if sha256(sums).hexdigest() != found.digest:
        raise FolderError(f"{folder / SUMS}: was changed while it was read; try again")
    digests = {path: digest for digest, path in (line.split("  ", 1) for line in sums.decode("ascii").splitlines())}
    texts = {path: _text(folder, path, digest) for path, digest in digests.items() if _is_shown(path)}
    data = json.loads(_text(folder, MANIFEST, digests[MANIFEST]))
    scripts = tuple(_script(folder, entry, data["templates"]) for entry in data["scripts"])
    return Bundle(found.digest, found.library, scripts, texts, digests)


def _is_shown(path: str) -> bool:
    return path.endswith(".sh") or path == README or path.startswith(f"{LIBRARY}/")


def _octets(folder: Path, path: str) -> bytes:
    try:
        return (folder / path).read_bytes()
    except OSError as error:
        raise OutputError(f"{folder / path}: cannot be read: {reason(error)}") from None


def _text(folder: Path, path: str, digest: str) -> str:
    """Return the text of a file whose digest is known; what is not printable ASCII is shown as an escape."""
    octets = _octets(folder, path)
    if sha256(octets).hexdigest() != digest:
        raise FolderError(f"{folder / path}: was changed while it was read; try again")
    lines = octets.decode("ascii", "backslashreplace").split("\n")
    return "\n".join(printable(line) for line in lines)


def _script(folder: Path, entry: Any, templates: Any) -> Script:
    try:
        template = templates[entry["template"]]
        words = {name: _word(entry[name]) for name in ("path", "sha256", "party", "template", "undo")}
        words |= {name: _word(template[name]) for name in ("purpose", "needs", "body_sha256")}
        return Script(
            **words,
            needs_root=bool(template["needs_root"]),
            on_demand=bool(template["on_demand"]),
            reads=tuple(_word(path) for path in entry["reads"]),
            effects={kind: [_effect(one) for one in found] for kind, found in entry["effects"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise FolderError(f"{folder}: {MANIFEST} is not a manifest of dockseal; get the folder again") from None


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return printable(value)


def _effect(value: Any) -> Any:
    """Return a name, or a file with owner and mode."""
    return _word(value) if isinstance(value, str) else {name: _word(value[name]) for name in ("path", "owner", "mode")}
