"""The lab itself: its hosts are Docker hosts, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dockseal.lab import UPSTREAM, CommandFailed, Host, Lab, LabError, difference
from dockseal.lab.engine import Engine, mounts_below, open_engine, processes_with
from dockseal.lab.probe import Probe, probe
from dockseal.lab.session import LABEL
from tests.host.support import BUSYBOX

OPENSSL = {"bullseye": "OpenSSL 1.1.1", "bookworm": "OpenSSL 3.0", "trixie": "OpenSSL 3.5"}


def test_a_host_runs_systemd_and_dockerd(host: Host, release: str) -> None:
    assert host.run(["ps", "-o", "comm=", "1"]).stdout.strip() == "systemd"
    assert host.run(["systemctl", "is-active", "docker"]).stdout.strip() == "active"
    assert host.run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout.strip()
    assert host.run(["openssl", "version"]).stdout.startswith(OPENSSL[release])
    assert f"VERSION_CODENAME={release}" in host.read("/etc/os-release")


def test_a_host_can_be_laid_out_as_upstreams_packages_are(lab: Lab) -> None:
    host = lab.boot(UPSTREAM)
    try:
        words = ["systemctl", "show", "--property=ExecStart,EnvironmentFiles,Wants", "docker.service"]
        line = "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"
        shown = host.run(words).stdout
        assert f"argv[]={line} ;" in shown
        assert "EnvironmentFiles" not in shown
        assert "containerd.service" in shown
        assert host.snapshot().daemon == line
        words = ["systemctl", "show", "--property=SocketMode,SocketUser,SocketGroup", "--value", "docker.socket"]
        assert set(host.run(words).stdout.split()) == {"0660", "root", "docker"}
        assert host.run(["systemctl", "is-active", "docker", "docker.socket", "containerd"]).stdout == "active\n" * 3
        assert not host.exists("/usr/sbin/dockerd")
        assert not host.exists("/etc/default/docker")
        assert not host.exists("/etc/docker")
    finally:
        lab.remove(host)


def test_a_host_runs_containers_of_its_own(host: Host) -> None:
    host.bash(
        f"mkdir -p /root/image/bin && cp {BUSYBOX} /root/image/bin/sh && "
        "tar -C /root/image -c . | docker import - tiny >/dev/null"
    )
    result = host.run(["docker", "run", "--rm", "tiny", "sh", "-c", "echo $((6 * 7))"])
    assert result.stdout == "42\n"


def test_a_command_that_fails_says_what_it_said(host: Host) -> None:
    with pytest.raises(CommandFailed, match=r"ls /nowhere: exit status 2\n.*No such file or directory"):
        host.run(["ls", "/nowhere"])
    assert host.run(["ls", "/nowhere"], check=False).status == 2


def test_past_the_engine_a_command_has_what_the_engine_gives_it(host: Host) -> None:
    script = """
      cd /etc; pwd; id; umask; env; tty || true
      grep -e ^SigIgn: -e ^NoNewPrivs: /proc/self/status
      for name in mnt uts ipc net pid cgroup; do readlink "/proc/self/ns/${name}"; done
      exit 3
    """
    assert host.entry is not None
    quick, usual = (one.bash(script, check=False) for one in (host, replace(host, entry=None)))
    assert (quick.status, quick.stdout, quick.stderr) == (3, usual.stdout, usual.stderr)
    assert [one.bash("kill -KILL $$", check=False).status for one in (host, replace(host, entry=None))] == [137, 137]
    assert host.run(["env"], env={"ONE": "1"}).stdout.splitlines().count("ONE=1") == 1
    assert host.run(["pwd"], cwd="/etc").stdout == "/etc\n"
    assert host.run(["id", "--user"], user="nobody").stdout == "65534\n"


def test_nothing_runs_in_a_host_that_has_ended_nor_elsewhere(lab: Lab) -> None:
    host = lab.boot("bookworm")
    try:
        assert host.run(["hostname"]).stdout == f"{host.name}\n"
        lab.engine.run("kill", host.id)
        lab.engine.run("wait", host.id)
        result = host.run(["hostname"], check=False)
        assert (result.status, result.stdout) == (1, "")
    finally:
        lab.remove(host)
    assert host.run(["hostname"], check=False).stdout == ""


def test_files_travel_with_their_modes(host: Host, tmp_path: Path) -> None:
    source = tmp_path / "folder"
    source.mkdir()
    (source / "script").write_text("text\n")
    (source / "script").chmod(0o750)
    host.copy_in(source, "/root/there")
    assert host.run(["stat", "-c", "%a %U:%G", "/root/there/script"]).stdout == "750 root:root\n"
    host.copy_out("/root/there", tmp_path / "back")
    assert (tmp_path / "back" / "script").read_text() == "text\n"
    host.write("/root/new/file", "two\n", 0o600)
    assert host.read("/root/new/file") == "two\n"


def test_a_terminal_is_a_terminal_and_hides_what_is_typed_secretly(host: Host) -> None:
    script = 'test -t 0 && read -r -p "name: " a && read -r -s -p "word: " b && echo "${#a} ${#b}" && exit 7'
    terminal = host.spawn(["bash", "-c", script])
    assert terminal.expect("name: ") == 0
    terminal.answer("visible")
    assert terminal.expect("word: ") == 0
    terminal.answer_secretly("do not show this")
    assert terminal.wait() == 7
    assert "7 16" in terminal.transcript.text
    assert "visible" in terminal.transcript.text
    assert "do not show this" not in terminal.transcript.text
    assert not terminal.transcript.leaked


def test_a_secret_that_a_terminal_shows_is_noticed_and_left_out(host: Host) -> None:
    terminal = host.spawn(["bash", "-c", 'read -r -s -p "word: " a; echo "$a"'])
    terminal.expect("word: ")
    terminal.answer_secretly("do not show this")
    terminal.wait()
    assert terminal.transcript.leaked
    assert "do not show this" not in terminal.transcript.text


def test_a_terminal_that_waits_in_vain_says_what_it_shows(host: Host) -> None:
    terminal = host.spawn(["bash", "-c", "echo here; read -r"])
    with pytest.raises(LabError, match=r"(?s)waited in vain for there.*here"):
        terminal.expect("there", timeout=1)
    terminal.interrupt()
    assert terminal.wait() == 130


def test_snapshots_tell_a_written_file_and_a_restarted_service(host: Host) -> None:
    before = host.snapshot()
    assert difference(before, host.snapshot(), strict=True) == []
    host.write("/etc/new folder/file", "text", 0o640)
    host.run(["systemctl", "restart", "docker"])
    after = host.snapshot()
    assert {change.what for change in difference(before, after)} == {
        "file /etc/new folder",
        "file /etc/new folder/file",
    }
    assert "run docker.service MainPID" in {change.what for change in difference(before, after, strict=True)}
    host.run(["rm", "-r", "/etc/new folder"])
    assert difference(before, host.snapshot()) == []


def test_a_host_has_the_names_and_addresses_of_its_site(boot: Callable[..., Host]) -> None:
    host = boot(name="example.com", addresses=["192.168.0.1"], names={"sub.example.com": "192.168.0.1"})
    assert host.run(["hostname"]).stdout == "example.com\n"
    assert host.run(["getent", "ahostsv4", "sub.example.com"]).stdout.startswith("192.168.0.1 ")
    serve(host, "192.168.0.1:2376")
    assert ask(host, "sub.example.com") == "example.com\n"


def test_hosts_reach_each_other_by_name_and_address(boot: Callable[..., Host]) -> None:
    server = boot(name="server.example", addresses=["192.168.0.1", "2001:db8::1"])
    client = boot(name="client.example")
    client.reach(server)
    client.know({"other.example": "192.168.0.1"})
    serve(server, "2376")
    for name in ("server.example", "192.168.0.1", "other.example"):
        assert ask(client, name) == "server.example\n"
    client.bash("exec 3<>/dev/tcp/2001:db8::1/2376", timeout=20)


def test_a_lab_leaves_nothing_on_a_running_engine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", lab.engine.address)
    said: list[str] = []
    with pytest.raises(ZeroDivisionError), Lab.open(said.append) as other:
        assert not other.engine.private
        other.boot("bookworm")
        made = made_by(lab.engine, other.id)
        raise ZeroDivisionError
    assert left(lab.engine, made) == set()
    assert said[0] == f"engine {lab.engine.version} at {lab.engine.address}"


BOOT = """
from dockseal.lab import Lab
with Lab.open() as lab:
    lab.boot("bookworm")
    print(lab.id, flush=True)
    import signal
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_lab_that_is_ended_leaves_nothing(lab: Lab, number: signal.Signals) -> None:
    with started(BOOT, DOCKER_HOST=lab.engine.address) as process:
        made = made_by(lab.engine, line_of(process))
        process.send_signal(number)
        assert process.wait(timeout=60) != 0
    assert left(lab.engine, made) == set()


