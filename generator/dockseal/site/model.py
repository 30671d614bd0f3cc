"""The model of a site: one certificate authority, its Docker hosts and its clients."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dockseal.site import networks, values


def _pattern(pattern: str, **schema: Any) -> Any:
    """Return what an editor needs to know of a text; the check itself says more."""
    return Field(json_schema_extra={"pattern": f"^(?:{pattern})$", **schema})


_NAME = _pattern(values.NAME_PATTERN, minLength=2, maxLength=values.MAX_COMMON_NAME)
_COMMON_NAME = _pattern(values.COMMON_NAME_PATTERN, maxLength=values.MAX_COMMON_NAME)
_DNS_NAME = _pattern(values.NAME_PATTERN, maxLength=values.MAX_DNS_NAME)
_LISTEN = _pattern(r"(?:\[[0-9A-Fa-f.:]+\]|[0-9.]+):[0-9]{1,5}")
_DROP_IN = _pattern(r"/[A-Za-z0-9._+@/-]+/docker\.service\.d/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*\.conf")
_FILE_NAME = _pattern(values.FILE_NAME_PATTERN, maxLength=values.MAX_FILE_NAME)

CommonName = Annotated[str, AfterValidator(values.common_name), _COMMON_NAME]
HostName = Annotated[str, AfterValidator(values.host_name), _NAME]
PartyName = Annotated[str, AfterValidator(values.party_name), _NAME]
DnsName = Annotated[str, AfterValidator(values.dns_name), _DNS_NAME]
Address = Annotated[str, AfterValidator(values.san_address), _pattern(r"[0-9A-Fa-f.:]+")]
ConnectTarget = Annotated[str, AfterValidator(values.connect_target), _pattern(r"[0-9A-Za-z.:-]+")]
ListenAddress = Annotated[str, AfterValidator(values.listen_address), _LISTEN]
TlsDirectory = Annotated[str, AfterValidator(values.tls_directory), _pattern(values.PATH_PATTERN)]
DropIn = Annotated[str, AfterValidator(values.drop_in), _DROP_IN]
ShellProfile = Annotated[str, AfterValidator(values.shell_profile), _pattern(values.PROFILE_PATTERN)]
Mode = Annotated[str, AfterValidator(values.mode), Field(json_schema_extra={"enum": list(values.MODES)})]
UsernsRemap = Annotated[str, AfterValidator(values.userns_remap), _pattern(values.USER_PATTERN)]
ImageName = Annotated[str, AfterValidator(values.image_name), _pattern(values.IMAGE_PATTERN)]
NetworkName = Annotated[str, AfterValidator(networks.network_name), _pattern(networks.NAME_PATTERN)]
Subnet = Annotated[str, AfterValidator(networks.subnet), _pattern(r"[0-9.]+/[0-9]{1,2}")]
Ipv6Subnet = Annotated[str, AfterValidator(networks.ipv6_subnet), _pattern(r"[0-9A-Fa-f:.]+/[0-9]{1,3}")]
FileName = Annotated[str, AfterValidator(values.file_name), _FILE_NAME]
KeyType = Annotated[str, AfterValidator(values.key_type), Field(json_schema_extra={"enum": list(values.KEY_TYPES)})]
Days = Annotated[int, AfterValidator(values.days), Field(json_schema_extra={"minimum": 1, "maximum": values.MAX_DAYS})]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Authority(_Model):
    """The certificate authority that signs every certificate of the site."""

    common_name: CommonName = Field("dockseal CA", description="Subject common name of the CA certificate.")
    key: KeyType = Field("rsa:4096", description="Type of the CA's key.")
    days: Days = Field(3650, description="Lifetime of the CA certificate in days.")


class Network(_Model):
    """One bridge network of a Docker host."""

    name: NetworkName = Field(description="Name of the network.")
    icc: bool = Field(True, description="Whether its containers may talk to each other.")
    internal: bool = Field(False, description="Whether it has no way out of the host.")
    subnet: Subnet | None = Field(None, description="IPv4 subnet; default: docker's choice.")
    ipv6_subnet: Ipv6Subnet | None = Field(None, description="IPv6 subnet, which turns IPv6 on; default: no IPv6.")


def _default_listen(data: dict[str, Any]) -> str:
    return "127.0.0.1:2375" if data.get("mode") == "plain" else "0.0.0.0:2376"


class Host(_Model):
    """One Docker host: its names, where dockerd listens and for whom, and what its containers are kept from."""

    name: HostName = Field(description="Name of the host: folder, common name and docker context.")
    mode: Mode = Field(
        "mutual",
        description="mutual: TLS on both sides; server-only: TLS without client certificates; plain: no TLS. "
        "In the last two everyone who reaches the port is root on the host.",
    )
    dns_names: tuple[DnsName, ...] = Field((), description="Names in the certificate; default: the host's name.")
    ip_addresses: tuple[Address, ...] = Field((), description="IP addresses in the certificate.")
    listen: ListenAddress = Field(
        default_factory=_default_listen,
        description="Literal IP address and port where dockerd listens; "
        "default: 0.0.0.0:2376, or 127.0.0.1:2375 for a plain host.",
    )
    plain_tcp_accepts_root_for_everyone_who_reaches_it: bool = Field(
        False, description="Says that a plain host may listen on other addresses than loopback."
    )
    connect: ConnectTarget | None = Field(
        None, description="Name or address that clients use; default: the first of dns_names."
    )
    key: KeyType = Field("rsa:4096", description="Type of the host's key.")
    days: Days = Field(365, description="Lifetime of the certificate in days, less than the CA's.")
    tls_directory: TlsDirectory = Field("/etc/docker/tls", description="Where dockerd reads its certificate.")
    drop_in: DropIn = Field(
        "/etc/systemd/system/docker.service.d/override.conf", description="The systemd drop-in with dockerd's flags."
    )
    warn_days: Days = Field(30, description="Days before the end of a certificate at which 60-watch-expiry.sh fails.")
    textfile_directory: TlsDirectory | None = Field(
        None, description="Where the node_exporter reads text files; 60-watch-expiry.sh writes one; default: none."
    )
    userns_remap: UsernsRemap | None = Field(
        None, description="User namespaces for containers: default, or a user of the host; default: none."
    )
    icc: bool = Field(True, description="Whether containers on the default bridge may talk to each other.")
    networks: tuple[Network, ...] = Field((), description="Bridge networks to create.")
    probe_image: ImageName | None = Field(
        None, description="Image on the host for the containers of the proof; default: made from its static busybox."
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Every DNS name of the certificate, the common name first."""
        return (self.name, *(name for name in self.dns_names if name != self.name))

    @property
    def target(self) -> str:
        """The name or address that clients connect to."""
        return self.connect or next(iter(self.dns_names), self.name)

    @property
    def listen_address(self) -> str:
        """The address part of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port part of `listen`."""
        return int(self.listen.rpartition(":")[2])

    @property
    def has_tls(self) -> bool:
        """Tell whether dockerd has a certificate."""
        return self.mode != "plain"

    @property
    def listens_everywhere(self) -> bool:
        """Tell whether dockerd listens on every address of the machine."""
        return self.listen_address in ("0.0.0.0", "::")


