"""The names that steps of several parties must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address

from dockseal.site.model import Client, Files, Host, Site


@dataclass(frozen=True, slots=True)
class Work:
    """Names of the working files of one kind of party, and the script of the CA that certifies it."""

    key: str
    request: str
    extensions: str
    certificate: str
    signer: str


class Names:
    """File names, folders and subject alternative names of a site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.files: Files = site.files
        files = site.files
        self.server = Work(
            files.server_key,
            files.server_request,
            files.server_extensions,
            files.server_certificate,
            "ca/20-sign-servers.sh",
        )
        self.client = Work(
            files.client_key,
            files.client_request,
            files.client_extensions,
            files.client_certificate,
            "ca/30-sign-clients.sh",
        )
        self.ca_key = f"ca/{files.ca_key}"
        self.ca_certificate = f"ca/{files.ca_certificate}"
        self.ca_ledger = f"ca/{files.ledger}"
        self.ca_serial = f"ca/{serial_name(files.ca_certificate)}"

    @cached_property
    def hosts(self) -> dict[str, Host]:
        """The hosts by name."""
        return {host.name: host for host in self.site.hosts}

    @cached_property
    def tls_hosts(self) -> dict[str, Host]:
        """The hosts with a certificate, by name."""
        return {host.name: host for host in self.site.hosts if host.has_tls}

    @cached_property
    def _client_folders(self) -> dict[str, tuple[str, ...]]:
        every = tuple(f"clients/{client.name}" for client in self.site.clients if client.hosts is None)
        if len(every) == len(self.site.clients):
            return dict.fromkeys(self.tls_hosts, every)
        found: dict[str, list[str]] = {name: [] for name in self.tls_hosts}
        for client in self.site.clients:
            for name in self.tls_hosts if client.hosts is None else client.hosts:
                found[name].append(f"clients/{client.name}")
        return {name: tuple(folders) for name, folders in found.items()}

    def client_folders(self, host: Host) -> tuple[str, ...]:
        """Return the folders of the clients that may use a host, in the order of the site."""
        return self._client_folders[host.name]

    def client_hosts(self, client: Client) -> tuple[Host, ...]:
        """Return the hosts that a client uses, in the client's own order."""
        if client.hosts is None:
            return tuple(self.tls_hosts.values())
        return tuple(self.hosts[name] for name in client.hosts)

    def host_alternative_names(self, host: Host) -> str:
        """Return a host's subject alternative names as OpenSSL prints them back."""
        entries = [f"DNS:{name}" for name in host.names]
        return ",".join([*entries, *(f"IP:{openssl_address(address)}" for address in host.ip_addresses)])

    def client_alternative_names(self, client: Client) -> str:
        """Return a client's only subject alternative name; strict verifiers want one (RFC 5280 section 4.2.1.6)."""
        return f"DNS:{client.name}"


def serial_name(ca_certificate: str) -> str:
    """Return the name of the serial number's file (openssl-x509(1), -CAcreateserial: the stem and `.srl`)."""
    return f"{ca_certificate.rpartition('.')[0] or ca_certificate}.srl"


def openssl_address(text: str) -> str:
    """Return an IP address as `openssl x509 -ext subjectAltName` prints it.

    IPv6 is eight upper-case groups without leading zeros (OpenSSL, crypto/x509/v3_san.c).
    """
    address = ip_address(text)
    if address.version == 4:
        return str(address)
    # From the octets: Python's own text of an address is not the same in each version.
    return ":".join(f"{int.from_bytes(address.packed[at : at + 2], 'big'):X}" for at in range(0, 16, 2))


def authority(name: str, port: int) -> str:
    """Return `name:port` as a URL writes it, IPv6 in brackets (RFC 3986 section 3.2.2)."""
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def docker_host(host: Host) -> str:
    """Return the value of DOCKER_HOST for a host (docker(1), --host)."""
    return f"tcp://{authority(host.target, host.listen_port)}"
