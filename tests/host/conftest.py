"""Docker hosts for the tests: one for each module and release, or a fresh one for a test that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from generator.lab import RELEASES, Host, Lab
from generator.plan import make_plan
from generator.read import read_site
from generator.render import render_plan, template_folder
from generator.write import replace_folder

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as one that needs a Docker host."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("host")


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each Debian release in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def host(lab: Lab, release: str) -> Iterator[Host]:
    """A booted host that the tests of one module share."""
    booted = lab.boot(release)
    yield booted
    lab.remove(booted)


@pytest.fixture
def boot(lab: Lab, release: str) -> Iterator[Callable[..., Host]]:
    """Boot hosts for one test: `boot(name=..., addresses=..., names=...)`."""
    hosts: list[Host] = []

    def boot_one(**options: object) -> Host:
        hosts.append(lab.boot(release, **options))  # type: ignore[arg-type]
        return hosts[-1]

    yield boot_one
    for one in hosts:
        lab.remove(one)


@pytest.fixture
def render(tmp_path: Path) -> Callable[[str], Path]:
    """Render the text of a site file and return the folder with the scripts."""

    def render_text(text: str) -> Path:
        site = tmp_path / "site.yaml"
        site.write_text(text)
        out = tmp_path / "out"
        replace_folder(out, render_plan(make_plan(read_site(site)), template_folder()))
        return out

    return render_text
