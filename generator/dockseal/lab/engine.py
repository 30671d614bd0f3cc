"""The Docker engine that carries the lab's hosts: one that runs already, or a private one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dockseal.lab.errors import LabError, LabUnavailable
from dockseal.lab.probe import Probe, require_engine
from dockseal.lab.process import Result, run

Progress = Callable[[str], None]

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
POLL = 0.1
# What dockerd and containerd make outside their own folders, whatever they are told.
STRAYS = ("/etc/docker", "/opt/containerd", "/run/docker", "/run/containerd")


class Engine:
    """A Docker engine, spoken to through the docker command."""

    def __init__(self, client: str, address: str, *, private: bool, settings: Path) -> None:
        """Take the client's path, DOCKER_HOST, and an empty folder for the client's settings."""
        self.client = client
        self.address = address
        self.private = private
        self.env = client_environment(address, settings)

    def argv(self, *words: str) -> list[str]:
        """Return the command line of a docker command."""
        return [self.client, *words]

    def run(
        self,
        *words: str,
        shown: Sequence[str] | None = None,
        input: str | bytes | None = None,
        check: bool = True,
        timeout: float = 120,
    ) -> Result:
        """Run a docker command against this engine."""
        shown = ("docker", *words) if shown is None else shown
        return run(self.argv(*words), shown=shown, input=input, check=check, timeout=timeout, env=self.env)

    def lines(self, *words: str) -> list[str]:
        """Run a docker command and return the lines that it prints."""
        return self.run(*words).stdout.split("\n")[:-1]

    @property
    def version(self) -> str:
        """Return the engine's version, or "" where none answers (20.10 exits 0 even then)."""
        result = self.run("version", "--format", "{{.Server.Version}}", check=False, timeout=15)
        return result.stdout.strip() if result.status == 0 else ""

    @property
    def cgroup_version(self) -> int:
        """Return the version of the control groups that the engine's containers get."""
        text = self.run("info", "--format", "{{.CgroupVersion}}").stdout.strip()
        return int(text) if text.isdigit() else 1


