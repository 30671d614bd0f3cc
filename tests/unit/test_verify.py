"""Facts about checking a handed-over folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from dockseal.errors import UsageError
from dockseal.output.manifest import LIBRARY
from dockseal.output.render import library_of
from dockseal.output.verify import FolderError, verify_folder
from tests.sites import ONE_HOST, TEMPLATES, render

CA = "ca/10-create-ca.sh"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(ONE_HOST, tmp_path_factory.mktemp("verify") / "out")


@pytest.fixture
def folder(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "out"))


def complaint(folder: Path) -> str:
    with pytest.raises(FolderError) as refused:
        verify_folder(folder)
    assert refused.value.exit_status == 4
    return str(refused.value).replace(f"{folder}: ", "")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_fresh_folder_holds(folder: Path) -> None:
    found = verify_folder(folder)
    assert (found.files, found.scripts) == (15 + len(list((TEMPLATES / LIBRARY).iterdir())), 12)
    assert found.digest == sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()


def test_a_changed_script_is_named(folder: Path) -> None:
    with (folder / CA).open("a") as file:
        file.write("rm -rf /\n")
    lines = complaint(folder).splitlines()
    assert [line.split(" is ")[0] for line in lines] == [
        f"{CA}: was changed: sha256",
        f"{CA}: sha256",
        f"{CA}: sha256 of the body",
    ]


def test_a_changed_text_is_named(folder: Path) -> None:
    (folder / "README.md").write_text("run something else\n")
    assert complaint(folder).startswith("README.md: was changed: sha256 is ")


def test_a_library_that_is_another_one_is_named(folder: Path) -> None:
    """Its sums are right, and so is the list of files."""
    (folder / LIBRARY / "change.sh").write_text("true\n")
    sums = folder / "SHA256SUMS"
    new = sha256(b"true\n").hexdigest()
    sums.write_text(re.sub(r"^[0-9a-f]{64}(?=  lib/change.sh$)", new, sums.read_text(), flags=re.MULTILINE))
    assert complaint(folder).startswith("lib/: sha256 is ")


def test_the_digest_of_the_library_is_what_the_manual_says(folder: Path) -> None:
    command = "LC_ALL=C; sha256sum lib/* | sha256sum"
    printed = subprocess.run(["bash", "-c", command], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert command in (folder / "README.md").read_text()
    assert printed.split()[0] == verify_folder(folder).library == library_of(TEMPLATES)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / CA).unlink()
    assert complaint(folder) == f"{CA}: is missing; get the folder again"


def test_an_extra_file_is_named(folder: Path) -> None:
    (folder / "hosts" / "extra.sh").touch()
    assert complaint(folder) == "hosts/extra.sh: is not listed in SHA256SUMS; remove it or ask the sender"


def test_a_link_is_not_followed(folder: Path, fresh: Path) -> None:
    (folder / CA).unlink()
    (folder / CA).symlink_to(fresh / CA)
    assert complaint(folder) == f"{CA}: is not a plain file; get the folder again"


def test_sums_that_leave_a_file_out_are_named(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join(line for line in lines if CA not in line))
    assert complaint(folder) == (
        f"{CA}: is not listed in SHA256SUMS; remove it or ask the sender\n"
        f"{CA}: only one of SHA256SUMS and manifest.json lists it"
    )


def test_a_line_of_the_sums_that_leads_out_of_the_folder_is_named(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join([*lines, f"{'0' * 64}  ../x\n"]))
    number = len(lines) + 1
    assert complaint(folder) == f"SHA256SUMS:{number}: is not 'DIGEST  PATH' of one more file of this folder"


def test_a_body_that_is_not_its_template_s_is_named(folder: Path) -> None:
    data = json.loads((folder / "manifest.json").read_text())
    one, other = (data["scripts"][number] for number in (1, 2))
    found, said = (data["templates"][script["template"]]["body_sha256"] for script in (other, one))
    other["template"] = one["template"]
    (folder / "manifest.json").write_text(json.dumps(data))
    digest = sha256((folder / "manifest.json").read_bytes()).hexdigest()
    sums = folder / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith("manifest.json")]
    sums.write_text("\n".join([*kept, f"{digest}  manifest.json"]) + "\n")
    assert complaint(folder) == f"{other['path']}: sha256 of the body is {found}, manifest.json says {said}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "{",
        lambda text: "[]",
        lambda text: '{"format": 4}',
        lambda text: text.replace('"templates"', '"x"'),
        lambda text: text.replace('"body_sha256"', '"x"'),
        lambda text: "[" * 100_000,
    ],
)
def test_a_broken_manifest_is_refused(folder: Path, spoil: Callable[[str], str]) -> None:
    path = folder / "manifest.json"
    path.write_text(spoil(path.read_text()))
    assert complaint(folder) == "manifest.json is not a manifest of dockseal; get the folder again"


def test_a_manifest_of_another_format_is_refused(folder: Path) -> None:
    replace(folder / "manifest.json", '"format": 4', '"format": 5')
    assert complaint(folder) == "manifest.json has format 5, expected 4; use the sender's dockseal"


def test_what_is_no_rendered_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SHA256SUMS: cannot be read: No such file or directory; name a rendered"):
        verify_folder(tmp_path)
