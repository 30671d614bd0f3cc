"""The certificates that the scripts make, judged by meaning: profile, names, lifetime, and who accepts them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from dockseal.lab import Host, Result, difference
from tests.host.authority import common_name, general_name
from tests.host.support import PASSPHRASE, PASSPHRASE_FILE, UNATTENDED, read_folder
from tests.sites import render

pytestmark = pytest.mark.no_probe_image
KEY_TYPES = ("rsa:2048", "rsa:3072", "rsa:4096", "ec:P-256", "ec:P-384", "ed25519")
NAMES = ("docker.example", "docker-2.example", "192.0.2.7", "2001:db8::7")
DAYS = {"ca": 1000, "server": 90, "client": 30}
STEPS = {
    "ca": "ca/10-create-ca.sh",
    "request-server": "hosts/docker.example/10-request-certificate.sh",
    "sign-server": "ca/20-sign-servers.sh",
    "request-client": "clients/alice/10-request-certificate.sh",
    "sign-client": "ca/30-sign-clients.sh",
}
CA, SERVER, CLIENT = "ca", "hosts/docker.example", "clients/alice"
FILES = {
    "ca": (f"{CA}/ca-public.pem", f"{CA}/ca-private.pem"),
    "server": (f"{SERVER}/certificate.pem", f"{SERVER}/server-key.pem"),
    "client": (f"{CLIENT}/client-certificate.pem", f"{CLIENT}/client-key.pem"),
}


def site(key_type: str, names: tuple[str, ...] = NAMES, days: int = DAYS["server"]) -> str:
    dns_names = [name for name in names if isinstance(general_name(name), x509.DNSName)]
    addresses = [f'"{name}"' for name in names if name not in dns_names]
    return f"""\
ca: {{key: "{key_type}", days: {DAYS["ca"]}, common_name: Test CA}}
hosts:
  - name: docker.example
    dns_names: [{", ".join(dns_names)}]
    ip_addresses: [{", ".join(addresses)}]
    key: "{key_type}"
    days: {days}
clients:
  - {{name: alice, key: "{key_type}", days: {DAYS["client"]}}}
"""


CLOCKED = ("openssl", "date")
WRONG_CLOCK = """\
#!/bin/dash
PATH=/usr/bin:/bin
exec faketime -f {clock} "$(command -v "${{0##*/}}")" "$@"
"""


@dataclass(frozen=True)
class Made:
    """The working folder of a site on a host, and what is in it."""

    host: Host
    folder: str
    key_type: str
    files: dict[str, bytes] = field(default_factory=dict)  # as they are until the next step; filled at the first read

    def read(self, file: str) -> bytes:
        if not self.files:
            self.files.update(read_folder(self.host, self.folder))
        return self.files[file]

    def certificate(self, kind: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.read(FILES[kind][0]))

    def step(self, *names: str, check: bool = True, clock: str = "") -> Result:
        """Run steps of this site; `clock` is how far off the clock is of the two programs that look at it."""
        self.files.clear()
        words = ["bash", f"{self.folder}-out/setup.sh", "--dir", self.folder, *UNATTENDED]
        for program in CLOCKED if clock else ():
            self.host.write(f"/usr/local/sbin/{program}", WRONG_CLOCK.format(clock=clock), 0o755)
        result = self.host.run([*words, *(STEPS[name] for name in names)], check=False)
        self.host.run(["rm", "-f", *(f"/usr/local/sbin/{program}" for program in CLOCKED)])
        assert result.status == 0 or not check, result.stderr
        return result

    def render(self, text: str, scratch: Path) -> None:
        self.host.run(["rm", "-rf", f"{self.folder}-out"])
        self.host.copy_in(render(text, scratch / "out"), f"{self.folder}-out")

    def remove(self, *files: str) -> None:
        self.host.run(["rm", *(f"{self.folder}/{file}" for file in files)])


Make = Callable[..., Made]


@pytest.fixture(scope="module")
def make(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make the CA and both certificates of a site; those of one name are made once for each release."""
    made: dict[str, Made] = {}
    host.write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)

    def make_once(key_type: str = "ec:P-256", name: str = "") -> Made:
        name = name or key_type.replace(":", "-")
        if name not in made:
            one = Made(host, f"/root/{name}", key_type)
            one.render(site(key_type), tmp_path_factory.mktemp("site"))
            one.step(*STEPS)
            made[name] = one
        return made[name]

    return make_once


# ---- The profile ------------------------------------------------------------


def key_type_of(key: object) -> str:
    """Return a public key's type in the words of a site file."""
    match key:
        case rsa.RSAPublicKey():
            return f"rsa:{key.key_size}"
        case ec.EllipticCurvePublicKey():
            return {"secp256r1": "ec:P-256", "secp384r1": "ec:P-384"}[key.curve.name]
        case ed25519.Ed25519PublicKey():
            return "ed25519"
    return "another type"


def extensions(certificate: x509.Certificate) -> dict[str, tuple[bool, x509.ExtensionType]]:
    """Return name -> critical, value."""
    return {type(one.value).__name__: (one.critical, one.value) for one in certificate.extensions}


def key_usage(*wanted: str) -> x509.KeyUsage:
    uses = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    uses += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{use: use in wanted for use in uses})


