"""Check a handed-over folder against its own manifest and SHA256SUMS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from dockseal.errors import DocksealError, TemplateError, UsageError, printable
from dockseal.output.folder import entries, is_signature, parents, reason
from dockseal.output.manifest import FORMAT, LIBRARY, MANIFEST, PACKS, SUMS, Entry, body_of, library_digest

_SUM = re.compile(r"([0-9a-f]{64}) [ *]([!-~]+)")


class FolderError(DocksealError):
    """A handed-over folder is not what its manifest says (exit status 4)."""

    exit_status = 4


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found right: number of files and of scripts, and the digests (sha256, hexadecimal).

    `digest` is that of SHA256SUMS, `library` that of the files in lib/.
    """

    files: int
    scripts: int
    digest: str
    library: str


def verify_folder(folder: Path, shown: Path | None = None) -> Verified:
    """Check every file of a folder, `shown` in messages; raise FolderError with everything that does not hold.

    The folder cannot vouch for itself: whoever changes a script can change SHA256SUMS too. The digest that is returned
    is to be compared with the sender's over another channel. A signature of SHA256SUMS may stand beside it, unchecked.
    """
    sums_text = _read(folder, SUMS)
    manifest = _manifest(_read(folder, MANIFEST))
    sums, problems = read_sums(sums_text)
    names = {name for name in entries(folder) if not name.endswith("/") and not is_signature(folder, name, {SUMS})}
    known = {*sums, SUMS}
    problems += _listing(folder, names, known, manifest)
    for path in sorted(set(sums) & names):
        problems += _file(folder, path, sums[path], manifest["scripts"].get(path))
    library = library_digest(Entry(path, digest) for path, digest in sums.items())
    if library != manifest["library"]:
        problems.append(f"{LIBRARY}/: sha256 is {library}, {MANIFEST} says {manifest['library']}")
    if problems:
        raise FolderError("\n".join(f"{shown or folder}: {problem}" for problem in problems))
    return Verified(len(known), len(manifest["scripts"]), sha256(sums_text).hexdigest(), library)


def signed_part(path: Path) -> tuple[Path, bytes]:
    """Return the file that a signature is of, and its octets: of a folder SHA256SUMS, else the file itself."""
    file = path / SUMS if path.is_dir() else path
    try:
        return file, file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {reason(error)}; name a rendered folder or a pack") from None


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise UsageError(f"{folder / name}: cannot be read: {reason(error)}; name a rendered folder") from None


def _manifest(octets: bytes) -> dict[str, Any]:
    """Return the manifest's files as a set, and its scripts by path, each with the digest of its template's body."""
    try:
        data = json.loads(octets)
        if data["format"] == PACKS:
            raise UsageError(f"{MANIFEST} is that of a folder of packs; name one of them")
        if data["format"] != FORMAT:
            raise FolderError(f"{MANIFEST} has format {data['format']!r}, expected {FORMAT}; use the sender's dockseal")
        files = {str(name) for name in data["files"]}
        library = str(data["library_sha256"])
        scripts = {
            str(script["path"]): {
                "sha256": str(script["sha256"]),
                "body_sha256": str(data["templates"][script["template"]]["body_sha256"]),
            }
            for script in data["scripts"]
        }
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        raise FolderError(f"{MANIFEST} is not a manifest of dockseal; get the folder again") from None
    return {"files": files, "library": library, "scripts": scripts}


def read_sums(octets: bytes) -> tuple[dict[str, str], list[str]]:
    """Return the digests of SHA256SUMS by path, and what is wrong with its lines."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(octets.decode("ascii", "replace").splitlines(), 1):
        match = _SUM.fullmatch(line)
        if not match or match[2].startswith("/") or ".." in match[2].split("/") or match[2] in found:
            problems.append(f"{SUMS}:{number}: is not 'DIGEST  PATH' of one more file of this folder")
            continue
        found[match[2]] = match[1]
    return found, problems


def _listing(folder: Path, names: set[str], known: set[str], manifest: dict[str, Any]) -> list[str]:
    folders = {name for name in entries(folder) if name.endswith("/")}
    extra = sorted((names - known) | (folders - parents(known)))
    once = known ^ manifest["files"]
    return [
        *(f"{printable(name)}: is not listed in {SUMS}; remove it or ask the sender" for name in extra),
        *(f"{name}: is missing; get the folder again" for name in sorted(known - names)),
        *(f"{printable(name)}: only one of {SUMS} and {MANIFEST} lists it" for name in sorted(once)),
    ]


def _file(folder: Path, path: str, digest: str, script: dict[str, Any] | None) -> Iterator[str]:
    file = folder / path
    if file.is_symlink() or not file.is_file():
        yield f"{path}: is not a plain file; get the folder again"
        return
    octets = _read(folder, path)
    found = sha256(octets).hexdigest()
    if found != digest:
        yield f"{path}: was changed: sha256 is {found}, {SUMS} says {digest}"
    if script is None:
        return
    if found != script["sha256"]:
        yield f"{path}: sha256 is {found}, {MANIFEST} says {script['sha256']}"
    try:
        body = sha256(body_of(path, octets)).hexdigest()
    except TemplateError:
        body = "absent"
    if body != script["body_sha256"]:
        yield f"{path}: sha256 of the body is {body}, {MANIFEST} says {script['body_sha256']}"
