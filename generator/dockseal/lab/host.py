"""One throwaway Docker host."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dockseal.lab import snapshot
from dockseal.lab.engine import Engine
from dockseal.lab.entry import Entry
from dockseal.lab.errors import LabError
from dockseal.lab.process import Result, run
from dockseal.lab.terminal import ANSWER_TIMEOUT, Terminal

BOOT_TIMEOUT = 90

# systemd-modules-load cannot work in a container: "degraded" is as good as it gets on Debian 13.
WAIT = """
until case $(systemctl is-system-running) in running | degraded) ;; *) false ;; esac; do
  sleep 0.1
done
until [ -n "$(docker version --format '{{.Server.Version}}')" ]; do
  systemctl is-failed --quiet docker.service && exit 1
  sleep 0.1
done
"""


@dataclass(frozen=True)
class Host:
    """A container in which systemd and dockerd run, driven as a machine would be."""

    engine: Engine
    id: str
    name: str
    release: str
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    entry: Entry | None = None

    def command(
        self,
        argv: Sequence[str],
        *,
        cwd: str = "/root",
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        terminal: bool = False,
    ) -> list[str]:
        """Return the command line, for the lab's own machine, that runs `argv` on the host."""
        words = ["exec", "-it" if terminal else "-i", "--workdir", cwd]
        for key, value in (env or {}).items():
            words += ["--env", f"{key}={value}"]
        if user is not None:
            words += ["--user", user]
        return self.engine.argv(*words, self.id, *argv)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | None = None,
        check: bool = True,
        timeout: float = 600,
        cwd: str = "/root",
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> Result:
        """Run a command on the host, without a terminal; as root in /root unless told otherwise."""
        if self.entry is not None and user is None:
            words, around = self.entry.argv(argv, cwd), {**self.entry.env, **(env or {})}
        else:
            words, around = self.command(argv, cwd=cwd, env=env, user=user), self.engine.env
        return run(words, shown=argv, input=input, check=check, timeout=timeout, env=around)

    def bash(self, script: str, *words: str, check: bool = True, timeout: float = 600) -> Result:
        """Run a piece of bash on the host; `words` are its $1, $2 and so on."""
        argv = ["bash", "-euo", "pipefail", "-c", script, "bash", *words]
        return self.run(argv, check=check, timeout=timeout)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: str = "/root",
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        timeout: float = ANSWER_TIMEOUT,
        watch: Callable[[str], None] | None = None,
    ) -> Terminal:
        """Run a command on the host on a real terminal."""
        return Terminal(self, argv, cwd=cwd, env=env, user=user, timeout=timeout, watch=watch)

    def copy_in(self, source: Path, destination: str) -> None:
        """Copy a file or a folder to the path `destination`, with its modes, owned by root."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(source, destination.lstrip("/"), filter=_owned_by_root)
        self._unpack(buffer)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file, and the folders that lead to it."""
        octets = content.encode() if isinstance(content, str) else content
        member = tarfile.TarInfo(path.lstrip("/"))
        member.size, member.mode = len(octets), mode
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(member, io.BytesIO(octets))
        self._unpack(buffer)

    def _unpack(self, buffer: io.BytesIO) -> None:
        """Unpack a tar file at /; `docker cp` does not see the tmpfs mounts."""
        self.run(["tar", "-x", "-p", "-f", "-", "-C", "/"], input=buffer.getvalue())

    def copy_out(self, source: str, destination: Path) -> None:
        """Copy a file or a folder from the host to the path `destination`."""
        parent, _, name = source.rpartition("/")
        octets = self.run(["tar", "-c", "-f", "-", "-C", parent or "/", "--", name]).octets
        with tarfile.open(fileobj=io.BytesIO(octets)) as archive:
            for member in archive.getmembers():
                member.name = f"{destination.name}{member.name.removeprefix(name)}"
                archive.extract(member, destination.parent, filter="data")

    def read(self, path: str) -> str:
        """Return a file as text."""
        return self.read_bytes(path).decode()

    def read_bytes(self, path: str) -> bytes:
        """Return a file as octets."""
        return self.run(["cat", "--", path]).octets

    def exists(self, path: str) -> bool:
        """Tell whether there is something at this path, a dangling link too."""
        script = 'test -e "$0" || test -L "$0"'
        return self.run(["sh", "-c", script, path], check=False).status == 0

    def journal(self, unit: str = "docker.service", lines: int = 30) -> str:
        """Return the end of a unit's journal."""
        argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--unit={unit}"]
        return self.run([*argv, f"--lines={lines}"], check=False).output

    def snapshot(self, roots: Sequence[str] = snapshot.ROOTS) -> snapshot.Snapshot:
        """Record files below `roots`, units, networks and contexts."""
        return snapshot.parse(self.run(["bash", "-c", snapshot.PROBE, "bash", *roots]).stdout)

    def address(self) -> str:
        """Return the host's own address on the lab's network."""
        wanted = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.engine.run("inspect", "--format", wanted, self.id).stdout.strip()

    def wait(self) -> None:
        """Wait until systemd and dockerd answer; raise LabError with the journal's end if not."""
        argv = ["timeout", str(BOOT_TIMEOUT), "sh", "-c", WAIT]
        result = self.run(argv, check=False, timeout=BOOT_TIMEOUT + 10)
        if result.status != 0:
            said = self.engine.run("logs", "--tail", "20", self.id, check=False).output
            raise LabError(
                f"{self.name}: systemd and dockerd are not up after {BOOT_TIMEOUT} s\n"
                f"{result.output[-500:]}\n{said}\n{self.journal()}".strip()
            )

    def take_addresses(self) -> None:
        """Give the loopback interface the host's addresses, so that dockerd can listen there."""
        for address in self.addresses:
            words = ["-6", "addr", "add", f"{address}/128"]
            if ":" not in address:
                words = ["addr", "add", f"{address}/32"]
            self.run(["ip", *words, "dev", "lo"])

    def know(self, names: Mapping[str, str]) -> None:
        """Let names stand for these addresses in /etc/hosts, and for no other.

        The file is a mount of the container's and can only be written in place.
        """
        if names:
            path = "/etc/hosts"
            self.run(["tee", path], input=hosts_file(self.read(path), names))

    def reach(self, other: Host, device: str = "eth0") -> None:
        """Send packets for another host's own addresses to it, past whoever else has the same ones."""
        if any(":" in address for address in other.addresses):
            self.link_local(device)  # until it is sure of its own, it would send from ::1
        for address in other.addresses:
            family, gateway = ["-6"], other.link_local(device)
            if ":" not in address:
                family, gateway = [], other.address()
            self.run(["ip", *family, "route", "replace", address, "via", gateway, "dev", device])

    def link_local(self, device: str = "eth0") -> str:
        """Return the IPv6 address that the host gave itself on the lab's network, once it is sure of it."""
        show = ["ip", "-6", "-o", "addr", "show", "dev", device, "scope", "link", "-tentative"]
        script = 'until "$@" | grep inet6; do sleep 0.1; done'
        words = self.bash(script, *show, timeout=10).stdout.split()
        return words[words.index("inet6") + 1].partition("/")[0]


def hosts_file(text: str, names: Mapping[str, str]) -> str:
    """Return a hosts(5) file in which these names have these addresses only."""
    kept = [line for line in text.splitlines() if not set(line.split()[1:]) & set(names)]
    return "".join(f"{line}\n" for line in [*kept, *(f"{address}\t{name}" for name, address in names.items())])


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
