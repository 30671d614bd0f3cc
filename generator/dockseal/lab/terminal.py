"""A real terminal on a host, with a transcript that holds no secret."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pexpect

from dockseal.lab.errors import LabError

if TYPE_CHECKING:
    from dockseal.lab.host import Host

POLL = 0.05
ECHO_TIMEOUT = 10.0
ANSWER_TIMEOUT = 180.0
SIZE = (40, 120)  # rows and columns
HIDDEN = "(hidden)"
_numbers = itertools.count(1)


class Transcript:
    """What a terminal showed; secrets are left out and their showing is remembered."""

    def __init__(self, watch: Callable[[str], None] | None = None) -> None:
        """Start empty; `watch` is told of each line, without secrets."""
        self._watch = watch
        self._line = ""
        self._parts: list[str] = []
        self._secrets: set[str] = set()

    def write(self, text: str) -> None:
        """Take what the terminal showed (pexpect's log file interface)."""
        self._parts.append(text)
        if self._watch is not None:
            *lines, self._line = (self._line + text).split("\n")
            for line in lines:
                self._watch(self._clean(line))

    def flush(self) -> None:
        """Do nothing: all is in memory."""

    def hide(self, secret: str) -> None:
        """Never show this text."""
        if secret:
            self._secrets.add(secret)

    @property
    def leaked(self) -> bool:
        """Tell whether the terminal showed a secret."""
        shown = plain("".join(self._parts))
        return any(secret in shown for secret in self._secrets)

    @property
    def text(self) -> str:
        """Return the text, with carriage returns, colours and secrets taken out."""
        return self._clean("".join(self._parts))

    def _clean(self, text: str) -> str:
        text = plain(text)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def plain(text: str) -> str:
    """Return text without a terminal's control sequences and carriage returns."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)


class Terminal:
    """A command on a host's terminal, to be read and answered."""

    def __init__(
        self,
        host: Host,
        argv: Sequence[str],
        *,
        cwd: str = "/root",
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        timeout: float = ANSWER_TIMEOUT,
        watch: Callable[[str], None] | None = None,
    ) -> None:
        """Start the command; `timeout` is how long each `expect` waits, in seconds."""
        self.host = host
        self.argv = tuple(argv)
        self.transcript = Transcript(watch)
        self._device = f"/run/terminal-{next(_numbers)}"
        words = ["sh", "-c", 'tty >"$0"; exec "$@"', self._device, *argv]
        if user is not None:
            host.run(["install", "-m", "0666", "/dev/null", self._device])
        line = host.command(words, cwd=cwd, env=env, user=user, terminal=True)
        self.child = pexpect.spawn(
            line[0],
            line[1:],
            env=host.engine.env,
            encoding="utf-8",
            codec_errors="replace",
            timeout=timeout,
            dimensions=SIZE,
        )
        self.child.logfile_read = self.transcript

    def expect(self, *patterns: str, timeout: float | None = None) -> int:
        """Wait for one of these regular expressions and return its place; -1 at the end."""
        try:
            place = self.child.expect([*patterns, pexpect.EOF], timeout=-1 if timeout is None else timeout)
        except pexpect.TIMEOUT as error:
            raise LabError(
                f"{' '.join(self.argv)}: waited in vain for {' or '.join(patterns) or 'its end'}; "
                f"the terminal shows:\n{self.transcript.text[-2000:]}"
            ) from error
        return -1 if place == len(patterns) else int(place)

    def answer(self, text: str) -> None:
        """Type a line."""
        self.child.sendline(text)

    def answer_secretly(self, secret: str) -> None:
        """Type a line that must not be seen, as soon as the terminal's echo is off.

        A script prints its prompt before it turns the echo off, so an answer
        that came at once could be seen.
        """
        self.transcript.hide(secret)
        deadline = time.monotonic() + ECHO_TIMEOUT
        while self.echoes() and time.monotonic() < deadline:
            time.sleep(POLL)
        self.child.sendline(secret)

    def echoes(self) -> bool:
        """Tell whether the terminal shows what is typed."""
        script = 'stty -a -F "$(cat "$0")"'
        return "-echo" not in self.host.run(["sh", "-c", script, self._device]).stdout.split()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.child.sendcontrol("c")

    def wait(self, timeout: float | None = None) -> int:
        """Read to the end and return the command's exit status."""
        self.expect(timeout=timeout)
        self.child.close()
        status = self.child.exitstatus
        return int(status) if status is not None else 128 + int(self.child.signalstatus or 0)
