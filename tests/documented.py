"""The table of the document's commands, as tests use it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

import yaml

from tests.sites import ROOT

TABLE = ROOT / "docs" / "documented-commands.yaml"
SITE = ROOT / "examples" / "document.yaml"
# What a script adds to a documented command: the folder of a file, the name
# that it has until it is whole, the way of the passphrase, which daemon is
# meant, and the label by which --undo knows what it made.
ADDED = re.compile(
    r"/root/out/lib/|/root/docker-tls(/[\w.-]+)*/((hosts|clients)-[\w.-]+?\.(?=(client-)?(certificate\.pem|request\.csr)))?|"
    r"/root/\.docker/|/etc/docker/tls-[\w.]+/|\.new\b| -pass(in|out) fd:[34]\b"
    r"| -H unix:///var/run/docker\.sock\b| --label \S+",
)
# What differs from run to run, and the word that stands for it in the table.
DIFFERS = {r"\bsha256:[0-9a-f]{64}": "IMAGE", r"\bsleep [0-9]+": "sleep SECONDS", r"\bdockseal-\w{3,8}\b": "MARK"}


# What shows that a row works, as the README says it; tests/host/test_documented_commands.py does it.
PROOFS = {
    "command": "`--check` prints it, a run executes it",
    "file": "the line is in the file that a run writes",
    "drop-in": "the drop-in has it, and dockerd runs with it",
    "flag": "the drop-in has it, and dockerd runs with it",
    "control": "a control that holds, with what came back",
}


@dataclass(frozen=True)
class Documented:
    """One row."""

    id: str
    section: str
    documented: str
    works: str
    why: str
    where: tuple[str, ...]
    shown_by: Literal["command", "file", "drop-in", "flag", "control"]

    @property
    def lines(self) -> list[str]:
        """Return what works, a line each."""
        return self.works.splitlines()


def read_table() -> list[Documented]:
    """Read the table."""
    rows = yaml.safe_load(TABLE.read_text())
    return [Documented(**{**row, "where": tuple(row["where"])}) for row in rows]


def words(line: str) -> list[str]:
    """Return a command's words without what a script adds to it, and without what differs from run to run."""
    line = ADDED.sub("", line)
    for pattern, word in DIFFERS.items():
        line = re.sub(pattern, word, line)
    return shlex.split(line)


ROWS = read_table()


def readme_table() -> list[str]:
    """Return the table as the README shows it, a line each."""
    lines = ["| id | in the guide | what runs here | where | what shows it | why |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        runs = "the same" if row.works == row.documented else _cell(row.works)
        where = "<br>".join(f"`{path}`" for path in row.where)
        proof = PROOFS[row.shown_by]
        cells = (row.id, _cell(row.documented), runs, where, proof, " ".join(row.why.split()))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cell(text: str) -> str:
    """Return commands for a cell of a Markdown table: continued lines joined, one code span a line."""
    joined = re.sub(r" *\\\n *", " ", text)
    return "<br>".join(f"`{line.strip().replace('|', chr(92) + '|')}`" for line in joined.splitlines() if line.strip())
