"""The steps of a Docker host."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from dockseal.plan.names import Names
from dockseal.plan.steps import HOST_LOCK, READ_ONLY, SHOWS, VERIFIES, Context, Effects, File, Row, Step, Value, Words
from dockseal.site.model import Host

# CIS Docker Benchmark, section 3: certificates root:root 0444, server key root:root 0400, drop-ins root:root 0644.
CERTIFICATE_MODE = "0444"
KEY_MODE = "0400"
DROP_IN_MODE = "0644"

# The user that dockerd makes for --userns-remap=default (dockerd(8)).
DEFAULT_REMAP_USER = "dockremap"

DAEMON_UNITS = ("docker.service", "docker.socket")
# Where useradd(8), which dockerd runs, writes.
ACCOUNTS = tuple(f"/etc/{name}" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid"))
# What lib/confine.sh asks outside of its sandbox.
SANDBOX_FACTS = ("/run/dockseal-confined.RANDOM/",)
PROBE_FOLDERS = ("/run/dockseal-probe.RANDOM/",)
CONTAINERS = ("throwaway containers, networks and an image",)
IN_CONTAINERS = (
    "docker import",
    "docker network create",
    "docker run",
    "docker container rm",
    "docker network rm",
    "docker image rm",
)

WATCH_FOLDER = "/usr/local/lib/dockseal"
WATCH_LIBRARY = ("begin", "common", "change", "certificates", "expiry", "watch_expiry")
WATCH_UNITS = ("service", "timer")
PROBES = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def configure(names: Names, host: Host) -> Step:
    """Return the step that sets dockerd's flags and restarts it with them."""
    folder = f"hosts/{host.name}"
    path = f"{folder}/20-configure-daemon.sh"
    users = (DEFAULT_REMAP_USER,) if host.userns_remap == "default" else ()
    undo = "removes the drop-in, and what was installed, and restarts"
    if users:
        undo += "; that user and its ids stay"
    effects = Effects(
        files=(
            File(host.drop_in, "root:root", DROP_IN_MODE),
            *(File(path, "root:root", "kept") for path in ACCOUNTS if users),
            HOST_LOCK,
        ),
        units=DAEMON_UNITS,
        commands=("systemctl daemon-reload", "systemctl restart docker.socket", "systemctl start docker.service"),
        users=users,
        temporary=(f"{host.drop_in.rpartition('/')[0]}.previous/", *SANDBOX_FACTS),
    )
    context: Context = {
        **_daemon(names, host, path),
        "listen_hex": _kernel_hex(host),
    }
    step = Step(
        path=path,
        party=folder,
        template="configure-plain-daemon.sh",
        purpose="open dockerd to everyone who reaches its port: plain TCP, no certificates",
        context=context,
        reads=("/etc/docker/daemon.json",),
        restarts=DAEMON_UNITS,
        needs_root=True,
        needs="dockerd",
        asks="restart",
        effects=effects,
        undo=undo,
    )
    return _with_certificate(names, host, step) if host.has_tls else step


def _with_certificate(names: Names, host: Host, step: Step) -> Step:
    """Return the same step for a host that has a certificate to install."""
    work, directory = names.server, host.tls_directory
    installed = ((names.files.ca_certificate, CERTIFICATE_MODE), (work.certificate, CERTIFICATE_MODE))
    files = [File(f"{directory}-DIGEST/{name}", "root:root", mode) for name, mode in (*installed, (work.key, KEY_MODE))]
    files += [
        File(f"{step.party}/{place}{name}", "operator", mode)
        for place in ("", "previous/")
        for name, mode in ((work.key, "0600"), (work.certificate, "0644"))
    ]
    working = (work.key, work.certificate, names.files.ca_certificate)
    return replace(
        step,
        template="configure-daemon.sh",
        purpose="install the certificate, set dockerd's flags, restart it once and prove it",
        context={
            **step.context,
            **_certificate(names, host),
            "is_mutual": host.mode == "mutual",
            "is_server_only": host.mode == "server-only",
            "alternative_names": names.host_alternative_names(host),
            "request_file": work.request,
            "extensions_file": work.extensions,
        },
        reads=(*(f"{step.party}/{name}" for name in working), *step.reads),
        awaits="certificate",
        effects=replace(
            step.effects,
            files=(File(directory, "root:root", "link"), *files, *step.effects.files),
            removes=tuple(
                f"{step.party}/{name}"
                for name in (
                    work.request,
                    work.extensions,
                    *(f"renewal/{name}" for name in (work.key, work.certificate, work.request, work.extensions)),
                )
            ),
            temporary=(f"{directory}.previous/", *SANDBOX_FACTS),
        ),
    )


