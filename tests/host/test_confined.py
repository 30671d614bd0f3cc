"""What 90-verify.sh of a host may do: a changed one tries everything else, beside the same as root outside of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockseal.lab import Host
from dockseal.lab.process import Result
from tests.host.support import (
    UNATTENDED,
    VERIFY_CLIENT,
    VERIFY_HOST,
    changed,
    controls,
    install,
    main_pid,
    setup,
    site,
    verify,
)

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
SCRIPT = f"/root/out/{VERIFY_HOST}"
# The end of the part that runs in the sandbox.
END = '\n  finish_report "${came_to_its_end}"\n}\n'
WORK = "/root/docker-tls"
TTL = "/proc/sys/net/ipv4/ip_default_ttl"
LISTENER = 'IO::Socket::INET->new(LocalAddr => "127.0.0.1:4444", Listen => 1) or exit 1'
CONFIGURE = "hosts/localhost/20-configure-daemon.sh"
# Another user who has all the ports from which the scripts ask, and listens on none.
HOLD_PORTS = """
cat >/run/ports.pl <<'END'
use Socket;
my @held;
for my $port (20000 .. 31999) {
  socket(my $one, PF_INET, SOCK_STREAM, 0) or die;
  bind($one, sockaddr_in($port, inet_aton("127.0.0.1")));
  push @held, $one;
}
open(my $ready, ">", "/tmp/ports.ready");
sleep;
END
systemd-run --quiet --unit ports --property User=games --property LimitNOFILE=20000 perl /run/ports.pl
timeout 60 bash -c 'until [[ -e /tmp/ports.ready ]]; do :; done'
rm /tmp/ports.ready
"""
# Each prints "done" where it can be done, and leaves nothing on the host but in /run/tried.
ATTEMPTS = {
    "write to /etc": "echo >/etc/tried && rm /etc/tried",
    "write to /run": "echo >/run/tried",
    "write to /var": "echo >/var/tried && rm /var/tried",
    "write to /dev/shm": "echo >/dev/shm/tried && rm /dev/shm/tried",
    "write to --dir": f"echo >{WORK}/tried && rm {WORK}/tried",
    "write to the scripts": "echo >/root/out/tried && rm /root/out/tried",
    "change a setting of the kernel": f"ttl=$(cat {TTL}) && echo $ttl >{TTL}",
    "ask dockerd": "docker -H unix:///var/run/docker.sock ps",
    "ask systemd": "systemctl show docker.service",
    "tell systemd": "systemd-run --wait true",
    "read the key of a client": f"cat {WORK}/clients/client/client-key.pem",
    "read the key of a client's configuration": "cat /root/.docker/key.pem",
    "read the CA's key": f"cat {WORK}/ca/ca-private.pem",
    "listen": f"perl -MIO::Socket::INET -e '{LISTENER}'",
    "send dockerd a signal": "kill -0 $(pidof dockerd)",
    "become root": "setpriv --reuid 0 true",
    "mount": "unshare --mount true",
    "leave by another process": f"cat /proc/1/root{WORK}/clients/client/client-key.pem",
    "make a ring, whose calls are not filtered": """perl -e 'my $p = "\\0" x 120; exit(syscall(425, 1, $p) < 0)'""",
    "see what dockerd has open": "stat /proc/$(pidof dockerd)/fd/0",
    "see what dockerd was given": "cat /proc/$(pidof dockerd)/environ",
    "debug": ": >>/proc/$(pidof dockerd)/mem",
}
TRY = "\n  if ( {} ) &>/dev/null; then printf 'done\\n' >&2; else printf 'refused\\n' >&2; fi"


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up."""
    install(host, tmp_path_factory.mktemp("site"), site())
    setup(host, *UNATTENDED)
    return host


@pytest.fixture
def clean(ready: Host) -> Iterator[Host]:
    """The same host; nothing of a verification is left on it."""
    yield ready
    assert ready.bash("ls -d /run/dockseal-confined.* || true").stdout == ""
    assert ready.bash("systemctl list-units --all --no-legend 'dockseal-confined*'").stdout == ""


def said(text: str) -> list[str]:
    """Return what came of each attempt."""
    return [line for line in text.splitlines() if line in ("done", "refused")]


