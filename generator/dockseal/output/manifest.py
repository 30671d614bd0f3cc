"""Record what is in an output folder: digests, bodies, parties and effects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from dockseal.errors import TemplateError
from dockseal.plan.steps import Step

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
README = "README.md"
FORMAT = 4
# The manifest of a folder that holds packs has this in place of a number.
PACKS = "packs"
LIBRARY = "lib"
BODY_MARK = b"# ==== Below this line"
# A file of the effects, and a list of names, as json writes them: each is put on one line.
_STRING = r'"(?:[^"\\]|\\.)*"'
_NAMES = re.compile(rf"\[\s+({_STRING}(?:,\s+{_STRING})*)\s+\]")
_FILE = re.compile(rf'\{{\s+("path": {_STRING}),\s+("owner": {_STRING}),\s+("mode": {_STRING})\s+\}}')


@dataclass(frozen=True, slots=True)
class Entry:
    """One file's digests (sha256, 64 hexadecimal digits) and, for a script, its step."""

    path: str
    sha256: str
    body_sha256: str = ""
    step: Step | None = None


def body_of(path: str, octets: bytes) -> bytes:
    """Return what stands below the constants: all lines after the one that starts with `# ==== Below this line`.

    `sed '1,/^# ==== Below this line/d' FILE` prints the same. Raises TemplateError unless there is one such line.
    """
    _, found, rest = octets.partition(b"\n" + BODY_MARK)
    if not found or b"\n" + BODY_MARK in rest:
        raise TemplateError(f"{path}: not exactly one line starts with {BODY_MARK.decode()!r}; mend the template")
    return rest.partition(b"\n")[2]


def entry_of(path: str, octets: bytes, step: Step | None = None) -> Entry:
    """Return the entry of a file; scripts come with their step."""
    digest = sha256(octets).hexdigest()
    if step is None:
        return Entry(path, digest)
    return Entry(path, digest, sha256(body_of(path, octets)).hexdigest(), step)


def manifest_octets(entries: list[Entry]) -> bytes:
    """Return manifest.json; `files` names every file of the folder, also itself and SHA256SUMS.

    What all scripts of a template have in common stands once, under `templates`.
    """
    steps = [(entry, entry.step) for entry in entries if entry.step]
    data = {
        "format": FORMAT,
        "library_sha256": library_digest(entries),
        "files": sorted([*(entry.path for entry in entries), MANIFEST, SUMS]),
        "templates": {step.template: _template(entry, step) for entry, step in reversed(steps)},
        "scripts": [_script(entry, step) for entry, step in steps],
    }
    return manifest_text(data)


def part_of(manifest: dict[str, Any], paths: set[str]) -> bytes:
    """Return manifest.json for some of its files alone."""
    scripts = [script for script in manifest["scripts"] if script["path"] in paths]
    used = {script["template"] for script in scripts}
    templates = {name: template for name, template in manifest["templates"].items() if name in used}
    return manifest_text({**manifest, "files": sorted(paths), "templates": templates, "scripts": scripts})


def manifest_text(data: dict[str, Any]) -> bytes:
    """Return a manifest as JSON in which a list of names, or a file of the effects, is one line."""
    text = _FILE.sub(lambda match: "{" + ", ".join(match.groups()) + "}", json.dumps(data, indent=1))
    text = _NAMES.sub(lambda match: "[" + re.sub(r",\s+", ", ", match[1]) + "]", text)
    return f"{text}\n".encode("ascii")


def sums_octets(entries: list[Entry]) -> bytes:
    """Return SHA256SUMS in the form that `sha256sum --check` reads (sha256sum(1)), sorted by path."""
    return "".join(f"{entry.sha256}  {entry.path}\n" for entry in sorted(entries, key=lambda e: e.path)).encode()


def library_digest(entries: Iterable[Entry]) -> str:
    """Return the sha256 of the library: what `sha256sum lib/* | sha256sum` prints in the C locale."""
    return sha256(sums_octets([entry for entry in entries if entry.path.startswith(f"{LIBRARY}/")])).hexdigest()


def _template(entry: Entry, step: Step) -> dict[str, Any]:
    return {
        "body_sha256": entry.body_sha256,
        "purpose": step.purpose,
        "needs_root": step.needs_root,
        "needs": step.needs,
        "on_demand": step.on_demand,
    }


def _script(entry: Entry, step: Step) -> dict[str, Any]:
    return {
        "path": entry.path,
        "sha256": entry.sha256,
        "template": step.template,
        "party": step.party,
        "reads": step.all_reads,
        "undo": step.all_undo,
        "effects": {kind: found for kind, found in asdict(step.effects).items() if found},
    }
