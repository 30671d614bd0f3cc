"""The reviewer's page of a rendered folder: what it does, on one page, and what has changed since an older one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dockseal.errors import UsageError
from dockseal.output.review.bundle import read_bundle
from dockseal.output.review.checklist import checklist
from dockseal.output.review.facts import read_site
from dockseal.output.review.json_text import json_text
from dockseal.output.review.page import page_octets
from dockseal.output.review.since import compare
from dockseal.output.write import replace_file


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make of a folder: the page and the checklist, each where it is to be, and JSON on standard output."""

    page: Path | None
    checklist: Path | None
    json: bool


def make_review(folder: Path, older: Path | None, wanted: Wanted) -> Iterator[str]:
    """Verify the folders, write the files that are wanted, and yield what is to be printed.

    Everything is made before anything is written. Raises FolderError where a file is not what the manifest says, and
    UsageError for a folder that is no rendering, or a file that would lie in one.
    """
    for path in (wanted.page, wanted.checklist):
        if path:
            _refuse_inside(path, folder, older)
    site = read_site(read_bundle(folder))
    since = compare(read_site(read_bundle(older)), site) if older else None
    page = page_octets(site, since) if wanted.page else b""
    for path, octets in ((wanted.page, page), (wanted.checklist, checklist(site, since).encode("utf-8"))):
        if path:
            replace_file(path, octets)
    if wanted.json:
        yield json_text(site, since)
        return
    yield from (f"{path}: written" for path in (wanted.page, wanted.checklist) if path)


def _refuse_inside(path: Path, *folders: Path | None) -> None:
    """Raise UsageError for a file in a rendered folder: setup.sh and `verify` would refuse the folder then."""
    for folder in folders:
        if folder and path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                f"{path}: lies in {folder}, which may hold nothing but what was rendered; name another place"
            )