def create_networks(host: Host) -> Step:
    """Return the step that creates a host's bridge networks."""
    path = f"hosts/{host.name}/30-create-networks.sh"
    return Step(
        path=path,
        party=f"hosts/{host.name}",
        template="create-networks.sh",
        purpose="create the bridge networks of this host",
        context={
            "script": path,
            "networks": _networks(host),
            "has_subnets": any(network.subnet or network.ipv6_subnet for network in host.networks),
        },
        looks_at=("/etc/docker/daemon.json",),
        needs_root=True,
        needs="dockerd",
        effects=Effects(
            files=(HOST_LOCK,),
            commands=("docker network create",),
            networks=tuple(network.name for network in host.networks),
        ),
        undo="removes the networks that this script made, except those that containers are attached to: it names them, "
        "and ends with 1",
    )


def show_namespaces(host: Host) -> Step:
    """Return the step that shows what each namespace isolates, in throwaway containers."""
    path = f"hosts/{host.name}/40-show-namespaces.sh"
    return Step(
        path=path,
        party=f"hosts/{host.name}",
        template="show-namespaces.sh",
        purpose="show in throwaway containers what each namespace isolates",
        context={"script": path, "userns_remap": host.userns_remap or "", "probe_image": host.probe_image or ""},
        looks_at=("probe-image.tar",),
        needs_root=True,
        needs="probe-image",
        does=SHOWS,
        effects=Effects(
            files=(HOST_LOCK,),
            commands=IN_CONTAINERS,
            temporary=PROBE_FOLDERS,
            starts=("throwaway containers and an image; a network where docker has no default bridge",),
        ),
        undo="removes what a killed run left",
    )


def watch_expiry(names: Names, host: Host) -> Step:
    """Return the step that checks daily when a host's certificates end."""
    path = f"hosts/{host.name}/60-watch-expiry.sh"
    certificate = _certificate(names, host)
    wanted = ("probe_name", "tls_directory", "certificate_file", "ca_certificate_file", "client_folders")
    installed = (path, *(f"lib/{name}.sh" for name in WATCH_LIBRARY))
    files = [File(f"{WATCH_FOLDER}/{name}", "root:root", "0644") for name in installed]
    files += [File(f"/etc/systemd/system/dockseal-watch-expiry.{kind}", "root:root", "0644") for kind in WATCH_UNITS]
    files += [File("/var/lib/systemd/timers/stamp-dockseal-watch-expiry.timer", "root:root", "0644"), HOST_LOCK]
    if host.textfile_directory:
        files.append(File(f"{host.textfile_directory}/dockseal.prom", "root:root", "0644"))
    return Step(
        path=path,
        party=f"hosts/{host.name}",
        template="watch-expiry.sh",
        purpose="check daily when the certificates of this host end, and fail visibly before",
        context={
            "script": path,
            "listen_port": host.listen_port,
            "probe_address": PROBES.get(host.listen_address, host.listen_address),
            **{name: certificate[name] for name in wanted},
            "client_certificate_file": names.client.certificate,
            "warn_days": host.warn_days,
            "textfile_directory": host.textfile_directory or "",
            "program_files": installed,
        },
        reads=tuple(f"{host.tls_directory}/{name}" for name in (names.server.certificate, names.files.ca_certificate)),
        looks_at=(
            *(f"{folder}/{names.client.certificate}" for folder in names.client_folders(host)),
            "/root/.docker/cert.pem",
        ),
        needs_root=True,
        needs="dockerd",
        on_demand=True,
        effects=Effects(
            files=tuple(files),
            temporary=("/tmp/RANDOM/",),  # noqa: S108 - mktemp(1) makes it
            units=("dockseal-watch-expiry.timer",),
            commands=(
                "systemctl daemon-reload",
                "systemctl enable --now dockseal-watch-expiry.timer",
                "systemctl restart dockseal-watch-expiry.timer",
            ),
        ),
        undo="stops the timer and removes its files",
    )