def test_a_changed_verification_can_do_nothing_but_look(clean: Host) -> None:
    attempts = "".join(TRY.format(attempt) for attempt in ATTEMPTS.values())
    as_root = clean.bash(attempts)
    assert dict(zip(ATTEMPTS, said(as_root.stderr), strict=True)) == dict.fromkeys(ATTEMPTS, "done")
    clean.bash("rm -f /run/tried")
    result = clean.run(["bash", changed(clean, SCRIPT, (END, attempts + END))])
    assert dict(zip(ATTEMPTS, said(result.stderr), strict=True)) == dict.fromkeys(ATTEMPTS, "refused")
    assert not clean.exists("/run/tried")


def test_the_certificate_of_the_folder_that_is_hidden_is_compared(clean: Host) -> None:
    own = f"{WORK}/ca/ca-public.pem"
    other = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=other"
    clean.bash(f'cp "$1" /run/own; {other} -out "$1"', own)
    try:
        result = verify(clean, VERIFY_HOST)
    finally:
        clean.run(["mv", "/run/own", own])
    assert [name for name, found in controls(result.stdout) if found == "FAIL"] == ["CERT-5"]
    assert {result for _, result in controls(verify(clean, VERIFY_HOST).stdout)} == {"PASS", "SKIP"}


@pytest.mark.parametrize(
    ("folder", "hidden"),
    [("/srv/a b $c %d", True), ("/srv/a:b", False), ("/srv/a \\b", False), ('/srv/a"', False), ("/srv/a'", False)],
    ids=["odd", "colon", "backslash", "double quote", "single quote"],
)
def test_a_folder_is_hidden_or_it_is_told(clean: Host, folder: str, hidden: bool) -> None:
    clean.run(["cp", "-a", WORK, folder])
    script = changed(clean, SCRIPT, (END, f'\n  find "${{dir}}" -type f -name "*.pem" >&2{END}'))
    try:
        result = clean.run(["bash", script, "--dir", folder])
    finally:
        clean.run(["rm", "-rf", folder])
    seen = {line for line in result.stderr.splitlines() if line.endswith(".pem")}
    if hidden:
        assert seen == {f"{folder}/{name}/ca-public.pem" for name in ("ca", "hosts/localhost")}
    else:
        assert (
            f"{folder} has a colon, a quote or a backslash in its name: nothing is hidden from what follows"
            in result.stderr
        )
        assert f"{folder}/clients/client/client-key.pem" in seen
    assert dict(controls(result.stdout))["TLS-1"] == "PASS"


@pytest.mark.one_release
def test_a_folder_that_dockerd_reads_from_is_told_and_not_hidden(clean: Host) -> None:
    """A drop-in's file in a home folder is judged as it is there."""
    drop_in = "/etc/systemd/system/docker.service.d/more.conf"
    clean.write("/root/more/environment", "A=b\n", 0o666)
    clean.write(drop_in, "[Service]\nEnvironmentFile=/root/more/environment\n", 0o644)
    clean.run(["systemctl", "daemon-reload"])
    try:
        result = verify(clean, VERIFY_HOST)
    finally:
        clean.bash('rm -r /root/more "$1"; systemctl daemon-reload', drop_in)
    assert "dockerd reads files of /root: it is not hidden from what follows" in result.stderr
    assert dict(controls(result.stdout))["FILE-9"] == "FAIL"
    assert dict(controls(verify(clean, VERIFY_HOST).stdout))["FILE-9"] != "FAIL"


@pytest.mark.one_release
def test_outside_the_sandbox_it_does_not_go_on(clean: Host, tmp_path: Path) -> None:
    result = verify(clean, VERIFY_HOST, "--confined", "/run")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == f"error: {VERIFY_HOST}: --confined is for the sandbox that this script makes itself\n"


@pytest.mark.one_release
def test_a_sandbox_that_cannot_be_made_is_told(clean: Host) -> None:
    """A fake: no systemd can be had here that makes no mount namespace."""
    fake = "/usr/local/sbin/systemd-run"
    clean.write(fake, "#!/bin/sh\nexit 226\n", 0o755)
    try:
        result = verify(clean, VERIFY_HOST)
    finally:
        clean.run(["rm", fake])
    assert (result.status, result.stdout) == (1, "")
    assert "systemd made no sandbox, or ended it (status 226); journalctl --unit dockseal-confined." in result.stderr


