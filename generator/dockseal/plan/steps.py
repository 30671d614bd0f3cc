"""What a plan is made of: steps, and what each one does to a machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dockseal.errors import TemplateError

Scalar = str | int
Row = Mapping[str, Scalar]
Value = Scalar | Sequence[str] | Sequence[Row] | Sequence["Words"]
Context = Mapping[str, Value]


class Words(tuple[str, ...]):
    """Words of a command that stand on one line of a script."""

    __slots__ = ()

    def __new__(cls, *words: str) -> Words:
        """Take the words one by one."""
        return super().__new__(cls, words)


@dataclass(frozen=True, slots=True)
class File:
    """A file that a step leaves behind, with owner and POSIX mode (octal digits).

    A path without a leading '/' or '~' stands in the working folder (`--dir`). Folders that lead to a file are made
    with it, for its owner alone, and removed when they are empty.
    """

    path: str
    owner: str
    mode: str


def lock(folder: str) -> File:
    """Return the empty file in a working folder that keeps a second run waiting."""
    return File(f"{folder}/.lock".removeprefix("/"), "operator", "0600")


# The same for all that changes a Docker host.
HOST_LOCK = File("/run/dockseal.lock", "root:root", "0600")
READ_ONLY = "nothing to undo: it is read-only"
SHOWS = "shows"
VERIFIES = "verifies"


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything that a step changes on the machine where it runs.

    `units` are (re)started. `temporary` are paths, and `starts` is what else, that exist only while it runs; a name
    that ends with `.new` until it is whole is not listed. In a path DIGEST, SERIAL and RANDOM stand for what only the
    run knows, FILE for what an option names. `undoes` is what --undo --remove-keys removes of other steps' files.
    """

    files: tuple[File, ...] = ()
    units: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    temporary: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    undoes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One rendered script of one party, with every constant that stands in it.

    `reads` holds working files that an earlier step makes, and absolute paths of the machine; `looks_at` what a step
    reads where it is there. `needs` is what the machine must have: `passphrase`, `dockerd`, `docker-client`,
    `probe-image` or `nothing`.

    The rest steers setup.sh, which runs a step that is `on_demand` only when it is told to. `asks` is what its changes
    make an operator be asked for: `passphrase`, `restart` or `nothing`. `awaits` is what may have to be carried here
    before it: the `requests` that it signs, the `certificate` that it installs, or `nothing`. `does` is what is said of
    it before anything runs; what only SHOWS or VERIFIES runs even where there is nothing to change.
    """

    path: str
    party: str
    template: str
    purpose: str
    context: Context
    reads: tuple[str, ...] = ()
    looks_at: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()
    needs_root: bool = False
    root_when: str = ""
    needs: str = "nothing"
    on_demand: bool = False
    asks: str = "nothing"
    awaits: str = "nothing"
    does: str = "has changes to make"
    effects: Effects = Effects()
    undo: str = "nothing to undo"

    @property
    def all_reads(self) -> tuple[str, ...]:
        """The paths of all files that the step reads."""
        return (*self.reads, *self.looks_at)

    @property
    def all_undo(self) -> str:
        """What --undo does, and which lock stays all the same: another run may wait for it."""
        stays = HOST_LOCK in self.effects.files
        return self.undo + f"; {HOST_LOCK.path} stays" * stays

    @property
    def root(self) -> str:
        """Whether the step needs root, in words."""
        return self.root_when or ("yes" if self.needs_root else "no")

    @property
    def writes(self) -> tuple[str, ...]:
        """The paths of all files that the step leaves behind."""
        return tuple(file.path for file in self.effects.files)


def check_order(steps: Iterable[Step]) -> None:
    """Raise TemplateError when a step reads a working file that no earlier step makes."""
    made: set[str] = set()
    for step in steps:
        for path in step.reads:
            if not path.startswith(("/", "~")) and path not in made:
                raise TemplateError(f"{step.path} reads {path}, which no earlier step makes; mend the plan")
        made.update(step.writes)
        made.difference_update(step.effects.removes)
