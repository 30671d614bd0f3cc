"""Pack what a party needs of a rendered folder into one tar, which is the same octets wherever it is made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dockseal.errors import UsageError, printable
from dockseal.output.folder import reason, refuse_other_than_folder
from dockseal.output.manifest import MANIFEST, PACKS, SUMS, Entry, part_of, sums_octets
from dockseal.output.render import SCRIPT_MODE, TEXT_MODE, Rendered
from dockseal.output.signature import refuse_other_signature, sign_files, signature_file, signatures
from dockseal.output.tar import tar_files, tar_octets
from dockseal.output.verify import FolderError, Verified, read_sums, verify_folder
from dockseal.output.write import replace_files, replace_folder

TOP = "out/"
TAR = ".tar"
SHOWN_PARTIES = 10
TOLD_EVERY = 100
_PATH = re.compile(r"(?:(ca|(?:hosts|clients)/[a-z0-9][a-z0-9.-]{0,63})/|lib/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Packed:
    """One pack: its file and its sha256 (hexadecimal)."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Source:
    """A rendered folder that was verified: its manifest, its files' digests, each party's own, and what all share."""

    folder: Path
    manifest: dict[str, Any]
    sums: dict[str, str]
    own: dict[str, list[str]]
    shared: tuple[Rendered, ...]

    @property
    def parties(self) -> tuple[str, ...]:
        """The parties that have scripts here, sorted."""
        return tuple(sorted(self.own))


def open_source(folder: Path) -> tuple[Source, Verified]:
    """Verify a rendered folder and return it; raises FolderError where it is not what its manifest says."""
    refuse_other_than_folder(folder)
    found = verify_folder(folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    sums, _ = read_sums((folder / SUMS).read_bytes())
    own: dict[str, list[str]] = {}
    for path in sums:
        own.setdefault(party_of(folder, path), []).append(path)
    shared = tuple(_read(folder, path, sums[path]) for path in own.pop("", []) if path != MANIFEST)
    return Source(folder, manifest, sums, own, shared), found


def party_of(folder: Path, path: str) -> str:
    """Return the party in whose folder a file stands; '' for what is of no party. The path becomes a name in a tar."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise FolderError(f"{folder}: {printable(path)}: is no name of a file that dockseal writes; render it again")
    return match[1] or ""


def chosen(source: Source, parties: Iterable[str]) -> tuple[str, ...]:
    """Return the named parties, sorted, each once; raise UsageError for one that is not there."""
    wanted = set(parties)
    for party in sorted(wanted - set(source.parties)):
        known = source.parties
        more = f" and {len(known) - SHOWN_PARTIES} more" if len(known) > SHOWN_PARTIES else ""
        names = ", ".join(known[:SHOWN_PARTIES]) + more
        raise UsageError(f"{source.folder}: has no party {printable(party)!r}; it has {names}")
    return tuple(sorted(wanted))


def pack_of(source: Source, parties: Sequence[str]) -> list[Rendered]:
    """Return the files of a pack: what all share, the parties' own, and the manifest and SHA256SUMS of these."""
    own = [path for party in parties for path in source.own[party]]
    files = [*source.shared, *(_read(source.folder, path, source.sums[path]) for path in own)]
    entries = [Entry(file.path, source.sums[file.path]) for file in files]
    manifest = part_of(source.manifest, {MANIFEST, SUMS, *(file.path for file in files)})
    entries.append(Entry(MANIFEST, sha256(manifest).hexdigest()))
    sums = sums_octets(entries)
    return [*files, Rendered(MANIFEST, manifest, TEXT_MODE), Rendered(SUMS, sums, TEXT_MODE)]


def write_pack(source: Source, parties: Sequence[str], file: Path, key: Path | None) -> Packed:
    """Write one pack of some parties, with a key also its signature beside it, both or none.

    A signature of the pack that was there before is removed without one.
    """
    if not file.name.endswith(TAR):
        raise UsageError(f"{file}: is to be one pack of {', '.join(parties)}; give a name that ends in {TAR}")
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}; make it, or name another file")
    _refuse_within(source, file)
    files = pack_of(source, parties)
    refuse_other_signature(file)
    if key is not None:
        files = _with_signatures(key, [files])[0]
    octets = _tar(files)
    if key is None:
        replace_files({file: octets}, TEXT_MODE)
        signature_file(file).unlink(missing_ok=True)
    else:
        replace_files({signature_file(file): signatures(key, [octets])[0], file: octets}, TEXT_MODE)
    return Packed(file, sha256(octets).hexdigest())


