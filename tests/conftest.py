"""The lab for all tests that need a Docker host, and what becomes of them without one.

Several processes may run the tests (pytest --numprocesses): the first opens the
engine and builds the images, and the others open a lab of their own on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from dockseal.lab import RELEASES, Lab, LabUnavailable
from tests.processes import ByHost

ENGINE = pytest.StashKey[str]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Open the engine before the other processes start, and tell each its address."""
    config: pytest.Config = node.config
    if "not host" in config.getoption("markexpr"):
        return
    if ENGINE not in config.stash:
        config.stash[ENGINE] = ""
        with suppress(LabUnavailable):
            stack = ExitStack()
            config.add_cleanup(stack.close)
            opened = stack.enter_context(Lab.open(say))
            opened.ensure_images(RELEASES)
            config.stash[ENGINE] = opened.engine.address
    node.workerinput["engine"] = config.stash[ENGINE]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHost:
    """Keep the tests that share a host in one process."""
    return ByHost(config, log)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One lab for all tests of this process, with the images of all releases."""
    engine = getattr(request.config, "workerinput", {}).get("engine", "")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        if engine:
            patch.setenv("DOCKER_HOST", engine)
        try:
            opened = stack.enter_context(Lab.open(say))
            opened.ensure_images(RELEASES)
        except LabUnavailable as error:
            pytest.skip(f"no lab here: {error}")
        patch.undo()
        yield opened


def say(message: str) -> None:
    """Show the lab's progress past pytest's capture."""
    sys.__stderr__.write(f"lab: {message}\n")  # type: ignore[union-attr]
    sys.__stderr__.flush()  # type: ignore[union-attr]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Turn a skipped test of a Docker host or a browser into a failure where CI is set."""
    report = yield
    kind = next((name for name in ("host", "browser") if item.get_closest_marker(name)), "")
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") and kind:
        report.outcome = "failed"
        report.longrepr = f"a {kind} test may not be skipped in CI: {report.longrepr[2]}"
    return report
