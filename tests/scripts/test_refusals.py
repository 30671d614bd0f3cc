"""What the CA does not sign, and which keys it does not take."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.scripts.machine import (
    BACK_UP,
    CREATE,
    FOLDER,
    REQUEST,
    REQUEST_CLIENT,
    ROLL_OVER,
    SIGN_CLIENTS,
    SIGN_SERVERS,
    SITE,
    Machine,
    asking,
    new_machine,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")


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
        ("cat ../../ca/ca-public.pem request.csr >new; mv new request.csr", "it does not begin with a certificate req"),
        ("cat server-key.pem request.csr >new; mv new request.csr", "it does not begin with a certificate request"),
        ("cat ../../ca/ca-public.pem >>request.csr", "it holds more than a certificate request"),
        ("cat server-key.pem >>request.csr", "it holds more than a certificate request"),
        ("cp request.csr new; cat new >>request.csr", "it holds more than a certificate request"),
        ("echo hello >>request.csr", "it holds more than a certificate request"),
    ],
    ids=[
        *("FIFO", "device", "DER", "text before", "1 GB", "certificate", "group", "empty"),
        *("certificate before", "key before", "certificate after", "key after", "request after", "text after"),
    ],
)
def test_a_request_that_is_none_is_refused_at_once(machine: Machine, make: str, reason: str) -> None:
    request = asking(machine)
    subprocess.run(["bash", "-c", make], check=True, cwd=request.parent, capture_output=True)
    refused(machine, reason)


def files(folder: Path) -> dict[Path, bytes]:
    """Return the files in a folder and below it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param("rm openssl.cnf", id="missing"),
        pytest.param(
            "truncate --size $(($(grep -b '^.ca.$' openssl.cnf | cut -d: -f1) + 2)) openssl.cnf", id="cut off"
        ),
        pytest.param("echo 'x = ${nowhere::x}' >>openssl.cnf", id="variable"),
    ],
)
def test_an_openssl_without_its_settings_is_no_damaged_request(machine: Machine, spoil: str) -> None:
    """Neither a first one nor a renewal's, nor where one is made. The control: with its settings the CA signs."""
    asking(machine)
    machine.run(SIGN_SERVERS)
    machine.run(REQUEST, "--renew")
    machine.run(REQUEST_CLIENT)
    config = machine.out / "lib/openssl.cnf"
    whole, before = config.read_bytes(), files(machine.work)
    subprocess.run(["bash", "-c", spoil], check=True, cwd=config.parent)
    for argv in (
        *((script, *words) for script in (SIGN_SERVERS, SIGN_CLIENTS) for words in ((), ("--check",))),
        *((REQUEST, "--renew"), (REQUEST_CLIENT,)),
    ):
        done = machine.run(*argv, check=False)
        assert (done.returncode, "damaged" in done.stderr, files(machine.work)) == (1, False, before), done.stderr
    config.write_bytes(whole)
    for script in (SIGN_SERVERS, SIGN_CLIENTS):
        machine.run(script)


def test_blank_lines_after_a_request_are_no_other_block(machine: Machine) -> None:
    request = asking(machine)
    request.write_text(f"{request.read_text()}\n \n")
    machine.run(SIGN_SERVERS)


def test_a_refusal_is_plain_text_in_the_log_too(machine: Machine) -> None:
    """With escapes in the folder's name and in the subject. The control: a line for each refusal names the request."""
    work = machine.work.with_name("docker\x1b[31m\r\x07\x9btls")
    machine = Machine(machine.out, work, machine.passphrase)
    request = asking(machine)
    machine.openssl("req", "-new", "-key", f"{FOLDER}/server-key.pem", "-subj", "/CN=\x1b]0;x\x07\x9b", "-out", request)
    for _ in range(2):
        done = machine.run(SIGN_SERVERS, check=False)
        assert (done.returncode, "and this CA certifies CN=localhost here" in done.stderr) == (6, True), done.stderr
    lines = (work / "ca/refused.txt").read_bytes().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert re.fullmatch(rb"[\x20-\x7e]+", line)
        assert b"/docker [31m    tls/hosts/localhost/request.csr it asks for " in line


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


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_private_key_that_others_can_read_stops_whoever_uses_it(machine: Machine, tmp_path: Path, mode: int) -> None:
    """The control: once it is its owner's alone again, nothing is found; in between nothing was changed."""
    machine.make_all()
    uses = {
        "ca/ca-private.pem": (SIGN_SERVERS, SIGN_CLIENTS, CREATE, (ROLL_OVER, "--begin"), (BACK_UP, "--to", "x")),
        "hosts/localhost/server-key.pem": (REQUEST, (REQUEST, "--renew")),
        "clients/client/client-key.pem": (REQUEST_CLIENT,),
    }
    for key, scripts in uses.items():
        (machine.work / key).chmod(mode)
        for argv in scripts:
            done = machine.run(*([argv] if isinstance(argv, str) else argv), check=False)
            said = f"others can read {machine.work}/{key}; run: chmod 600 {machine.work}/{key}, and "
            assert (done.returncode, said in done.stderr, "+ " in done.stderr) == (2, True, False), done.stderr
        (machine.work / key).chmod(0o600)
    for script in (CREATE, REQUEST, SIGN_SERVERS, REQUEST_CLIENT, SIGN_CLIENTS):
        assert "nothing to do" in machine.run(script).stderr
    machine.run(REQUEST, "--renew", "--new-key")
    (machine.work / FOLDER / "renewal/server-key.pem").chmod(mode)
    assert "renewal/server-key.pem; run: chmod" in machine.run(REQUEST, check=False).stderr


