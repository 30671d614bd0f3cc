"""The steps of a client."""

from __future__ import annotations

from dockseal.plan.names import Names, docker_host
from dockseal.plan.steps import READ_ONLY, SHOWS, VERIFIES, Effects, File, Row, Step, lock
from dockseal.site.model import Client

# docker's default client files (docker(1), "Environment": DOCKER_CERT_PATH).
INSTALLED = (("~/.docker/ca.pem", "0644"), ("~/.docker/cert.pem", "0644"), ("~/.docker/key.pem", "0600"))
# What docker is measured with.
IMPOSTOR = Effects(
    temporary=("/tmp/RANDOM/",),  # noqa: S108 - mktemp(1) makes it
    starts=("a TLS server of an impostor, on a loopback address",),
)


def configure(names: Names, client: Client) -> Step:
    """Return the step that installs a client's certificate and makes a docker context per host."""
    folder = f"clients/{client.name}"
    path = f"{folder}/20-configure-client.sh"
    hosts = names.client_hosts(client)
    files = [File(path, "operator", mode) for path, mode in INSTALLED]
    files += [
        File(f"~/.docker/before-dockseal/{name}", "operator", "0600")
        for name in ("record", "digests", "trusted.pem", "key.pem", "cert.pem", "ca.pem", "profile")
        if name != "profile" or client.shell_profile
    ]
    files.append(File("~/.docker/contexts/meta/DIGEST/meta.json", "operator", "0644"))
    files += [File(f"~/.docker/contexts/tls/DIGEST/docker/{path[10:]}", "operator", "0600") for path, _ in INSTALLED]
    work = names.client
    files += [
        File(f"{folder}/{place}{name}", "operator", mode)
        for place in ("", "previous/")
        for name, mode in ((work.key, "0600"), (work.certificate, "0644"))
    ]
    files.append(lock(folder))
    if client.shell_profile:
        files.append(File(f"~/{client.shell_profile}", "operator", "kept"))
    return Step(
        path=path,
        party=folder,
        template="configure-client.sh",
        purpose="install the certificate in ~/.docker and make a docker context per host",
        context={
            "script": path,
            "alternative_names": names.client_alternative_names(client),
            "key_file": names.client.key,
            "certificate_file": names.client.certificate,
            "ca_certificate_file": names.files.ca_certificate,
            "request_file": names.client.request,
            "extensions_file": names.client.extensions,
            "shell_profile": client.shell_profile or "",
            "rows": tuple({"name": host.name, "docker_host": docker_host(host)} for host in hosts),
        },
        reads=tuple(
            f"{folder}/{name}" for name in (names.client.key, names.client.certificate, names.files.ca_certificate)
        ),
        awaits="certificate",
        effects=Effects(
            files=tuple(files),
            commands=tuple(f"docker context create {host.name}" for host in hosts),
            removes=tuple(
                f"{folder}/{name}"
                for name in (
                    work.request,
                    work.extensions,
                    *(f"renewal/{name}" for name in (work.key, work.certificate, work.request, work.extensions)),
                )
            ),
        ),
        undo="removes all of it outside DIR, and puts back what was in ~/.docker before",
        root_when="no; it configures the user who runs it",
    )


def show_tls_modes(names: Names, client: Client) -> Step:
    """Return the step that shows what each of docker's TLS modes really does."""
    path = f"clients/{client.name}/50-show-tls-modes.sh"
    return Step(
        path=path,
        party=f"clients/{client.name}",
        template="show-tls-modes.sh",
        purpose="show what each of docker's TLS modes really does, measured",
        context={"script": path, "rows": _hosts(names, client)},
        reads=tuple(path for path, _ in INSTALLED),
        needs="docker-client",
        does=SHOWS,
        effects=IMPOSTOR,
        undo=READ_ONLY,
    )


def check_expiry(client: Client) -> Step:
    """Return the step that says when a client's certificates end."""
    path = f"clients/{client.name}/60-check-expiry.sh"
    return Step(
        path=path,
        party=f"clients/{client.name}",
        template="check-expiry.sh",
        purpose="say when this client's certificates end, and fail before; for cron",
        context={"script": path, "warn_days": client.warn_days},
        reads=("~/.docker/ca.pem", "~/.docker/cert.pem"),
        on_demand=True,
        undo=READ_ONLY,
    )


def verify(names: Names, client: Client) -> Step:
    """Return the step that proves what a client's configuration authenticates; it changes nothing."""
    folder = f"clients/{client.name}"
    path = f"{folder}/90-verify.sh"
    return Step(
        path=path,
        party=folder,
        template="verify-client.sh",
        purpose="prove what this client's configuration really authenticates, read-only",
        context={
            "script": path,
            "shell_profile": client.shell_profile or "",
            "warn_days": client.warn_days,
            "rows": _hosts(names, client),
        },
        reads=tuple(path for path, _ in INSTALLED),
        does=VERIFIES,
        effects=IMPOSTOR,
        undo=READ_ONLY,
    )


def _hosts(names: Names, client: Client) -> tuple[Row, ...]:
    """Return how a client's docker reaches each of its hosts."""
    return tuple(
        {"name": host.name, "docker_host": docker_host(host), "connect": host.target, "port": host.listen_port}
        for host in names.client_hosts(client)
    )
