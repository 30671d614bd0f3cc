"""The steps of a Docker host."""

from __future__ import annotations

from ipaddress import ip_address

from generator.names import Names
from generator.site import Host
from generator.steps import Context, Effects, File, Step

# CIS Docker Benchmark, section 3: certificates root:root 0444, server key root:root 0400, drop-ins root:root 0644.
CERTIFICATE_MODE = "0444"
KEY_MODE = "0400"
DROP_IN_MODE = "0644"

PROBES = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def request(names: Names, host: Host) -> Step:
    """Return the step that makes a host's key and certificate signing request."""
    folder = f"hosts/{host.name}"
    path = f"{folder}/10-request-certificate.sh"
    return Step(
        path=path,
        party=folder,
        template="request-server.sh",
        purpose="make the server's key and its certificate signing request",
        context={
            "script": path,
            "name": host.name,
            "key_type": host.key,
            "alternative_names": names.host_alternative_names(host),
            "key_file": names.server.key,
            "request_file": names.server.request,
            "certificate_file": names.server.certificate,
            "ca_certificate_file": names.files.ca_certificate,
        },
        effects=Effects(
            files=(
                File(f"{folder}/{names.server.key}", "operator", "0600"),
                File(f"{folder}/{names.server.request}", "operator", "0600"),
            ),
            commands=("openssl genrsa" if host.key.startswith("rsa:") else "openssl genpkey", "openssl req"),
        ),
        undo="lists both files and keeps them, unless --remove-keys",
    )


def configure(names: Names, host: Host) -> Step:
    """Return the step that installs a host's certificate and restarts dockerd with it."""
    folder = f"hosts/{host.name}"
    path = f"{folder}/20-configure-daemon.sh"
    directory = host.tls_directory
    installed = (
        (names.files.ca_certificate, CERTIFICATE_MODE),
        (names.server.certificate, CERTIFICATE_MODE),
        (names.server.key, KEY_MODE),
    )
    return Step(
        path=path,
        party=folder,
        template="configure-daemon.sh",
        purpose="install the certificate, set dockerd's flags, restart it once and prove it",
        context={
            **_daemon(names, host, path),
            "alternative_names": names.host_alternative_names(host),
            "listen_address": host.listen_address,
            "listen_hex": ip_address(host.listen_address).packed.hex().upper(),
            "request_file": names.server.request,
            "extensions_file": names.server.extensions,
        },
        reads=(*_certificate(names, folder), "/etc/docker/daemon.json"),
        restarts=("docker.service",),
        needs_root=True,
        needs="dockerd",
        effects=Effects(
            files=(
                File(directory, "root:root", "link"),
                *(File(f"{directory}/{name}", "root:root", mode) for name, mode in installed),
                File(host.drop_in, "root:root", DROP_IN_MODE),
            ),
            units=("docker.service",),
            commands=("systemctl daemon-reload", "systemctl restart docker.service"),
            removes=(f"{folder}/{names.server.request}", f"{folder}/{names.server.extensions}"),
        ),
        undo="puts the previous drop-in and files back and restarts dockerd",
    )


def verify(names: Names, host: Host) -> Step:
    """Return the step that proves a host's controls; it changes nothing."""
    folder = f"hosts/{host.name}"
    path = f"{folder}/90-verify.sh"
    directory = host.tls_directory
    return Step(
        path=path,
        party=folder,
        template="verify-host.sh",
        purpose="prove every control of this host, read-only",
        context={**_daemon(names, host, path), "names": (*host.names, *host.ip_addresses)},
        reads=(
            *(f"{directory}/{name}" for name in (names.files.ca_certificate, names.server.certificate)),
            host.drop_in,
        ),
        needs_root=True,
        needs="dockerd",
    )


def _daemon(names: Names, host: Host, path: str) -> Context:
    return {
        "script": path,
        "listen": host.listen,
        "listen_port": host.listen_port,
        "probe_address": PROBES.get(host.listen_address, host.listen_address),
        "probe_name": host.target,
        "tls_directory": host.tls_directory,
        "drop_in": host.drop_in,
        "key_file": names.server.key,
        "certificate_file": names.server.certificate,
        "ca_certificate_file": names.files.ca_certificate,
        "client_folders": names.client_folders(host),
        "client_key_file": names.client.key,
        "client_certificate_file": names.client.certificate,
    }


def _certificate(names: Names, folder: str) -> tuple[str, ...]:
    return tuple(
        f"{folder}/{name}" for name in (names.server.key, names.server.certificate, names.files.ca_certificate)
    )
