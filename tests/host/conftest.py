"""Docker hosts for the tests: one for each module and release, or a fresh one for a test that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockseal.lab import RELEASES, Host, Lab
from dockseal.output.render import render_plan, template_folder
from dockseal.output.write import replace_folder
from dockseal.plan.planner import make_plan
from dockseal.site.read import read_site
from tests.host.support import keep_busybox
from tests.processes import OPENS_LABS, group_of

HERE = Path(__file__).parent
ONE_RELEASE = "bookworm"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test of this folder as one that needs a Docker host.

    What shows the scripts' own logic and nothing of a release says `pytest.mark.one_release` and runs on one alone. The
    group that takes longest comes first, so that no process waits for another in the end.
    """
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("host")
    left_out = [item for item in items if item.get_closest_marker("one_release") and not is_of(item, ONE_RELEASE)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: group_of(item.nodeid) != OPENS_LABS)


def is_of(item: pytest.Item, release: str) -> bool:
    """Tell whether a test runs on a release, or on none."""
    callspec = getattr(item, "callspec", None)
    return callspec is None or callspec.params.get("release", release) == release


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each Debian release in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def probe_image(request: pytest.FixtureRequest) -> bool:
    """Tell whether the scripts find an image for their throwaway containers on the hosts of this module.

    They make one of the host's static busybox. A module of tests of something else, which would only wait for those
    containers at each setup and verification, says `pytestmark = pytest.mark.no_probe_image`.
    """
    return request.node.get_closest_marker("no_probe_image") is None


@pytest.fixture(scope="module")
def host(lab: Lab, release: str, probe_image: bool) -> Iterator[Host]:
    """A booted host that the tests of one module share."""
    booted = lab.boot(release)
    keep_busybox(booted, on_path=probe_image)
    yield booted
    lab.remove(booted)


@pytest.fixture
def boot(lab: Lab, release: str, probe_image: bool) -> Iterator[Callable[..., Host]]:
    """Boot hosts for one test: `boot(name=..., addresses=..., names=...)`."""
    hosts: list[Host] = []

    def boot_one(**options: object) -> Host:
        hosts.append(lab.boot(release, **options))  # type: ignore[arg-type]
        keep_busybox(hosts[-1], on_path=probe_image)
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