@pytest.mark.one_release
def test_ctrl_c_ends_the_sandbox(clean: Host) -> None:
    script = changed(clean, SCRIPT, (END, f"\n  [[ -t 1 || -t 2 ]] || printf 'waiting\\n'; sleep 1234{END}"))
    terminal = clean.spawn(["bash", script])
    assert terminal.expect("waiting") == 0
    terminal.interrupt()
    assert terminal.wait() == 130
    assert clean.bash("pgrep --full --exact 'sleep 1234' || true").stdout == ""


@pytest.mark.one_release
@pytest.mark.parametrize("how", ["stop", "kill --signal=HUP", "kill --signal=TERM", "kill --signal=KILL"])
def test_a_sandbox_that_is_stopped_proves_nothing(clean: Host, how: str) -> None:
    """systemd counts a service that it has stopped among those that ended well."""
    wait = "\n  printf 'waiting\\n' >&2; sleep 1234"
    script = changed(clean, SCRIPT, (END, f"{wait}{END}"))
    stop = f'until grep --quiet waiting /run/said; do sleep 0.1; done; systemctl {how} "dockseal-confined.*"'
    clean.bash("rm -f /run/said; touch /run/said")
    result = clean.bash(f"({stop}) & bash {script} 2>/run/said", check=False)
    assert result.status == 1
    assert "systemd made no sandbox, or ended it" in clean.read("/run/said")


@pytest.mark.one_release
def test_who_reads_no_further_sees_no_error(clean: Host) -> None:
    result = clean.bash(f"bash {SCRIPT} --json | head --lines=1", check=False)
    assert (result.stdout.count("\n"), result.stderr, result.status) == (1, "", 128 + signal.SIGPIPE)


@pytest.mark.one_release
def test_what_a_killed_run_left_is_removed_by_the_next(clean: Host) -> None:
    """The folder of a process that is gone; that of one that runs stays."""
    clean.bash("mkdir /run/dockseal-confined.4194305_AAAAAAAA /run/dockseal-confined.1_AAAAAAAA")
    verify(clean, VERIFY_HOST)
    assert clean.bash("ls -d /run/dockseal-confined.*").stdout == "/run/dockseal-confined.1_AAAAAAAA\n"
    clean.run(["rmdir", "/run/dockseal-confined.1_AAAAAAAA"])


# ---- What else a machine may have -------------------------------------------


def failed(result: Result) -> list[str]:
    """Return the ids of the controls that do not hold."""
    return [name for name, found in controls(result.stdout) if found == "FAIL"]


@pytest.mark.one_release
def test_a_drop_in_with_a_blank_in_its_name_is_not_overlooked(clean: Host) -> None:
    path = "/etc/systemd/system/docker.service.d/20 more.conf"
    clean.write(path, "[Service]\nEnvironment=A=b\n", 0o666)
    clean.run(["systemctl", "daemon-reload"])
    try:
        assert failed(verify(clean, VERIFY_HOST)) == ["FILE-9"]
        refused = clean.run(["bash", f"/root/out/{CONFIGURE}", "--yes"], check=False)
    finally:
        clean.bash('rm "$1"; systemctl daemon-reload', path)
    assert refused.status == 2
    assert "a drop-in of docker.service has a blank in its name" in refused.stderr
    assert failed(verify(clean, VERIFY_HOST)) == []


@pytest.mark.one_release
@pytest.mark.parametrize("folder", ["/home/games", "/srv/games"])
def test_a_link_on_the_way_to_a_file_is_judged_where_it_lies(clean: Host, folder: str) -> None:
    """daemon.json leads through a folder of another user to a file that is root's."""
    clean.bash(
        'mkdir -p "$1"; chown games "$1"; echo {} >/etc/docker/real.json; ln -s /etc/docker/real.json "$1/link"; '
        'ln -s "$1/link" /etc/docker/daemon.json',
        folder,
    )
    try:
        found = verify(clean, VERIFY_HOST)
    finally:
        clean.bash('rm -r "$1" /etc/docker/real.json /etc/docker/daemon.json', folder)
    assert failed(found) == ["FILE-8"]
    assert dict(controls(found.stdout))["FILE-10"] == "PASS"