class Client(_Model):
    """One client: a person or machine that may use some of the hosts."""

    name: PartyName = Field(description="Name of the client: folder and common name.")
    hosts: tuple[HostName, ...] | None = Field(None, description="Hosts it connects to; default: every host with TLS.")
    key: KeyType = Field("rsa:4096", description="Type of the client's key.")
    days: Days = Field(365, description="Lifetime of the certificate in days, less than the CA's.")
    warn_days: Days = Field(30, description="Days before the end of a certificate at which 60-check-expiry.sh fails.")
    shell_profile: ShellProfile | None = Field(
        None, description="File in the home folder that exports DOCKER_HOST and DOCKER_TLS_VERIFY; default: none."
    )


class Files(_Model):
    """Names of the files in the working folder; the defaults are the source document's."""

    ca_key: FileName = "ca-private.pem"
    ca_certificate: FileName = "ca-public.pem"
    ledger: FileName = "ledger.txt"
    server_key: FileName = "server-key.pem"
    server_request: FileName = "request.csr"
    server_extensions: FileName = "extfile.cnf"
    server_certificate: FileName = "certificate.pem"
    client_key: FileName = "client-key.pem"
    client_request: FileName = "client-request.csr"
    client_extensions: FileName = "extfile-client.cnf"
    client_certificate: FileName = "client-certificate.pem"


def _at_least_one(items: tuple[Host, ...]) -> tuple[Host, ...]:
    if not items:
        raise ValueError("the list is empty; add at least one")
    return items


class Site(_Model):
    """A whole site file."""

    ca: Authority = Authority()
    hosts: Annotated[tuple[Host, ...], AfterValidator(_at_least_one)] = Field(
        description="The Docker hosts; at least one.", json_schema_extra={"minItems": 1}
    )
    clients: tuple[Client, ...] = Field((), description="The clients; may be empty.")
    files: Files = Files()
