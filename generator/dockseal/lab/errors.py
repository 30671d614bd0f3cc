"""What can go wrong in the lab."""

from __future__ import annotations

from collections.abc import Sequence

from dockseal.errors import DocksealError


class LabError(DocksealError):
    """Something in the lab failed; the message says what and where (exit status 1)."""


class LabUnavailable(LabError):
    """The lab cannot work on this machine; the message says what is missing (exit status 2)."""

    exit_status = 2


class CommandFailed(LabError):
    """A command that had to succeed did not."""

    def __init__(self, argv: Sequence[str], status: int, output: str) -> None:
        """Keep the command's words, its exit status and what it printed."""
        self.argv = tuple(argv)
        self.status = status
        self.output = output.strip()
        super().__init__(f"{' '.join(argv)}: exit status {status}\n{self.output}".rstrip())
