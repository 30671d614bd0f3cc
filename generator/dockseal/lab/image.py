"""What a host is made of: a Debian release with systemd, Docker and openssl."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dockseal.lab.engine import Engine, Progress, locked
from dockseal.lab.errors import LabError, LabUnavailable
from dockseal.lab.probe import Probe, image_trouble

RELEASES = ("bullseye", "bookworm", "trixie")
# A host of Debian's programs, laid out as Docker's own packages are (docs.docker.com/engine/install/debian).
UPSTREAM = "trixie-upstream"
HOSTS = (*RELEASES, UPSTREAM)
# Debian's units are upstream's but for the path of dockerd, /etc/default/docker and $DOCKER_OPTS:
# contrib/init/systemd in github.com/moby/moby. Upstream's packages make no /etc/docker.
TO_UPSTREAM = """
mv /usr/sbin/dockerd /usr/sbin/docker-proxy /usr/bin/
rm -rf /etc/default/docker /etc/init.d/docker /etc/docker
sed -i -e '/^EnvironmentFile=/d' \\
  -e 's,^ExecStart=.*,ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock,' \\
  /usr/lib/systemd/system/docker.service
"""
REPOSITORY = "dockseal-lab"
PACKAGES = (
    "ca-certificates",
    "systemd",
    "systemd-sysv",
    "dbus",
    "docker.io",
    "iptables",
    "openssl",
    "openssh-client",
    "iproute2",
    "procps",
    "uidmap",
    "busybox-static",
    "acl",
    "strace",
    "faketime",
)
# One release shows what NSS says of a certificate; Debian 13 has the docker command in a package of its own.
MORE_PACKAGES = {"bookworm": ("libnss3-tools",), "trixie": ("docker-cli",)}
BUILD_TIMEOUT = 900.0
CHANGES = ('CMD ["/sbin/init"]',)


def base(host: str) -> str:
    """Return the release that a kind of host is made of."""
    return "trixie" if host == UPSTREAM else host


def changes(host: str) -> str:
    """Return the shell commands that a kind of host runs before its first start."""
    return TO_UPSTREAM if host == UPSTREAM else ""


def packages(release: str) -> tuple[str, ...]:
    """Return the packages of a release's host."""
    return (*PACKAGES, *MORE_PACKAGES.get(release, ()))


def dockerfile(release: str) -> str:
    """Return the recipe for a place where Debian's own image can be pulled."""
    return (
        f"FROM debian:{release}\n"
        "RUN apt-get update \\\n"
        " && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \\\n"
        f"    {' '.join(packages(release))} \\\n"
        " && rm -rf /var/lib/apt/lists/*\n" + "".join(f"{line}\n" for line in CHANGES)
    )


def bootstrap(release: str) -> tuple[str, ...]:
    """Return the command that writes the root filesystem as a tar file to standard output."""
    include = ",".join(packages(release))
    return ("mmdebstrap", "--variant=minbase", f"--include={include}", release, "-")


def tag(release: str) -> str:
    """Return the image's name; it holds a digest of the recipe, so a new recipe builds anew."""
    recipe = "\0".join((*bootstrap(release), dockerfile(release)))
    return f"{REPOSITORY}:{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def ensure(engine: Engine, found: Probe, cache: Path, releases: Iterable[str], progress: Progress) -> None:
    """Build the images that the engine has not got yet, two at a time."""
    missing = [release for release in releases if not has(engine, tag(release))]
    if not missing:
        return
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(_build, engine, found, cache, release, progress) for release in missing]
    for job in jobs:
        job.result()


def has(engine: Engine, name: str) -> bool:
    """Tell whether the engine has this image."""
    return engine.run("image", "inspect", name, check=False).status == 0


def _build(engine: Engine, found: Probe, cache: Path, release: str, progress: Progress) -> None:
    """Build one release's image, by whichever way this machine allows, and drop older ones."""
    if release not in RELEASES:
        raise LabError(f"no such release: {release}; the lab has {', '.join(RELEASES)}")
    with locked(cache / f"image-{release}.lock", f"the image of {release}", progress):
        name = tag(release)
        if has(engine, name):
            return
        started = time.monotonic()
        progress(f"{release}: building the host image (once, 20 to 60 s)")
        if has(engine, f"debian:{release}") or not (found.root and found.mmdebstrap and found.keyring):
            _from_registry(engine, found, release, name)
        else:
            _from_packages(engine, cache, release, name)
        progress(f"{release}: host image ready ({time.monotonic() - started:.0f} s)")
        _drop_older(engine, release, name)


def _from_registry(engine: Engine, found: Probe, release: str, name: str) -> None:
    """Build on Debian's own image; the network is the machine's, a private engine has none."""
    trouble = image_trouble(found)
    if trouble is not None and not has(engine, f"debian:{release}"):
        raise LabUnavailable(trouble)
    words = ("build", "--network", "host", "--tag", name, "-")
    engine.run(*words, input=dockerfile(release), timeout=BUILD_TIMEOUT)


def _from_packages(engine: Engine, cache: Path, release: str, name: str) -> None:
    """Pipe mmdebstrap into `docker import`; its temporary files stay in the cache."""
    words = [word for line in CHANGES for word in ("--change", line)]
    scratch = cache / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    log = cache / f"image-{release}.log"
    with log.open("wb") as errors:
        make = subprocess.Popen(
            bootstrap(release),
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
        try:
            load = subprocess.run(
                engine.argv("import", *words, "-", name),
                stdin=make.stdout,
                capture_output=True,
                check=False,
                env=engine.env,
                timeout=BUILD_TIMEOUT,
            )
        finally:
            if make.stdout is not None:
                make.stdout.close()
            make.wait()
    if make.returncode != 0:
        engine.run("image", "rm", name, check=False)
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise LabError(f"mmdebstrap {release}: exit status {make.returncode}, see {log}\n{tail}")
    if load.returncode != 0:
        raise LabError(f"docker import {name}: {load.stderr.decode(errors='replace').strip()}")


def _drop_older(engine: Engine, release: str, name: str) -> None:
    """Remove this release's images of earlier recipes, those in use aside."""
    listing = engine.lines("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY)
    for other in listing:
        if other.startswith(f"{REPOSITORY}:{release}-") and other != name:
            engine.run("image", "rm", other, check=False)
