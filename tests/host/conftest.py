"""Docker hosts for the tests: one for each module and release, or a fresh one for a test that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockseal.lab import HOSTS, RELEASES, UPSTREAM, Host, Lab
from dockseal.lab.image import base
from dockseal.output.render import render_plan, template_folder
from dockseal.output.write import replace_folder
from dockseal.plan.planner import make_plan
from dockseal.site.read import read_site
from tests.host.support import keep_busybox
from tests.processes import OPENS_LABS, group_of

HERE = Path(__file__).parent
ONE_RELEASE = "bookworm"
FIRST = (OPENS_LABS, "tests/lint/test_scripts.py", "tests/unit/test_back_doors.py")
# It has the programs of its release, which need not be tried twice.
WITH_UPSTREAM = tuple(UPSTREAM if release == base(UPSTREAM) else release for release in RELEASES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test of this folder as one that needs a Docker host.

    What shows the scripts' own logic and nothing of a release says `pytest.mark.one_release` and runs on one alone: on
    that which it names, so that each release has its share of them.
    What configures dockerd says `pytest.mark.upstream` and meets the layout of Docker's own packages on Debian 13. A
    test that names its releases runs on those.

    The groups that take longest come first, so that no process waits for another in the end.
    """
    here = [item for item in items if item.path.is_relative_to(HERE)]
    for item in here:
        item.add_marker("host")
    only = config.getoption("release")
    left_out = {item for item in here if not any(is_of(item, host) for host in ([only] if only else hosts_for(item)))}
    config.hook.pytest_deselected(items=[*left_out])
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: FIRST.index(group) if (group := group_of(item.nodeid)) in FIRST else len(FIRST))


def hosts_for(item: pytest.Item) -> tuple[str, ...]:
    """Return the kinds of host that a test is for."""
    if any("release" in mark.args[0] for mark in item.iter_markers("parametrize")):
        return HOSTS
    if mark := item.get_closest_marker("one_release"):
        return mark.args or (ONE_RELEASE,)
    return WITH_UPSTREAM if item.get_closest_marker("upstream") else RELEASES


def is_of(item: pytest.Item, host: str) -> bool:
    """Tell whether a test can run on a kind of host, and is to run on it or on none."""
    if host == UPSTREAM and item.get_closest_marker("debian_options"):
        return False
    callspec = getattr(item, "callspec", None)
    return callspec is None or callspec.params.get("release", host) == host


@pytest.fixture(scope="module", params=HOSTS)
def release(request: pytest.FixtureRequest) -> str:
    """Each kind of host in turn."""
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
