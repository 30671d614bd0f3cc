"""Compare an output folder with a fresh rendering, without writing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import unified_diff
from pathlib import Path

from dockseal.errors import OutputError, printable
from dockseal.output.folder import entries, reason, refuse_foreign, refuse_other_than_folder
from dockseal.output.render import Rendered
from dockseal.output.signature import SIGNATURE


def differences(output: Path, files: Iterable[Rendered]) -> Iterator[str]:
    """Yield a unified diff from `output` to `files`, line by line; nothing when they are the same.

    Of the modes only the owner's execute bit counts: it is what git and tar keep whatever the umask. A signature is of
    the same files then, and is no difference. Raises UsageError
    when the folder holds something that dockseal did not write.
    """
    refuse_other_than_folder(output)
    present: set[str] = set()
    if output.exists():
        refuse_foreign(output, output)
        present = {name for name in entries(output) if not name.endswith(("/", SIGNATURE))}
    for file in files:
        if file.path in present:
            present.discard(file.path)
            yield from _changed(output / file.path, file)
        else:
            yield from _diff("/dev/null", b"", str(output / file.path), file.octets)
    for name in sorted(present):
        path = output / name
        yield from _diff(str(path), _read(path), "/dev/null", b"")


def _changed(path: Path, file: Rendered) -> Iterator[str]:
    octets = _read(path)
    if octets != file.octets:
        yield from _diff(str(path), octets, str(path), file.octets)
    executable = bool(path.stat().st_mode & 0o100)
    if executable != bool(file.mode & 0o100):
        yield f"{path}: mode {'0755' if executable else '0644'}, should be {file.mode:04o}"


def _diff(old_name: str, old: bytes, new_name: str, new: bytes) -> Iterator[str]:
    for line in unified_diff(_lines(old), _lines(new), old_name, new_name, lineterm=""):
        yield printable(line)


def _lines(octets: bytes) -> list[str]:
    return octets.decode("ascii", "backslashreplace").splitlines()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {reason(error)}") from None
