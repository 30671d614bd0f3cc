"""Look into an output folder: which files are there, and which of them are dockseal's."""

from __future__ import annotations

import json
import os
from pathlib import Path

from dockseal.errors import OutputError, UsageError, printable
from dockseal.output.manifest import MANIFEST
from dockseal.output.signature import SIGNATURE, is_own

SHOWN_FOREIGN = 5


def reason(error: OSError) -> str:
    """Return the operating system's words for an error."""
    return error.strerror or str(error)


def entries(folder: Path) -> list[str]:
    """Return everything in a folder, sorted, as relative paths; folders end in '/'.

    Symbolic links are not followed. Raises OutputError when a folder cannot be read.
    """
    found: list[str] = []

    def walk(here: str, prefix: str) -> None:
        with os.scandir(here) as items:
            for item in sorted(items, key=lambda entry: entry.name):
                if item.is_dir(follow_symlinks=False):
                    found.append(f"{prefix}{item.name}/")
                    walk(item.path, f"{prefix}{item.name}/")
                else:
                    found.append(f"{prefix}{item.name}")

    try:
        walk(str(folder), "")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read: {reason(error)}") from None
    return found


def listed(folder: Path) -> set[str]:
    """Return the files that a folder's manifest lists, with the folders that they stand in.

    An absent or foreign manifest lists nothing.
    """
    try:
        data = json.loads((folder / MANIFEST).read_bytes())
        files = data["files"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return set()
    names = {name for name in files if isinstance(name, str)} if isinstance(files, list) else set()
    return names | parents(names)


def parents(files: set[str]) -> set[str]:
    """Return the folders, each with a trailing '/', that hold some files."""
    found: set[str] = set()
    for name in files:
        parts = name.split("/")[:-1]
        found.update("/".join(parts[:end]) + "/" for end in range(1, len(parts) + 1))
    return found


def foreign(folder: Path) -> list[str]:
    """Return what stands in a folder and not in its manifest; links and special files never count as ours.

    A signature that dockseal made of a listed file counts as ours.
    """
    ours = listed(folder)
    known = (name for name in entries(folder) if name in ours or is_signature(folder, name, ours))
    plain = {name for name in known if _is_plain(folder / name)}
    return [name for name in entries(folder) if name not in plain]


def is_signature(folder: Path, name: str, files: set[str]) -> bool:
    """Tell whether an entry of a folder is a plain file with dockseal's signature of one of some files."""
    path = folder / name
    if not name.endswith(SIGNATURE) or name.removesuffix(SIGNATURE) not in files or path.is_symlink():
        return False
    return path.is_file() and is_own(path.read_bytes())


def refuse_foreign(folder: Path, shown: Path) -> None:
    """Raise UsageError when a folder holds something that dockseal did not write; `shown` is its name in messages."""
    names = foreign(folder)
    if not names:
        return
    named = ", ".join(printable(name) for name in names[:SHOWN_FOREIGN])
    more = f" and {len(names) - SHOWN_FOREIGN} more" if len(names) > SHOWN_FOREIGN else ""
    raise UsageError(
        f"{shown}: {named}{more}: not written by dockseal; move it away, or name another folder (nothing was changed)"
    )


def refuse_other_than_folder(path: Path) -> None:
    """Raise UsageError when a path exists and is no plain folder."""
    if path.is_symlink():
        raise UsageError(f"{path}: is a symbolic link; name the folder that it points to")
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; name a folder")


def _is_plain(path: Path) -> bool:
    return not path.is_symlink() and (path.is_file() or path.is_dir())
