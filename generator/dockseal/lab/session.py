"""A lab: an engine, a network, the hosts on it, and the removal of all that."""

from __future__ import annotations

import os
import re
import secrets
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from dockseal.lab import image
from dockseal.lab.engine import Engine, Progress, cache_directory, open_engine
from dockseal.lab.entry import Entry, enter
from dockseal.lab.errors import CommandFailed, LabError
from dockseal.lab.host import Host
from dockseal.lab.probe import Probe, probe, registry_answers
from dockseal.lab.process import Result
from dockseal.lab.watches import require_watches

LABEL = "dockseal.lab"
PROCESS_LABEL = "dockseal.lab.process"
ENDING = (signal.SIGTERM, signal.SIGHUP)

# The container's own cgroup and sysfs mounts are made
# writable, which --privileged would have done, and systemd takes over.
INIT = """
mount -o remount,bind,rw /sys/fs/cgroup
for m in /sys/fs/cgroup/*; do [ -d "$m" ] && mount -o remount,bind,rw "$m"; done
mount -o remount,bind,rw /sys
exec /sbin/init
"""
COMMON = (
    "--cgroupns=private",
    # An unknown name is asked for in vain: the network is internal. Give up soon.
    *("--dns-option", "timeout:1", "--dns-option", "attempts:1"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"),  # noqa: S108
    *("--volume", "/var/lib/docker", "--stop-signal", "SIGRTMIN+3"),
)


def quiet(message: str) -> None:
    """Say nothing."""


def rights(privileged: bool) -> tuple[str, ...]:
    """Return the options of `docker run` that let systemd and dockerd work inside.

    `--privileged` fails where the machine's bounding set lacks SYS_RESOURCE,
    and does not make cgroup v1 controllers writable in a namespace of their own.
    """
    if privileged:
        return ("--privileged",)
    unconfined = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
    options = [word for name in unconfined for word in ("--security-opt", name)]
    return ("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", *options)


# Several labs of one engine, as pytest's workers have, find the same things and remove them at once.
GONE_MEANWHILE = re.compile(r"^[0-9a-f]{64}$|is already in progress$|No such (container|network)|network .* not found$")


class Lab:
    """Throwaway Docker hosts on one network; `with Lab.open() as lab: lab.boot("bookworm")`."""

    def __init__(self, engine: Engine, found: Probe, cache: Path, progress: Progress) -> None:
        """Take an engine that answers; `open` is the usual way."""
        self.engine = engine
        self.found = found
        self.cache = cache
        self.progress = progress
        self.id = secrets.token_hex(4)
        self.labels = (f"{LABEL}={self.id}", f"{PROCESS_LABEL}={this_process()}")
        self._network = ""
        self._privileged = engine.cgroup_version == 2 and "SYS_RESOURCE" in found.capabilities
        self._lock = threading.Lock()
        self._count = 0
        self._entries: dict[str, Entry] = {}

    @classmethod
    @contextmanager
    def open(cls, progress: Progress = quiet) -> Iterator[Lab]:
        """Yield a lab; at the end, however it comes, nothing of it is left.

        Raises LabUnavailable with one sentence where the lab cannot work.
        """
        found = probe(registry=None)
        cache = cache_directory()
        with _interruptible(), open_engine(found, cache, progress) as engine:
            lab = cls(engine, found, cache, progress)
            lab.remove_stale()
            try:
                yield lab
            finally:
                with _uninterruptible():
                    lab.close()

    def ensure_images(self, releases: Iterable[str] = image.RELEASES) -> None:
        """Build the images of these kinds of host where the engine has not got them."""
        wanted = tuple(dict.fromkeys(image.base(release) for release in releases))
        found = self.found
        if not all(image.has(self.engine, image.tag(release)) for release in wanted):
            built_here = found.root and found.mmdebstrap and found.keyring
            if not built_here and found.registry is None:
                found = probe(registry=registry_answers)
        image.ensure(self.engine, found, self.cache, wanted, self.progress)

    def boot(
        self,
        release: str,
        *,
        name: str | None = None,
        addresses: Iterable[str] = (),
        names: Mapping[str, str] | None = None,
    ) -> Host:
        """Boot a host and wait until systemd and dockerd answer.

        `release` is one of `image.HOSTS`.
        `name` is its host name; `addresses` are put on its loopback interface;
        `names` are put into its /etc/hosts with their addresses.
        Raises LabError with the journal's end where it does not come up.
        """
        self.ensure_images((release,))
        require_watches(self.engine.address)
        with self._lock:
            self._count += 1
            container = f"dockseal-{self.id}-{self._count}"
            network = self._ensure_network()
        label = name or f"{release}-{self._count}"
        known = names or {}
        options = [
            *("--detach", "--name", container, "--hostname", label[:63].rstrip(".-")),
            *("--network", network, "--network-alias", label, *self._label_options()),
            *COMMON,
        ]
        if Path("/proc/sys/net/ipv6").exists():
            options += ["--sysctl", "net.ipv6.conf.all.disable_ipv6=0"]
        identity = self._start(options, image.tag(image.base(release)), image.changes(release) + INIT)
        entry = self._enter(identity)
        host = Host(self.engine, identity, label, release, tuple(addresses), tuple(known), entry)
        host.wait()
        host.take_addresses()
        host.know(known)
        return host

    def _start(self, options: list[str], name: str, script: str) -> str:
        """Run the container, with --privileged only where that is likely to work."""
        result = self._run(options, name, script, self._privileged)
        if result.status != 0 and self._privileged:
            self._remove("container", self._mine("container", container_of(options)))
            self._privileged = False
            result = self._run(options, name, script, False)
        if result.status != 0:
            raise LabError(f"a host cannot be started on this engine: {result.stderr.strip()}")
        return result.stdout.strip()

    def _run(self, options: list[str], name: str, script: str, privileged: bool) -> Result:
        words = [*options, *rights(privileged), name, "sh", "-c", script]
        return self.engine.run("run", *words, shown=("docker", "run", name), check=False)

    def _enter(self, identity: str) -> Entry | None:
        """Enter a container past the engine where that can be done; until the container is removed."""
        pid = self.engine.run("inspect", "--format", "{{.State.Pid}}", identity).stdout.strip()
        env = self.engine.run("exec", identity, "env", "-0").stdout.split("\0")[:-1]
        entry = enter(identity, int(pid), dict(line.split("=", 1) for line in env))
        if entry is not None:
            self._entries[identity] = entry
        return entry

    def _ensure_network(self) -> str:
        """Make the hosts' network, which leads nowhere else."""
        if not self._network:
            words = ("--internal", *self._label_options(), f"dockseal-{self.id}")
            self._network = self.engine.run("network", "create", *words).stdout.strip()
        return self._network

    def _label_options(self) -> list[str]:
        return [word for label in self.labels for word in ("--label", label)]

    def remove(self, host: Host) -> None:
        """Remove one host and its volumes."""
        self._remove("container", [host.id])

    def close(self) -> None:
        """Remove all that carries this lab's label."""
        for kind in ("container", "network", "volume"):
            self._remove(kind, self._mine(kind))

    def remove_stale(self) -> None:
        """Remove what a killed run left: on a private engine all, else what has no process."""
        if not self.engine.address.startswith("unix:"):
            return
        wanted = '{{.ID}} {{.Label "' + PROCESS_LABEL + '"}}'
        for kind in ("container", "network"):
            everything = ("--all", "--no-trunc") if kind == "container" else ("--no-trunc",)
            words = (kind, "ls", *everything, "--filter", f"label={LABEL}", "--format", wanted)
            rows = [line.partition(" ") for line in self.engine.lines(*words)]
            gone = [one for one, _, owner in rows if self.engine.private or is_gone(owner)]
            if gone:
                self.progress(f"removing {len(gone)} {kind}(s) of a run that was killed")
            try:
                self._remove(kind, gone)
            except CommandFailed as error:
                if not all(GONE_MEANWHILE.search(line) for line in error.output.splitlines()):
                    raise

    def _mine(self, kind: str, name: str = "") -> list[str]:
        everything = {"container": ["--all", "--no-trunc"], "network": ["--no-trunc"]}.get(kind, [])
        words = [kind, "ls", "--quiet", *everything, "--filter", f"label={LABEL}={self.id}"]
        if name:
            words += ["--filter", f"name={name}"]
        return self.engine.lines(*words)

    def _remove(self, kind: str, ids: list[str]) -> None:
        """Remove things by their id."""
        if ids:
            for one in ids:
                if entry := self._entries.pop(one, None):
                    entry.close()
            how = {"container": ("--force", "--volumes")}.get(kind, ())
            self.engine.run(kind, "rm", *how, *ids)


def container_of(options: list[str]) -> str:
    """Return the container's name among the options of `docker run`."""
    return options[options.index("--name") + 1]


def this_process() -> str:
    """Name this process so that another run can tell whether it still lives."""
    return f"{_pid_namespace()} {os.getpid()} {_start_time(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Tell whether a process named by `this_process` is of this machine and has ended."""
    words = owner.split()
    if len(words) != 3 or words[0] != _pid_namespace() or not words[1].isdigit():
        return False
    return _start_time(int(words[1])) != words[2]


def _pid_namespace() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _start_time(pid: int) -> str:
    """Return field 22 of /proc/PID/stat, or "" where there is no such process (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that the lab is removed."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    with _handlers(dict.fromkeys(ENDING, interrupt)):
        yield


@contextmanager
def _uninterruptible() -> Iterator[None]:
    """Let nothing but SIGKILL break off the removal."""
    with _handlers(dict.fromkeys((signal.SIGINT, *ENDING), signal.SIG_IGN)):
        yield


@contextmanager
def _handlers(handlers: Mapping[signal.Signals, object]) -> Iterator[None]:
    """Set signal handlers for the block; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        signal.signal(number, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
