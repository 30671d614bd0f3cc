"""Throwaway Docker hosts (systemd and dockerd) and the rehearsal of a site in them.

The parts, from the bottom up: ``probe`` (what this machine can do), ``engine``
(the Docker engine that carries the hosts), ``image`` (what a host is made of),
``host`` (one booted host), ``session`` (all of them, and their removal),
``terminal`` and ``snapshot`` (how a host is driven and compared), ``rehearse``.
"""

from dockseal.lab.errors import CommandFailed, LabError, LabUnavailable
from dockseal.lab.host import Host
from dockseal.lab.image import HOSTS, RELEASES, UPSTREAM
from dockseal.lab.process import Result
from dockseal.lab.session import Lab
from dockseal.lab.snapshot import Change, Snapshot, difference
from dockseal.lab.terminal import Terminal

__all__ = [
    "HOSTS",
    "RELEASES",
    "UPSTREAM",
    "Change",
    "CommandFailed",
    "Host",
    "Lab",
    "LabError",
    "LabUnavailable",
    "Result",
    "Snapshot",
    "Terminal",
    "difference",
]
