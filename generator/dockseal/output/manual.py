"""Say in a script's own comment what its step declares, so that --help states this site's paths and no others."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from dockseal.plan.steps import Step

WIDTH = 80
MARGIN = len("# Needs root: ")
NAMED = "FILE ("  # what an option names stands nowhere else


def manual(step: Step) -> str:
    """Return the lines of a header, without the first one's `# `, that a step decides."""
    effects = step.effects
    made = [f"network {name}" for name in effects.networks] + [f"user {name}" for name in effects.users]
    rows = {
        "Reads": _places(step.all_reads),
        "Writes": "; ".join([text for text in (_places(step.writes), *made) if text]),
        "Removes": _places(effects.removes),
        "Temporary": "; ".join([text for text in (_places(effects.temporary), *effects.starts) if text]),
        "Restarts": ", ".join(step.restarts),
        "Needs root": step.root,
        "Undo": step.all_undo,
    }
    optional = ("Removes", "Temporary")
    lines = [line for name, text in rows.items() if text or name not in optional for line in _lines(name, text)]
    return "\n".join(lines).removeprefix("# ")


def _lines(name: str, text: str) -> Iterator[str]:
    """Yield one entry, wrapped at its words."""
    yield from textwrap.wrap(
        text or "nothing",
        WIDTH,
        initial_indent=f"# {name + ':':<{MARGIN - 2}}",
        subsequent_indent="#".ljust(MARGIN),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _places(paths: Iterable[str]) -> str:
    """Return paths by their folders; those of several parties with the same files are one, with NAME in its path."""
    folders: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        folder, _, name = (NAMED, "", path) if path.startswith(NAMED) else path.rstrip("/").rpartition("/")
        folders.setdefault(folder, []).append(name + "/" * path.endswith("/"))
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for folder, names in folders.items():
        general = re.sub(r"^(hosts|clients)/[^/]+", r"\1/NAME", folder)
        groups.setdefault((general, tuple(names)), []).append(folder)
    return "; ".join(_group(general, names, found) for (general, names), found in groups.items())


def _group(general: str, names: tuple[str, ...], folders: list[str]) -> str:
    folder = folders[0] if len(folders) == 1 else general
    if folder == NAMED:
        return ", ".join(names)
    if not folder.startswith(("/", "~", "OUT")):
        folder = f"DIR/{folder}".rstrip("/")
    # A long path may break between its folder and its name.
    path = f"{folder}/{names[0]}"
    return path if len(names) == 1 and len(path) < WIDTH - MARGIN else f"{folder}/: {', '.join(names)}"
