"""Facts about the CA's scripts that bash and openssl alone show: what is signed, refused and handed out."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sites import TEMPLATES, render

SITE = """\
ca: {key: ec:P-256}
hosts:
  - {name: localhost, key: ec:P-256}
clients:
  - {name: client, key: ec:P-256}
"""
CREATE, SIGN_SERVERS, SIGN_CLIENTS = "ca/10-create-ca.sh", "ca/20-sign-servers.sh", "ca/30-sign-clients.sh"
ROLL_OVER, BACK_UP, LIST = "ca/60-roll-over-ca.sh", "ca/70-back-up-ca.sh", "ca/80-list-certificates.sh"
REQUEST, REQUEST_CLIENT = "hosts/localhost/10-request-certificate.sh", "clients/client/10-request-certificate.sh"
PASSPHRASE = "correct horse battery staple"
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Machine:
    """A working folder with everything in it, on this machine."""

    out: Path
    work: Path
    passphrase: Path

    def run(self, script: str, *words: str, check: bool = True) -> Done:
        """Run a script of the site on this folder."""
        signs = script.startswith("ca/") and script != LIST
        more = ["--yes", "--passphrase-file", str(self.passphrase)] if signs else []
        argv = ["bash", str(self.out / script), "--dir", str(self.work), *more, *words]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def openssl(self, *words: str | Path, check: bool = True) -> Done:
        """Run openssl in the working folder."""
        argv = ["openssl", *map(str, words)]
        return subprocess.run(argv, check=check, capture_output=True, text=True, cwd=self.work)

    def read(self, file: str) -> str:
        """Return the text of a working file."""
        return (self.work / file).read_text()

    def make_all(self) -> None:
        """Make the CA and both certificates."""
        for script in (CREATE, REQUEST, SIGN_SERVERS, REQUEST_CLIENT, SIGN_CLIENTS):
            self.run(script)


def new_machine(folder: Path, site: str = SITE) -> Machine:
    """Render a site into a folder; the CA is not made yet."""
    machine = Machine(render(site, folder / "out"), folder / "docker-tls", folder / "passphrase")
    machine.passphrase.touch(mode=0o600)
    machine.passphrase.write_text(f"{PASSPHRASE}\n")
    return machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has nothing yet."""
    return new_machine(tmp_path)


def digest(machine: Machine, file: str) -> str:
    """Return the sha256 of a certificate, as people compare it."""
    said = machine.openssl("x509", "-in", file, "-noout", "-fingerprint", "-sha256").stdout
    return said.partition("=")[2].strip().replace(":", "").lower()


# ---- Which CA is trusted ----------------------------------------------------


def judge(bundle: Path, installed: Path) -> str:
    """Return why a bundle is refused where another one is trusted."""
    text = f'set -eu; . "{TEMPLATES}/lib/certificates.sh"; why_not_trusted "$1" "$2"'
    return subprocess.run(
        ["bash", "-c", text, "bash", bundle, installed], check=True, capture_output=True, text=True
    ).stdout


def test_the_old_ca_announces_the_next_one(machine: Machine, tmp_path: Path) -> None:
    """A roll-over in three stages: what is handed out is trusted where the old CA is, and each leaf by both."""
    machine.make_all()
    old = tmp_path / "old.pem"
    old.write_text(machine.read("hosts/localhost/ca-public.pem"))
    machine.run(ROLL_OVER, "--begin")
    assert "nothing to do" in machine.run(ROLL_OVER, "--begin").stderr
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    bundle = machine.work / "hosts/localhost/ca-public.pem"
    assert judge(bundle, old) == ""
    assert "the one that announces" in judge(bundle, machine.work / "ca/next/ca-public.pem")
    machine.run(ROLL_OVER, "--switch")
    assert sorted(path.name for path in (machine.work / "ca").iterdir() if not path.name.startswith(".")) == [
        *("authorities.pem", "ca-private.pem", "ca-public.pem", "ca-public.srl", "ledger.txt", "previous"),
    ]
    machine.run(REQUEST, "--renew")
    machine.run(SIGN_SERVERS)
    for leaf in ("hosts/localhost/certificate.pem", "hosts/localhost/renewal/certificate.pem"):
        machine.openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", bundle, leaf)


