"""The daily check of a host's certificates, and a client's check for cron."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from generator.lab import Host, difference
from tests.host.authority import DAY, SERVER, issue, real_authority
from tests.host.support import NAME, TLS, UNATTENDED, WORK, install, refuses, setup, site

pytestmark = pytest.mark.no_probe_image
WATCH = f"hosts/{NAME}/60-watch-expiry.sh"
CHECK = "clients/client/60-check-expiry.sh"
UNIT = "dockseal-watch-expiry"
PROGRAM = f"/usr/local/sbin/{UNIT}"
METRICS = "/var/lib/metrics"
PLACES = ("/etc", "/usr/local", METRICS)


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that is set up, and a folder for the node_exporter."""
    text = site().replace(f"  - name: {NAME}\n", f"  - name: {NAME}\n    textfile_directory: {METRICS}\n", 1)
    install(host, tmp_path_factory.mktemp("site"), text)
    setup(host, *UNATTENDED, "--no-containers")
    host.run(["mkdir", METRICS])
    return host


@pytest.fixture
def watched(ready: Host) -> Iterator[Host]:
    """The same host with the timer."""
    before = ready.snapshot(PLACES)
    ready.run(["bash", f"/root/out/{WATCH}"])
    yield ready
    ready.run(["bash", f"/root/out/{WATCH}", "--undo"])
    assert difference(before, ready.snapshot(PLACES)) == []
    assert UNIT not in ready.run(["systemctl", "list-units", "--all"]).stdout


def end_soon(host: Host, days: float) -> None:
    """Let dockerd show a certificate of the same key that ends in some days of its year."""
    key = serialization.load_pem_private_key(host.read_bytes(f"{TLS}/server-key.pem"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    names = ("localhost", "127.0.0.1")
    ends = days * DAY
    pair = issue(real_authority(host), NAME, SERVER, key=key, names=names, begins=ends - 365 * DAY, ends=ends)
    host.write(f"{TLS}/certificate.pem", pair.certificate_pem)


def restart(host: Host) -> None:
    host.bash("systemctl reset-failed docker.service docker.socket; systemctl restart docker.service")


def run_service(host: Host) -> str:
    """Run the check as the timer does; return the state of its unit."""
    host.run(["systemctl", "start", f"{UNIT}.service"], check=False)
    return host.run(["systemctl", "show", "--property=Result", "--value", f"{UNIT}.service"]).stdout.strip()


def journal(host: Host) -> str:
    return host.run(["journalctl", "--unit", f"{UNIT}.service", "--output", "cat", "--no-pager"]).stdout


def test_the_timer_runs_the_very_script_that_was_reviewed(watched: Host) -> None:
    assert watched.run(["cmp", PROGRAM, f"/root/out/{WATCH}"]).stdout == ""
    assert watched.run(["systemctl", "is-active", f"{UNIT}.timer"]).stdout == "active\n"
    assert watched.run(["systemctl", "is-enabled", f"{UNIT}.timer"]).stdout == "enabled\n"
    assert watched.run(["systemd-analyze", "verify", f"{UNIT}.service"], check=False).stderr == ""
    again = watched.run(["bash", f"/root/out/{WATCH}"])
    assert again.stderr == f"{WATCH}: nothing to do\n"


def test_good_certificates_are_no_failure_and_their_ends_are_measured(watched: Host) -> None:
    assert run_service(watched) == "success"
    said = journal(watched)
    for what in ("shown on 127.0.0.1:2376", f"{TLS}/ca-public.pem", f"{WORK}/clients/client/client-certificate.pem"):
        assert re.search(rf"^ok +\d+ days  {re.escape(what)}$", said, re.MULTILINE), said
    lines = watched.read(f"{METRICS}/dockseal.prom").splitlines()
    assert lines[1] == "# TYPE dockseal_certificate_not_after_seconds gauge"
    assert re.fullmatch(
        r'dockseal_certificate_not_after_seconds\{certificate="shown on 127.0.0.1:2376"\} \d{10}', lines[2]
    )
    assert watched.run(["ls", METRICS]).stdout == "dockseal.prom\n"


def test_a_certificate_that_ends_soon_fails_the_unit_and_says_what_to_do(watched: Host) -> None:
    watched.run(["cp", "-a", f"{TLS}/certificate.pem", "/run/good.pem"])
    end_soon(watched, 29.5)
    assert run_service(watched) == "exit-code"
    assert "dockerd shows another certificate than" in journal(watched)
    restart(watched)
    assert run_service(watched) == "exit-code"
    said = journal(watched)
    watched.run(["cp", "-a", "/run/good.pem", f"{TLS}/certificate.pem"])
    restart(watched)
    assert re.search(
        r"^SOON +29 days  shown on 127.0.0.1:2376\n +do: bash .*10-request-certificate.sh --renew", said, re.M
    )
    assert run_service(watched) == "success"


def test_a_daemon_that_shows_nothing_is_a_failure(watched: Host) -> None:
    watched.bash("systemctl stop docker.service docker.socket")
    assert run_service(watched) == "exit-code"
    assert "dockerd shows no certificate on 127.0.0.1:2376" in journal(watched)
    watched.bash("systemctl start docker.socket docker.service")


def test_somebody_elses_unit_is_left_alone(ready: Host) -> None:
    path = f"/etc/systemd/system/{UNIT}.timer"
    ready.write(path, "[Timer]\nOnCalendar=daily\n")
    reason = f"error: {WATCH}: {path} is there and not of this script; move it away; nothing was changed"
    for words in ([], ["--undo"]):
        refuses(ready, ["bash", f"/root/out/{WATCH}", *words], reason)
    ready.run(["rm", path])


def test_a_client_is_told_in_time(ready: Host) -> None:
    good = ready.run(["bash", f"/root/out/{CHECK}"])
    assert re.search(r"^ok +\d+ days  /root/.docker/cert.pem$", good.stdout, re.MULTILINE)
    ready.run(["cp", "-a", "/root/.docker/cert.pem", "/run/cert.pem"])
    late = issue(real_authority(ready), "client", ends=29.5 * DAY, begins=-300 * DAY)
    ready.write("/root/.docker/cert.pem", late.certificate_pem)
    soon = ready.run(["bash", f"/root/out/{CHECK}"], check=False)
    ready.run(["cp", "-a", "/run/cert.pem", "/root/.docker/cert.pem"])
    assert soon.status == 4
    assert re.search(
        r"^SOON +29 days  /root/.docker/cert.pem\n +do: bash clients/client/10-", soon.stdout, re.MULTILINE
    )
    ready.run(["mv", "/root/.docker", "/root/.docker.away"])
    none = ready.run(["bash", f"/root/out/{CHECK}"], check=False)
    ready.run(["mv", "/root/.docker.away", "/root/.docker"])
    assert (none.status, "run 20-configure-client.sh first" in none.stderr) == (2, True)