def assert_common_profile(certificate: x509.Certificate, made: Made, days: int) -> None:
    assert certificate.version is x509.Version.v3
    assert key_type_of(certificate.public_key()) == made.key_type
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=days)
    assert 0 < certificate.serial_number < 1 << 159
    algorithm = certificate.signature_hash_algorithm
    assert isinstance(algorithm, hashes.SHA256) or (algorithm is None and made.key_type == "ed25519")


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_the_ca_has_the_profile_of_an_authority(make: Make, key_type: str) -> None:
    made = make(key_type)
    certificate = made.certificate("ca")
    assert_common_profile(certificate, made, DAYS["ca"])
    assert certificate.subject == certificate.issuer == common_name("Test CA")
    assert extensions(certificate) == {
        "BasicConstraints": (True, x509.BasicConstraints(ca=True, path_length=0)),
        "KeyUsage": (True, key_usage("key_cert_sign", "crl_sign")),
        "SubjectKeyIdentifier": (False, x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())),
    }


@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize(
    ("kind", "name", "names", "usage"),
    [
        pytest.param("server", "docker.example", NAMES, ExtendedKeyUsageOID.SERVER_AUTH, id="server"),
        pytest.param("client", "alice", ("alice",), ExtendedKeyUsageOID.CLIENT_AUTH, id="client"),
    ],
)
def test_a_leaf_has_exactly_the_extensions_that_strict_clients_want(
    make: Make, key_type: str, kind: str, name: str, names: tuple[str, ...], usage: x509.ObjectIdentifier
) -> None:
    made = make(key_type)
    ca, leaf = made.certificate("ca"), made.certificate(kind)
    assert_common_profile(leaf, made, DAYS[kind])
    assert leaf.subject == common_name(name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca.public_key()).digest
    for_rsa = kind == "server" and key_type.startswith("rsa:")
    assert extensions(leaf) == {
        "BasicConstraints": (True, x509.BasicConstraints(ca=False, path_length=None)),
        "KeyUsage": (True, key_usage("digital_signature", *(["key_encipherment"] if for_rsa else []))),
        "ExtendedKeyUsage": (False, x509.ExtendedKeyUsage([usage])),
        "SubjectAlternativeName": (False, x509.SubjectAlternativeName([general_name(one) for one in names])),
        "SubjectKeyIdentifier": (False, x509.SubjectKeyIdentifier.from_public_key(leaf.public_key())),
        "AuthorityKeyIdentifier": (False, x509.AuthorityKeyIdentifier(identifier, None, None)),
    }
    leaf.verify_directly_issued_by(ca)


def test_all_serial_numbers_differ(make: Make) -> None:
    numbers = [make(key_type).certificate(kind).serial_number for key_type in KEY_TYPES for kind in FILES]
    assert len(set(numbers)) == len(numbers) == 3 * len(KEY_TYPES)


# ---- Who accepts them -------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_openssl_accepts_each_for_its_own_use_only(make: Make, key_type: str) -> None:
    made = make(key_type)
    ca = f"{made.folder}/{FILES['ca'][0]}"
    for kind, wrong in (("server", "client"), ("client", "server")):
        leaf = f"{made.folder}/{FILES[kind][0]}"
        verify = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", ca, "-purpose"]
        assert made.host.run([*verify, f"ssl{kind}", leaf]).stdout == f"{leaf}: OK\n"
        refused = made.host.run([*verify, f"ssl{wrong}", leaf], check=False)
        assert refused.status != 0
        assert re.search("(unsupported|unsuitable) certificate purpose", refused.output)


