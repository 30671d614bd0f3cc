"""Find out what this machine offers the lab, and say in one sentence what is missing."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dockseal.lab.errors import LabError, LabUnavailable
from dockseal.lab.process import run

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
REGISTRY = "https://registry-1.docker.io/v2/"
REGISTRY_TIMEOUT = 3.0
# Bits of CapBnd in /proc/PID/status: capabilities(7), linux/capability.h.
CAPABILITIES = {"NET_ADMIN": 12, "SYS_ADMIN": 21, "SYS_RESOURCE": 24}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NEEDED_BY_PRIVATE_ENGINE = ("SYS_ADMIN", "NET_ADMIN")


@dataclass(frozen=True)
class Probe:
    """What was found on this machine."""

    root: bool
    system: str  # ID and VERSION_ID of os-release(5), as in "debian 12"
    apt: bool
    client: str | None
    dockerd: str | None
    iptables: bool
    mmdebstrap: str | None
    keyring: bool
    cgroup: int  # 2, 1, or 0 for none
    capabilities: frozenset[str]
    address: str  # where an engine was looked for
    version: str  # what answered there, or ""
    refusal: str  # why nothing did
    registry: bool | None  # None: not asked
    browser: str | None  # Chromium, which opens the pages of the tests


def probe(environ: Mapping[str, str] | None = None, *, registry: Callable[[], bool] | None = None) -> Probe:
    """Look at this machine; `registry` is asked only when it is given."""
    env = os.environ if environ is None else environ
    client = shutil.which("docker")
    address = env.get("DOCKER_HOST") or DEFAULT_SOCKET
    version, refusal = _ask_engine(client, address)
    return Probe(
        root=os.geteuid() == 0,
        system=_system(Path("/etc/os-release")),
        apt=shutil.which("apt-get") is not None,
        client=client,
        dockerd=_which("dockerd"),
        iptables=_which("iptables") is not None,
        mmdebstrap=_which("mmdebstrap"),
        keyring=KEYRING.exists(),
        cgroup=cgroup_version(Path("/sys/fs/cgroup")),
        capabilities=capabilities(Path("/proc/self/status").read_text()),
        address=address,
        version=version,
        refusal=refusal,
        registry=None if registry is None else registry(),
        browser=shutil.which("chromium"),
    )


def capabilities(status: str) -> frozenset[str]:
    """Return those of CAPABILITIES that the bounding set of a /proc/PID/status holds."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)
    return frozenset()


def cgroup_version(root: Path) -> int:
    """Return 2 for a unified hierarchy, 1 for controllers of their own, 0 for neither."""
    if (root / "cgroup.controllers").exists():
        return 2
    return 1 if (root / "memory").is_dir() else 0


def registry_answers() -> bool:
    """Tell whether Docker Hub answers; 401 is its answer to a stranger."""
    try:
        with urllib.request.urlopen(REGISTRY, timeout=REGISTRY_TIMEOUT):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401
    except (OSError, ValueError):
        return False


def engine_trouble(found: Probe) -> str | None:
    """Say in one sentence why there can be no engine, or None where there can."""
    if found.client is None:
        return f"the lab needs the docker command: {_remedy(found, client_packages(found))}"
    if found.version:
        return None
    nobody = f"no Docker engine answers at {found.address}"
    if not found.root:
        if "permission denied" in found.refusal.lower():
            return (
                f"you may not use the Docker engine at {found.address}: "
                "run this with sudo, or join its group with `sudo usermod -aG docker $USER` "
                "and log in again"
            )
        return f"{nobody} and only root can start one: run this with sudo, or start Docker"
    if found.dockerd is None or not found.iptables:
        gone = "dockerd" if found.dockerd is None else "iptables"
        return f"{nobody} and {gone} is not installed: {_remedy(found, engine_packages(found))}"
    lacking = [name for name in NEEDED_BY_PRIVATE_ENGINE if name not in found.capabilities]
    if lacking:
        return (
            f"{nobody} and none can be started without the capability {' and '.join(lacking)}: "
            "use a virtual machine, a privileged container, or set DOCKER_HOST"
        )
    if found.cgroup == 0:
        return (
            f"{nobody} and none can be started because no cgroup hierarchy is mounted at "
            "/sys/fs/cgroup: use a machine with one, or set DOCKER_HOST"
        )
    return None


