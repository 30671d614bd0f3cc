"""What all tests share: the flags of this project, and hypothesis without time limits or a database."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from dockseal.lab import HOSTS

settings.register_profile(
    "dockseal",
    deadline=None,
    database=None,
    derandomize="CI" in os.environ,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("dockseal")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; refused in CI")
    parser.addoption("--release", choices=HOSTS, help="run the host tests on this kind of host alone")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and "CI" in os.environ:
        raise pytest.UsageError("--update-golden is refused in CI: golden files are updated by hand and reviewed")