def policy(ca: x509.Certificate) -> PolicyBuilder:
    return PolicyBuilder().store(Store([ca]))


# The verifier follows the CA/Browser Forum's list of key types.
KNOWN_TO_CRYPTOGRAPHY = [key_type for key_type in KEY_TYPES if key_type != "ed25519"]


@pytest.mark.parametrize("key_type", KNOWN_TO_CRYPTOGRAPHY)
def test_the_verifier_of_cryptography_accepts_the_server_under_each_of_its_names(make: Make, key_type: str) -> None:
    made = make(key_type)
    ca, server = made.certificate("ca"), made.certificate("server")
    for name in NAMES:
        chain = policy(ca).build_server_verifier(general_name(name)).verify(server, [])
        assert chain == [server, ca]
    for name in ("other.example", "192.0.2.8", "2001:db8::8"):
        with pytest.raises(VerificationError, match="no matching subjectAltName"):
            policy(ca).build_server_verifier(general_name(name)).verify(server, [])


@pytest.mark.parametrize("key_type", KNOWN_TO_CRYPTOGRAPHY)
def test_the_verifier_of_cryptography_accepts_the_client_and_no_server_as_a_client(make: Make, key_type: str) -> None:
    made = make(key_type)
    ca, client = made.certificate("ca"), made.certificate("client")
    verified = policy(ca).build_client_verifier().verify(client, [])
    assert verified.subjects == [x509.DNSName("alice")]
    with pytest.raises(VerificationError, match="required EKU not found"):
        policy(ca).build_client_verifier().verify(made.certificate("server"), [])
    with pytest.raises(VerificationError, match="required EKU not found"):
        policy(ca).build_server_verifier(x509.DNSName("alice")).verify(client, [])


NSS = """
folder=$(mktemp -d)
certutil -N -d "sql:$folder" --empty-password
certutil -A -d "sql:$folder" -n ca -t CT,, -a -i "$1"
certutil -A -d "sql:$folder" -n leaf -t ,, -a -i "$2"
certutil -V -d "sql:$folder" -n leaf -u "$3"
"""
# What NSS may refuse: the server's own request, signed by a CA of RSA.
SIGNS_ONLY = """
printf '%s\n' 'subjectAltName = DNS:docker.example' 'extendedKeyUsage = serverAuth' \
  "keyUsage = critical, $2" >extfile.cnf
openssl genrsa -out ca.key 2048
openssl req -new -x509 -days 9 -key ca.key -subj /CN=ca -out ca.pem
openssl req -new -key "$1" -subj /CN=docker.example -out server.csr
openssl x509 -req -days 9 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extfile.cnf -out server.pem
"""


AS_SERVER, AS_CLIENT = "V", "C"


def ask_nss(made: Made, kind: str, use: str) -> Result:
    files = [f"{made.folder}/{FILES[one][0]}" for one in ("ca", kind)]
    return made.host.run(["bash", "-ec", NSS, "nss", *files, use], check=False)


@pytest.mark.one_release
@pytest.mark.parametrize("key_type", KNOWN_TO_CRYPTOGRAPHY)
def test_nss_accepts_the_server_and_the_client_each_for_its_use_alone(make: Make, key_type: str) -> None:
    """Firefox and some builds of curl ask NSS."""
    made = make(key_type)
    for kind, use, wrong in (("server", AS_SERVER, AS_CLIENT), ("client", AS_CLIENT, AS_SERVER)):
        assert ask_nss(made, kind, use).stdout == "certutil: certificate is valid\n"
        refused = ask_nss(made, kind, wrong)
        assert refused.status == 255
        assert re.search("Certificate (type not approved|key usage inadequate)", refused.output), refused.output


@pytest.mark.one_release
def test_nss_knows_no_site_of_ed25519(make: Make) -> None:
    """As `dockseal check` warns, and the README says; docker and dockerd take it: test_setup.py."""
    for kind, use in (("server", AS_SERVER), ("client", AS_CLIENT)):
        refused = ask_nss(make("ed25519"), kind, use)
        assert (refused.status, "SEC_ERROR_ADDING_CERT" in refused.output) == (255, True), refused.output