def client_environment(address: str, settings: Path) -> dict[str, str]:
    """Return an environment in which docker speaks to `address` and to nothing else.

    The user's own settings stay out: a proxy in ~/.docker/config.json would be
    put into each container, and a context would win over DOCKER_HOST.
    """
    env = {key: value for key, value in os.environ.items() if key != "DOCKER_CONTEXT"}
    if address.startswith("unix:"):
        for key in ("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
            env.pop(key, None)
    else:
        env.setdefault("DOCKER_CERT_PATH", str(Path.home() / ".docker"))
    env |= {"DOCKER_HOST": address, "DOCKER_CONFIG": str(settings), "DOCKER_CLI_HINTS": "false"}
    return env


def cache_directory() -> Path:
    """Return $XDG_CACHE_HOME/dockseal (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "dockseal"


@contextmanager
def open_engine(found: Probe, cache: Path, progress: Progress) -> Iterator[Engine]:
    """Yield the engine that answers already, or a private one that ends with the block."""
    require_engine(found)
    assert found.client is not None
    settings = cache / "client"
    settings.mkdir(parents=True, exist_ok=True)
    if found.version:
        progress(f"engine {found.version} at {found.address}")
        yield Engine(found.client, found.address, private=False, settings=settings)
        return
    assert found.dockerd is not None
    with locked(cache / "engine.lock", "the private engine", progress):
        daemon = PrivateEngine(found.dockerd, found.client, cache)
        progress("starting a private engine")
        try:
            engine = daemon.start()
            progress(f"engine {engine.version} at {engine.address}")
            yield engine
        finally:
            daemon.stop()


@contextmanager
def locked(path: Path, what: str, progress: Progress) -> Iterator[None]:
    """Hold a lock on `path`; wait for another holder and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            progress(f"{what} is in use by process {file.read().strip() or '?'}; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


class PrivateEngine:
    """A dockerd of the lab's own, which leaves the machine's firewall and bridges alone."""

    def __init__(self, dockerd: str, client: str, cache: Path) -> None:
        """Lay out its folders: images in the cache, sockets (at most 107 octets) in /run."""
        self.dockerd = dockerd
        self.client = client
        self.cache = cache
        self.data = cache / "engine"
        self.log = cache / "engine.log"
        digest = hashlib.sha256(os.fsencode(cache)).hexdigest()[:8]
        self.run = Path("/run") / f"dockseal-{digest}"
        self.strays = cache / "engine.strays"
        self.pid_file = self.run / "pid"
        self.process: subprocess.Popen[bytes] | None = None

    def argv(self) -> list[str]:
        """Return the daemon's command line; /etc/docker/daemon.json is another engine's."""
        line = [self.dockerd, "--config-file", str(self.run / "daemon.json")]
        line += ["--data-root", str(self.data), "--exec-root", str(self.run / "exec")]
        line += ["--pidfile", str(self.pid_file), "-H", f"unix://{self.run}/docker.sock"]
        line += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        line += ["--containerd-namespace=dockseal", "--containerd-plugins-namespace=dockseal-plugins"]
        # Where this process is killed, the engine ends too and takes its containers along.
        setpriv = shutil.which("setpriv")
        return [setpriv, "--pdeathsig", "TERM", "--", *line] if setpriv else line

    def start(self) -> Engine:
        """Start dockerd and wait for its answer; end a stale one of a killed run first."""
        self.end_stale()
        self.run.mkdir(mode=0o700, exist_ok=True)
        self.data.mkdir(mode=0o710, parents=True, exist_ok=True)
        (self.run / "daemon.json").write_text("{}\n")
        self.strays.write_text("".join(f"{path}\n" for path in STRAYS if not Path(path).exists()))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        address = f"unix://{self.run}/docker.sock"
        engine = Engine(self.client, address, private=True, settings=self.cache / "client")
        deadline = time.monotonic() + START_TIMEOUT
        while not engine.version:
            if self.process.poll() is not None:
                raise LabUnavailable(f"dockerd does not start on this machine: {self.complaint()}")
            if time.monotonic() > deadline:
                raise LabError(f"dockerd gave no answer in {START_TIMEOUT:g} s; see {self.log}")
            time.sleep(POLL)
        return engine

    def complaint(self) -> str:
        """Return the last thing that dockerd said."""
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def stop(self) -> None:
        """End the daemon by its own pid and remove everything outside the cache."""
        if self.process is not None:
            end(self.process.pid, lambda: self.process is None or self.process.poll() is not None)
        self._end_helpers()
        self._clear()

    def end_stale(self) -> None:
        """End what a killed run left: its dockerd, or the helpers of a killed dockerd."""
        pid = stale_pid(self.pid_file, self.data)
        if pid is not None:
            end(pid, lambda: stale_pid(self.pid_file, self.data) is None)
        self._end_helpers()
        self._clear()

    def _end_helpers(self) -> None:
        """End containerd and its shims, known by this engine's own folder in their words."""
        mark = os.fsencode(self.run / "exec")
        for pid in processes_with(mark):
            end(pid, lambda pid=pid: pid not in processes_with(mark))  # type: ignore[misc]

    def _clear(self) -> None:
        """Detach mounts that stayed and remove the folder in /run."""
        for target in mounts_below((self.run, self.data)):
            subprocess.run(["umount", "--lazy", target], capture_output=True, check=False)
        shutil.rmtree(self.run, ignore_errors=True)
        if self.strays.exists():
            for name in self.strays.read_text().splitlines():
                remove_stray(Path(name))
            self.strays.unlink()


def stale_pid(pid_file: Path, data: Path) -> int | None:
    """Return the pid in `pid_file` if a dockerd with this data root still has it."""
    try:
        pid = int(pid_file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(data) in words and b"--data-root" in words else None


def processes_with(mark: bytes) -> list[int]:
    """Return the processes of which a word begins with `mark`, this one aside."""
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if any(word == mark or word.startswith(mark + b"/") for word in words):
                pids.append(int(entry.name))
    return pids


def mounts_below(folders: Sequence[Path]) -> list[str]:
    """Return the mount points below these folders, the deepest first."""
    prefixes = tuple(f"{folder}/" for folder in folders)
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if f"{point}/".startswith(prefixes)), reverse=True)


def remove_stray(folder: Path) -> None:
    """Remove a folder that dockerd made if all in it is empty, or the key that 20.10 makes for nothing."""
    with suppress(FileNotFoundError):
        (folder / "key.json").unlink()
    for below in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            below.rmdir()
    with suppress(OSError):
        folder.rmdir()


def end(pid: int, gone: Callable[[], bool]) -> None:
    """End one process: SIGTERM, and SIGKILL where that does not do."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT
        while time.monotonic() < deadline:
            if gone():
                return
            time.sleep(POLL)
    raise LabError(f"process {pid} does not end")