@pytest.mark.parametrize("form", ["compressed", "hybrid"])
def test_a_key_is_one_party_s_in_whatever_form_its_point_is_written(machine: Machine, form: str) -> None:
    """The control: the same key with its point written whole is refused as the other party's."""
    machine.run(CREATE)
    machine.run(REQUEST_CLIENT)
    machine.run(SIGN_CLIENTS)
    (machine.work / FOLDER).mkdir(mode=0o700, parents=True)
    for how, reason in (
        (form, "its key is ec with a compressed or hybrid point"),
        ("uncompressed", "its key is clients/client's"),
    ):
        machine.openssl("ec", "-in", "clients/client/client-key.pem", "-conv_form", how, "-out", "key")
        machine.openssl("req", "-new", "-subj", "/CN=localhost", "-key", "key", "-out", f"{FOLDER}/request.csr")
        refused(machine, reason)
        (machine.work / "ca/refused.txt").unlink()


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


BOUNDED = 'ulimit -v 500000; exec timeout 60 bash "$@"'


@pytest.mark.parametrize("where", ["", "renewal/"])
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        pytest.param('mkfifo "$1"', "it is not a regular file", id="FIFO"),
        pytest.param('mknod "$1" c 1 5', "it is not a regular file", id="device", marks=as_root),
        pytest.param('ln -s /dev/zero "$1"', "it is not a regular file", id="link to a device"),
        pytest.param('truncate --size 1G "$1"', "it is larger than 64 KiB", id="1 GiB"),
    ],
)
def test_a_certificate_that_is_none_is_not_waited_for(machine: Machine, where: str, make: str, problem: str) -> None:
    """Nor read into memory, nor logged. The control: once it is away, each script goes on."""
    if where:
        machine.make_all()
    else:
        asking(machine)
        machine.run(REQUEST_CLIENT)
    uses = {
        FOLDER: ("certificate.pem", SIGN_SERVERS, REQUEST),
        "clients/client": ("client-certificate.pem", SIGN_CLIENTS, REQUEST_CLIENT),
    }
    for folder, (name, signs, asks) in uses.items():
        certificate = machine.work / folder / f"{where}{name}"
        certificate.parent.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["bash", "-c", make, "bash", certificate], check=True)
        for script, words in ((signs, ["--passphrase-file", machine.passphrase]), (asks, ["--renew"] if where else [])):
            argv = ["bash", "-c", BOUNDED, "bash", machine.out / script, "--dir", machine.work, *words]
            done = subprocess.run(argv, check=False, capture_output=True, text=True)
            said = f"{certificate}: {problem}; nothing was changed" in done.stderr
            assert (done.returncode, said) == (2, True), (script, done.stderr)
        assert not (machine.work / "ca/refused.txt").exists()
        certificate.unlink()
        machine.run(signs)


@pytest.mark.parametrize(
    ("script", "words", "name"),
    [
        (CREATE, (), "ca/ca-private.pem.new"),
        (CREATE, (), "ca/ledger.txt.new"),
        (REQUEST, (), f"{FOLDER}/server-key.pem.new"),
        (REQUEST, (), f"{FOLDER}/request.csr.new"),
        (REQUEST, ("--renew",), f"{FOLDER}/renewal/request.csr.new"),
        (SIGN_SERVERS, (), "ca/ca-public.srl"),
        (SIGN_SERVERS, (), "ca/extfile.cnf"),
        (SIGN_CLIENTS, (), "ca/extfile-client.cnf"),
        (ROLL_OVER, ("--begin",), "ca/authorities.pem.new"),
        (ROLL_OVER, ("--begin",), "ca/next/ca-private.pem.new"),
    ],
)
def test_a_folder_under_a_name_that_is_written_to_is_named(
    tmp_path: Path, script: str, words: tuple[str, ...], name: str
) -> None:
    machine = new_machine(tmp_path)
    if script != CREATE:
        asking(machine)
        machine.run(REQUEST_CLIENT)
    if words:
        machine.make_all()
    folder = machine.work / name
    if folder.is_file():
        folder.unlink()
    folder.mkdir(mode=0o700, parents=True)
    for path in (folder.parent, folder.parent.parent):
        path.chmod(0o700)
    before = sorted(machine.work.rglob("*"))
    for _ in range(2):
        done = machine.run(script, *words, check=False)
        assert (done.returncode, f"{folder} is a folder; move it away" in done.stderr) == (2, True), done.stderr
        assert [path for path in before if not path.exists()] == []
    folder.rmdir()
    machine.run(script, *words)


@pytest.mark.parametrize(("kind", "mask"), [("BMPSTRING", 0x800), ("T61STRING", 4)])
def test_a_name_in_another_type_of_string_is_refused_and_asked_for_anew(machine: Machine, kind: str, mask: int) -> None:
    """openssl prints it as the very name. The control: the same key asks again, and is signed."""
    request = asking(machine)
    key = machine.read(f"{FOLDER}/server-key.pem")
    config = machine.work.parent / "openssl.cnf"
    config.write_text(f"[req]\ndistinguished_name = subject\nstring_mask = MASK:{mask}\n[subject]\n")
    ask = ("req", "-new", "-config", config, "-subj", "/CN=localhost", "-key", f"{FOLDER}/server-key.pem")
    machine.openssl(*ask, "-out", request)
    assert kind in machine.openssl("asn1parse", "-in", request).stdout
    refused(machine, "its name is written neither in UTF-8 nor as a printable string")
    assert kind in machine.openssl("asn1parse", "-in", request).stdout
    machine.run(REQUEST)
    machine.run(SIGN_SERVERS)
    assert machine.read(f"{FOLDER}/server-key.pem") == key
    assert kind not in machine.openssl("asn1parse", "-in", f"{FOLDER}/certificate.pem").stdout
