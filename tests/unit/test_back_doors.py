"""Each back door is found: as it is, and after whoever planted it has made the sums and the manifest anew."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from dockseal.errors import DocksealError
from dockseal.output.compare import differences
from dockseal.output.render import Rendered, library_of, render_plan
from dockseal.output.review import facts
from dockseal.output.review.bundle import read_bundle
from dockseal.output.review.since import LOADS_OTHER, UNCHANGED, compare
from dockseal.output.verify import FolderError, verify_folder
from dockseal.output.write import replace_folder
from dockseal.plan.planner import make_plan
from dockseal.site.read import read_site
from tests.back_doors import BACK_DOORS, BackDoor, plant, seal, table
from tests.lint.syntax import commands, direct_changes, functions, tree
from tests.lint.test_scripts import BUILTINS, PROGRAMS, RUNNERS
from tests.lint.test_verbs import CHANGERS, NAMED, TEMPORARY, VERBS
from tests.sites import ROOT, TEMPLATES

# check_sums as it stands in the folder, called as set_up calls it: every step is chosen.
CHECK_SUMS = """
set -Eeuo pipefail; shopt -s inherit_errexit; export LC_ALL=C
home=$1; lib=$1/lib; script=setup.sh; party_rows=(ca); chosen=("${@:2}")
. "${home}/lib/common.sh"; . "${home}/lib/setup.sh"; check_sums
"""


@pytest.fixture(scope="module")
def files() -> list[Rendered]:
    return [*render_plan(make_plan(read_site(ROOT / "site.yaml")), TEMPLATES)]


@pytest.fixture(scope="module")
def fresh(files: list[Rendered], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("back-doors") / "out"
    replace_folder(folder, files)
    return folder


@pytest.fixture
def folder(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "out"))


def is_refused_by_verify(folder: Path) -> bool:
    try:
        verify_folder(folder)
    except FolderError:
        return True
    return False


def is_stale(folder: Path, files: list[Rendered]) -> bool:
    """Tell what `render --check` says; a file that the manifest does not list is an error."""
    try:
        return bool([*differences(folder, files)])
    except DocksealError:
        return True


def is_refused_by_sums(folder: Path) -> bool:
    argv = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(argv, cwd=folder, capture_output=True, check=False).returncode != 0


def is_refused_by_setup(folder: Path) -> bool:
    steps = re.findall(r"^  '(\S+\.sh) .* : ", (folder / "setup.sh").read_text(), re.MULTILINE)
    argv = ["bash", "-c", CHECK_SUMS, "check_sums", str(folder), *steps]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr
    return done.returncode == 2


def is_another_library(folder: Path) -> bool:
    """Compare what the folder's own files give with what `dockseal library` prints."""
    line = "LC_ALL=C; sha256sum lib/* | sha256sum"
    printed = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=True).stdout
    return printed.split()[0] != library_of(TEMPLATES)


def is_shown_by_review(folder: Path, fresh: Path) -> bool:
    """Look into `review --since` of what was rendered; it reads no folder that `verify` refuses."""
    try:
        since = compare(*(facts.read_site(read_bundle(one)) for one in (fresh, folder)))
    except FolderError:
        return False
    states = {path for path, state in since.states.items() if state not in (UNCHANGED, LOADS_OTHER)}
    return bool(states or since.library or since.others)


@cache
def known_functions() -> frozenset[str]:
    texts = [path.read_text() for path in TEMPLATES.rglob("*.sh")]
    return frozenset().union(*(functions(tree(text)) for text in texts))


def has_findings(text: str, name: str) -> bool:
    """Do what tests/lint does with a script: commands of the list alone, changes by the verbs alone, and no eval."""
    root = tree(text)
    allowed = PROGRAMS | BUILTINS | RUNNERS | known_functions()
    listed = VERBS.get(name, set()) | NAMED.get(name, set()) | TEMPORARY.get(name, set())
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return bool(
        {command for command, _ in commands(root)} - allowed
        or set(direct_changes(root, CHANGERS)) - listed
        or re.search(r"\b(eval|curl|wget|base64|source)\b", code)
    )


def lint_finds(door: BackDoor, folder: Path) -> bool:
    """Look at the scripts that have the back door: the others are as they were."""
    names = {path for path, old, _ in door.changes if path.endswith(".sh") and old}
    return any(has_findings((folder / name).read_text(), re.sub(r".*/(\d\d-)?", "", name)) for name in names)


