"""Files that were carried here: whoever brought one may have it open still, and a folder may hold links."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.scripts.machine import (
    FOLDER,
    PASSPHRASE,
    REQUEST,
    REQUEST_CLIENT,
    SIGN_CLIENTS,
    SIGN_SERVERS,
    Machine,
    asking,
    configure,
    digest,
    new_machine,
)

OTHER_KEY = ("-newkey", "rsa:1024", "-nodes", "-keyout", "other.key", "-subj", "/CN=localhost")
HEADERS = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n"


def on_another_machine(machine: Machine) -> Path:
    """Make the CA, and a request whose key is not here; return the request."""
    request = asking(machine)
    (machine.work / FOLDER / "server-key.pem").unlink()
    return request


def test_what_is_signed_is_what_was_looked_at(machine: Machine, tmp_path: Path) -> None:
    """The request is written over while the passphrase is asked for, by somebody who has it open."""
    request = on_another_machine(machine)
    key = machine.openssl("req", "-in", request, "-noout", "-pubkey").stdout
    other = machine.openssl("req", "-new", *OTHER_KEY).stdout
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    argv = [
        "bash",
        str(machine.out / SIGN_SERVERS),
        "--dir",
        str(machine.work),
        "--yes",
        "--passphrase-file",
        str(pipe),
    ]
    with request.open("r+") as still_open, subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as signing:
        assert signing.stderr is not None
        for line in signing.stderr:
            if "asks with public key" in line:
                break
        still_open.truncate()
        still_open.write(other)
        still_open.flush()
        pipe.write_text(f"{PASSPHRASE}\n")
        said = signing.stderr.read()
    assert signing.returncode == 0, said
    certificate = machine.work / FOLDER / "certificate.pem"
    assert machine.openssl("x509", "-in", certificate, "-noout", "-pubkey").stdout == key
    assert sorted(path.name for path in (machine.work / "ca").iterdir()) == [
        *(".lock", "ca-private.pem", "ca-public.pem", "ca-public.srl", "ledger.txt")
    ]


@pytest.mark.parametrize("where", [FOLDER, f"{FOLDER}/renewal"])
@pytest.mark.parametrize("has_request", [False, True])
def test_no_certificate_is_handed_out_through_a_link(
    machine: Machine, tmp_path: Path, where: str, has_request: bool
) -> None:
    request = asking(machine)
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    for name in ("ca-public.pem", "certificate.pem"):
        (victim / name).write_text("precious\n")
    if has_request:
        shutil.copy(request, victim / "request.csr")
    before = {path.name: path.read_bytes() for path in victim.iterdir()}
    if where == FOLDER:
        shutil.rmtree(machine.work / FOLDER)
    (machine.work / where).symlink_to(victim)
    done = machine.run(SIGN_SERVERS, check=False)
    assert (done.returncode, f"{machine.work / where} is a link; put what it leads to" in done.stderr) == (2, True)
    assert {path.name: path.read_bytes() for path in victim.iterdir()} == before
    (machine.work / where).unlink()
    machine.run(REQUEST)
    machine.run(SIGN_SERVERS)


def test_a_bundle_that_was_deleted_comes_back(machine: Machine) -> None:
    """With the request that the party makes then, and without one."""
    machine.make_all()
    bundle = machine.work / FOLDER / "ca-public.pem"
    for asks in (False, True):
        bundle.unlink()
        if asks:
            machine.run(REQUEST)
            assert (machine.work / FOLDER / "request.csr").exists()
        machine.run(SIGN_SERVERS)
        assert bundle.read_bytes() == (machine.work / "ca/ca-public.pem").read_bytes()
    assert "nothing to do" in machine.run(SIGN_SERVERS).stderr


@pytest.mark.parametrize("spoil", ["headers", "NUL"])
def test_a_request_with_anything_else_in_it_is_refused(machine: Machine, spoil: str) -> None:
    """Of PEM headers openssl takes that it must ask for a pass phrase."""
    request = asking(machine)
    good = request.read_text()
    first, rest = good.split("\n", 1)
    request.write_text(f"{first}\n{HEADERS}{rest}" if spoil == "headers" else f"{first}\0\n{rest}")
    done = machine.run(SIGN_SERVERS, check=False)
    assert (done.returncode, "it holds more than a certificate request" in done.stderr) == (6, True), done.stderr
    request.write_text(good)
    machine.run(SIGN_SERVERS)


@pytest.mark.parametrize("where", ["", "renewal/"])
@pytest.mark.parametrize("spoil", ["headers", "second", "text"])
def test_a_certificate_with_anything_else_in_it_stops(machine: Machine, where: str, spoil: str) -> None:
    machine.make_all()
    file = machine.work / "clients/client" / f"{where}client-certificate.pem"
    good = (machine.work / "clients/client/client-certificate.pem").read_text()
    first, rest = good.split("\n", 1)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text({"headers": f"{first}\n{HEADERS}{rest}", "second": good + good, "text": f"text\n{good}"}[spoil])
    done = machine.run(SIGN_CLIENTS, check=False)
    assert (done.returncode, f"{file} is not one certificate in PEM" in done.stderr) == (2, True), done.stderr
    file.write_text(good)
    assert "nothing to do" in machine.run(SIGN_CLIENTS).stderr


def ended_copy(file: Path, key_file: Path) -> bytes:
    """Return a CA's certificate in PEM as it would be had it ended yesterday."""
    found = x509.load_pem_x509_certificate(file.read_bytes())
    key = load_pem_private_key(key_file.read_bytes(), PASSPHRASE.encode())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(found.issuer, found.subject, found.public_key(), found.serial_number)
    builder = builder.not_valid_before(yesterday - timedelta(days=9)).not_valid_after(yesterday)
    for extension in found.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_a_ca_that_has_ended_leads_to_a_new_one(machine: Machine) -> None:
    """Nobody would trust what it announces."""
    machine.make_all()
    ca = machine.work / "ca/ca-public.pem"
    ended = ended_copy(ca, machine.work / "ca/ca-private.pem")
    for folder in ("ca", FOLDER, "clients/client"):
        (machine.work / folder / "ca-public.pem").write_bytes(ended)
    for script, words in (("ca/60-roll-over-ca.sh", ["--begin"]), (SIGN_SERVERS, []), ("ca/10-create-ca.sh", [])):
        done = machine.run(script, *words, check=False)
        said = f"move {machine.work}/ca away and keep it, make a new CA (setup.sh --dir {machine.work})"
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    ca.parent.rename(machine.work / "old")
    machine.run("ca/10-create-ca.sh")
    machine.run(REQUEST)
    machine.run(SIGN_SERVERS)
    machine.run(REQUEST_CLIENT)
    machine.run(SIGN_CLIENTS)
    assert "has expired" not in machine.run(REQUEST).stderr


