"""Facts about manifest.json and SHA256SUMS."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from dockseal.errors import TemplateError
from dockseal.output.manifest import body_of
from tests.sites import ONE_HOST, render, scripts

FOLDER = "hosts/docker.example.com"
MARK = b"# ==== Below this line every site has the same bytes ====\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(ONE_HOST + "clients:\n  - name: admin\n", tmp_path_factory.mktemp("manifest") / "out")


def manifest(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    return found


def entries(folder: Path) -> list[dict[str, object]]:
    found = manifest(folder)["scripts"]
    assert isinstance(found, list)
    return found


def test_sha256sum_accepts_the_sums(folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_the_sums_list_every_file_but_themselves(folder: Path) -> None:
    listed = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert listed == present - {"SHA256SUMS"}


def test_the_manifest_lists_every_file(folder: Path) -> None:
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(manifest(folder)["files"]) == present  # type: ignore[call-overload]


def test_the_digest_of_a_body_is_what_sed_and_sha256sum_print(folder: Path) -> None:
    templates = manifest(folder)["templates"]
    assert isinstance(templates, dict)
    for entry in entries(folder):
        argv = ["sed", "1,/^# ==== Below this line/d", str(entry["path"])]
        body = subprocess.run(argv, cwd=folder, check=True, capture_output=True).stdout
        assert templates[str(entry["template"])]["body_sha256"] == sha256(body).hexdigest()


def test_every_script_has_its_effects(folder: Path) -> None:
    assert {entry["path"] for entry in entries(folder)} == {str(path.relative_to(folder)) for path in scripts(folder)}
    daemon = next(entry for entry in entries(folder) if entry["template"] == "configure-daemon.sh")
    effects = daemon["effects"]
    assert isinstance(effects, dict)
    files = {file["path"]: (file["owner"], file["mode"]) for file in effects.pop("files")}
    assert files == {
        "/etc/docker/tls": ("root:root", "link"),
        "/etc/docker/tls-DIGEST/ca-public.pem": ("root:root", "0444"),
        "/etc/docker/tls-DIGEST/certificate.pem": ("root:root", "0444"),
        "/etc/docker/tls-DIGEST/server-key.pem": ("root:root", "0400"),
        **{
            f"{FOLDER}/{place}{name}": ("operator", mode)
            for place in ("", "previous/")
            for name, mode in (("server-key.pem", "0600"), ("certificate.pem", "0644"))
        },
        "/etc/systemd/system/docker.service.d/override.conf": ("root:root", "0644"),
        "/run/dockseal.lock": ("root:root", "0600"),
    }
    renewal = ("server-key.pem", "certificate.pem", "request.csr", "extfile.cnf")
    assert effects == {
        "units": ["docker.service", "docker.socket"],
        "commands": ["systemctl daemon-reload", "systemctl restart docker.socket", "systemctl start docker.service"],
        "removes": [
            f"{FOLDER}/request.csr",
            f"{FOLDER}/extfile.cnf",
            *(f"{FOLDER}/renewal/{name}" for name in renewal),
        ],
        "temporary": ["/etc/docker/tls.previous/", "/run/dockseal-confined.RANDOM/"],
    }


def test_a_body_starts_below_its_line() -> None:
    assert body_of("x", b"a\n" + MARK + b"b\nc\n") == b"b\nc\n"


@pytest.mark.parametrize("octets", [b"a\n", b"a\n" + MARK + b"b\n" + MARK])
def test_a_script_has_one_line_above_its_body(octets: bytes) -> None:
    with pytest.raises(TemplateError, match="^x: not exactly one line starts with"):
        body_of("x", octets)
