"""Decide everything about a site's scripts: which there are, in which order, and with which constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generator import clients, hosts
from generator.names import Names
from generator.site import Site
from generator.steps import READ_ONLY, Context, Effects, File, Row, Step, check_order, lock

LISTED_FILES = ("README.md", "manifest.json", "SHA256SUMS")


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a site in the order in which they run, and setup.sh, which runs them."""

    steps: tuple[Step, ...]
    setup: Step
    readme: Context


def make_plan(site: Site) -> Plan:
    """Return the plan of a site."""
    names = Names(site)
    steps = tuple(_steps(names))
    check_order(steps)
    parties = tuple(dict.fromkeys(step.party for step in steps))
    rows = tuple(
        {
            "step": step.path,
            "party": step.party,
            "needs": step.needs,
            "when": "on-demand" if step.on_demand else "always",
        }
        for step in steps
    )
    installed = tuple(
        dict.fromkeys(f"{host.tls_directory}/{names.files.ca_certificate}" for host in names.tls_hosts.values())
    )
    context: Context = {
        "script": "setup.sh",
        "ca_common_name": site.ca.common_name,
        "ca_key_file": names.files.ca_key,
        "ca_certificate_file": names.files.ca_certificate,
        "server_key_file": names.server.key,
        "server_request_file": names.server.request,
        "server_certificate_file": names.server.certificate,
        "client_key_file": names.client.key,
        "client_request_file": names.client.request,
        "client_certificate_file": names.client.certificate,
        "installed_authorities": installed,
        "parties": parties,
        "rows": rows,
    }
    setup = Step(
        path="setup.sh",
        party="all",
        template="setup.sh",
        purpose="run the steps of this machine's parties, in order",
        context=context,
        needs_root=any(step.needs_root for step in steps),
        restarts=tuple(dict.fromkeys(unit for step in steps for unit in step.restarts)),
        looks_at=("OUT/SHA256SUMS", *installed),
        effects=Effects(files=(File("parties.txt", "operator", "0600"), lock(""))),
        undo="undoes the same scripts, the last one first",
        root_when="where this machine is a Docker host" if any(step.needs_root for step in steps) else "no",
    )
    return Plan(steps, setup, {"rows": rows})


def _steps(names: Names) -> Iterator[Step]:
    site = names.site
    if names.tls_hosts:
        yield _create_ca(names)
        yield from (hosts.request(names, host) for host in names.tls_hosts.values())
        yield _sign_servers(names)
    if site.clients:
        yield from (clients.request(names, client) for client in site.clients)
        yield _sign_clients(names)
    yield from (hosts.configure(names, host) for host in site.hosts)
    yield from (hosts.create_networks(host) for host in site.hosts if host.networks)
    yield from (clients.configure(names, client) for client in site.clients)
    yield from (hosts.show_namespaces(host) for host in site.hosts)
    yield from (hosts.watch_expiry(names, host) for host in names.tls_hosts.values())
    yield from (clients.check_expiry(client) for client in site.clients)
    if names.tls_hosts:
        yield _roll_over_ca(names)
        yield _back_up_ca(names)
        yield _list_certificates(names)
    yield from (hosts.verify(names, host) for host in site.hosts)
    yield from (clients.verify(names, client) for client in site.clients)


def _create_ca(names: Names) -> Step:
    authority = names.site.ca
    path = "ca/10-create-ca.sh"
    return Step(
        path=path,
        party="ca",
        template="create-ca.sh",
        purpose="make the certificate authority's key and certificate",
        context={
            "script": path,
            "ca_common_name": authority.common_name,
            "ca_key_type": authority.key,
            "ca_days": authority.days,
            "ca_key_file": names.files.ca_key,
            "ca_certificate_file": names.files.ca_certificate,
            "ledger_file": names.files.ledger,
        },
        needs="passphrase",
        effects=Effects(
            files=(
                File(names.ca_key, "operator", "0600"),
                File(names.ca_certificate, "operator", "0644"),
                File(names.ca_ledger, "operator", "0644"),
                lock("ca"),
            ),
            temporary=("ca/ca-extensions.cnf",),
            undoes=(names.ca_serial,),
            commands=(
                "openssl genrsa" if authority.key.startswith("rsa:") else "openssl genpkey",
                "openssl pkcs8",
                "openssl req",
            ),
        ),
        undo=f"lists key, certificate and {names.ca_serial} and keeps them, unless --remove-keys",
    )


