"""Running a command and keeping what it said."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dockseal.lab.errors import CommandFailed, LabError


@dataclass(frozen=True)
class Result:
    """What a command came back with."""

    argv: tuple[str, ...]
    status: int  # as a shell says it: 128 and the signal's number where one ended it
    octets: bytes  # standard output as it came
    stderr: str

    @property
    def stdout(self) -> str:
        """Return standard output as text."""
        return self.octets.decode(errors="replace")

    @property
    def output(self) -> str:
        """Return both streams, standard error first."""
        return self.stderr + self.stdout


def run(
    argv: Sequence[str],
    *,
    shown: Sequence[str] | None = None,
    input: str | bytes | None = None,
    check: bool = True,
    timeout: float = 120,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run a command without a terminal.

    `shown` stands for `argv` in results and messages; `timeout` is in seconds.
    Raises CommandFailed when `check` is set and the status is not 0, LabError
    when the time is up.
    """
    name = tuple(argv if shown is None else shown)
    octets = input.encode() if isinstance(input, str) else input or b""
    try:
        done = subprocess.run(
            argv,
            input=octets,
            capture_output=True,
            check=False,
            timeout=timeout,
            env=env,
            start_new_session=True,
            umask=0o022,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"") + (error.stdout or b"")
        text = said.decode(errors="replace").strip()
        raise LabError(f"{' '.join(name)}: no end after {timeout:g} s\n{text}".rstrip()) from error
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    result = Result(name, status, done.stdout, done.stderr.decode(errors="replace"))
    if check and result.status != 0:
        raise CommandFailed(name, result.status, result.output)
    return result