def test_the_next_lab_removes_what_a_killed_one_left(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(BOOT, DOCKER_HOST=lab.engine.address) as process:
        made = made_by(lab.engine, line_of(process))
        process.kill()
        process.wait(timeout=10)
    assert left(lab.engine, made) == made
    monkeypatch.setenv("DOCKER_HOST", lab.engine.address)
    said: list[str] = []
    with Lab.open(said.append):
        assert left(lab.engine, made) == set()
    assert "removing 1 container(s) of a run that was killed" in said


ENGINE = """
import sys, signal
from contextlib import contextmanager
from pathlib import Path
from dockseal.lab.engine import open_engine
from dockseal.lab.probe import probe
with open_engine(probe(), Path(sys.argv[1]), lambda message: print(message, flush=True)) as engine:
    signal.pause()
"""


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """A machine on which no engine answers yet."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    found = probe()
    if not found.root or not found.dockerd or not found.client:
        pytest.skip("a private engine needs root, docker and dockerd")
    yield found


def test_a_private_engine_ends_with_its_block(nobody: Probe, tmp_path: Path) -> None:
    with open_engine(nobody, tmp_path, lambda message: None) as engine:
        assert engine.private
        run = Path(engine.address.removeprefix("unix://")).parent
        assert run.is_dir()
        assert processes_with(os.fsencode(run))
        assert engine.lines("network", "ls", "--quiet", "--filter", "name=bridge") == []
    assert not run.exists()
    assert processes_with(os.fsencode(run)) == []
    assert mounts_below([run, tmp_path]) == []


def test_a_second_private_engine_waits_for_the_first(nobody: Probe, tmp_path: Path) -> None:
    with open_engine(nobody, tmp_path, lambda message: None), started(ENGINE, tmp_path) as process:
        said = line_of(process)
        assert said == f"the private engine is in use by process {os.getpid()}; waiting"
        process.kill()


def test_a_private_engine_ends_with_a_killed_parent(nobody: Probe, tmp_path: Path) -> None:
    with started(ENGINE, tmp_path) as process:
        while not (said := line_of(process)).startswith("engine "):
            assert said
        run = Path(said.partition("unix://")[2]).parent
        process.kill()
    with open_engine(nobody, tmp_path, lambda message: None) as engine:
        assert engine.version
    assert not run.exists()
    assert processes_with(os.fsencode(run)) == []


def serve(host: Host, address: str) -> None:
    """Serve /etc over HTTP on this address."""
    host.run(["systemd-run", "--quiet", BUSYBOX, "httpd", "-f", "-p", address, "-h", "/etc"])


def ask(host: Host, name: str) -> str:
    """Return the host name that the machine of this name gives, as soon as it serves."""
    script = """
      until exec 3<>"/dev/tcp/$1/2376"; do sleep 0.05; done 2>/dev/null
      printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' >&3
      tail -n 1 <&3
    """
    return host.bash(script, name, timeout=10).stdout


@contextmanager
def started(script: str, *words: object, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Start Python on a script, and end it where it has not ended yet."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def made_by(engine: Engine, lab: str) -> set[str]:
    """Return the ids of the container, the network and the volume of a lab with one host."""
    label = f"label={LABEL}={lab}"
    containers = engine.lines("container", "ls", "--all", "--quiet", "--no-trunc", "--filter", label)
    networks = engine.lines("network", "ls", "--quiet", "--no-trunc", "--filter", label)
    volumes = engine.lines("inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", *containers)
    assert (len(containers), len(networks), len(volumes)) == (1, 1, 1)
    return {*containers, *networks, *volumes}


def left(engine: Engine, made: set[str]) -> set[str]:
    """Return those ids that the engine still has."""
    containers = engine.lines("container", "ls", "--all", "--quiet", "--no-trunc")
    networks = engine.lines("network", "ls", "--quiet", "--no-trunc")
    return made & {*containers, *networks, *engine.lines("volume", "ls", "--quiet")}