RSA = ("rsa", "-pkeyopt", "rsa_keygen_bits:2048")
EC = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
ED25519 = ("ed25519",)


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("key", "usage", "said"),
    [
        pytest.param(RSA, "digitalSignature", "key usage inadequate", id="rsa that signs only"),
        pytest.param(RSA, "digitalSignature, keyEncipherment", "", id="rsa that enciphers keys too"),
        pytest.param(ED25519, "digitalSignature", "SEC_ERROR_ADDING_CERT", id="ed25519"),
        pytest.param(EC, "digitalSignature", "", id="ec that signs only"),
    ],
)
def test_what_nss_wants_of_a_server_s_key(make: Make, tmp_path: Path, key: list[str], usage: str, said: str) -> None:
    host, folder = make("rsa:2048").host, f"/root/nss-{tmp_path.name}"
    host.run(["mkdir", folder])
    host.run(["openssl", "genpkey", "-out", "server.key", "-algorithm", *key], cwd=folder)
    host.run(["bash", "-ec", SIGNS_ONLY, "sign", "server.key", usage], cwd=folder)
    done = host.run(["bash", "-ec", NSS, "nss", "ca.pem", "server.pem", AS_SERVER], cwd=folder, check=False)
    assert (done.status == 0, said in done.output) == (not said, True), done.output


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_guess_at_the_passphrase_costs_600_000_rounds(make: Make, key_type: str) -> None:
    made = make(key_type)
    parsed = made.host.run(["openssl", "asn1parse", "-in", f"{made.folder}/ca/ca-private.pem"]).stdout
    assert re.findall(r"INTEGER +:([0-9A-F]+)", parsed) == [f"{600_000:06X}"]
    assert re.findall(r"OBJECT +:(\S+)", parsed) == ["PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"]


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize("key_type", KEY_TYPES[3:])
def test_another_site_is_not_trusted(make: Make, key_type: str) -> None:
    one, other = make(key_type), make("ec:P-256", "other")
    with pytest.raises(VerificationError):
        policy(other.certificate("ca")).build_client_verifier().verify(one.certificate("client"), [])


# ---- Keys -------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_the_ca_key_opens_with_the_passphrase_alone_and_the_others_without(make: Make, key_type: str) -> None:
    made = make(key_type)
    for kind, (_, file) in FILES.items():
        octets = made.read(file)
        passphrase = PASSPHRASE.encode() if kind == "ca" else None
        try:
            key = serialization.load_pem_private_key(octets, passphrase)
        except UnsupportedAlgorithm:  # pragma: no cover - the old form of OpenSSL 1.1.1
            pytest.fail(f"{file} cannot be read")
        assert key.public_key() == made.certificate(kind).public_key()
        if kind == "ca":
            assert b"ENCRYPTED" in octets
            with pytest.raises(ValueError):
                serialization.load_pem_private_key(octets, b"another passphrase")


def test_keys_and_folders_are_their_owners_alone(make: Make) -> None:
    made = make()
    listing = made.host.run(["find", made.folder, "-printf", "%y %m %P\n"]).stdout.splitlines()
    modes = {path: (kind, mode) for kind, mode, path in (line.split(" ", 2) for line in listing)}
    assert {mode for kind, mode in modes.values() if kind == "d"} == {"700"}
    for kind in FILES:
        assert modes[FILES[kind][1]] == ("f", "600")
        assert modes[FILES[kind][0]] == ("f", "644")


# ---- Again, and with another site -------------------------------------------


def test_signing_again_changes_nothing(make: Make) -> None:
    made = make()
    before = made.host.snapshot([made.folder])
    result = made.step(*STEPS)
    assert result.stderr.count("nothing to do\n") >= len(STEPS)
    assert difference(before, made.host.snapshot([made.folder]), strict=True) == []


@pytest.mark.one_release("trixie")
def test_other_names_in_the_site_make_a_new_certificate_of_the_same_key(make: Make, tmp_path: Path) -> None:
    made = make(name="renamed")
    before = made.certificate("server")
    assert "nothing to do" in made.step("request-server").stderr
    assert not made.host.exists(f"{made.folder}/{SERVER}/request.csr")
    made.render(site("ec:P-256", (*NAMES[:2], "new.example")), tmp_path)
    made.step(*STEPS)
    after = made.certificate("server")
    assert after.public_key() == before.public_key()
    assert after.serial_number != before.serial_number
    names = after.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["docker.example", "docker-2.example", "new.example"]
    assert names.get_values_for_type(x509.IPAddress) == []


