"""The daily check of a host's certificates, and a client's check for cron."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dockseal.lab import Host, difference
from dockseal.output.reading import LOADS
from tests.host.authority import DAY, SERVER, issue, real_authority
from tests.host.support import NAME, TLS, UNATTENDED, VERIFY_HOST, WORK, controls, install, refuses, setup, site

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
WATCH = f"hosts/{NAME}/60-watch-expiry.sh"
CHECK = "clients/client/60-check-expiry.sh"
UNIT = "dockseal-watch-expiry"
INSTALLED = "/usr/local/lib/dockseal"
PROGRAM = f"{INSTALLED}/{WATCH}"
METRICS = "/var/lib/metrics"
PLACES = ("/etc", "/usr/local", "/var/lib/systemd", METRICS)
RATING = re.compile(r"Overall exposure level for \S+: (\d+\.\d)")


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


def test_the_timer_runs_the_very_files_that_were_reviewed(watched: Host) -> None:
    assert PROGRAM in watched.read(f"/etc/systemd/system/{UNIT}.service")
    loaded = [f"lib/{name}" for name in dict.fromkeys(LOADS.findall(watched.read(PROGRAM)))]
    files = watched.run(["find", INSTALLED, "-type", "f", "-printf", "%P\n"]).stdout.split()
    assert sorted(files) == sorted([WATCH, *loaded])
    for file in files:
        assert watched.run(["cmp", f"{INSTALLED}/{file}", f"/root/out/{file}"]).stdout == ""
    assert watched.run(["systemctl", "is-active", f"{UNIT}.timer"]).stdout == "active\n"
    assert watched.run(["systemctl", "is-enabled", f"{UNIT}.timer"]).stdout == "enabled\n"
    assert watched.run(["systemd-analyze", "verify", f"{UNIT}.service"], check=False).stderr == ""
    again = watched.run(["bash", f"/root/out/{WATCH}"])
    assert again.stderr == f"{WATCH}: nothing to do\n"


# What a printed command begins with; the text of a file that is written stands between them.
COMMAND = re.compile(r"^(?:[+] )?((?:cat >|install|mv|rm|sync|systemctl) .*)$", re.MULTILINE)


@pytest.mark.one_release("bullseye")
def test_check_prints_every_command(ready: Host) -> None:
    planned = COMMAND.findall(ready.run(["bash", f"/root/out/{WATCH}", "--check"], check=False).stdout)
    made = COMMAND.findall(ready.run(["bash", f"/root/out/{WATCH}"]).stderr)
    ready.run(["bash", f"/root/out/{WATCH}", "--undo"])
    assert planned == made
    assert planned[-1] == f"systemctl restart {UNIT}.timer"


def test_the_service_may_do_little(watched: Host) -> None:
    """systemd 247, 252 and 257 know every directive of it, and each finds 1.7."""
    said = watched.run(["systemd-analyze", "security", "--no-pager", f"{UNIT}.service"], check=False).stdout
    rating = RATING.search(said)
    assert rating is not None, said
    assert float(rating[1]) <= 2.0, said


def test_the_service_has_a_time_limit(watched: Host) -> None:
    show = ["systemctl", "show", "--property=TimeoutStartUSec", "--value", f"{UNIT}.service"]
    assert watched.run(show).stdout == "2min\n"


@pytest.mark.one_release("bullseye")
def test_undo_removes_what_an_interrupted_run_left(ready: Host) -> None:
    before = ready.snapshot(PLACES)
    ready.run(["bash", f"/root/out/{WATCH}"])
    ready.bash(f"touch {PROGRAM}.new /etc/systemd/system/{UNIT}.service.new {METRICS}/dockseal.prom.new")
    ready.run(["bash", f"/root/out/{WATCH}", "--undo"])
    assert difference(before, ready.snapshot(PLACES)) == []


@pytest.mark.one_release
@pytest.mark.parametrize("folder", ["/usr/local/lib/dockseal", "/usr/local/lib/dockseal/lib"])
def test_what_the_service_runs_is_not_installed_where_somebody_else_could_change_it(ready: Host, folder: str) -> None:
    ready.run(["mkdir", "-p", folder])
    for change, said in (
        (["chown", "nobody"], f"{folder} belongs to another user"),
        (["chmod", "0775"], f"others can write to {folder}; run: chmod go-w {folder}"),
    ):
        ready.run([*change, folder])
        more = f"error: {WATCH}: {said}; root alone may change what the service runs; nothing was changed"
        refuses(ready, ["bash", f"/root/out/{WATCH}"], more)
        ready.bash('chown root "$1"; chmod 0755 "$1"', folder)
    ready.run(["bash", f"/root/out/{WATCH}"])
    ready.run(["bash", f"/root/out/{WATCH}", "--undo"])
    assert not ready.exists("/usr/local/lib/dockseal")


@pytest.mark.one_release
def test_a_program_that_others_can_write_to_is_installed_anew(watched: Host) -> None:
    """With the bytes that it has: nobody keeps it open for writing."""
    watched.run(["chmod", "0666", PROGRAM])
    before = watched.run(["stat", "--format=%i", PROGRAM]).stdout
    assert "systemctl restart" in watched.run(["bash", f"/root/out/{WATCH}"]).stderr
    assert watched.run(["stat", "--format=%a", PROGRAM]).stdout == "644\n"
    assert watched.run(["stat", "--format=%i", PROGRAM]).stdout != before
    assert watched.run(["bash", f"/root/out/{WATCH}"]).stderr == f"{WATCH}: nothing to do\n"


@pytest.mark.one_release
def test_what_somebody_else_put_beside_the_program_stays(ready: Host) -> None:
    before = ready.snapshot(PLACES)
    ready.run(["bash", f"/root/out/{WATCH}"])
    ready.run(["touch", "/usr/local/lib/dockseal/NOTES"])
    undone = ready.run(["bash", f"/root/out/{WATCH}", "--undo"])
    assert f"{WATCH}: kept: /usr/local/lib/dockseal, which holds NOTES\n" in undone.stderr
    assert ready.run(["find", "/usr/local/lib/dockseal", "-mindepth", "1"]).stdout == "/usr/local/lib/dockseal/NOTES\n"
    ready.run(["rm", "-r", "/usr/local/lib/dockseal"])
    assert difference(before, ready.snapshot(PLACES)) == []


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


# Days that are left, days of warning, and whether it is time.
MOMENTS = [(45, 60, True), (45, 30, False), (29.5, 30, True), (61, 60, False)]


@pytest.mark.one_release
@pytest.mark.parametrize(("left", "warn_days", "due"), MOMENTS)
def test_the_watch_and_the_verification_agree_when_it_is_time(
    ready: Host, tmp_path: Path, left: float, warn_days: int, due: bool
) -> None:
    text = site().replace(f"  - name: {NAME}\n", f"  - name: {NAME}\n    warn_days: {warn_days}\n", 1)
    install(ready, tmp_path, text, "/root/other")
    ready.run(["cp", "-a", f"{TLS}/certificate.pem", "/run/good.pem"])
    end_soon(ready, left)
    restart(ready)
    watch = ready.run(["bash", f"/root/other/{WATCH}", "--now"], check=False)
    table = ready.run(["bash", f"/root/other/{VERIFY_HOST}"], check=False).stdout
    ready.run(["cp", "-a", "/run/good.pem", f"{TLS}/certificate.pem"])
    restart(ready)
    assert (watch.status, re.findall("^(ok|SOON) .*shown on", watch.stdout, re.M)) == (
        (4, ["SOON"]) if due else (0, ["ok"])
    )
    assert dict(controls(table))["CERT-3"] == ("FAIL" if due else "PASS")


# ---- What another user could change -----------------------------------------


@pytest.mark.one_release("bullseye")
def test_a_link_that_somebody_planted_is_not_written_through(watched: Host) -> None:
    watched.bash(f"printf kept >/run/victim; ln -s /run/victim {METRICS}/dockseal.prom.new")
    assert run_service(watched) == "success"
    assert watched.read("/run/victim") == "kept"
    assert watched.run(["ls", METRICS]).stdout == "dockseal.prom\n"


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize(("how", "back"), [("chmod 777", "chmod 755"), ("chown nobody", "chown root")])
def test_metrics_are_written_where_only_root_can_make_a_name(watched: Host, how: str, back: str) -> None:
    watched.bash(f"{how} {METRICS}; rm -f {METRICS}/dockseal.prom")
    state = run_service(watched)
    again = watched.run(["bash", f"/root/out/{WATCH}"], check=False)
    found = watched.run(["ls", METRICS]).stdout
    watched.bash(f"{back} {METRICS}")
    assert (state, found) == ("exit-code", "")
    mend = f"chown root {METRICS}; chmod go-w {METRICS}"
    assert re.search(rf"^BAD +others can write to {METRICS}\n +do: {re.escape(mend)}$", journal(watched), re.MULTILINE)
    assert again.stderr == (f"error: {WATCH}: others can write to {METRICS}; run: {mend}; nothing was changed\n")


@pytest.mark.one_release
@pytest.mark.parametrize("folder", [WORK, f"{WORK}/clients/client"])
def test_a_folder_that_others_can_write_to_is_not_read(ready: Host, folder: str) -> None:
    ready.run(["chmod", "777", folder])
    results = [ready.run(["bash", f"/root/out/{WATCH}", *words], check=False) for words in ([], ["--now"])]
    ready.run(["chmod", "700", folder])
    said = f"error: {WATCH}: others can write to {folder}; run: chmod go-w {folder}\n"
    assert [(one.status, one.stdout, one.stderr) for one in results] == [(2, "", said)] * 2


@pytest.mark.one_release
def test_the_folder_of_roots_client_is_judged_too(ready: Host) -> None:
    """Its owner could let the service wait, or show it what he likes."""
    ready.run(["chown", "games", "/root/.docker"])
    results = [ready.run(["bash", f"/root/out/{WATCH}", *words], check=False) for words in ([], ["--now"])]
    ready.run(["chown", "root", "/root/.docker"])
    said = f"error: {WATCH}: /root/.docker belongs to another user; take another one\n"
    assert [(one.status, one.stdout, one.stderr) for one in results] == [(2, "", said)] * 2


PIPES = {f"{WORK}/clients/client/client-certificate.pem": (WATCH, "--now"), "/root/.docker/cert.pem": (CHECK,)}


@pytest.mark.one_release
@pytest.mark.parametrize("path", PIPES)
def test_a_pipe_is_not_waited_for(ready: Host, path: str) -> None:
    ready.bash("mv $1 $1.away; mkfifo $1", path)
    result = ready.run(["timeout", "20", "bash", f"/root/out/{PIPES[path][0]}", *PIPES[path][1:]], check=False)
    ready.bash(f"mv $1.away $1; rm -f {METRICS}/dockseal.prom", path)
    assert result.status == 4
    assert re.search(rf"^BAD +{path} is not a regular file\n +do: remove it; bash clients/", result.stdout, re.M)


@pytest.mark.one_release
def test_a_folder_that_the_service_could_not_see_is_refused(ready: Host) -> None:
    result = ready.run(["bash", f"/root/out/{WATCH}", "--dir", "/tmp/work"], check=False)
    said = f"error: {WATCH}: /tmp/work does not last, and the service has its own /tmp: give another\n"
    assert (result.status, result.stderr) == (2, said)


def test_a_daemon_that_shows_nothing_is_a_failure(watched: Host) -> None:
    watched.bash("systemctl stop docker.service docker.socket")
    assert run_service(watched) == "exit-code"
    assert "dockerd shows no certificate on 127.0.0.1:2376" in journal(watched)
    watched.bash("systemctl start docker.socket docker.service")


@pytest.mark.one_release("bullseye")
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
