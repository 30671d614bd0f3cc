"""Certificates that no script makes: signed by the site's own CA with its real key, or by a stranger's."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dockseal.lab import Host
from tests.host.support import PASSPHRASE, WORK

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
NO_USAGE: tuple[x509.ObjectIdentifier, ...] = ()
DAY = timedelta(days=1)
DIGITAL_SIGNATURE = (True, *[False] * 8)
CERTIFICATE_SIGN = (*[False] * 5, True, True, False, False)


@dataclass(frozen=True)
class Pair:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """Return the key without a passphrase, as PKCS #8."""
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        """Return the certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def install(self, host: Host, folder: str) -> tuple[str, str]:
        """Write cert.pem and key.pem to a folder of a host; return their paths."""
        host.write(f"{folder}/cert.pem", self.certificate_pem)
        host.write(f"{folder}/key.pem", self.key_pem, 0o600)
        return f"{folder}/cert.pem", f"{folder}/key.pem"


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key of the type that the test sites use."""
    return ec.generate_private_key(ec.SECP256R1())


def real_authority(host: Host, work: str = WORK) -> Pair:
    """Return the CA that the scripts made on a host, its key opened with the passphrase."""
    certificate = x509.load_pem_x509_certificate(host.read_bytes(f"{work}/ca/ca-public.pem"))
    octets = host.read_bytes(f"{work}/ca/ca-private.pem")
    key = serialization.load_pem_private_key(octets, PASSPHRASE.encode())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Pair(key, certificate)


def new_authority(name: str) -> Pair:
    """Make a CA of the same profile."""
    subject = common_name(name)
    key = new_key()
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 10 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(*CERTIFICATE_SIGN), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(key, builder.sign(key, hashes.SHA256()))


def issue(
    authority: Pair | None,
    name: str = "client",
    usage: Sequence[x509.ObjectIdentifier] = CLIENT,
    *,
    names: Sequence[str] = (),
    begins: timedelta = -DAY,
    ends: timedelta = 60 * DAY,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Pair:
    """Issue a certificate in the profile of the scripts; `begins` and `ends` count from now.

    Without an authority it is self-signed. Without `names` the alternative name is `name`.
    """
    own = key or new_key()
    signing_key = authority.key if authority else own
    issuer = authority.certificate.subject if authority else common_name(name)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(issuer, common_name(name), own.public_key(), x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(*DIGITAL_SIGNATURE), critical=True)
        .add_extension(alternative_names(names or (name,)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    return Pair(own, builder.sign(signing_key, hashes.SHA256()))


def common_name(name: str) -> x509.Name:
    """Return the subject CN=name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Return names and addresses as a subject alternative name."""
    return x509.SubjectAlternativeName([general_name(name) for name in names])


def general_name(name: str) -> x509.DNSName | x509.IPAddress:
    """Return a name, or an address where it is one."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
