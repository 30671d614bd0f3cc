"""Tar archives that are the same octets wherever they are made: pax(1), ustar interchange format."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Iterable

from dockseal.output.folder import parents
from dockseal.output.render import Rendered

BLOCK = 512
FOLDER_MODE = 0o755
NAME, PREFIX = 100, 155  # octets
_HEADER = struct.Struct("100s 8s 8s 8s 12s 12s 8s c 100s 8s 32s 32s 8s 8s 155s 12x")


def tar_octets(files: Iterable[Rendered]) -> bytes:
    """Return an archive of files and the folders that they stand in, sorted, of user 0 and group 0, and of time 0."""
    members = {file.path: _member(file.path, file.mode, file.octets) for file in files}
    members |= {folder: _member(folder, FOLDER_MODE, b"") for folder in parents(set(members))}
    return b"".join([*(members[path] for path in sorted(members)), bytes(2 * BLOCK)])


def tar_files(octets: bytes) -> list[Rendered]:
    """Return the regular files of an archive; raise ValueError when it is none. What else is in it is not looked at.

    A member that would be larger than the archive, as one with holes is, makes it none.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(octets), mode="r:") as archive:
            members = [member for member in archive if member.isreg()]
            if any(member.issparse() or member.size > len(octets) for member in members):
                raise ValueError
            found = [(member, archive.extractfile(member)) for member in members]
            return [Rendered(member.name, file.read(), member.mode) for member, file in found if file is not None]
    except (tarfile.TarError, EOFError, OSError):
        raise ValueError from None


def _member(path: str, mode: int, octets: bytes) -> bytes:
    prefix, name = _split(path)
    fields = [
        *(name.encode("ascii"), _octal(mode, 8), _octal(0, 8), _octal(0, 8), _octal(len(octets), 12), _octal(0, 12)),
        *(b" " * 8, b"5" if path.endswith("/") else b"0", b"", b"ustar\x0000", b"", b"", _octal(0, 8), _octal(0, 8)),
        prefix.encode("ascii"),
    ]
    fields[6] = _octal(sum(_HEADER.pack(*fields)), 7) + b" "
    return _HEADER.pack(*fields) + octets + bytes(-len(octets) % BLOCK)


def _octal(number: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, number)


def _split(path: str) -> tuple[str, str]:
    """Return a path's prefix and name: the name takes what it can."""
    if len(path) <= NAME:
        return "", path
    start = path.index("/", len(path) - NAME - 1, -1)
    if start > PREFIX:
        raise ValueError(path)
    return path[:start], path[start + 1 :]
