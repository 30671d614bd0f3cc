"""Facts about what the scripts leave in the working folder: what the manifest says, no more and no less."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.sites import render

SITE = """\
ca: {key: ed25519}
hosts:
  - {name: docker.example.com, key: ec:P-256}
clients:
  - {name: admin, key: ed25519}
"""
# A log of refused requests, and a report that is asked for.
ON_OCCASION = {"ca/refused.txt"}


def test_the_certificate_steps_leave_the_files_that_the_manifest_says(tmp_path: Path) -> None:
    out = render(SITE, tmp_path / "out")
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse battery staple\n")
    declared: dict[str, str] = {}
    manifest = json.loads((out / "manifest.json").read_text())
    for entry in (script | manifest["templates"][script["template"]] for script in manifest["scripts"]):
        if entry["needs_root"] or entry["on_demand"] or entry["party"] == "all" or "configure" in entry["template"]:
            continue
        if not entry["path"].endswith(("50-show-tls-modes.sh", "90-verify.sh")):
            words = ["--passphrase-file", passphrase] if entry["needs"] == "passphrase" else []
            argv = ["bash", out / entry["path"], "--dir", tmp_path / "docker-tls", *words]
            subprocess.run(argv, check=True, capture_output=True)
        declared |= {file["path"]: file["mode"] for file in entry["effects"].get("files", ())}
        for path in entry["effects"].get("removes", ()):
            declared.pop(path, None)
    work = tmp_path / "docker-tls"
    found = {
        str(path.relative_to(work)): f"{path.stat().st_mode & 0o7777:04o}" for path in work.rglob("*") if path.is_file()
    }
    assert found == {
        path: mode for path, mode in declared.items() if path not in ON_OCCASION and "/renewal/" not in path
    }


def test_a_request_is_signed_unattended_while_another_is_waited_for(tmp_path: Path) -> None:
    two = SITE.replace("clients:", "  - {name: second.example.com, key: ec:P-256}\nclients:")
    out = render(two, tmp_path / "out")
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse battery staple\n")
    work = ["--dir", tmp_path / "docker-tls"]
    sign = [out / "setup.sh", "--as", "ca", "--passphrase-file", passphrase, *work]
    request = [out / "hosts/second.example.com/10-request-certificate.sh", *work]
    for words, status in ((sign, 5), (request, 0), (sign, 5)):
        argv = ["bash", *map(str, words)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == status, done.stderr
    assert "waiting for the request of docker.example.com" in done.stderr
    assert (tmp_path / "docker-tls/hosts/second.example.com/certificate.pem").exists()
    assert not (tmp_path / "docker-tls/hosts/docker.example.com").exists()