# ---- The back doors ---------------------------------------------------------


@pytest.mark.parametrize("door", BACK_DOORS, ids=lambda door: door.name)
def test_a_back_door_that_was_only_planted_is_found(door: BackDoor, folder: Path, files: list[Rendered]) -> None:
    plant(door, folder)
    assert is_refused_by_verify(folder)
    assert is_stale(folder, files)
    means = {"sha256sum": is_refused_by_sums, "setup.sh": is_refused_by_setup}
    assert {name for name, finds in means.items() if finds(folder)} == door.plain


@pytest.mark.parametrize("door", BACK_DOORS, ids=lambda door: door.name)
def test_a_back_door_whose_sums_were_made_anew_is_found(
    door: BackDoor, folder: Path, fresh: Path, files: list[Rendered]
) -> None:
    """The folder vouches for itself then: what finds it comes from elsewhere."""
    plant(door, folder)
    seal(folder, door.left_out)
    assert not is_refused_by_sums(folder)
    assert is_refused_by_setup(folder) == bool(door.left_out)
    assert is_stale(folder, files)
    assert is_shown_by_review(folder, fresh) == ("verify" not in door.sealed)
    means = {
        "verify": is_refused_by_verify(folder),
        "library": is_another_library(folder),
        "lint": lint_finds(door, folder),
    }
    assert {name for name, finds in means.items() if finds} == door.sealed


def test_the_control_no_means_finds_anything_in_what_was_rendered(folder: Path, fresh: Path) -> None:
    for sealed in (False, True):
        if sealed:
            seal(folder)
        assert not is_refused_by_verify(folder)
        assert not is_refused_by_sums(folder)
        assert not is_refused_by_setup(folder)
        assert not is_another_library(folder)
        assert not is_shown_by_review(folder, fresh)
        for path in folder.rglob("*.sh"):
            assert not has_findings(path.read_text(), re.sub(r"^\d\d-", "", path.name)), path


def test_a_back_door_that_replaces_nothing_is_no_test(folder: Path) -> None:
    with pytest.raises(AssertionError, match="has no 'not there'"):
        plant(BackDoor("none", (("setup.sh", "not there", "x"),), frozenset()), folder)


# ---- What is said of them ---------------------------------------------------


def test_there_are_many_and_each_is_another_one() -> None:
    assert (
        len({door.name for door in BACK_DOORS}) == len({door.changes for door in BACK_DOORS}) == len(BACK_DOORS) >= 20
    )


def test_the_document_has_the_table() -> None:
    assert "\n".join(table()) in (ROOT / "docs/back-doors.md").read_text()


def searches() -> list[str]:
    """Return the commands with which docs/reviewing.md looks for what changes something."""
    part = (ROOT / "docs/reviewing.md").read_text().partition("\n## 3. ")[2].partition("\n## ")[0]
    return re.findall(r"^    (grep .*?)(?: {3,}#.*)?$", part, re.MULTILINE)


def found_by(search: str, folder: Path) -> set[str]:
    """Return the text of each line that a search prints, without its number."""
    done = subprocess.run(["bash", "-c", search], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {re.sub(r":\d+:", ":", line) for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "a key is copied elsewhere, and it is printed"),
        (1, "a key is copied elsewhere"),
        (1, "something is removed outside of the verbs"),
        (2, "the passphrase is logged"),
        (3, "something is downloaded"),
        (3, "a text of another's is executed"),
        (4, "containers are privileged"),
        (4, "everybody may use docker.sock"),
        (5, "the passphrase is logged by a verb"),
    ],
)
def test_the_reviewer_s_search_shows_a_back_door(number: int, name: str, fresh: Path, folder: Path) -> None:
    (door,) = (door for door in BACK_DOORS if door.name == name)
    plant(door, folder)
    search = searches()[number]
    assert found_by(search, folder) - found_by(search, fresh) != set()


def test_the_reviewer_s_searches_are_all_there() -> None:
    assert len(searches()) == 6


@pytest.mark.parametrize("name", sorted({door.seen for door in BACK_DOORS if door.seen}))
def test_a_test_that_is_named_is_there(name: str) -> None:
    file, _, test = name.partition("::")
    root = ast.parse((ROOT / "tests" / file).read_text())
    assert test in {node.name for node in ast.walk(root) if isinstance(node, ast.FunctionDef)}
