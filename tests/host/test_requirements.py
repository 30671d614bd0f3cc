"""Machines on which a script cannot run: it says what they lack, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dockseal.lab import Host, Lab
from dockseal.lab.image import tag
from tests.host.daemon import (
    ERROR,
    FOLDER,
    SCRIPT,
    UNTOUCHED,
)
from tests.host.support import (
    CERTIFICATE_STEPS,
    CLIENT,
    DAEMON,
    TLS,
    UNATTENDED,
    changed,
    install,
    refuses,
    stops,
    watched,
)

pytestmark = pytest.mark.no_probe_image
# Where the scripts' fixed PATH looks first.
FIRST_ON_PATH = "/usr/local/sbin"


@pytest.fixture(scope="module")
def container(lab: Lab, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A machine on which systemd does not run: a plain container of the same image, with the scripts."""
    labels = [word for label in lab.labels for word in ("--label", label)]
    words = ["--detach", "--network", "none", "--stop-signal", "KILL", *labels, "--tty", tag(release), "cat"]
    identity = lab.engine.run("run", *words).stdout.strip()
    plain = Host(lab.engine, identity, "plain", release)
    install(plain, tmp_path_factory.mktemp("plain"))
    yield plain
    lab.remove(plain)


@contextmanager
def away(host: Host, path: str) -> Iterator[None]:
    """Move a program out of the way for a while."""
    host.run(["mv", path, f"{path}.away"])
    try:
        yield
    finally:
        host.run(["mv", f"{path}.away", path])


def test_without_systemd_it_prints_the_command_to_run_by_hand(container: Host) -> None:
    refuses(
        container,
        ["bash", SCRIPT, "--yes"],
        f"{DAEMON}: systemd does not run this machine. To start dockerd by hand, install the files of {FOLDER} in "
        f"{TLS} and run:\n"
        "/usr/sbin/dockerd -H unix:///var/run/docker.sock -H tcp://127.0.0.1:2376 --tlsverify "
        f"--tlscacert={TLS}/ca-public.pem --tlscert={TLS}/certificate.pem --tlskey={TLS}/server-key.pem\n"
        f"{ERROR} systemd is needed; {UNTOUCHED}",
    )


def test_without_systemd_setup_stops_before_the_first_change(container: Host) -> None:
    said = f"error: setup.sh: {DAEMON} cannot run on this machine; nothing was changed"
    stops(container, ["bash", "/root/out/setup.sh", *UNATTENDED], f"{ERROR} systemd is needed; {UNTOUCHED}\n{said}")


def test_without_dockerd_it_says_so(container: Host) -> None:
    with away(container, "/usr/sbin/dockerd"):
        refuses(
            container,
            ["bash", SCRIPT, "--yes"],
            f"{ERROR} there is no dockerd in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; run this on "
            "a Docker host whose docker.service starts dockerd as root",
        )


# Docker commands without a dockerd; what only resembles one of podman or of a snap is not called so.
ANOTHERS = {
    "podman": (
        "printf '#!/bin/sh\\n' | tee /usr/bin/docker >/usr/bin/podman; chmod 755 /usr/bin/{docker,podman}",
        True,
    ),
    "snap": ("mkdir -p /snap/bin; cp -p /usr/bin/docker.away /snap/bin/docker", True),
    "podman beside docker's own": ("cp -p /usr/bin/docker.away /usr/bin/docker; touch /usr/bin/podman", False),
    "a script of docker's name": ("printf '#!/bin/sh\\n' >/usr/bin/docker; chmod 755 /usr/bin/docker", False),
}


@pytest.mark.one_release
@pytest.mark.parametrize("other", ANOTHERS)
def test_a_docker_command_that_has_no_dockerd_is_named(container: Host, other: str) -> None:
    make, is_named = ANOTHERS[other]
    with away(container, "/usr/sbin/dockerd"), away(container, "/usr/bin/docker"):
        container.bash(make)
        result, changes = watched(container, ["bash", SCRIPT, "--yes"])
        container.bash("rm -rf /snap /usr/bin/podman /usr/bin/docker")
    named = [name for name in ("podman", "snap") if name in result.stderr]
    assert (result.status, result.stdout, changes) == (2, "", "")
    assert result.stderr.startswith(f"{ERROR} there is no dockerd in ")
    assert named == ([other] if is_named else [])


def test_without_openssl_every_script_says_which_package(container: Host) -> None:
    with away(container, "/usr/bin/openssl"):
        for script in ("setup.sh", *CERTIFICATE_STEPS, DAEMON, CLIENT, "hosts/localhost/90-verify.sh"):
            said = f"error: {script}: openssl is not installed; install the package openssl"
            refuses(container, ["bash", f"/root/out/{script}"], said)


@pytest.mark.parametrize("version", ["OpenSSL 1.1.0l  10 Sep 2019", "OpenSSL 1.0.2u  20 Dec 2019", "LibreSSL 3.8.2"])
def test_an_openssl_that_is_too_old(container: Host, version: str) -> None:
    path = f"{FIRST_ON_PATH}/openssl"
    text = f"#!/bin/sh\n# A fake: no openssl this old is in the releases.\necho '{version}'\n"
    container.write(path, text, 0o755)
    for script in ("setup.sh", DAEMON):
        said = f"error: {script}: OpenSSL 1.1.1 or newer is needed, found {version}"
        refuses(container, ["bash", f"/root/out/{script}"], said)
    container.run(["rm", path])


@pytest.mark.parametrize("script", ["setup.sh", DAEMON])
def test_another_shell_than_bash(container: Host, script: str) -> None:
    path = f"/root/out/{script}"
    number = container.read(path).partition("run: bash FILE")[0].count("\n") + 1
    refuses(container, ["dash", path], f"{path}: {number}: lib: run: bash FILE")


def test_a_bash_that_is_too_old(container: Host) -> None:
    """No bash this old is in the releases: a copy of the script is told that this is version 4.3."""
    old, new = [(("BASH_VERSINFO[0]", "4"), ("BASH_VERSINFO[1]", minor)) for minor in "34"]
    path = changed(container, "/root/out/setup.sh", *old)
    version = container.run(["bash", "-c", 'echo "$BASH_VERSION"']).stdout.strip()
    refuses(container, ["bash", path], f"error: bash 4.4 or newer is needed, found {version}")
    path = changed(container, "/root/out/setup.sh", *new)
    assert container.run(["bash", path, "--help"]).stdout
