"""Decide everything about a site's scripts: which there are, in which order, and with which constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dockseal.plan import clients, hosts
from dockseal.plan.names import Names
from dockseal.plan.requests import encrypted_key_command, key_program, request_step
from dockseal.plan.setup import setup_step
from dockseal.plan.steps import READ_ONLY, Context, Effects, File, Row, Step, check_order, lock
from dockseal.site.model import Site

# Key usages (RFC 5280 section 4.2.1.3) as openssl prints them back.
SIGNS_ONLY = "digitalSignature"
RSA_SERVER = "digitalSignature, keyEncipherment"
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
    rows = tuple(
        {
            "step": step.path,
            "party": step.party,
            "needs": step.needs,
            "when": "on-demand" if step.on_demand else "always",
        }
        for step in steps
    )
    return Plan(steps, setup_step(names, steps), {"rows": rows})


def _steps(names: Names) -> Iterator[Step]:
    site = names.site
    if names.tls_hosts:
        yield _create_ca(names)
        for host in names.tls_hosts.values():
            yield request_step(names, "server", f"hosts/{host.name}", host.key, names.host_alternative_names(host))
        yield _sign_servers(names)
    if site.clients:
        for client in site.clients:
            alternative_names = names.client_alternative_names(client)
            yield request_step(names, "client", f"clients/{client.name}", client.key, alternative_names)
        yield _sign_clients(names)
    yield from (hosts.configure(names, host) for host in site.hosts)
    yield from (hosts.create_networks(host) for host in site.hosts if host.networks)
    yield from (clients.configure(names, client) for client in site.clients)
    yield from (hosts.show_namespaces(host) for host in site.hosts)
    yield from (clients.show_tls_modes(names, client) for client in site.clients)
    yield from (hosts.watch_expiry(names, host) for host in names.tls_hosts.values())
    yield from (clients.check_expiry(client) for client in site.clients)
    if names.tls_hosts:
        yield _roll_over_ca(names)
        yield _back_up_ca(names)
        yield _list_certificates(names)
    yield from (hosts.verify(names, host) for host in site.hosts)
    yield from (hosts.prove_isolation(host) for host in site.hosts)
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
            "ca_days": authority.days,
            "ca_key_file": names.files.ca_key,
            "ca_certificate_file": names.files.ca_certificate,
            "ledger_file": names.files.ledger,
            "key_command": encrypted_key_command(authority.key),
        },
        needs="passphrase",
        asks="passphrase",
        effects=Effects(
            files=(
                File(names.ca_key, "operator", "0600"),
                File(names.ca_certificate, "operator", "0644"),
                File(names.ca_ledger, "operator", "0644"),
                lock("ca"),
            ),
            undoes=(names.ca_serial,),
            commands=(
                key_program(authority.key),
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
            "server_certificate_file": names.server.certificate,
            "client_certificate_file": names.client.certificate,
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
        looks_at=(
            *(f"hosts/{name}/{names.server.certificate}" for name in names.tls_hosts),
            *(f"clients/{client.name}/{names.client.certificate}" for client in names.site.clients),
        ),
        needs="passphrase",
        asks="passphrase",
        on_demand=True,
        effects=Effects(
            files=(
                *create.effects.files,
                *_rolled_over(names),
            ),
            temporary=("ca/next/announcement.srl",),
            undoes=tuple(f"ca/retired-SERIAL/{name}" for name in (names.files.ca_key, names.files.ca_certificate)),
            commands=(*create.effects.commands, "openssl x509"),
        ),
        undo="lists the next, previous and retired CA and keeps them, unless --remove-keys; a switch is not undone",
    )


def _rolled_over(names: Names) -> tuple[File, ...]:
    """Return what stands beside a CA that is, or was, rolled over."""
    return (
        File("ca/authorities.pem", "operator", "0644"),
        *(
            File(f"ca/{folder}/{name}", "operator", mode)
            for folder in ("next", "previous")
            for name, mode in ((names.files.ca_key, "0600"), (names.files.ca_certificate, "0644"))
        ),
        File("ca/retired-SERIAL/", "operator", "0700"),
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
        asks="passphrase",
        on_demand=True,
        effects=Effects(
            files=(
                File("FILE (--to)", "operator", "0600"),
                *_create_ca(names).effects.files,
                File(names.ca_serial, "operator", "0600"),
                File("ca/refused.txt", "operator", "0600"),
                *_rolled_over(names),
                lock(""),
            ),
            temporary=("/tmp/RANDOM/", "ca/SHA256SUMS"),  # noqa: S108 - mktemp(1) makes it
            commands=("openssl enc",),
        ),
        undo="the file of --to, or the CA of --restore, stays; "
        "what a killed --restore left is listed and kept, unless --remove-keys",
    )


def _list_certificates(names: Names) -> Step:
    path = "ca/80-list-certificates.sh"
    return Step(
        path=path,
        party="ca",
        template="list-certificates.sh",
        purpose="list every certificate that this CA has issued, with the days that are left",
        context={"script": path, "ca_certificate_file": names.files.ca_certificate, "ledger_file": names.files.ledger},
        reads=(names.ca_ledger, names.ca_certificate),
        on_demand=True,
        undo=READ_ONLY,
    )


def _sign_servers(names: Names) -> Step:
    rows: list[Row] = [
        {
            "name": host.name,
            "key_type": host.key,
            # What NSS (Firefox, some builds of curl) expects of an RSA key: keyEncipherment too.
            "key_usage": RSA_SERVER if host.key.startswith("rsa:") else SIGNS_ONLY,
            "days": host.days,
            "alternative_names": names.host_alternative_names(host),
        }
        for host in names.tls_hosts.values()
    ]
    return _sign(names, "server", rows)


def _sign_clients(names: Names) -> Step:
    rows: list[Row] = [
        {
            "name": client.name,
            "key_type": client.key,
            "key_usage": SIGNS_ONLY,
            "days": client.days,
            "alternative_names": names.client_alternative_names(client),
        }
        for client in names.site.clients
    ]
    return _sign(names, "client", rows)


def _sign(names: Names, kind: str, rows: Sequence[Row]) -> Step:
    work = names.server if kind == "server" else names.client
    path = work.signer
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
        asks="passphrase",
        awaits="requests",
        does="signs what is requested",
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
