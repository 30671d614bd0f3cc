"""Which tests run in one process, where several run the tests (pytest --numprocesses)."""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# What opens labs and engines beside the one of all tests: a lab that opens removes what a killed one left.
OPENS_LABS = "labs"
REHEARSALS = "tests/host/test_rehearse.py"
RELEASE = re.compile(r"\[(?:.*-)?(bullseye|bookworm|trixie-upstream|trixie)[-\]]")


def group_of(nodeid: str) -> str:
    """Return the name of the tests that run in one process with this one, one after the other.

    The tests of a module share what it prepares; in tests/host that is a host for each release. Those of them without
    a release, and rehearsals, open labs of their own.
    """
    path = nodeid.partition("::")[0]
    if not path.startswith("tests/host/"):
        return path
    release = RELEASE.search(nodeid)
    return OPENS_LABS if release is None or path == REHEARSALS else f"{path} {release[1]}"


class ByHost(LoadScopeScheduling):  # type: ignore[misc]
    """Hand the tests of a group to one process; the group marks of pytest-xdist 3.8 do nothing with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
