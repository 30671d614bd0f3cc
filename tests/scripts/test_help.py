"""--help prints the comment at the top of a script, whole: it is the manual, with this site's paths."""

from __future__ import annotations

import subprocess
from itertools import takewhile
from pathlib import Path

import pytest

from tests.sites import ROOT, render, scripts

SCRIPTS = [str(path.relative_to(ROOT / "out")) for path in scripts(ROOT / "out")]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of the default site."""
    return render((ROOT / "site.yaml").read_text(), tmp_path_factory.mktemp("rendered") / "out")


def help_of(script: Path) -> str:
    """Return what --help prints; it must say nothing else."""
    done = subprocess.run(
        ["bash", script, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_the_whole_comment_at_the_top(out: Path, name: str) -> None:
    script = out / name
    header = list(takewhile(lambda line: line.startswith("#"), script.read_text().splitlines()))[1:]
    assert len(header) > 5
    assert help_of(script).splitlines() == [line[1:] for line in header]


def test_every_script_is_asked(out: Path) -> None:
    assert [str(path.relative_to(out)) for path in scripts(out)] == SCRIPTS


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("ca/10-create-ca.sh", ("ca-private.pem", "ca-public.pem", "ledger.txt")),
        ("ca/20-sign-servers.sh", ("DIR/hosts/localhost/", "certificate.pem")),
        ("hosts/localhost/10-request-certificate.sh", ("DIR/hosts/localhost/", "server-key.pem", "request.csr")),
        (
            "hosts/localhost/20-configure-daemon.sh",
            ("/etc/docker/tls", "/etc/systemd/system/docker.service.d/override.conf"),
        ),
        ("clients/client/20-configure-client.sh", ("~/.docker/", "cert.pem", "DIR/clients/client/")),
    ],
)
def test_help_has_the_site_s_paths(out: Path, name: str, paths: tuple[str, ...]) -> None:
    """The control is the test below."""
    for path in paths:
        assert path in help_of(out / name)


def test_help_has_no_path_of_another_site(tmp_path: Path) -> None:
    site = (
        "hosts:\n  - {name: localhost, tls_directory: /srv/tls, drop_in: /etc/systemd/system/docker.service.d/x.conf}\n"
    )
    said = help_of(render(site, tmp_path / "out") / "hosts/localhost/20-configure-daemon.sh")
    assert "/srv/tls" in said and "x.conf" in said
    assert "/etc/docker/tls" not in said and "override.conf" not in said
