"""What a host looks like at one moment, and what differs between two moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# Everything that the scripts may touch: the system's configuration and root's home folder.
ROOTS = ("/etc", "/root")
# The whole file system, without the file systems that dockerd and the kernel keep.
WHOLE = ("/", "/run", "/tmp", "-xdev")  # noqa: S108 - it is only looked at
# What a machine changes by itself in the meantime: logs, what services keep of their own state, and caches.
MACHINE = (
    "/run/containerd",
    "/run/docker",
    "/run/docker.pid",
    "/run/lock",
    "/run/log",
    "/run/systemd",
    "/run/udev",
    "/var/cache",
    "/var/lib/containerd",
    "/var/lib/systemd/random-seed",
    "/var/log",
)
# The rest tells how a unit is set up; these tell when it was last started.
RUN_PROPERTIES = ("MainPID", "ActiveEnterTimestampMonotonic")

# One record a NUL octet: a tag, then fields with tabs. Values come last, so that they may hold tabs.
PROBE = r"""
export LC_ALL=C
find "$@" -printf 'file\t%y\t%m\t%U:%G\t%T@\t%p\t%l\0' 2>/dev/null
find "$@" -type f -exec sha256sum -z -- {} + 2>/dev/null |
  sed -z 's/^\([0-9a-f]*\)  /sum\t\1\t/'
pid=0
for unit in docker.service docker.socket; do
  while IFS= read -r line; do
    printf 'unit\t%s\t%s\t%s\0' "$unit" "${line%%=*}" "${line#*=}"
    case $line in MainPID=*) pid=${line#*=} ;; esac
  done < <(systemctl show --property=FragmentPath,DropInPaths,UnitFileState \
    --property=ActiveState,SubState,MainPID,ActiveEnterTimestampMonotonic "$unit")
done
[ "$pid" = 0 ] || printf 'argv\t%s\0' "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
docker network ls --format '{{.Name}} {{.Driver}}' | sort |
  while read -r line; do printf 'network\t%s\0' "$line"; done
docker context ls --format '{{.Name}} {{.DockerEndpoint}}' 2>/dev/null | sort |
  while read -r line; do printf 'context\t%s\0' "$line"; done
"""


@dataclass(frozen=True)
class Entry:
    """One path: its type, POSIX mode, owner, content and time of change."""

    kind: str  # as find(1) prints it: f, d, l
    mode: str
    owner: str
    content: str  # sha256 of a file, the target of a link
    changed: str  # modification time in seconds

    def __str__(self) -> str:
        """Return one line without the time of change."""
        what = f" -> {self.content}" if self.kind == "l" else f" {self.content[:12]}"
        return f"{self.kind} {self.mode} {self.owner}{what}".rstrip()


@dataclass(frozen=True)
class Snapshot:
    """A host at one moment."""

    files: Mapping[str, Entry]
    units: Mapping[str, str]  # "docker.service DropInPaths" -> value
    daemon: str  # the command line of the running dockerd
    networks: frozenset[str]
    contexts: frozenset[str]
    runs: Mapping[str, str]  # the main process and the moment it started, per unit


@dataclass(frozen=True)
class Change:
    """One difference between two snapshots."""

    kind: Literal["added", "removed", "changed"]
    what: str  # "file /etc/docker/tls", "unit docker.service DropInPaths"
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        """Return one line: the sign, the thing, and what it became."""
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.kind]
        detail = {"added": self.after, "removed": self.before}.get(self.kind, f"{self.before} => {self.after}")
        return f"{sign} {self.what}  {detail}".rstrip()


def parse(output: str) -> Snapshot:
    """Read what PROBE printed."""
    files: dict[str, Entry] = {}
    sums: dict[str, str] = {}
    units: dict[str, str] = {}
    runs: dict[str, str] = {}
    lists: dict[str, set[str]] = {"network": set(), "context": set(), "argv": set()}
    for record in output.split("\0"):
        tag, _, rest = record.partition("\t")
        if tag == "file":
            kind, mode, owner, changed, path, target = rest.split("\t", 5)
            files[path] = Entry(kind, mode, owner, target, changed)
        elif tag == "sum":
            digest, _, path = rest.partition("\t")
            sums[path] = digest
        elif tag == "unit":
            unit, key, value = rest.split("\t", 2)
            (runs if key in RUN_PROPERTIES else units)[f"{unit} {key}"] = value
        elif tag in lists:
            lists[tag].add(rest.strip())
    for path, digest in sums.items():
        if path in files:
            old = files[path]
            files[path] = Entry(old.kind, old.mode, old.owner, digest, old.changed)
    return Snapshot(
        files,
        units,
        next(iter(lists["argv"]), ""),
        frozenset(lists["network"]),
        frozenset(lists["context"]),
        runs,
    )


def difference(
    before: Snapshot, after: Snapshot, *, strict: bool = False, without: tuple[str, ...] = ()
) -> list[Change]:
    """List what changed, in order of its name.

    `strict` also counts a file written anew with the same content, and a
    service that was started again. `without` names folders to leave out.
    """
    changes = _compare("file", _files(before, strict, without), _files(after, strict, without))
    changes += _compare("unit", before.units, after.units)
    changes += _compare("daemon", {"argv": before.daemon}, {"argv": after.daemon})
    changes += _compare("network", _members(before.networks), _members(after.networks))
    changes += _compare("context", _members(before.contexts), _members(after.contexts))
    if strict:
        changes += _compare("run", before.runs, after.runs)
    return changes


def _files(snapshot: Snapshot, strict: bool, without: tuple[str, ...]) -> dict[str, str]:
    left = {
        path: entry
        for path, entry in snapshot.files.items()
        if not any(path == folder or path.startswith(f"{folder}/") for folder in without)
    }
    # A folder's time changes with a temporary file in it; a file's own says that it was written.
    return {
        path: f"{entry} {entry.changed}" if strict and entry.kind != "d" else str(entry) for path, entry in left.items()
    }


def _members(names: frozenset[str]) -> dict[str, str]:
    return dict.fromkeys(names, "")


def _compare(label: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    changes = []
    for key in sorted(before.keys() | after.keys()):
        name = f"{label} {key}"
        if key not in before:
            changes.append(Change("added", name, after=after[key]))
        elif key not in after:
            changes.append(Change("removed", name, before=before[key]))
        elif before[key] != after[key]:
            changes.append(Change("changed", name, before[key], after[key]))
    return changes