# ---- What a request asks for, and does not get ------------------------------


def request(name: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a request that asks for more than it should get."""
    builder = (
        x509.CertificateSigningRequestBuilder(common_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage("key_cert_sign"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("somebody-elses.example")]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize(
    ("kind", "folder", "file", "name"),
    [
        pytest.param("server", SERVER, "request.csr", "docker.example", id="server"),
        pytest.param("client", CLIENT, "client-request.csr", "alice", id="client"),
    ],
)
def test_a_request_that_asks_for_more_is_refused(make: Make, kind: str, folder: str, file: str, name: str) -> None:
    """The positive control: a new key that asks for nothing more gets the extensions that the CA decides."""
    made = make(name=f"greedy-{kind}")
    before = made.certificate(kind)
    # The CA machine of a split site: a party's key is elsewhere.
    made.remove(*FILES[kind])
    path = f"{made.folder}/{folder}/{file}"
    made.host.write(path, request(name, ec.generate_private_key(ec.SECP256R1())))
    refused = made.step(f"sign-{kind}", check=False)
    assert refused.status == 6
    assert f"refused {path}: it asks for extensions, and they are for the CA to decide" in refused.stderr
    assert not made.host.exists(f"{made.folder}/{FILES[kind][0]}")
    key = ec.generate_private_key(ec.SECP256R1())
    plain = x509.CertificateSigningRequestBuilder(common_name(name)).sign(key, hashes.SHA256())
    made.host.write(path, plain.public_bytes(serialization.Encoding.PEM))
    made.step(f"sign-{kind}")
    after = made.certificate(kind)
    assert after.public_key() == key.public_key()
    changed = {"SubjectKeyIdentifier"}
    kept = {name: value for name, value in extensions(before).items() if name not in changed}
    assert {name: value for name, value in extensions(after).items() if name not in changed} == kept


@pytest.mark.one_release("trixie")
def test_a_request_for_another_name_is_refused(make: Make) -> None:
    made = make(name="greedy-server")
    path = f"{made.folder}/{SERVER}/request.csr"
    made.host.write(path, request("somebody-elses.example", ec.generate_private_key(ec.SECP256R1())))
    made.host.run(["rm", "-f", f"{made.folder}/ca/refused.txt"])
    before = made.host.snapshot([made.folder])
    refused = made.step("sign-server", check=False)
    assert refused.status == 6
    said = "it asks for CN=somebody-elses.example, and this CA certifies CN=docker.example here"
    assert f"refused {path}: {said}" in refused.stderr
    assert made.host.read(f"{made.folder}/ca/refused.txt").endswith(f" {path} {said}\n")
    made.remove("ca/refused.txt")
    assert difference(before, made.host.snapshot([made.folder])) == []


# ---- The CA's own lifetime, and clocks --------------------------------------


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize(
    ("clock", "said"),
    [
        pytest.param("+911d", "the CA ends before a certificate of 90 days would", id="the CA has too few days left"),
        pytest.param("+1001d", "certificate has expired", id="the CA has expired"),
        pytest.param("-2d", "certificate is not yet valid", id="the clock is before the CA"),
    ],
)
def test_nothing_is_signed_with_a_ca_that_ends_too_soon_or_a_wrong_clock(make: Make, clock: str, said: str) -> None:
    made = make(name="clock")
    certificate = f"{made.folder}/{FILES['server'][0]}"
    made.host.run(["rm", "-f", certificate])
    made.step("request-server")
    refused = made.step("sign-server", check=False, clock=clock)
    assert refused.status == 2
    assert said in refused.stderr
    assert not made.host.exists(certificate)


@pytest.mark.one_release("trixie")
def test_the_last_day_on_which_the_ca_signs_is_the_one_that_its_lifetime_allows(make: Make) -> None:
    """The positive control of the refusal one day later."""
    made = make(name="clock")
    made.host.run(["rm", "-f", f"{made.folder}/{FILES['server'][0]}"])
    made.step("request-server")
    made.step("sign-server", clock="+909d")
    assert made.certificate("server").not_valid_after_utc < made.certificate("ca").not_valid_after_utc
