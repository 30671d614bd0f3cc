"""Whether one more host can watch files: systemd, dbus and containerd each need inotify instances."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from dockseal.lab.errors import LabError

# systemd holds 5 on Debian 11 to 13, its login manager, dbus, containerd and dockerd up to one each.
NEEDED = 10
LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")


def watches_left(wanted: int) -> int:
    """Return how many inotify instances this user can still make, `wanted` at most (inotify(7)).

    They are made and closed again: the kernel tells the limit, but not how many of them are in use.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    made: list[int] = []
    try:
        while len(made) < wanted:
            one = libc.inotify_init1(os.O_CLOEXEC)
            if one < 0:
                number = ctypes.get_errno()
                if number == errno.EMFILE:
                    break
                raise LabError(f"no inotify instance can be made: {os.strerror(number)}")
            made.append(one)
    finally:
        for one in made:
            os.close(one)
    return len(made)


def require_watches(address: str) -> None:
    """Raise LabError where the engine is of this machine and root has too few instances left for one more host.

    Such a host would not come up, and its systemd would say why in its own journal only.
    """
    if os.geteuid() != 0 or not address.startswith("unix:"):
        return
    left = watches_left(NEEDED)
    if left < NEEDED:
        limit = LIMIT.read_text().strip()
        raise LabError(
            f"one more host needs {NEEDED} inotify instances, and of the {limit} that fs.inotify.max_user_instances "
            f"allows {left} are left: end another run, or raise the limit with "
            f"`sysctl fs.inotify.max_user_instances={int(limit) * 4}`"
        )