def image_trouble(found: Probe) -> str | None:
    """Say in one sentence why no host image can be built, or None where one can."""
    if found.root and found.mmdebstrap and found.keyring:
        return None
    if found.registry:
        return None
    if not found.root:
        return (
            "a host image cannot be built because no registry answers and only root can build it "
            "from Debian packages: run this once with sudo"
        )
    gone = "mmdebstrap" if found.mmdebstrap is None else "debian-archive-keyring"
    return (
        f"a host image cannot be built because {gone} is not installed and no registry answers: "
        f"{_remedy(found, image_packages(found))}"
    )


def require_engine(found: Probe) -> None:
    """Raise LabUnavailable with one sentence where there can be no engine."""
    trouble = engine_trouble(found)
    if trouble is not None:
        raise LabUnavailable(trouble)


def missing_packages(found: Probe) -> tuple[str, ...]:
    """Return the Debian packages that would let the lab work here, those that it has left out."""
    wanted: list[str] = []
    if found.client is None:
        wanted += client_packages(found)
    if not found.version and (found.dockerd is None or not found.iptables):
        wanted += engine_packages(found)
    if not found.registry and not (found.mmdebstrap and found.keyring):
        wanted += image_packages(found)
    if found.browser is None and found.system.startswith("debian"):
        wanted.append("chromium")  # Ubuntu's package of that name is a snap
    return tuple(dict.fromkeys(wanted))


def client_packages(found: Probe) -> tuple[str, ...]:
    """Name the packages with the docker command; Debian 13 split it off docker.io."""
    return ("docker-cli",) if _has_docker_cli(found) else ("docker.io",)


def engine_packages(found: Probe) -> tuple[str, ...]:
    """Name the packages of a private engine."""
    return tuple(dict.fromkeys(("docker.io", *client_packages(found), "iptables")))


def image_packages(found: Probe) -> tuple[str, ...]:
    """Name the packages that build a host image without a registry."""
    return ("mmdebstrap",) if found.keyring else ("mmdebstrap", "debian-archive-keyring")


def install_command(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that installs these packages."""
    return ("apt-get", "install", "--yes", "--no-install-recommends", *packages)


def _has_docker_cli(found: Probe) -> bool:
    name, _, version = found.system.partition(" ")
    return name == "debian" and version.split(".")[0].isdigit() and int(version.split(".")[0]) >= 13


def _remedy(found: Probe, packages: tuple[str, ...]) -> str:
    if not found.apt:
        return f"install your distribution's packages for {' '.join(packages)}"
    command = " ".join(install_command(packages))
    return command if found.root else f"sudo {command}"


def _ask_engine(client: str | None, address: str) -> tuple[str, str]:
    """Return the version of the engine there, or "" and the client's complaint.

    The client of 20.10 can exit 0 with no daemon, so the version decides.
    """
    if client is None:
        return "", "no docker command"
    env = {**os.environ, "DOCKER_HOST": address}
    argv = [client, "version", "--format", "{{.Server.Version}}"]
    try:
        result = run(argv, check=False, timeout=15, env=env)
    except LabError as error:
        return "", str(error)
    version = result.stdout.strip()
    return (version, "") if result.status == 0 and version else ("", result.stderr.strip())


def _which(name: str) -> str | None:
    """Look a program up also where only root's PATH leads."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")


def _system(path: Path) -> str:
    """Return ID and VERSION_ID of an os-release(5) file."""
    if not path.exists():
        return "unknown"
    pairs = (line.partition("=") for line in path.read_text().splitlines())
    values = {key: value.strip("\"'") for key, _, value in pairs}
    return f"{values.get('ID', 'unknown')} {values.get('VERSION_ID', '')}".strip()