def write_packs(source: Source, folder: Path, key: Path | None, tell: Tell) -> list[Packed]:
    """Write a pack of each party into a folder, all or none, and SHA256SUMS of them; returns them sorted by party."""
    if folder.name.endswith(TAR):
        raise UsageError(
            f"{folder}: without --party each party gets a pack, and --output is a folder; name the parties"
        )
    _refuse_within(source, folder)
    if (folder / MANIFEST).exists() and not is_packs(folder):
        raise UsageError(f"{folder}: holds what was rendered; name another folder for the packs (nothing was changed)")
    packed: list[Packed] = []
    names = [f"{file_name(party)}{TAR}" for party in source.parties]

    def files() -> Iterator[Rendered]:
        packs: Iterable[list[Rendered]] = (pack_of(source, [party]) for party in source.parties)
        if key is not None:
            packs = _with_signatures(key, list(packs))
        for number, (name, pack) in enumerate(zip(names, packs, strict=True), 1):
            octets = _tar(pack)
            packed.append(Packed(folder / name, sha256(octets).hexdigest()))
            yield Rendered(name, octets, TEXT_MODE)
            if number % TOLD_EVERY == 0:
                tell(f"{folder}: {number:,} of {len(names):,} packs")
        yield Rendered(SUMS, sums_octets([Entry(pack.path.name, pack.digest) for pack in packed]), TEXT_MODE)
        listing = {"format": PACKS, "files": sorted([*names, MANIFEST, SUMS])}
        yield Rendered(MANIFEST, f"{json.dumps(listing, indent=1)}\n".encode("ascii"), TEXT_MODE)

    def sign(new: Path) -> None:
        if key is not None:
            sign_files(key, [new / name for name in names])
            for name in names:
                signature_file(new / name).chmod(TEXT_MODE)

    replace_folder(folder, files(), sign)
    return packed


def file_name(party: str) -> str:
    """Return the name of a party's pack without its ending: no two parties share one."""
    return party.replace("/", "-", 1)


def is_packs(folder: Path) -> bool:
    """Tell whether a folder's manifest is that of packs."""
    try:
        return bool(json.loads((folder / MANIFEST).read_bytes())["format"] == PACKS)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False


def verify_handed_over(path: Path, octets: bytes) -> Verified:
    """Check a folder, or the octets of a pack."""
    return verify_folder(path) if path.is_dir() else verify_pack(path, octets)


def verify_pack(file: Path, octets: bytes) -> Verified:
    """Check every file of a pack, and that it holds nothing else; raise FolderError with what does not hold."""
    try:
        files = [Rendered(one.path.removeprefix(TOP), one.octets, one.mode) for one in tar_files(octets)]
        names = {one.path for one in files if _PATH.fullmatch(one.path) and one.mode == _mode(one.path)}
        if len(names) != len(files) or not {SUMS, MANIFEST} <= names or _tar(files) != octets:
            raise ValueError
    except ValueError:
        raise FolderError(f"{file}: is no pack as dockseal makes it, or was changed; get it again") from None
    with TemporaryDirectory(prefix="dockseal-") as scratch:
        replace_folder(Path(scratch) / TOP, files)
        return verify_folder(Path(scratch) / TOP, file)


def _with_signatures(key: Path, packs: list[list[Rendered]]) -> list[list[Rendered]]:
    """Return packs, each with a signature of its SHA256SUMS; a passphrase is asked for once."""
    made = signatures(key, [pack[-1].octets for pack in packs])
    name = signature_file(Path(SUMS)).name
    return [[*pack, Rendered(name, octets, TEXT_MODE)] for pack, octets in zip(packs, made, strict=True)]


def _tar(files: Iterable[Rendered]) -> bytes:
    return tar_octets(Rendered(f"{TOP}{file.path}", file.octets, file.mode) for file in files)


def _mode(path: str) -> int:
    """Return the mode that the renderer gives a file: only scripts that are run are executable."""
    return SCRIPT_MODE if path.endswith(".sh") and not path.startswith("lib/") else TEXT_MODE


def _read(folder: Path, path: str, digest: str) -> Rendered:
    """Return a file as it was verified."""
    try:
        octets = (folder / path).read_bytes()
    except OSError as error:
        raise UsageError(f"{folder / path}: cannot be read: {reason(error)}") from None
    if sha256(octets).hexdigest() != digest:
        raise FolderError(f"{folder}: {path}: was changed while it was packed; run this again")
    return Rendered(path, octets, _mode(path))


def _refuse_within(source: Source, output: Path) -> None:
    if output.resolve().is_relative_to(source.folder.resolve()):
        raise UsageError(
            f"{output}: is in {source.folder}, which holds what was rendered alone; name a place beside it"
        )
