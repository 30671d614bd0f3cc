"""Facts about the comment at the top of a script, which is its manual."""

from __future__ import annotations

import pytest

from dockseal.output.manual import manual
from dockseal.plan.steps import Step
from tests.sites import plan

SITE = """\
hosts:
  - name: docker.example.com
    tls_directory: /srv/tls
    drop_in: /etc/systemd/system/docker.service.d/tls.conf
    textfile_directory: /srv/textfiles
    userns_remap: default
    networks: [{name: front}]
clients:
  - {name: admin, shell_profile: .zshenv}
  - {name: other}
files:
  ca_key: root-key.pem
  server_key: server.key
"""


def header(name: str) -> str:
    step = next(step for step in plan(SITE).steps if step.path.endswith(name))
    return manual(step)


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("ca/10-create-ca.sh", "root-key.pem"),
        ("ca/60-roll-over-ca.sh", "root-key.pem"),
        ("hosts/docker.example.com/10-request-certificate.sh", "server.key"),
        ("20-configure-daemon.sh", "/srv/tls; /srv/tls-DIGEST/: "),
        ("20-configure-daemon.sh", "/etc/systemd/system/docker.service.d/tls.conf"),
        ("20-configure-daemon.sh", "docker.service, docker.socket"),
        ("20-configure-daemon.sh", "subuid, subgid"),
        ("30-create-networks.sh", "network front"),
        ("60-watch-expiry.sh", "/srv/textfiles/dockseal.prom"),
        ("60-watch-expiry.sh", "/srv/tls/"),
        ("admin/20-configure-client.sh", "~/.zshenv"),
        ("docker.example.com/91-prove-isolation.sh", "throwaway containers"),
    ],
)
def test_a_header_states_this_sites_values(name: str, stated: str) -> None:
    assert stated in " ".join(header(name).replace("\n#", " ").split())


def test_no_header_states_a_path_that_the_site_does_not_have() -> None:
    for step in plan(SITE).steps:
        for path in ("/etc/docker/tls", "override.conf", "ca-private.pem", "server-key.pem"):
            assert path not in manual(step), step.path


def test_a_lock_that_stays_is_said_where_undo_is() -> None:
    """By every script that leaves it, and by no other."""
    steps = plan(SITE).steps
    says = {step.path for step in steps if "/run/dockseal.lock stays" in step.all_undo}
    assert says == {step.path for step in steps if "/run/dockseal.lock" in step.writes}
    assert {path.rpartition("/")[2][:2] for path in says} == {"20", "30", "40", "60", "91"}
    said = " ".join(header("30-create-networks.sh").replace("\n#", " ").split())
    assert said.count("; /run/dockseal.lock stays") == 1


def test_the_same_files_of_several_parties_are_said_once() -> None:
    assert "DIR/clients/NAME/: client-certificate.pem, ca-public.pem" in header("ca/30-sign-clients.sh")


def test_lines_end_before_column_81_and_each_is_a_comment() -> None:
    for step in plan(SITE).steps:
        for line in f"# {manual(step)}".splitlines():
            assert line.startswith("# ") and len(line) <= 80, line


def test_what_a_step_does_not_do_is_said_too() -> None:
    assert manual(Step("x.sh", "ca", "x.sh", "test", {})).splitlines() == [
        "Reads:      nothing",
        "# Writes:     nothing",
        "# Restarts:   nothing",
        "# Needs root: no",
        "# Undo:       nothing to undo",
    ]