def verify(names: Names, host: Host) -> Step:
    """Return the step that proves a host's controls; it changes nothing."""
    folder = f"hosts/{host.name}"
    path = f"{folder}/90-verify.sh"
    context = {
        **_daemon(names, host, path),
        "listen_hex": _kernel_hex(host),
    }
    reads: tuple[str, ...] = (host.drop_in,)
    looks_at: tuple[str, ...] = ()
    template = "verify-plain-host.sh"
    if host.has_tls:
        context |= {
            **_certificate(names, host),
            "daemon_mode": host.mode,
            "alternative_names": names.host_alternative_names(host),
            "warn_days": host.warn_days,
        }
        files = (names.files.ca_certificate, names.server.certificate, names.server.key)
        pair = (names.client.key, names.client.certificate)
        looks_at += tuple(f"{place}/{names.files.ca_certificate}" for place in (folder, "ca"))
        looks_at += tuple(f"{client}/{name}" for client in names.client_folders(host) for name in pair)
        reads = (*(f"{host.tls_directory}/{name}" for name in files), *reads)
        template = "verify-host.sh"
    return Step(
        path=path,
        party=folder,
        template=template,
        purpose="prove every control of this host that can be looked at or asked for; it changes nothing",
        context=context,
        reads=reads,
        looks_at=looks_at,
        needs_root=True,
        needs="dockerd",
        does=VERIFIES,
        effects=Effects(temporary=SANDBOX_FACTS),
        undo=READ_ONLY,
    )


def prove_isolation(host: Host) -> Step:
    """Return the step that sends packets between throwaway containers on each network of a host."""
    path = f"hosts/{host.name}/91-prove-isolation.sh"
    return Step(
        path=path,
        party=f"hosts/{host.name}",
        template="prove-isolation.sh",
        purpose="prove with packets between throwaway containers what the networks isolate",
        context={
            "script": path,
            "icc": _word(host.icc),
            "probe_image": host.probe_image or "",
            "networks": _networks(host),
        },
        looks_at=("probe-image.tar", "/etc/docker/daemon.json"),
        needs_root=True,
        needs="probe-image",
        does=VERIFIES,
        effects=Effects(files=(HOST_LOCK,), commands=IN_CONTAINERS, temporary=PROBE_FOLDERS, starts=CONTAINERS),
        undo="removes what a killed run left",
    )


def _daemon(names: Names, host: Host, path: str) -> dict[str, Value]:
    """Return what is said of a host's daemon, with or without TLS."""
    return {
        "script": path,
        "listen": host.listen,
        "listen_port": host.listen_port,
        "probe_address": PROBES.get(host.listen_address, host.listen_address),
        "dockerd_words": _dockerd_words(names, host),
        "drop_in": host.drop_in,
        "userns_remap": host.userns_remap or "",
    }


def _dockerd_words(names: Names, host: Host) -> tuple[Words, ...]:
    """Return the words that dockerd gets from a step, in their order: its two sockets, then options (dockerd(8)).

    Paths are absolute: under systemd the working directory is /. With a certificate and its key, --tlsverify=false is
    TLS that asks clients for none.
    """
    lines = [Words("-H", "unix:///var/run/docker.sock"), Words("-H", f"tcp://{host.listen}")]
    if host.mode == "mutual":
        lines += [Words("--tlsverify"), Words(f"--tlscacert={host.tls_directory}/{names.files.ca_certificate}")]
    elif host.mode == "server-only":
        lines.append(Words("--tlsverify=false"))
    if host.has_tls:
        lines += [
            Words(f"--tlscert={host.tls_directory}/{names.server.certificate}"),
            Words(f"--tlskey={host.tls_directory}/{names.server.key}"),
        ]
    if not host.icc:
        lines.append(Words("--icc=false"))
    if host.userns_remap:
        lines.append(Words(f"--userns-remap={host.userns_remap}"))
    return tuple(lines)


def _kernel_hex(host: Host) -> str:
    """Return the address in hexadecimal, in network byte order; the kernel's tables reverse its groups (proc(5))."""
    return ip_address(host.listen_address).packed.hex().upper()


def _certificate(names: Names, host: Host) -> dict[str, Value]:
    """Return what is said of a host's certificate, and of the clients that it asks for one."""
    return {
        "probe_name": host.target,
        "tls_directory": host.tls_directory,
        "key_file": names.server.key,
        "certificate_file": names.server.certificate,
        "ca_certificate_file": names.files.ca_certificate,
        "client_folders": names.client_folders(host),
        "client_key_file": names.client.key,
        "client_certificate_file": names.client.certificate,
    }


def _networks(host: Host) -> tuple[Row, ...]:
    return tuple(
        {
            "name": network.name,
            "icc": _word(network.icc),
            "internal": _word(network.internal),
            "subnet": network.subnet or "",
            "ipv6_subnet": network.ipv6_subnet or "",
        }
        for network in host.networks
    )


def _word(value: bool) -> str:
    return "true" if value else "false"
