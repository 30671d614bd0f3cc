"""`dockseal rehearse`: what a whole rehearsal finds, and that it notices what it should."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from dockseal.cli import main
from dockseal.lab import UPSTREAM, Lab
from dockseal.lab import rehearse as module
from dockseal.lab.rehearse import rehearse
from dockseal.output.render import template_folder

TOP = Path(__file__).resolve().parents[2]
# Without an image on the hosts there are no throwaway containers.
TWO_HOSTS = """
ca: {key: ec:P-256}
hosts:
  - {name: one.example, key: ec:P-256, probe_image: carried-later}
  - name: two.example
    key: ed25519
    ip_addresses: [192.0.2.2]
    listen: 192.0.2.2:2377
    connect: 192.0.2.2
    probe_image: carried-later
clients:
  - {name: client, key: ec:P-384}
"""
# The default site with keys that are made at once.
SMALL_KEYS = """
ca: {key: ec:P-256}
hosts:
  - name: localhost
    ip_addresses: [127.0.0.1]
    listen: 127.0.0.1:2376
    key: ec:P-256
    networks: [{name: isolated, icc: false}]
clients:
  - {name: client, key: ec:P-256, hosts: [localhost]}
"""
# The smallest site.
PLAIN = "hosts: [{name: plain.example, mode: plain}]\n"


@pytest.fixture(autouse=True)
def engine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rehearse on the engine of the test run."""
    monkeypatch.setenv("DOCKER_HOST", lab.engine.address)


# The story of site.yaml is on all releases in test_setup.py, that of examples/split.yaml in test_split_site.py, and
# the documented commands of examples/document.yaml in test_documented_commands.py.
@pytest.mark.parametrize("release", ["bookworm"])
@pytest.mark.parametrize("site", ["site.yaml", "examples/document.yaml"])
def test_a_site_of_the_project_holds(site: str, release: str, tmp_path: Path) -> None:
    words = ["rehearse", str(TOP / site), "--release", release, "--results", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["problems"] == []
    assert {control["result"] for control in found["controls"]} <= {"PASS", "SKIP"}
    assert {"TLS-1", "TLS-2", "TLS-3", "TLS-4"} <= {control["id"] for control in found["controls"]}
    assert "Passphrase for the CA key: \n" in (tmp_path / "transcript.txt").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(SMALL_KEYS, {"DAEMON-1", "TLS-1", "FILE-4", "ICC-3"}, id="mutual"),
        # Nothing in it makes /etc/docker, and upstream's packages do not either.
        pytest.param(PLAIN.replace("plain}", "plain, probe_image: carried-later}"), {"DAEMON-1"}, id="plain"),
    ],
)
def test_a_site_holds_with_upstreams_units_and_paths(text: str, shown: set[str], tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(text)
    found, _ = rehearse(site, UPSTREAM, lambda message: None)
    assert found.problems == []
    assert found.good
    assert shown <= {one.id for one in found.controls if one.result == "PASS"}
    assert any("argv  /usr/bin/dockerd -H fd://" in change for stage in found.stages for change in stage.changes)


def test_two_hosts_are_set_up_with_files_carried_between_machines(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(TWO_HOSTS)
    said: list[str] = []
    found, _ = rehearse(site, "bookworm", said.append)
    assert found.problems == []
    assert found.good
    assert {control.machine for control in found.controls} == {"one.example", "two.example", "client-client"}
    keys = {change for stage in found.stages for change in stage.changes if "ca-private.pem" in change}
    assert {stage.machine for stage in found.stages if keys & set(stage.changes)} == {"ca"}


def test_a_script_that_leaves_something_behind_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(template_folder(), templates)
    script = templates / "verify-plain-host.sh"
    outside = "if ! is_confined; then\n"
    text = script.read_text()
    assert text.count(outside) == 1
    script.write_text(text.replace(outside, f'{outside}  date "+%s%N" >/etc/stray\n'))
    monkeypatch.setattr(module, "template_folder", lambda: templates)
    site = tmp_path / "site.yaml"
    site.write_text(PLAIN)
    found, _ = rehearse(site, "bookworm", lambda message: None)
    assert not found.good
    stages = {problem.split(": ")[1] for problem in found.problems if "/etc/stray" in problem}
    assert stages == {"check before", "verify hosts/plain.example", "setup again", "check after", "undo"}
