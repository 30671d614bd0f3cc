"""What a script changed, read off strace(1), and the commands that it printed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import join, normpath

from dockseal.lab import Host

TRACE = "/run/trace"
CALLS = "%file,fchmod,fchown,listen,fork,vfork,clone,clone3"
STRACE = ("strace", "--follow-forks", "-y", "--string-limit=4096", "--seccomp-bpf", "--quiet=all", f"--output={TRACE}")

# What no script of ours decides: the kernel's own names, and where every program may write.
OUTSIDE = re.compile(r"/(proc|dev|sys)(/|$)")
LISTENS = "a socket that listens"
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<.*>)?(?: .*)?$")
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BASE = re.compile(r"AT_FDCWD<([^>]*)>|\d+<([^>]*)>")
# Which of the paths in its arguments a call changes: all but a link's text.
_CHANGES = {
    "creat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
    "symlink", "symlinkat", "chmod", "fchmodat", "chown", "lchown", "fchownat", "truncate", "mknod", "mknodat",
}  # fmt: skip
_STARTS = {"fork", "vfork", "clone", "clone3"}


@dataclass(frozen=True)
class Traced:
    """What came of a command: its status, standard output and error, and the paths that it changed."""

    status: int
    output: str
    said: str
    changed: set[str]


def traced(host: Host, argv: list[str]) -> Traced:
    """Run a command on a host without a terminal, and follow it and all that it starts."""
    result = host.run([*STRACE, f"--trace={CALLS}", "--", *argv], check=False, timeout=300)
    return Traced(result.status, result.stdout, result.stderr, set(changed_paths(host.read(TRACE))))


def changed_paths(trace: str) -> Iterator[str]:
    """Yield the paths that a script changed, but not those of the kernel."""
    return (path for path in _every_path(trace) if not OUTSIDE.match(path))


def _every_path(trace: str) -> Iterator[str]:
    """Yield the absolute path of everything that a trace shows made, renamed, removed, or given a mode or an owner."""
    folders: dict[str, str] = {}
    for pid, call, words, status in _calls(trace):
        folder = folders.setdefault(pid, "/root")
        if status < 0:
            continue
        paths = [match[1] for match in _QUOTED.finditer(words)]
        if call in _STARTS:
            folders[str(status)] = folder
        elif call == "chdir":
            folders[pid] = normpath(join(folder, paths[0]))
        elif call in {"fchmod", "fchown"}:
            yield from (path for path in _bases(words) if path.startswith("/"))
        elif call == "listen":
            yield LISTENS
        elif call in _CHANGES or (call in {"open", "openat"} and re.search(r"O_(CREAT|TRUNC|WRONLY|RDWR)", words)):
            if call.startswith("symlink"):
                paths = paths[1:]
            bases = _bases(words) or [folder]
            for number, path in enumerate(paths):
                yield normpath(join(bases[min(number, len(bases) - 1)], path))


def _bases(words: str) -> list[str]:
    return [found[0] or found[1] for found in _BASE.findall(_QUOTED.sub('""', words))]


def _calls(trace: str) -> Iterator[tuple[str, str, str, int]]:
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        if match := _UNFINISHED.match(line):
            begun[match[1]] = match[2]
            continue
        match = _RESUMED.match(line)
        match = _CALL.match(f"{match[1]} {begun.pop(match[1], '')}{match[2]}" if match else line)
        if match:
            yield match[1], match[2], match[3], int(match[4])


def printed(text: str, mark: str) -> list[str]:
    """Return the commands that a script printed, each with the text of its file; `mark` is "" of --check, else "+ "."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if inside:
            found[-1] += f"\n{line}"
            inside = line != "END"
        elif line.startswith(mark):
            found.append(line.removeprefix(mark))
            inside = line.endswith("<<'END'")
    return found


# What a script that starts containers changes beside docker, and what it removes in the end, by ids that docker gives.
_PROGRAMS = ("mktemp", "chmod", "mkdir", "install", "ln", "tar", "rm")
_REMOVED = (["container", "rm"], ["network", "rm"], ["image", "rm"])


def container_commands(host: Host, script: str) -> tuple[list[list[str]], list[list[str]]]:
    """Return the commands that --check of a script prints, and those that a run executes; of removals only the kind."""
    printed = [shlex.split(line) for line in host.run(["bash", script, "--check"]).stdout.splitlines()]
    host.bash(f"strace -f -qq -z -s 4096 -e trace=execve -e signal=none -o {TRACE} bash {script} >/run/said 2>&1")
    executed = [words for words in _executed(host.read(TRACE)) if _is_change(words)]
    host.run(["rm", TRACE, "/run/said"])
    return [_kind(words) for words in printed], [_kind(words) for words in executed]


def _kind(words: list[str]) -> list[str]:
    """Return a command without the names and addresses that docker or chance gives."""
    if words[3:5] in _REMOVED:
        return words[3:5]
    return [re.sub(r"^fd[0-9a-f:]+::/64$", "PREFIX", word) for word in words]


def _executed(trace: str) -> Iterator[list[str]]:
    """Yield the words of each command that was executed, with what is this run's own as --check names it."""
    found = re.search(r"/run/dockseal-probe\.(\w{8})/", trace)
    assert found
    text = re.sub(r"sha256:[0-9a-f]{64}", "IMAGE", trace).replace(found[1], "RUN")
    for line in re.findall(r'execve\("[^"]+", (\[.*\]), 0x', text):
        yield [str(word) for word in ast.literal_eval(line)]


def _is_change(words: list[str]) -> bool:
    """Tell whether a command changes something of docker's or below /run; the script names by id what it only asks."""
    if words[0] == "docker":
        return not {"version", "inspect", "ls"} & {*words[3:5]} and not re.fullmatch(r"[0-9a-f]{64}", words[4])
    if words[:2] == ["bash", "-c"]:
        return "/run/dockseal-probe." in words[2]
    return words[0] in _PROGRAMS and any("/run/dockseal-probe." in word for word in words)
