"""Replace an output folder, or one file, as a whole or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dockseal.errors import OutputError, UsageError
from dockseal.output.folder import entries, foreign, reason, refuse_foreign, refuse_other_than_folder
from dockseal.output.render import Rendered

FOLDER_MODE = 0o755


def replace_folder(output: Path, files: Iterable[Rendered], finish: Callable[[Path], None] | None = None) -> int:
    """Write all files into a new folder beside `output`, then put it in its place; return how many there are.

    The old folder stays until the new one stands. Files that dockseal did not write are never deleted. A run that was
    killed is cleaned up by the next one. `finish` is called with the new folder before that takes its place. Raises
    UsageError or OutputError; `output` is then as it was.
    """
    target = Path(os.path.abspath(output))  # noqa: PTH100 - links stay as they are
    if not target.name:
        raise UsageError(f"{output}: is the root folder; name another")
    refuse_other_than_folder(output)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.parent):
            return _replace(output, target, files, finish)
    except OSError as error:
        place = error.filename or output
        raise OutputError(f"{output}: cannot be written: {place}: {reason(error)}; it is as it was") from None


def replace_file(path: Path, octets: bytes) -> None:
    """Write a file anew beside `path`, then put it in its place; see replace_files."""
    replace_files({path: octets})


def replace_files(contents: Mapping[Path, bytes], mode: int | None = None) -> None:
    """Write files anew, each beside its path, then put all in their places: nothing is written through what has a name.

    A link is refused and not replaced: as root that would be /dev/stdout. `mode` (POSIX) is otherwise as the umask has
    it. Raises UsageError or OutputError; all are then as they were.
    """
    for path in contents:
        need_file(path)
    new = {path: path.with_name(f".{secrets.token_hex(8)}.dockseal-new") for path in contents}
    try:
        for path, octets in contents.items():
            with new[path].open("xb") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
                file.write(octets)
        for path in contents:
            new[path].replace(path)
    except BaseException as error:
        for file_name in new.values():
            with suppress(OSError):
                file_name.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"{path}: cannot be written: {reason(error)}; it is as it was") from None
        raise


def need_file(path: Path) -> None:
    """Raise UsageError where something else than a file has a name that is to be written."""
    if path.is_symlink():
        raise UsageError(f"{path}: is a symbolic link; name the file that it points to")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is not a regular file; name another")


def _replace(output: Path, target: Path, files: Iterable[Rendered], finish: Callable[[Path], None] | None) -> int:
    new = target.with_name(f".{target.name}.dockseal-new")
    old = target.with_name(f".{target.name}.dockseal-old")
    _recover(target, new, old)
    if target.exists():
        refuse_foreign(target, output)
    try:
        count = _fill(new, files)
        if finish is not None:
            finish(new)
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    except BaseException:
        _remove_unfinished(new)
        raise
    _remove(old)
    return count


def _recover(target: Path, new: Path, old: Path) -> None:
    """Finish what a killed run left: put the old folder back if no new one stands, then clean up."""
    _remove_unfinished(new)
    if not old.exists():
        return
    if not target.exists():
        old.rename(target)
        return
    if foreign(old):
        raise UsageError(f"{old}: left by an earlier run, holds files that dockseal did not write; move them away")
    _remove(old)


def _fill(folder: Path, files: Iterable[Rendered]) -> int:
    made: set[Path] = set()
    _make_folder(folder, made)
    count = 0
    for file in files:
        path = folder / file.path
        for parent in reversed(path.parents):
            if parent.is_relative_to(folder):
                _make_folder(parent, made)
        _write(path, file)
        count += 1
    return count


def _make_folder(path: Path, made: set[Path]) -> None:
    if path in made:
        return
    path.mkdir()
    path.chmod(FOLDER_MODE)
    made.add(path)


def _write(path: Path, file: Rendered) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, file.mode)
        stream.write(file.octets)


def _remove(folder: Path) -> None:
    """Remove a folder that held only dockseal's files; what came in meanwhile is kept, and named by the next run."""
    if folder.exists() and not foreign(folder):
        _remove_unfinished(folder)


def _remove_unfinished(folder: Path) -> None:
    """Remove a folder that only dockseal writes to, whatever it holds so far."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for name in reversed(entries(folder)):
        path = folder / name
        if name.endswith("/"):
            path.rmdir()
        else:
            path.unlink()
    folder.rmdir()


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that two runs do not swap at once (flock(2): it ends with the process)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
