"""A stick that is carried from machine to machine: what it holds, and a small file system in its place on each."""

from __future__ import annotations

from dataclasses import dataclass, field

from dockseal.lab import Host

STICK = "/media/stick"


@dataclass
class Stick:
    """Files by their name, and how many KiB there is room for.

    The kernel of the tests may know no FAT: a tmpfs is as short of space.
    """

    size: int = 64
    holds: dict[str, bytes] = field(default_factory=dict)

    def plug_in(self, host: Host) -> None:
        """Put the stick into a machine."""
        host.bash(
            f"umount {STICK} 2>/dev/null || true; mkdir -p {STICK};"
            f"mount -t tmpfs -o size={self.size}k,mode=755 stick {STICK}"
        )
        for name, octets in self.holds.items():
            host.write(f"{STICK}/{name}", octets)

    def pull_out(self, host: Host) -> None:
        """Take it out of a machine, with what it holds by then."""
        names = host.bash(f"cd {STICK} && ls -A").stdout.split()
        self.holds = {name: host.read_bytes(f"{STICK}/{name}") for name in names}
        host.bash(f"umount {STICK}")
