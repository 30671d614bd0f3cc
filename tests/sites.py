"""Sites and renderings that several tests use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dockseal.errors import SiteError
from dockseal.output.manifest import LIBRARY
from dockseal.output.reading import LOADS
from dockseal.output.render import render_plan
from dockseal.output.write import replace_folder
from dockseal.plan.planner import Plan, make_plan
from dockseal.site.load import parse
from dockseal.site.model import Site
from dockseal.site.read import site_from

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


def library(*names: str) -> str:
    """Return the text of files of the library, whose functions a test calls."""
    return "\n".join((TEMPLATES / LIBRARY / f"{name}.sh").read_text() for name in names)


def whole(script: Path) -> str:
    """Return a script's text with the library's files in the places where it loads them."""
    folder = root_of(script) / LIBRARY

    def text_of(path: Path) -> str:
        return LOADS.sub(lambda match: text_of(folder / match[1]), path.read_text())

    return text_of(script)


def root_of(script: Path) -> Path:
    """Return the folder that a script was rendered into."""
    return next(parent for parent in script.parents if (parent / LIBRARY).is_dir())


def dockseal(
    *words: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with only PATH and PYTHONPATH besides `environment`."""
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "generator"), **(environment or {})}
    argv = [sys.executable, "-m", "dockseal", *map(str, words)]
    return subprocess.run(argv, cwd=cwd, env=variables, capture_output=True, text=True, check=False)
