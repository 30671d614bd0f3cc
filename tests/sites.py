"""Sites and renderings that several tests use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from generator.errors import SiteError
from generator.load import parse
from generator.manifest import LIBRARY
from generator.plan import Plan, make_plan
from generator.read import site_from
from generator.reading import LOADS
from generator.render import render_plan
from generator.site import Site
from generator.write import replace_folder

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
SITES = [ROOT / "site.yaml", *EXAMPLES]

ONE_HOST = "hosts:\n  - name: docker.example.com\n"


def site(text: str) -> Site:
    """Read a site from the text of a site file."""
    return site_from(parse(text.encode(), "site.yaml"))


def plan(text: str) -> Plan:
    """Plan the site of a site file's text."""
    return make_plan(site(text))


def problems(text: str | bytes) -> list[str]:
    """Return the first line of each problem of a site file's text; none when it is right."""
    octets = text.encode() if isinstance(text, str) else text
    try:
        site_from(parse(octets, "site.yaml"))
    except SiteError as error:
        return [str(problem).splitlines()[0] for problem in error.problems]
    return []


def render(text: str, folder: Path) -> Path:
    """Render the site of a site file's text into a folder."""
    replace_folder(folder, render_plan(plan(text), TEMPLATES))
    return folder


def scripts(folder: Path) -> list[Path]:
    """Return the scripts of a rendered folder."""
    return sorted(path for path in folder.rglob("*.sh") if path.parent != folder / LIBRARY)


def whole(script: Path) -> str:
    """Return a script's text with the library's files in the places where it loads them."""
    library = root_of(script) / LIBRARY

    def text_of(path: Path) -> str:
        return LOADS.sub(lambda match: text_of(library / match[1]), path.read_text())

    return text_of(script)


def root_of(script: Path) -> Path:
    """Return the folder that a script was rendered into."""
    return next(parent for parent in script.parents if (parent / LIBRARY).is_dir())


def dockseal(
    *words: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with only PATH and PYTHONPATH besides `environment`."""
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **(environment or {})}
    argv = [sys.executable, "-m", "generator", *map(str, words)]
    return subprocess.run(argv, cwd=cwd, env=variables, capture_output=True, text=True, check=False)