@pytest.mark.one_release
def test_what_cannot_be_compared_does_not_hold(clean: Host) -> None:
    found = dict(controls(verify(clean, VERIFY_HOST, "--dir", "/root/nothing").stdout))
    assert (found["CERT-5"], found["TLS-1"]) == ("SKIP", "SKIP")
    assert dict(controls(verify(clean, VERIFY_CLIENT, "--dir", "/root/nothing").stdout))["CLIENT-5"] == "SKIP"


@pytest.mark.one_release
def test_a_client_s_ca_is_compared_with_the_one_that_was_carried_here(clean: Host) -> None:
    """On a machine without the CA; where the CA is, its own file counts."""
    own = f"{WORK}/clients/client/ca-public.pem"
    other = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=other"
    clean.bash(f'mv {WORK}/ca /run/ca; cp "$1" /run/own; {other} -out "$1"', own)
    try:
        result = verify(clean, VERIFY_CLIENT)
    finally:
        clean.bash(f'mv /run/own "$1"; mv /run/ca {WORK}/ca', own)
    assert failed(result) == ["CLIENT-5", "CLIENT-6"]
    assert failed(verify(clean, VERIFY_CLIENT)) == []


@pytest.mark.one_release
def test_who_holds_every_port_keeps_nobody_from_verifying(clean: Host) -> None:
    clean.bash(HOLD_PORTS)
    try:
        found = verify(clean, VERIFY_HOST)
        again = clean.run(["bash", f"/root/out/{CONFIGURE}", "--yes"])
    finally:
        clean.run(["systemctl", "stop", "ports.service"])
    assert failed(found) == []
    assert "nothing to do" in again.stderr


@pytest.mark.one_release
def test_a_dockerd_that_hangs_makes_nothing_hang(clean: Host) -> None:
    pid = str(main_pid(clean))
    clean.run(["kill", "-STOP", pid])
    try:
        result = clean.run(["timeout", "300", "bash", f"/root/out/{VERIFY_HOST}"], check=False)
    finally:
        clean.run(["kill", "-CONT", pid])
    assert result.status == 4
    assert "TLS-1" in failed(result)


@pytest.mark.one_release
def test_processes_that_other_users_may_not_see_are_judged(clean: Host) -> None:
    clean.run(["mount", "-o", "remount,hidepid=2", "/proc"])
    try:
        seen = clean.run(["runuser", "-u", "games", "--", "ls", f"/proc/{main_pid(clean)}"], check=False)
        found = verify(clean, VERIFY_HOST)
    finally:
        clean.run(["mount", "-o", "remount,hidepid=0", "/proc"])
    assert seen.status != 0
    assert failed(found) == []


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("user", "made"), [("games", "cp"), ("root", "ln -s")], ids=["another user's", "root's, of another program"]
)
def test_only_root_s_shims_hold_containers(clean: Host, user: str, made: str) -> None:
    name = f"containerd-shim -namespace moby -id {'a' * 64} -address x"
    clean.bash(
        f"{made} /bin/sleep /usr/local/bin/containerd-shim; "
        f"systemd-run --quiet --unit shim --property User={user} bash -c 'exec -a \"{name}\" containerd-shim 600'; "
        "timeout 20 bash -c 'until pgrep --exact containerd-shim; do :; done'"
    )
    try:
        lost = clean.bash(
            "facts=''; . /root/out/lib/daemon.sh; . /root/out/lib/confine_verification.sh; lost_containers; "
            "held_containers"
        )
    finally:
        clean.bash("systemctl stop shim; rm /usr/local/bin/containerd-shim")
    assert lost.stdout == ""


@pytest.mark.one_release
def test_a_machine_without_a_socket_unit_is_looked_at(clean: Host) -> None:
    """docker.service names it and there is none: nobody's right to use the socket is lost by the switch."""
    unit = "/lib/systemd/system/docker.socket"
    clean.bash('systemctl stop docker.socket; mv "$1" /run; systemctl daemon-reload', unit)
    try:
        state = clean.run(["systemctl", "show", "--property=LoadState", "--value", "docker.socket"]).stdout
        result = clean.run(["bash", f"/root/out/{CONFIGURE}", "--check"], check=False)
    finally:
        clean.bash('mv /run/docker.socket "$1"; systemctl daemon-reload; systemctl start docker.socket docker', unit)
    assert state == "not-found\n"
    assert result.status in (0, 3), result.stderr
    assert "No such file" not in result.stderr
