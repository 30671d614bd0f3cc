"""Checks between the values of a site that are each right by themselves.

Every check yields a key path and a message; the caller knows the lines. Hosts and clients come with their index in the
file, since those with mistakes of their own are left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from difflib import get_close_matches
from ipaddress import ip_address

from dockseal.errors import KeyPath
from dockseal.plan.names import serial_name
from dockseal.site import networks
from dockseal.site.model import Authority, Client, Files, Host, Site

NEAR_LIMIT = 200  # hosts that an unknown name is compared with

PLAIN_PORT, TLS_PORT = 2375, 2376  # IANA: docker, docker-s
SENTENCE = "plain_tcp_accepts_root_for_everyone_who_reaches_it"
CERTIFICATE_KEYS = ("dns_names", "ip_addresses", "connect", "key", "days", "tls_directory")

Finding = tuple[KeyPath, str]

# Files that stand together in one folder of the working folder.
_FOLDERS = {
    "ca": ("ca_key", "ca_certificate"),
    "hosts/NAME": ("ca_certificate", "server_key", "server_request", "server_extensions", "server_certificate"),
    "clients/NAME": ("ca_certificate", "client_key", "client_request", "client_extensions", "client_certificate"),
}


def check_hosts(hosts: Sequence[tuple[int, Host]]) -> Iterator[Finding]:
    """Find hosts that share a name, and names that are listed twice."""
    yield from _same_names("hosts", hosts)
    for index, host in hosts:
        yield from _repeats(("hosts", index, "dns_names"), host.dns_names)
        yield from _repeats(("hosts", index, "ip_addresses"), host.ip_addresses)


def check_addresses(hosts: Sequence[tuple[int, Host]]) -> Iterator[Finding]:
    """Find addresses that a certificate does not cover, and hosts that share an address and port."""
    taken: dict[tuple[str, int], str] = {}
    for index, host in hosts:
        if host.has_tls:
            yield from _uncovered(("hosts", index), host)
        places = [(place, host.listen_port) for place in _places(host)]
        other = next((place for place in places if taken.get(place, host.name) != host.name), None)
        if other:
            message = f"port {other[1]} at {other[0]} is in use by host {taken[other]}; choose another port or address"
            yield ("hosts", index, "listen"), message
        for place in places:
            taken.setdefault(place, host.name)


def check_modes(hosts: Sequence[tuple[int, Host]]) -> Iterator[Finding]:
    """Find plain text where the site does not say that it is meant, and keys that a plain host has no use for."""
    for index, host in hosts:
        at: KeyPath = ("hosts", index)
        if host.has_tls:
            if host.listen_port == PLAIN_PORT:
                yield (*at, "listen"), f"port {PLAIN_PORT} is docker's port for plain text; choose another, like 2376"
            if host.plain_tcp_accepts_root_for_everyone_who_reaches_it:
                yield (*at, SENTENCE), f"this host has mode {host.mode}, not plain; remove this key"
            continue
        if host.listen_port == TLS_PORT:
            yield (*at, "listen"), f"port {TLS_PORT} is docker's port for TLS; choose another, like {PLAIN_PORT}"
        if not _is_loopback(host.listen_address) and not host.plain_tcp_accepts_root_for_everyone_who_reaches_it:
            message = (
                f"plain text on {host.listen_address} makes everyone who reaches it root on this host; "
                f"listen on 127.0.0.1:{PLAIN_PORT}, or add {SENTENCE}: true"
            )
            yield (*at, "listen"), message
        for key in CERTIFICATE_KEYS:
            if key in host.model_fields_set:
                yield (*at, key), "a plain host has no certificate; remove this key, or choose another mode"


def check_networks(hosts: Sequence[tuple[int, Host]]) -> Iterator[Finding]:
    """Find networks of one host that share a name or addresses, and those that hide an address of the host."""
    for index, host in hosts:
        at: KeyPath = ("hosts", index, "networks")
        first: dict[str, int] = {}
        for place, network in enumerate(host.networks):
            if network.name in first:
                message = f"{network.name} is already networks[{first[network.name]}] of this host; choose another name"
                yield (*at, place, "name"), message
            first.setdefault(network.name, place)
        for key in ("subnet", "ipv6_subnet"):
            subnets: list[str] = [getattr(network, key) or "" for network in host.networks]
            for place, other in networks.overlaps(subnets):
                message = f"{subnets[place]} overlaps {subnets[other]} of network {host.networks[other].name}"
                yield (*at, place, key), f"{message}; choose another"
            for place, subnet in enumerate(subnets):
                taken = next((address for address in host.ip_addresses if networks.is_within(address, subnet)), None)
                if taken:
                    yield (*at, place, key), f"{subnet} has the host's own address {taken} in it; choose another"


def check_folders(hosts: Sequence[tuple[int, Host]]) -> Iterator[Finding]:
    """Find drop-ins that would stand in the folder of a certificate."""
    for index, host in hosts:
        if host.drop_in.startswith(f"{host.tls_directory}/"):
            yield ("hosts", index, "tls_directory"), "the drop-in would stand inside this folder; name another"


def check_clients(
    clients: Sequence[tuple[int, Client]], known: Iterable[str], plain: Container[str]
) -> Iterator[Finding]:
    """Find clients that share a name, and hosts that do not exist or have no TLS."""
    yield from _same_names("clients", clients)
    names = list(dict.fromkeys(known))
    for index, client in clients:
        at: KeyPath = ("clients", index, "hosts")
        if client.hosts is None:
            if names and all(name in plain for name in names):
                yield ("clients", index), "no host has TLS, so there is none for a client; remove this client"
            continue
        if not client.hosts:
            yield at, "the list is empty; name a host, or remove the key for every host"
        yield from _repeats(at, client.hosts)
        present = set(names)
        for place, name in enumerate(client.hosts):
            if name not in present:
                yield (*at, place), f"unknown host {name}; {_near(name, names)}"
            elif name in plain:
                yield (*at, place), f"host {name} is plain and asks for no certificate; remove it here"


def check_days(at: KeyPath, party: Host | Client, authority: Authority) -> Iterator[Finding]:
    """Find a certificate that would outlive its CA, which is made first (RFC 5280 section 6.1.3)."""
    if party.days >= authority.days:
        yield (
            (*at, "days"),
            f"{party.days} days is not shorter than the CA's {authority.days} days; shorten it or raise ca.days",
        )


def check_files(files: Files) -> Iterator[Finding]:
    """Find files of one party that would overwrite each other."""
    yield from _reserved(files)
    found: set[str] = set()
    for folder, fields in _FOLDERS.items():
        seen: dict[str, str] = {}
        for field in fields:
            name: str = getattr(files, field)
            first = seen.setdefault(name.lower(), field)
            if first != field and field not in found:
                found.add(field)
                at, other = (field, first) if field in files.model_fields_set else (first, field)
                message = f"{name} is the name of {other} too, in the same folder {folder}; choose another"
                yield ("files", at), message


def _reserved(files: Files) -> Iterator[Finding]:
    """Find names that the scripts use themselves: the serial number, temporary files."""
    if files.ca_key == serial_name(files.ca_certificate):
        yield ("files", "ca_key"), f"{files.ca_key} is a file that the scripts make beside it; choose another name"
    for field in Files.model_fields:
        if getattr(files, field).endswith(".new"):
            yield ("files", field), "names in .new are the scripts' temporary files; choose another name"


def _uncovered(at: KeyPath, host: Host) -> Iterator[Finding]:
    if host.target not in (*host.names, *host.ip_addresses):
        message = f"{host.target} is not in dns_names or ip_addresses, so no client could verify it; add it there"
        yield (*at, "connect"), message
    if not host.listens_everywhere and not _covers(host):
        message = f"no name of the certificate points to {host.listen_address}; add it to ip_addresses"
        yield (*at, "listen"), message


def _covers(host: Host) -> bool:
    if host.listen_address in host.ip_addresses:
        return True
    return host.listen_address in ("127.0.0.1", "::1") and "localhost" in host.names


def _places(host: Host) -> list[str]:
    """Return the names and addresses under which a host's port is reached."""
    if not host.has_tls:
        local = host.listens_everywhere or _is_loopback(host.listen_address)
        return [] if local else [host.listen_address]
    if not host.listens_everywhere:
        return list(dict.fromkeys([host.listen_address, host.target]))
    outside = [name for name in (*host.names, *host.ip_addresses) if not _is_loopback(name)]
    return list(dict.fromkeys([*outside, host.target]))


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def warnings(site: Site) -> Iterator[str]:
    """Find values that are right, and that some clients other than docker refuse."""
    parties = {"ca": site.ca.key} | {f"hosts/{host.name}": host.key for host in site.hosts if host.has_tls}
    parties |= {f"clients/{client.name}": client.key for client in site.clients}
    found = [party for party, key in parties.items() if key == "ed25519"]
    if found:
        yield (
            f"key ed25519 of {', '.join(found)}: docker takes it, but NSS (Firefox, some builds of curl), Python's "
            "cryptography and certvalidator do not; choose ec:P-256 where one of them connects"
        )


def _repeats(at: KeyPath, items: Sequence[str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item in seen:
            yield (*at, index), f"{item} is listed twice; remove one"
        seen.add(item)


def _same_names(section: str, parties: Sequence[tuple[int, Host]] | Sequence[tuple[int, Client]]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, party in parties:
        if party.name in first:
            yield (
                (section, index, "name"),
                f"{party.name} is already {section}[{first[party.name]}]; choose another name",
            )
        first.setdefault(party.name, index)


def _near(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1) if len(known) <= NEAR_LIMIT else []
    return f"did you mean {close[0]}?" if close else f"known hosts: {', '.join(known[:5])}"
