"""What the lab says of machines that it cannot see here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dockseal.lab.errors import LabUnavailable
from dockseal.lab.probe import (
    Probe,
    capabilities,
    cgroup_version,
    engine_trouble,
    image_trouble,
    missing_packages,
    require_engine,
)

GOOD = Probe(
    root=True,
    system="debian 12",
    apt=True,
    client="/usr/bin/docker",
    dockerd="/usr/sbin/dockerd",
    iptables=True,
    mmdebstrap="/usr/bin/mmdebstrap",
    keyring=True,
    cgroup=2,
    capabilities=frozenset({"SYS_ADMIN", "NET_ADMIN", "SYS_RESOURCE"}),
    address="unix:///var/run/docker.sock",
    version="",
    refusal="Cannot connect to the Docker daemon",
    registry=False,
    browser="/usr/bin/chromium",
)
NOBODY = "no Docker engine answers at unix:///var/run/docker.sock"
INSTALL = "apt-get install --yes --no-install-recommends"


def test_a_good_machine_is_in_no_trouble() -> None:
    assert engine_trouble(GOOD) is None
    assert image_trouble(GOOD) is None
    assert missing_packages(GOOD) == ()
    assert missing_packages(replace(GOOD, browser=None, system="debian 12")) == ("chromium",)
    assert missing_packages(replace(GOOD, browser=None, system="ubuntu 24.04")) == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"client": None}, f"the lab needs the docker command: {INSTALL} docker.io", id="client"),
        pytest.param(
            {"client": None, "system": "debian 13"},
            f"the lab needs the docker command: {INSTALL} docker-cli",
            id="client on Debian 13",
        ),
        pytest.param(
            {"client": None, "apt": False},
            "the lab needs the docker command: install your distribution's packages for docker.io",
            id="client without apt",
        ),
        pytest.param(
            {"root": False},
            f"{NOBODY} and only root can start one: run this with sudo, or start Docker",
            id="not root",
        ),
        pytest.param(
            {"root": False, "refusal": "Got Permission Denied while trying to connect"},
            "you may not use the Docker engine at unix:///var/run/docker.sock: run this with sudo, or join its group "
            "with `sudo usermod -aG docker $USER` and log in again",
            id="permission denied",
        ),
        pytest.param(
            {"dockerd": None}, f"{NOBODY} and dockerd is not installed: {INSTALL} docker.io iptables", id="dockerd"
        ),
        pytest.param(
            {"iptables": False}, f"{NOBODY} and iptables is not installed: {INSTALL} docker.io iptables", id="iptables"
        ),
        pytest.param(
            {"capabilities": frozenset({"NET_ADMIN"})},
            f"{NOBODY} and none can be started without the capability SYS_ADMIN: use a virtual machine, a privileged "
            "container, or set DOCKER_HOST",
            id="capability",
        ),
        pytest.param(
            {"cgroup": 0},
            f"{NOBODY} and none can be started because no cgroup hierarchy is mounted at /sys/fs/cgroup: use a machine "
            "with one, or set DOCKER_HOST",
            id="cgroup",
        ),
    ],
)
def test_a_missing_engine_is_one_sentence(change: dict[str, object], sentence: str) -> None:
    found = replace(GOOD, **change)  # type: ignore[arg-type]
    assert engine_trouble(found) == sentence
    with pytest.raises(LabUnavailable) as raised:
        require_engine(found)
    assert raised.value.exit_status == 2


def test_an_engine_that_answers_needs_nothing_else() -> None:
    found = replace(GOOD, version="28.2.2", root=False, dockerd=None, capabilities=frozenset(), cgroup=0)
    assert engine_trouble(found) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            {"mmdebstrap": None},
            "a host image cannot be built because mmdebstrap is not installed and no registry answers: "
            f"{INSTALL} mmdebstrap",
            id="mmdebstrap",
        ),
        pytest.param(
            {"keyring": False},
            "a host image cannot be built because debian-archive-keyring is not installed and no registry answers: "
            f"{INSTALL} mmdebstrap debian-archive-keyring",
            id="keyring",
        ),
        pytest.param(
            {"root": False},
            "a host image cannot be built because no registry answers and only root can build it from Debian packages: "
            "run this once with sudo",
            id="not root",
        ),
    ],
)
def test_an_image_that_cannot_be_built_is_one_sentence(change: dict[str, object], sentence: str) -> None:
    found = replace(GOOD, **change)  # type: ignore[arg-type]
    assert image_trouble(found) == sentence
    assert image_trouble(replace(found, registry=True)) is None


def test_the_packages_of_a_fresh_machine_are_named_once() -> None:
    bare = replace(GOOD, client=None, dockerd=None, iptables=False, mmdebstrap=None)
    assert missing_packages(bare) == ("docker.io", "iptables", "mmdebstrap")
    assert missing_packages(replace(bare, system="debian 13")) == ("docker-cli", "docker.io", "iptables", "mmdebstrap")
    assert missing_packages(replace(bare, system="ubuntu 24.04", keyring=False)) == (
        "docker.io",
        "iptables",
        "mmdebstrap",
        "debian-archive-keyring",
    )


def test_capabilities_are_read_from_the_bounding_set() -> None:
    assert capabilities("CapEff:\t0\nCapBnd:\t000001fffeffffff\n") == {"SYS_ADMIN", "NET_ADMIN"}
    assert capabilities("CapBnd:\t000001ffffffffff\n") == {"SYS_ADMIN", "NET_ADMIN", "SYS_RESOURCE"}
    assert capabilities("") == frozenset()


def test_the_cgroup_version_is_read_from_what_is_mounted(tmp_path: Path) -> None:
    assert cgroup_version(tmp_path) == 0
    (tmp_path / "memory").mkdir()
    assert cgroup_version(tmp_path) == 1
    (tmp_path / "cgroup.controllers").touch()
    assert cgroup_version(tmp_path) == 2
