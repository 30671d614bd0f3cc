"""What the CA signs, and what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripts.machine import (
    CREATE,
    FOLDER,
    LIST,
    REQUEST,
    REQUEST_CLIENT,
    ROLL_OVER,
    SIGN_CLIENTS,
    SIGN_SERVERS,
    SITE,
    Machine,
    asking,
    digest,
    new_machine,
    of_another_site,
    rolled_over,
    text_of,
)


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


@pytest.mark.parametrize("folder", ["ca", "ca/next"])
def test_the_ca_key_costs_a_guess_600000_rounds(machine: Machine, folder: str) -> None:
    machine.run(CREATE)
    if folder == "ca/next":
        machine.run(ROLL_OVER, "--begin")
    said = machine.openssl("asn1parse", "-in", f"{folder}/ca-private.pem").stdout
    assert f":{600000:06X}" in said
    assert ":hmacWithSHA256" in said
    assert not list((machine.work / "ca").rglob("*.new"))


def renewed_after_a_switch(machine: Machine) -> None:
    """Bring a site to the stage in which the next CA signs; the server has its certificate of that one."""
    rolled_over(machine)
    machine.run(REQUEST, "--renew")
    machine.run(SIGN_SERVERS)


PARTIES = ["ca", FOLDER, "clients/client"]


@pytest.mark.parametrize(
    ("make", "parties"),
    [
        pytest.param(Machine.make_all, PARTIES, id="first"),
        pytest.param(renewed_after_a_switch, [*PARTIES, "ca", "announcement", FOLDER], id="after a switch"),
    ],
)
def test_each_certificate_has_a_random_serial(
    machine: Machine, make: Callable[[Machine], None], parties: list[str]
) -> None:
    make(machine)
    lines = [line.split() for line in machine.read("ca/ledger.txt").splitlines()[1:]]
    assert [party for _, party, *_ in lines] == parties
    serials = [int(serial, 16) for serial, *_ in lines]
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


def test_a_request_that_is_awaited_is_status_5(machine: Machine) -> None:
    machine.run(CREATE)
    for words in ([], ["--check"]):
        done = machine.run(SIGN_SERVERS, *words, check=False)
        assert (done.returncode, done.stdout) == (5, "")
        assert "waiting for the request of localhost" in done.stderr.splitlines()[-1]


def test_a_renewal_that_is_queued_is_not_waited_for(machine: Machine) -> None:
    """As when the certificate has ended. The control: without it the party is waited for."""
    machine.make_all()
    machine.run(REQUEST, "--renew")
    machine.openssl("req", "-x509", "-new", "-key", f"{FOLDER}/server-key.pem", "-subj", "/CN=x", "-out", "other")
    (machine.work / "other").rename(machine.work / FOLDER / "certificate.pem")
    request = machine.work / FOLDER / "renewal/request.csr"
    request.rename(machine.work / "kept")
    assert machine.run(SIGN_SERVERS, check=False).returncode == 5
    (machine.work / "kept").rename(request)
    for _ in range(2):
        assert "waiting" not in machine.run(SIGN_SERVERS).stderr


def test_a_ca_that_ends_too_soon_names_the_roll_over(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, SITE.replace("ca: {key: ec:P-256}", "ca: {key: ec:P-256, days: 400}"))
    asking(machine)
    machine.run(SIGN_SERVERS)
    script = machine.out / SIGN_SERVERS
    text = script.read_text()
    assert text.count(" 365\n") == 1
    script.write_text(text.replace(" 365\n", " 401\n"))
    machine.run(REQUEST, "--renew")
    done = machine.run(SIGN_SERVERS, check=False)
    assert done.returncode == 2
    assert "the CA ends before a certificate of 401 days would: replace the CA (first: ca/60-roll-over" in done.stderr


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


def test_the_ledger_is_shown_as_plain_text(machine: Machine) -> None:
    machine.run(CREATE)
    ledger = machine.work / "ca/ledger.txt"
    ledger.write_text(ledger.read_text().replace("CN=", "CN=\x1b]0;x\x07").replace(" - ", " DNS:\x1b[31m "))
    for words in ([], ["--json"]):
        assert "\x1b" not in machine.run(LIST, *words).stdout


# ---- Two sites in one folder ------------------------------------------------


@pytest.mark.parametrize(
    ("sign", "first", "second", "file"),
    [
        pytest.param(SIGN_SERVERS, "hosts/localhost", "hosts/second", "certificate.pem", id="servers"),
        pytest.param(SIGN_CLIENTS, "clients/client", "clients/other", "client-certificate.pem", id="clients"),
    ],
)
def test_who_is_not_of_this_site_is_named_before_its_parties_are_certified(
    machine: Machine, sign: str, first: str, second: str, file: str
) -> None:
    """One CA for both makes each client root at the other's hosts. The control: one site alone names nobody."""
    machine.make_all()
    assert "not of this site" not in machine.run(sign).stderr
    kept = machine.read(f"{first}/{file}")
    other = of_another_site(machine)
    other.run(f"{second}/10-request-certificate.sh")
    said = "certified by this CA, and not of this site: {}. Two sites want two CAs, each with a --dir of its own\n"
    planned = other.run(sign, "--check", check=False)
    assert (planned.returncode, said.format(first) in planned.stderr) == (3, True), planned.stderr
    assert not (machine.work / second / file).exists()
    for site, party in ((other, first), (machine, second)):
        before, end, _ = site.run(sign).stderr.partition(said.format(party))
        assert (end, "\n+ " in f"\n{before}") == (said.format(party), False), before
    assert machine.read(f"{first}/{file}") == kept
