"""Which kinds of host the host tests run on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict

from dockseal.lab import RELEASES, UPSTREAM
from tests.sites import ROOT

FILES = ("tests/host/test_modes.py", "tests/host/test_certificates.py")
OF_OPTIONS = "test_docker_opts_may_set_icc_where_the_site_does_not"
NAMES_ITS_RELEASE = "test_a_request_for_another_name_is_refused"


def collected(*words: str) -> dict[str, set[str]]:
    """Return the kinds of host on which each test of two modules runs, by the test's name."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *words, *FILES]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = defaultdict(set)
    for name, host in re.findall(rf"::(\w+)\[(?:.*-)?({UPSTREAM}|{'|'.join(RELEASES)})[]-]", text):
        found[name].add(host)
    return found


def test_what_configures_dockerd_meets_the_layout_of_dockers_own_packages_on_debian_13() -> None:
    found = collected()
    assert found["test_icc_is_switched_off_with_a_flag"] == {"bullseye", "bookworm", UPSTREAM}
    assert found[OF_OPTIONS] == {"bullseye"}
    assert found[NAMES_ITS_RELEASE] == {"trixie"}
    assert found["test_dockerds_own_wait_on_other_addresses_is_waited_for"] == {UPSTREAM}
    assert found["test_what_others_wrote_in_a_plain_hosts_drop_in_is_not_lost"] == {"bookworm"}
    assert found["test_all_serial_numbers_differ"] == set(RELEASES)


def test_on_request_they_run_on_one_kind_alone() -> None:
    found = collected("--release", UPSTREAM)
    assert set.union(*found.values()) == {UPSTREAM}
    on_one = {"test_what_others_wrote_in_a_plain_hosts_drop_in_is_not_lost", NAMES_ITS_RELEASE}
    assert on_one | {"test_all_serial_numbers_differ"} <= {*found}
    assert OF_OPTIONS not in found
