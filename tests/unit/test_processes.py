"""Which tests stay together where several processes run them."""

from __future__ import annotations

import pytest

from tests.processes import OPENS_LABS, group_of

CLIENT = "tests/host/test_client.py"


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        (f"{CLIENT}::test_a[bookworm]", f"{CLIENT} bookworm"),
        (f"{CLIENT}::test_b[trixie-no line end]", f"{CLIENT} trixie"),
        (f"{CLIENT}::test_b[trixie-upstream-no line end]", f"{CLIENT} trixie-upstream"),
        (f"{CLIENT}::test_c[-H tcp://[::1]:1-bullseye-more]", f"{CLIENT} bullseye"),
        ("tests/host/test_lab.py::test_a_private_engine", OPENS_LABS),
        ("tests/host/test_lab.py::test_a_lab_that_is_ended[SIGINT]", OPENS_LABS),
        ("tests/host/test_rehearse.py::test_a_site[site.yaml-bookworm]", OPENS_LABS),
        ("tests/unit/test_show.py::test_a[bookworm]", "tests/unit/test_show.py"),
    ],
)
def test_the_tests_of_a_host_and_those_of_a_module_stay_together(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group