def test_who_joins_after_the_switch_trusts_the_new_ca_alone(machine: Machine) -> None:
    machine.make_all()
    machine.run(ROLL_OVER, "--begin")
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    machine.run(ROLL_OVER, "--switch")
    for file in ("client-certificate.pem", "ca-public.pem", "client-key.pem"):
        (machine.work / "clients/client" / file).unlink()
    machine.run(REQUEST_CLIENT)
    for _ in range(2):
        machine.run(SIGN_CLIENTS)
        assert machine.read("clients/client/ca-public.pem") == machine.read("ca/ca-public.pem")


def test_the_digest_of_the_ca_is_shown(machine: Machine) -> None:
    first = machine.run(CREATE).stderr
    shown = f"CA certificate sha256: {digest(machine, 'ca/ca-public.pem')}\n"
    assert shown in first
    assert shown in machine.run(CREATE).stderr
    machine.run(REQUEST)
    machine.run(REQUEST_CLIENT)
    for script in (SIGN_SERVERS, SIGN_CLIENTS):
        for _ in range(2):
            assert shown in machine.run(script).stderr
    said = machine.run(ROLL_OVER, "--begin").stderr
    assert shown in said
    assert f"CA certificate sha256: {digest(machine, 'ca/next/ca-public.pem')}\n" in said


# ---- What is signed ---------------------------------------------------------

FOLDER = "hosts/localhost"


def asking(machine: Machine) -> Path:
    """Make the CA and the server's request; return the request."""
    machine.run(CREATE)
    machine.run(REQUEST)
    return machine.work / FOLDER / "request.csr"


def text_of(machine: Machine, file: str = f"{FOLDER}/certificate.pem") -> str:
    """Return a certificate as openssl prints it, without its key and signature."""
    return machine.openssl("x509", "-in", file, "-noout", "-text", "-certopt", "no_pubkey,no_sigdump").stdout


@pytest.mark.parametrize(
    "content",
    [
        b"subjectAltName = DNS:localhost,IP:127.0.0.1\n\0extendedKeyUsage = serverAuth\n",
        b"basicConstraints = critical, CA:TRUE\n",
    ],
    ids=["NUL", "a CA"],
)
def test_an_extension_file_in_the_party_s_folder_has_no_say(machine: Machine, content: bytes) -> None:
    asking(machine)
    (machine.work / FOLDER / "extfile.cnf").write_bytes(content)
    machine.run(SIGN_SERVERS)
    text = text_of(machine)
    for words in ("TLS Web Server Authentication", "CA:FALSE", "Digital Signature", "DNS:localhost"):
        assert words in text
    assert sorted(path.name for path in (machine.work / FOLDER).iterdir() if path.name != ".lock") == [
        *("ca-public.pem", "certificate.pem", "server-key.pem"),
    ]


@pytest.mark.parametrize("name", ["certificate.pem.new", "ca-public.pem.new", "extfile.cnf.new", "extfile.cnf"])
def test_nothing_is_written_through_a_name_that_is_there(machine: Machine, name: str) -> None:
    asking(machine)
    key = machine.read("ca/ca-private.pem")
    (machine.work / FOLDER / name).symlink_to("../../ca/ca-private.pem")
    machine.run(SIGN_SERVERS)
    assert machine.read("ca/ca-private.pem") == key
    assert (machine.work / "ca/ca-private.pem").stat().st_mode & 0o7777 == 0o600
    assert "DNS:localhost" in text_of(machine)


def test_an_rsa_key_of_a_server_gets_key_encipherment(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, SITE.replace("name: localhost, key: ec:P-256", "name: localhost, key: rsa:2048"))
    machine.make_all()
    assert "Digital Signature, Key Encipherment\n" in text_of(machine)
    assert "Digital Signature\n" in text_of(machine, "clients/client/client-certificate.pem")


def test_the_ca_key_costs_a_guess_600000_rounds(machine: Machine) -> None:
    machine.run(CREATE)
    said = machine.openssl("asn1parse", "-in", "ca/ca-private.pem").stdout
    assert f":{600000:06X}" in said
    assert ":hmacWithSHA256" in said
    assert not list((machine.work / "ca").glob("*.new"))


def test_each_certificate_has_a_random_serial(machine: Machine) -> None:
    machine.make_all()
    serials = [int(line.split()[0], 16) for line in machine.read("ca/ledger.txt").splitlines()[1:]]
    assert len(serials) == 3
    assert all(serial.bit_length() > 64 for serial in serials)
    assert min(abs(one - two) for one in serials for two in serials if one != two) > 1 << 64