CLIENT_FOLDER = "clients/client"
CARRIED = ("client-certificate.pem", "ca-public.pem")
# The moment before the client's files are copied, and the one after that.
BEFORE, AFTER = "  keep_previous\n  if ", '  if ! is_same_file "${ca}" "${docker_config}/ca.pem"; then\n'


def two_sites(tmp_path: Path) -> tuple[Machine, Path]:
    """Make a client's pair of a site, and the same of another CA for the same key; return both folders."""
    machine, other = new_machine(tmp_path / "one"), new_machine(tmp_path / "other")
    machine.make_all()
    shutil.copytree(machine.work / CLIENT_FOLDER, other.work / CLIENT_FOLDER)
    for name in CARRIED:
        (other.work / CLIENT_FOLDER / name).unlink()
    other.make_all()
    return machine, other.work / CLIENT_FOLDER


def swap_at(machine: Machine, place: str, other: Path, names: tuple[str, ...]) -> None:
    """Have some of the client's files written over at a place in its script."""
    library = machine.out / "lib/client_files.sh"
    text = library.read_text()
    assert text.count(place) == 1
    swaps = "".join(f'  cat {other / name} >"${{folder}}/{name}"\n' for name in names)
    library.write_text(text.replace(place, swaps + place))


@pytest.mark.parametrize("name", CARRIED)
def test_a_client_s_file_that_was_swapped_is_not_installed(tmp_path: Path, name: str) -> None:
    machine, other = two_sites(tmp_path)
    folder, docker, library = machine.work / CLIENT_FOLDER, tmp_path / ".docker", machine.out / "lib/client_files.sh"
    files = {path: path.read_bytes() for path in (*(folder / name for name in CARRIED), library)}
    docker.mkdir(mode=0o700)
    (docker / "ca.pem").write_text("theirs\n")
    swap_at(machine, BEFORE, other, (name,))
    done = configure(machine, tmp_path)
    assert (done.returncode, f"{docker}/cert.pem.new is not valid here" in done.stderr) == (2, True), done.stderr
    assert [path.name for path in docker.glob("*.pem")] == ["ca.pem"]
    assert (docker / "ca.pem").read_text() == "theirs\n"
    for path, content in files.items():
        path.write_bytes(content)
    # The control: the very script, without the swap.
    done = configure(machine, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (docker / "ca.pem").read_bytes() == files[folder / "ca-public.pem"]
    assert configure(machine, tmp_path, "--undo").returncode == 0
    assert {path.name: path.read_text() for path in docker.iterdir()} == {"ca.pem": "theirs\n"}


def test_what_a_client_gets_is_what_was_copied_and_shown(tmp_path: Path) -> None:
    machine, other = two_sites(tmp_path)
    good = [(machine.work / CLIENT_FOLDER / name).read_bytes() for name in CARRIED]
    swap_at(machine, AFTER, other, CARRIED)
    done = configure(machine, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / ".docker" / name).read_bytes() for name in ("cert.pem", "ca.pem")] == good
    assert done.stderr.count(f"CA certificate sha256: {digest(machine, 'ca/ca-public.pem')}\n") == 1


def test_a_client_killed_before_it_kept_its_ca_takes_no_other(tmp_path: Path) -> None:
    machine, other = two_sites(tmp_path)
    docker = tmp_path / ".docker"
    assert configure(machine, tmp_path).returncode == 0
    installed = (docker / "ca.pem").read_bytes()
    good = [(machine.work / CLIENT_FOLDER / name).read_bytes() for name in CARRIED]
    (docker / "before-dockseal/trusted.pem").unlink()
    for name in CARRIED:
        shutil.copy(other / name, machine.work / CLIENT_FOLDER / name)
    done = configure(machine, tmp_path)
    assert (done.returncode, "is refused: it holds another CA than the one" in done.stderr) == (2, True), done.stderr
    assert (docker / "ca.pem").read_bytes() == installed
    for name, content in zip(CARRIED, good, strict=True):
        (machine.work / CLIENT_FOLDER / name).write_bytes(content)
    # The control: with its own CA it goes on, and keeps it.
    assert configure(machine, tmp_path).returncode == 0
    assert (docker / "before-dockseal/trusted.pem").read_bytes() == installed
