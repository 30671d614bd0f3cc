"""Everything that a user can cause, as one exception tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN_PROBLEMS = 100
SHOWN_WIDTH = 120

Key = str | int
KeyPath = tuple[Key, ...]


class DocksealError(Exception):
    """Say what went wrong and what to do; the command line prints it as it is."""

    exit_status = 1


class OutputError(DocksealError):
    """The operating system refused to read or write a file (exit status 1)."""


class TemplateError(DocksealError):
    """A template and its context do not fit together (exit status 1)."""


class UsageError(DocksealError):
    """The command cannot be carried out as it was given (exit status 2)."""

    exit_status = 2


class SiteError(UsageError):
    """A site file has problems; all of them are kept, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__(self._text())

    def _text(self) -> str:
        shown = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        rest = len(self.problems) - len(shown)
        if rest:
            shown.append(f"... and {rest} more problems; mend these first")
        return "\n".join(shown)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a site file: `file:line: key path: message` and the source line.

    `line` counts from 1; 0 means the file as a whole.
    """

    file: str
    line: int
    path: KeyPath
    message: str
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = f"{key_path(self.path)}: " if self.path else ""
        text = f"{place}: {where}{self.message}"
        shown = printable(self.source.strip())
        if len(shown) > SHOWN_WIDTH:
            shown = f"{shown[: SHOWN_WIDTH - 3]}..."
        return f"{text}\n    {shown}" if shown else text


def key_path(path: KeyPath) -> str:
    """Return `hosts[0].listen` for `("hosts", 0, "listen")`."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{printable(key)}" if text else printable(key)
    return text


def printable(text: str) -> str:
    """Return `text` with everything that a terminal would act on written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