def test_a_certificate_without_a_use_is_not_good(machine: Machine) -> None:
    """As one that was signed with a damaged extension file: the CA makes another one."""
    request = asking(machine)
    names = machine.work / "names.cnf"
    names.write_text("subjectAltName = DNS:localhost\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n")
    bad: list[str | Path] = [
        "x509",
        "-req",
        "-days",
        "30",
        "-in",
        request,
        "-CA",
        "ca/ca-public.pem",
        "-CAkey",
        "ca/ca-private.pem",
    ]
    machine.openssl(*bad, "-CAcreateserial", "-extfile", names, "-passin", f"file:{machine.passphrase}", "-out", "bad")
    (machine.work / "bad").rename(machine.work / FOLDER / "certificate.pem")
    machine.run(SIGN_SERVERS)
    assert "TLS Web Server Authentication" in text_of(machine)


# ---- What is refused --------------------------------------------------------


def refused(machine: Machine, reason: str) -> None:
    """See the request refused with status 6, and logged; --check logs nothing."""
    log = machine.work / "ca/refused.txt"
    for words in (["--check"], []):
        assert not log.exists()
        done = machine.run(SIGN_SERVERS, *words, check=False)
        assert (done.returncode, reason in done.stderr) == (6, True), done.stderr
    assert reason in log.read_text()
    assert not (machine.work / FOLDER / "certificate.pem").exists()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ("rm request.csr; mkfifo request.csr", "it is not a regular file"),
        ("ln -sf /dev/zero request.csr", "it is not a regular file"),
        ("openssl req -in request.csr -outform DER -out der; mv der request.csr", "it is in DER, and PEM is expected"),
        ("{ echo hello; cat request.csr; } >new; mv new request.csr", "it does not begin with a certificate request"),
        ("truncate --size 1G request.csr", "it is larger than 64 KiB"),
        ("openssl x509 -in ../../ca/ca-public.pem -out request.csr", "it does not begin with a certificate request"),
        ("chmod 0664 request.csr", "others can write to it; run: chmod go-w "),
        (": >request.csr", "it does not begin with a certificate request"),
    ],
    ids=["FIFO", "device", "DER", "text before", "1 GB", "certificate", "group", "empty"],
)
def test_a_request_that_is_none_is_refused_at_once(machine: Machine, make: str, reason: str) -> None:
    request = asking(machine)
    subprocess.run(["bash", "-c", make], check=True, cwd=request.parent, capture_output=True)
    refused(machine, reason)


def test_a_key_for_rsa_pss_is_no_rsa_key(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, SITE.replace("name: localhost, key: ec:P-256", "name: localhost, key: rsa:2048"))
    request = asking(machine)
    machine.openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key")
    machine.openssl("req", "-new", "-subj", "/CN=localhost", "-key", "key", "-out", request)
    refused(machine, "its key is RSA-PSS, which is another type than rsa, and this CA certifies rsa:2048 here")


def test_a_request_with_extensions_is_made_again(machine: Machine) -> None:
    request = asking(machine)
    plain = request.read_text()
    more: list[str | Path] = [
        "-addext",
        "subjectAltName=DNS:bank.example",
        "-key",
        f"{FOLDER}/server-key.pem",
        "-out",
        request,
    ]
    machine.openssl("req", "-new", "-subj", "/CN=localhost", *more)
    refused(machine, "it asks for extensions, and they are for the CA to decide; make it again with 10-request")
    machine.run(REQUEST)
    assert "Extension Request" not in machine.openssl("asn1parse", "-in", request).stdout
    assert len(request.read_text()) <= len(plain) + 8
    machine.run(SIGN_SERVERS)


def test_a_request_with_text_in_front_is_made_again(machine: Machine) -> None:
    request = asking(machine)
    request.write_text(f"hello\n{request.read_text()}")
    machine.run(REQUEST)
    machine.run(SIGN_SERVERS)


def test_a_certificate_whose_key_is_here_is_not_signed_over(machine: Machine) -> None:
    """The control: the party's own renewal is signed."""
    machine.make_all()
    certificate = machine.read("clients/client/client-certificate.pem")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key"]
    machine.openssl("req", "-new", "-subj", "/CN=client", *new, "-out", "clients/client/client-request.csr")
    done = machine.run(SIGN_CLIENTS, check=False)
    assert (done.returncode, "the key of this party is here" in done.stderr) == (6, True), done.stderr
    assert machine.read("clients/client/client-certificate.pem") == certificate
    (machine.work / "clients/client/client-request.csr").unlink()
    machine.run(REQUEST_CLIENT, "--renew", "--new-key")
    machine.run(SIGN_CLIENTS)
    assert (machine.work / "clients/client/renewal/client-certificate.pem").exists()


