"""The commands of a bash script, found in its syntax tree (shfmt --to-json)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

# Commands whose operands are a command of their own: how many words come before it at least.
WRAPPERS = {
    "run": 0,
    "run_with_passphrase": 0,
    "exec": 0,
    "command": 0,
    "timeout": 1,
    "env": 0,
    "xargs": 0,
    "nohup": 0,
    "setsid": 0,
    "nice": 0,
    "builtin": 0,
}


def tool(name: str) -> str:
    """Return the path of a program that a Python package installs, beside this Python or on PATH."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(folders)) or name


@lru_cache(maxsize=128)
def tree(script: str) -> Any:
    """Return the syntax tree of a script's text."""
    done = subprocess.run([tool("shfmt"), "--to-json"], input=script.encode(), capture_output=True, check=True)
    return json.loads(done.stdout)


def nodes(node: Any, kind: str) -> Iterator[Any]:
    """Yield the nodes of a kind below a node."""
    if isinstance(node, list):
        for item in node:
            yield from nodes(item, kind)
    elif isinstance(node, dict):
        if node.get("Type") == kind:
            yield node
        for item in node.values():
            yield from nodes(item, kind)


def functions(root: Any) -> set[str]:
    """Return the names of the functions that a script defines."""
    return {node["Name"]["Value"] for node in nodes(root, "FuncDecl")}


def literal(word: Any) -> str | None:
    """Return a word's text when it is the same in every run, else None."""
    text = ""
    for part in word["Parts"]:
        if part["Type"] in ("Lit", "SglQuoted"):
            text += part.get("Value", "")
        elif part["Type"] == "DblQuoted" and all(inner["Type"] == "Lit" for inner in part.get("Parts", [])):
            text += "".join(inner.get("Value", "") for inner in part.get("Parts", []))
        else:
            return None
    return text


def commands(root: Any) -> Iterator[tuple[str, int]]:
    """Yield each command's first word and line, also of the command that a wrapper runs.

    A word that is known only when the script runs is shown as `FUNCTION(dynamic)`.
    """
    bodies = [(node["Pos"]["Line"], node["End"]["Line"], node["Name"]["Value"]) for node in nodes(root, "FuncDecl")]
    for call in nodes(root, "CallExpr"):
        words = [(literal(word), word["Pos"]["Line"]) for word in call.get("Args") or []]
        while words:
            name, line = words[0]
            around = [function for first, last, function in bodies if first <= line <= last]
            yield name if name is not None else f"{around[-1] if around else ''}(dynamic)", line
            if name not in WRAPPERS:
                break
            words = operands(words[1:], WRAPPERS[name])


def operands(words: list[tuple[str | None, int]], skip: int) -> list[tuple[str | None, int]]:
    """Return what follows a wrapper's options, its own operands and assignments."""
    while words and words[0][0] is not None and (words[0][0].startswith("-") or "=" in words[0][0]):
        words = words[1:]
    return words[skip:]


def statements(node: Any) -> Iterator[Any]:
    """Yield the statements below a node that have redirections."""
    if isinstance(node, list):
        for item in node:
            yield from statements(item)
    elif isinstance(node, dict):
        if node.get("Redirs"):
            yield node
        for item in node.values():
            yield from statements(item)


def writes(redirection: Any) -> bool:
    """Tell whether a redirection makes or writes a file that is no device of the script's own."""
    target = literal(redirection["Word"]) if redirection.get("Word") else None
    return redirection["Op"] in (">", ">>", ">|", "&>", "&>>") and target not in ("/dev/null", "/dev/tty")


def direct_changes(root: Any, programs: frozenset[str]) -> dict[str, set[str]]:
    """Return for each function what it changes itself: programs that it calls, and `>` where it writes to a file."""
    found: dict[str, set[str]] = {}
    for function in nodes(root, "FuncDecl"):
        calls = [[literal(word) for word in call.get("Args") or []][:1] for call in nodes(function["Body"], "CallExpr")]
        changed = {words[0] for words in calls if words and words[0] in programs}
        if any(writes(one) for statement in statements(function["Body"]) for one in statement["Redirs"]):
            changed.add(">")
        if changed:
            found[function["Name"]["Value"]] = {word for word in changed if word}
    return found