def _roll_over_ca(names: Names) -> Step:
    path = "ca/60-roll-over-ca.sh"
    create = _create_ca(names)
    return Step(
        path=path,
        party="ca",
        template="roll-over-ca.sh",
        purpose="replace the CA in three stages, which is how a client's certificate is taken back",
        context={
            **create.context,
            "script": path,
            "parties": (
                *(f"hosts/{name}" for name in names.tls_hosts),
                *(f"clients/{client.name}" for client in names.site.clients),
            ),
        },
        reads=(
            names.ca_key,
            names.ca_certificate,
            names.ca_ledger,
            *(f"hosts/{name}/{names.files.ca_certificate}" for name in names.tls_hosts),
            *(f"clients/{client.name}/{names.files.ca_certificate}" for client in names.site.clients),
        ),
        needs="passphrase",
        on_demand=True,
        effects=Effects(
            files=(
                *create.effects.files,
                File("ca/authorities.pem", "operator", "0644"),
                *(
                    File(f"ca/{folder}/{file.path.removeprefix('ca/')}", "operator", file.mode)
                    for folder in ("next", "previous")
                    for file in create.effects.files[:2]
                ),
                File("ca/retired-SERIAL/", "operator", "0700"),
            ),
            temporary=("ca/next/ca-extensions.cnf", "ca/next/announcement.srl"),
            commands=(*create.effects.commands, "openssl x509"),
        ),
        undo="after --begin: lists the next CA and keeps it, unless --remove-keys; later stages are not undone",
    )


def _back_up_ca(names: Names) -> Step:
    path = "ca/70-back-up-ca.sh"
    return Step(
        path=path,
        party="ca",
        template="back-up-ca.sh",
        purpose="write the CA into one encrypted file and prove that it can be restored; or restore it",
        context={
            "script": path,
            "ca_key_file": names.files.ca_key,
            "ca_certificate_file": names.files.ca_certificate,
            "ledger_file": names.files.ledger,
        },
        reads=(names.ca_key, names.ca_certificate, names.ca_ledger),
        looks_at=("FILE (--restore)",),
        needs="passphrase",
        on_demand=True,
        effects=Effects(
            files=(
                File("FILE (--to)", "operator", "0600"),
                *_create_ca(names).effects.files,
                File(names.ca_serial, "operator", "0600"),
                lock(""),
            ),
            temporary=("/tmp/RANDOM/", "ca/SHA256SUMS"),  # noqa: S108 - mktemp(1) makes it
            commands=("openssl enc",),
        ),
        undo="nothing to undo: the file of --to, or the CA of --restore, stays",
    )


def _list_certificates(names: Names) -> Step:
    path = "ca/80-list-certificates.sh"
    return Step(
        path=path,
        party="ca",
        template="list-certificates.sh",
        purpose="list every certificate that this CA has issued, with the days that are left",
        context={"script": path, "ledger_file": names.files.ledger},
        reads=(names.ca_ledger,),
        on_demand=True,
        undo=READ_ONLY,
    )


def _sign_servers(names: Names) -> Step:
    rows: list[Row] = [
        {
            "name": host.name,
            "key_type": host.key,
            "days": host.days,
            "alternative_names": names.host_alternative_names(host),
        }
        for host in names.tls_hosts.values()
    ]
    return _sign(names, "ca/20-sign-servers.sh", "server", rows)


def _sign_clients(names: Names) -> Step:
    rows: list[Row] = [
        {
            "name": client.name,
            "key_type": client.key,
            "days": client.days,
            "alternative_names": names.client_alternative_names(client),
        }
        for client in names.site.clients
    ]
    return _sign(names, "ca/30-sign-clients.sh", "client", rows)


def _sign(names: Names, path: str, kind: str, rows: Sequence[Row]) -> Step:
    work = names.server if kind == "server" else names.client
    parties = "hosts" if kind == "server" else "clients"
    folders = [f"{parties}/{row['name']}" for row in rows]
    made = [
        File(f"{folder}/{name}", "operator", mode)
        for folder in folders
        for name, mode in ((work.certificate, "0644"), (names.files.ca_certificate, "0644"))
    ]
    renewals = [f"{folder}/renewal" for folder in folders]
    made += [File(f"{folder}/{work.certificate}", "operator", "0644") for folder in renewals]
    return Step(
        path=path,
        party="ca",
        template=f"sign-{kind}s.sh",
        purpose=f"certify the {kind}s of its table, and nothing else",
        context={
            "script": path,
            "ca_key_file": names.files.ca_key,
            "ca_certificate_file": names.files.ca_certificate,
            "ledger_file": names.files.ledger,
            "key_file": work.key,
            "request_file": work.request,
            "extensions_file": work.extensions,
            "certificate_file": work.certificate,
            "rows": rows,
        },
        reads=(names.ca_key, names.ca_certificate, *(f"{folder}/{work.request}" for folder in folders)),
        needs="passphrase",
        effects=Effects(
            files=(
                *made,
                File(names.ca_serial, "operator", "0600"),
                File(names.ca_ledger, "operator", "0644"),
                File("ca/refused.txt", "operator", "0600"),
                lock("ca"),
            ),
            temporary=(f"ca/{work.extensions}",),
            commands=("openssl x509",),
            removes=tuple(
                f"{folder}/{name}" for folder in (*folders, *renewals) for name in (work.request, work.extensions)
            ),
        ),
        undo="lists the certificates and keeps them, unless --remove-keys",
    )
