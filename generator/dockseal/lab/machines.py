"""Which machines a site is rehearsed on, and how they find each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from dockseal.errors import UsageError
from dockseal.site.model import Host as SiteHost
from dockseal.site.model import Site

MAX_MACHINES = 12


@dataclass(frozen=True)
class Machine:
    """One machine of a rehearsal; `parties` is empty where it plays all of them."""

    name: str
    parties: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """Return what setup.sh must be told of this machine."""
        return tuple(word for party in self.parties for word in ("--as", party))


def machines_of(site: Site) -> tuple[Machine, ...]:
    """Return one machine for a site with one host and at most one client, else one for each party.

    Two clients cannot share a home folder: docker reads one ~/.docker/cert.pem.
    Raises UsageError for a site with more parties than a development machine can carry.
    """
    if len(site.hosts) == 1 and len(site.clients) <= 1:
        host = site.hosts[0]
        return (Machine(machine_name(host.name), (), own_addresses(host), own_names(host)),)
    count = 1 + len(site.hosts) + len(site.clients)
    if count > MAX_MACHINES:
        raise UsageError(
            f"the site has {count} parties, each a machine, and at most {MAX_MACHINES} can be rehearsed "
            "at once: rehearse a site with fewer hosts and clients"
        )
    authority = (Machine("ca", ("ca",)),) if any(host.has_tls for host in site.hosts) else ()
    return (
        *authority,
        *(
            Machine(machine_name(host.name), (f"hosts/{host.name}",), own_addresses(host), own_names(host))
            for host in site.hosts
        ),
        *(Machine(f"{client.name}-client", (f"clients/{client.name}",)) for client in site.clients),
    )


def machine_name(name: str) -> str:
    """Return a host name for the machine; no machine is called localhost."""
    return "docker-host" if name == "localhost" else name


def own_addresses(host: SiteHost) -> tuple[str, ...]:
    """Return the addresses that a host must have so that dockerd can listen there."""
    wanted = [*host.ip_addresses, host.listen_address]
    return tuple(dict.fromkeys(address for address in wanted if not is_local(address)))


def own_names(host: SiteHost) -> dict[str, str]:
    """Return the names of a host, with the address at which it finds itself."""
    address = next(iter(own_addresses(host)), "127.0.0.1")
    if not host.listens_everywhere:
        address = host.listen_address
    return {name: address for name in host.names if name != "localhost"}


def names_from_afar(host: SiteHost, network_address: str) -> dict[str, str]:
    """Return the names of a host, with the address at which other machines find it."""
    addresses = own_addresses(host)
    address = addresses[0] if addresses else network_address
    if host.listen_address in addresses:
        address = host.listen_address
    return {name: address for name in host.names if name != "localhost"}


def is_local(address: str) -> bool:
    """Tell whether an address needs no interface: loopback, or every address."""
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_unspecified