def test_a_key_that_is_here_is_asked_with_before_its_first_certificate_too(machine: Machine) -> None:
    request = asking(machine)
    own = request.read_bytes()
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key"]
    machine.openssl("req", "-new", "-subj", "/CN=localhost", *new, "-out", request)
    refused(machine, "the key of this party is here")
    request.write_bytes(own)
    machine.run(SIGN_SERVERS)


@pytest.mark.parametrize(
    "name",
    [
        "ca-public.pem",
        "ca-public.pem.new",
        "certificate.pem",
        "certificate.pem.new",
        "renewal/certificate.pem",
    ],
)
def test_nothing_is_handed_out_over_a_folder(machine: Machine, name: str) -> None:
    request = asking(machine)
    folder = request.parent / name
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    done = machine.run(SIGN_SERVERS, check=False)
    assert (done.returncode, f"{folder}: it is not a regular file; nothing was changed" in done.stderr) == (2, True)
    assert request.exists()
    folder.rmdir()
    machine.run(SIGN_SERVERS)


# ---- What is there, and what is awaited -------------------------------------


def test_a_request_that_is_awaited_is_status_5(machine: Machine) -> None:
    machine.run(CREATE)
    for words in ([], ["--check"]):
        done = machine.run(SIGN_SERVERS, *words, check=False)
        assert (done.returncode, done.stdout) == (5, "")
        assert "waiting for the request of localhost" in done.stderr.splitlines()[-1]


def test_a_request_that_is_there_before_the_ca(machine: Machine) -> None:
    machine.run(REQUEST)
    done = machine.run(SIGN_SERVERS, "--check", check=False)
    assert done.returncode == 3
    assert "error" not in done.stderr
    machine.run(CREATE)
    machine.run(SIGN_SERVERS)


def test_a_ca_that_was_brought_along_without_a_ledger(machine: Machine) -> None:
    asking(machine)
    (machine.work / "ca/ledger.txt").unlink()
    assert machine.run(SIGN_SERVERS, "--check", check=False).returncode == 3
    machine.run(SIGN_SERVERS)
    assert [line.split()[1] for line in machine.read("ca/ledger.txt").splitlines()] == ["serial", "ca", FOLDER]


def test_only_who_is_named_is_shut_out(machine: Machine) -> None:
    machine.make_all()
    machine.run(ROLL_OVER, "--begin")
    machine.run(SIGN_SERVERS)
    machine.run(SIGN_CLIENTS)
    machine.run(ROLL_OVER, "--switch")
    machine.run(REQUEST, "--renew")
    machine.run(SIGN_SERVERS)
    ledger = machine.work / "ca/ledger.txt"
    ledger.rename(machine.work / "kept")
    assert "there is no ledger" in machine.run(ROLL_OVER, "--finish", check=False).stderr
    (machine.work / "kept").rename(ledger)
    done = machine.run(ROLL_OVER, "--finish", check=False)
    assert (done.returncode, "--shut-out clients/client;" in done.stderr) == (2, True), done.stderr
    assert (machine.work / "ca/previous").exists()
    machine.run(ROLL_OVER, "--finish", "--shut-out", "clients/client")
    assert not (machine.work / "ca/previous").exists()


def test_the_ledger_is_shown_as_plain_text(machine: Machine) -> None:
    machine.run(CREATE)
    ledger = machine.work / "ca/ledger.txt"
    ledger.write_text(ledger.read_text().replace("CN=", "CN=\x1b]0;x\x07").replace(" - ", " DNS:\x1b[31m "))
    for words in ([], ["--json"]):
        assert "\x1b" not in machine.run(LIST, *words).stdout


def test_a_back_up_goes_into_a_file_of_its_own(machine: Machine, tmp_path: Path) -> None:
    machine.make_all()
    other = tmp_path / "other"
    other.write_text("kept\n")
    (tmp_path / "back-up.new").symlink_to(other)
    machine.run(BACK_UP, "--to", str(tmp_path / "back-up"))
    assert other.read_text() == "kept\n"
    restored = Machine(machine.out, tmp_path / "restored", machine.passphrase)
    restored.run(BACK_UP, "--restore", str(tmp_path / "back-up"))
    assert restored.read("ca/ledger.txt") == machine.read("ca/ledger.txt")
