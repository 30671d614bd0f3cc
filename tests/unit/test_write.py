"""Facts about replacing an output folder: as a whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockseal.errors import OutputError, UsageError
from dockseal.output import write
from dockseal.output.render import Rendered
from dockseal.output.write import replace_folder

MANIFEST = b'{"files": ["manifest.json", "a/b.sh", "c"]}'


def files(text: str) -> list[Rendered]:
    return [
        Rendered("a/b.sh", text.encode(), 0o755),
        Rendered("c", b"c\n", 0o644),
        Rendered("manifest.json", MANIFEST, 0o644),
    ]


def tree(folder: Path) -> dict[str, str | int]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else path.stat().st_mode & 0o777
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    assert replace_folder(folder, files("old\n")) == 3
    return folder


def alone(out: Path) -> bool:
    return [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_modes_are_the_same_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    previous = os.umask(mask)
    try:
        replace_folder(tmp_path / "out", files("x"))
    finally:
        os.umask(previous)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "out").rglob("*")}
    assert modes == {"a": 0o755, "b.sh": 0o755, "c": 0o644, "manifest.json": 0o644}
    assert (tmp_path / "out").stat().st_mode & 0o7777 == 0o755


def test_the_new_folder_takes_the_place_of_the_old_one(out: Path) -> None:
    replace_folder(out, [Rendered("a/b.sh", b"new\n", 0o755)])
    assert tree(out) == {"a": 0o755, "a/b.sh": "new\n"}
    assert alone(out)


def test_parents_are_made(tmp_path: Path) -> None:
    replace_folder(tmp_path / "x" / "y" / "out", files("x"))
    assert (tmp_path / "x" / "y" / "out" / "c").is_file()


@pytest.mark.parametrize("name", ["foreign", "a/foreign", "empty/", "d/e/f"])
def test_a_foreign_file_is_named_and_nothing_is_changed(out: Path, name: str) -> None:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
    else:
        path.write_text("mine\n")
    before = tree(out)
    with pytest.raises(UsageError) as refused:
        replace_folder(out, files("new\n"))
    named = "d/, d/e/, d/e/f" if name == "d/e/f" else name
    assert str(refused.value) == (
        f"{out}: {named}: not written by dockseal; move it away, or name another folder (nothing was changed)"
    )
    assert tree(out) == before
    assert alone(out)


def test_many_foreign_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for number in range(7):
        (tmp_path / "out" / f"f{number}").touch()
    with pytest.raises(UsageError, match=r"out: f0, f1, f2, f3, f4 and 2 more: not written by dockseal;"):
        replace_folder(tmp_path / "out", files("x"))


def test_a_link_in_the_place_of_a_file_is_foreign(out: Path) -> None:
    (out / "c").unlink()
    (out / "c").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="out: c: not written by dockseal"):
        replace_folder(out, files("x"))


def test_a_folder_without_a_manifest_is_foreign(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").touch()
    with pytest.raises(UsageError, match="out: notes: not written by dockseal"):
        replace_folder(tmp_path / "out", files("x"))


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b'{"files": 1}', b"\xff", b"[" * 100_000, b'{"files": [1]}'])
def test_a_broken_manifest_lists_nothing(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_bytes(manifest)
    with pytest.raises(UsageError, match="out: manifest.json: not written by dockseal"):
        replace_folder(tmp_path / "out", files("x"))


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert replace_folder(tmp_path / "out", files("x")) == 3


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="out: is a file; name a folder$"):
        replace_folder(tmp_path / "out", files("x"))


def test_a_symbolic_link_is_refused(out: Path) -> None:
    link = out.parent / "link"
    link.symlink_to(out)
    with pytest.raises(UsageError, match="link: is a symbolic link; name the folder that it points to$"):
        replace_folder(link, files("x"))


def test_the_root_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="^/: is the root folder; name another$"):
        replace_folder(Path("/"), files("x"))


def test_a_failure_while_rendering_keeps_the_old_folder(out: Path) -> None:
    def broken() -> Iterator[Rendered]:
        yield from files("new\n")
        raise KeyboardInterrupt

    before = tree(out)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(out, broken())
    assert tree(out) == before
    assert alone(out)


def test_a_full_disk_keeps_the_old_folder(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, mode: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "c")

    before = tree(out)
    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OutputError, match="out: cannot be written: c: No space left on device; it is as it was$"):
        replace_folder(out, files("new\n"))
    assert tree(out) == before
    assert alone(out)


def test_a_rename_that_fails_puts_the_old_folder_back(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith("-new"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return rename(self, target)

    before = tree(out)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Input/output error; it is as it was$"):
        replace_folder(out, files("new\n"))
    assert tree(out) == before
    assert alone(out)


def test_a_run_killed_between_the_renames_is_finished_by_the_next(out: Path) -> None:
    out.rename(out.with_name(".out.dockseal-old"))
    (out.parent / ".out.dockseal-new" / "a").mkdir(parents=True)
    replace_folder(out, files("new\n"))
    assert (out / "a" / "b.sh").read_text() == "new\n"
    assert alone(out)


def test_the_old_folder_comes_back_when_the_next_run_fails_too(out: Path) -> None:
    before = tree(out)
    out.rename(out.with_name(".out.dockseal-old"))
    with pytest.raises(ZeroDivisionError):
        replace_folder(out, (Rendered(str(1 // 0), b"", 0) for _ in "x"))
    assert tree(out) == before


def test_what_came_in_while_the_folder_was_swapped_is_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = write._fill

    def fill_and_add(folder: Path, rendered: list[Rendered]) -> int:
        count = fill(folder, rendered)
        (out / "late").write_text("mine\n")
        return count

    monkeypatch.setattr(write, "_fill", fill_and_add)
    replace_folder(out, files("new\n"))
    kept = out.with_name(".out.dockseal-old")
    assert (kept / "late").read_text() == "mine\n"
    monkeypatch.undo()
    with pytest.raises(UsageError, match="dockseal-old: left by an earlier run, holds files that dockseal did not"):
        replace_folder(out, files("newer\n"))
    assert (kept / "late").exists()


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(OutputError, match="cannot be written: .*; it is as it was$"):
        replace_folder(tmp_path / "x" / "out", files("x"))
