"""The machine of the tests with bash and openssl alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.machine import (
    Machine,
    new_machine,
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has nothing yet."""
    return new_machine(tmp_path)
