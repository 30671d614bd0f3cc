"""Into a host without the engine: what `docker exec` does, for a tenth of its work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# The options of nsenter(1), and their files in /proc/PID/ns.
NAMESPACES = {"mount": "mnt", "uts": "uts", "ipc": "ipc", "net": "net", "pid": "pid", "cgroup": "cgroup"}


@dataclass(frozen=True, eq=False)
class Entry:
    """The open namespaces of one container, and the environment that `docker exec` gives its commands.

    They are held open, and not looked up by the number of a process again: once the container has ended, a command
    fails, and never runs among the processes of this machine.
    """

    nsenter: str
    files: Mapping[str, int]
    env: Mapping[str, str]

    def argv(self, argv: Sequence[str], cwd: str) -> list[str]:
        """Return the command line that runs `argv` in the container, with no signal ignored."""
        words = [f"--{name}=/proc/{os.getpid()}/fd/{number}" for name, number in self.files.items()]
        return [self.nsenter, *words, "/usr/bin/env", "--default-signal", f"--chdir={cwd}", *argv]

    def close(self) -> None:
        """Let go of the namespaces; what is mounted in them would stay."""
        for number in self.files.values():
            os.close(number)


def enter(identity: str, pid: int, env: Mapping[str, str]) -> Entry | None:
    """Open the namespaces of the container with this id and first process; None where this machine does not see it.

    That is so for an engine on another machine or in a virtual one, and for anybody but root.
    """
    nsenter = shutil.which("nsenter")
    if nsenter is None or os.geteuid() != 0 or pid <= 0:
        return None
    files: dict[str, int] = {}
    with suppress(OSError):
        folder = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
        try:
            for option, name in NAMESPACES.items():
                files[option] = os.open(f"ns/{name}", os.O_RDONLY, dir_fd=folder)
            groups = Path(f"/proc/self/fd/{folder}/cgroup").read_text()
        finally:
            os.close(folder)
        if identity in groups:
            return Entry(nsenter, files, dict(env))
    for number in files.values():
        os.close(number)
    return None
