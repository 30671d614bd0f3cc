"""Renderings and texts compared with the files that a reviewer has seen.

`pytest tests/golden --update-golden` writes tests/golden/files anew; out/ is written by `make render`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockseal.errors import SiteError
from dockseal.output.compare import differences
from dockseal.output.manifest import LIBRARY
from dockseal.output.render import render_plan
from dockseal.plan.planner import Plan, make_plan
from dockseal.plan.show import plan_table
from dockseal.site.load import load
from dockseal.site.read import read_site, site_from
from dockseal.site.schema import schema_text
from tests.sites import ROOT, TEMPLATES

FILES = Path(__file__).parent / "files"
BAD = FILES / "bad-site.yaml"


def plan(name: str) -> Plan:
    return make_plan(read_site(ROOT / name))


def constants(found: Plan) -> Iterator[str]:
    """Yield the constants of every script of a plan: all that differs between two sites."""
    for file in render_plan(found, TEMPLATES):
        if file.path.endswith(".sh") and not file.path.startswith(LIBRARY):
            text = file.octets.decode()
            start = text.index("\nreadonly script=")
            yield text[start : text.index("\n# ==== Below this line", start)]


def problems() -> str:
    with pytest.raises(SiteError) as refused:
        site_from(load(BAD, BAD.name))
    return f"{refused.value}\n"


GOLDEN = {
    "bad-site.txt": problems,
    "constants-document.txt": lambda: "".join(constants(plan("examples/document.yaml"))),
    "constants-split.txt": lambda: "".join(constants(plan("examples/split.yaml"))),
    "plan-fleet.txt": lambda: "\n".join(plan_table(plan("examples/fleet.yaml").steps)) + "\n",
    "site.schema.json": schema_text,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_text_is_what_the_golden_file_says(name: str, request: pytest.FixtureRequest) -> None:
    text = GOLDEN[name]()
    if request.config.getoption("--update-golden"):
        (FILES / name).write_text(text)
    assert text == (FILES / name).read_text()


def test_every_golden_file_is_used() -> None:
    assert {path.name for path in FILES.iterdir()} == {*GOLDEN, BAD.name}


def test_golden_files_are_not_updated_in_ci() -> None:
    argv = [sys.executable, "-m", "pytest", "--update-golden", "--collect-only", "-q", "tests/golden"]
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, "CI": "true"}, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--update-golden is refused in CI" in done.stderr


def test_out_is_a_fresh_rendering_of_the_default_site() -> None:
    fresh = render_plan(plan("site.yaml"), TEMPLATES)
    assert list(differences(ROOT / "out", fresh)) == [], "out/ is stale: make render"


def test_the_default_site_is_what_init_writes() -> None:
    assert (ROOT / "site.yaml").read_bytes() == (ROOT / "generator" / "dockseal" / "site" / "default.yaml").read_bytes()
