"""The lab for all tests that need a Docker host, and what becomes of them without one."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from generator.lab import RELEASES, Lab, LabUnavailable


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One lab for the whole run, with the images of all releases."""
    try:
        with Lab.open(say) as opened:
            opened.ensure_images(RELEASES)
            yield opened
    except LabUnavailable as error:
        pytest.skip(f"no lab here: {error}")


def say(message: str) -> None:
    """Show the lab's progress past pytest's capture."""
    sys.__stderr__.write(f"lab: {message}\n")  # type: ignore[union-attr]
    sys.__stderr__.flush()  # type: ignore[union-attr]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Turn a skipped host test into a failure where CI is set."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") and item.get_closest_marker("host"):
        report.outcome = "failed"
        report.longrepr = f"a host test may not be skipped in CI: {report.longrepr[2]}"
    return report
