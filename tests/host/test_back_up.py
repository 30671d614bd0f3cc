"""The CA in one encrypted file: read back before it counts, and restored on another machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockseal.lab import Host, difference
from tests.host.support import (
    CERTIFICATE_STEPS,
    PASSPHRASE,
    PASSPHRASE_FILE,
    WORK,
    install,
    make_certificates,
    refuses,
)

pytestmark = pytest.mark.no_probe_image
STEP = "ca/70-back-up-ca.sh"
SCRIPT = f"/root/out/{STEP}"
FILE, ELSEWHERE = "/root/ca.backup", "/root/elsewhere"
SIGN = ("--passphrase-file", PASSPHRASE_FILE)
DAMAGED = "it does not open: another passphrase, or it is damaged"
# Encrypts a tar as the script does, with one more member.
FORGE = """
cd /run/forged
tar --create --absolute-names --transform 's,^[.]/evil$,../evil,' . |
  openssl enc -aes-256-cbc -pbkdf2 -iter 600000 -md sha512 -e -salt -pass file:"$1" -out /root/forged
"""


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A machine with a CA that has signed, and a back-up of it."""
    install(host, tmp_path_factory.mktemp("site"))
    make_certificates(host)
    host.run(["bash", SCRIPT, "--to", FILE, *SIGN])
    return host


@pytest.fixture
def elsewhere(ready: Host) -> Iterator[Host]:
    """The same machine with nothing in the other working folder."""
    ready.run(["rm", "-rf", ELSEWHERE])
    yield ready
    ready.run(["rm", "-rf", ELSEWHERE])


def restore(path: str, *words: str) -> list[str]:
    """Return the command that restores a back-up to the other working folder."""
    return ["bash", SCRIPT, "--restore", path, "--dir", ELSEWHERE, *(words or SIGN)]


def said(reason: str, path: str) -> str:
    return f"error: {STEP}: refused {path}: {reason}; nothing was restored"


def test_it_says_what_it_has_proven_and_what_a_loss_means(ready: Host) -> None:
    result = ready.run(["bash", SCRIPT, "--to", "/root/second", *SIGN])
    assert "/root/second was read back, restored and compared" in result.stderr
    assert "there is no renewal and no new client" in result.stderr
    assert ready.run(["stat", "--format", "%a", "/root/second"]).stdout == "600\n"
    assert "second.dockseal.new" not in ready.run(["ls", "/root"]).stdout


def test_the_restored_ca_is_the_same_and_signs(elsewhere: Host) -> None:
    elsewhere.run(restore(FILE))
    assert elsewhere.run(["diff", "-r", "--exclude=.lock", f"{WORK}/ca", f"{ELSEWHERE}/ca"]).stdout == ""
    for step in CERTIFICATE_STEPS[3:]:
        words = SIGN if step.startswith("ca/") else ()
        elsewhere.run(["bash", f"/root/out/{step}", "--dir", ELSEWHERE, *words])
    certificate = f"{ELSEWHERE}/clients/client/client-certificate.pem"
    verified = elsewhere.run(["openssl", "verify", "-CAfile", f"{WORK}/ca/ca-public.pem", certificate])
    assert verified.stdout == f"{certificate}: OK\n"


def test_nothing_of_it_is_readable(ready: Host) -> None:
    octets = ready.read_bytes(FILE)
    assert octets.startswith(b"Salted__")
    for word in (b"PRIVATE", b"CERTIFICATE", b"ledger", b"hosts/localhost", PASSPHRASE.encode()):
        assert word not in octets


def refused(host: Host, path: str, reason: str, *words: str) -> None:
    """Restoring must fail with this reason and leave nothing behind."""
    before = host.snapshot(("/root", "/tmp", "/etc"))
    result = host.run(restore(path, *words), check=False)
    assert result.status == 2
    assert result.stderr.endswith(f"{said(reason, path)}\n"), result.stderr
    host.bash('rm "$1/.lock"; rmdir "$1"', ELSEWHERE)
    assert difference(before, host.snapshot(("/root", "/tmp", "/etc"))) == []


@pytest.mark.one_release("trixie")
def test_another_passphrase_is_refused(elsewhere: Host) -> None:
    elsewhere.write("/run/wrong", "another passphrase\n", 0o600)
    refused(elsewhere, FILE, DAMAGED, "--passphrase-file", "/run/wrong")


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize(
    "how",
    [
        pytest.param("head --bytes=-512 {0} >/run/bad", id="cut"),
        pytest.param("cp {0} /run/bad; printf x | dd of=/run/bad bs=1 seek=3000 conv=notrunc", id="changed"),
        pytest.param(": >/run/bad", id="empty"),
    ],
)
def test_a_damaged_file_is_refused(elsewhere: Host, how: str) -> None:
    elsewhere.bash(how.format(FILE))
    result = elsewhere.run(restore("/run/bad"), check=False)
    assert result.status == 2
    assert "refused /run/bad: " in result.stderr
    assert "nothing was restored" in result.stderr
    assert elsewhere.run(["ls", ELSEWHERE]).stdout == ""


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ("touch evil", "it holds what no back-up holds: ../evil"),
        ("ln -s /etc/passwd link", "it holds what no back-up holds: ./link -> /etc/passwd"),
        ("touch more", "it holds other files than its list says"),
        ("echo >>ledger.txt", "the sums in it do not fit: it is damaged"),
        ("rm ca-private.pem; sed -i /private/d SHA256SUMS", "its key does not open with this passphrase"),
    ],
)
def test_a_forged_archive_is_refused(elsewhere: Host, make: str, reason: str) -> None:
    elsewhere.bash(
        f"""
        rm -rf /run/forged; mkdir /run/forged; cd /run/forged
        openssl enc -aes-256-cbc -pbkdf2 -iter 600000 -md sha512 -d -pass file:{PASSPHRASE_FILE} -in {FILE} | tar -x
        {make}
        """
    )
    elsewhere.bash(FORGE, PASSPHRASE_FILE)
    refused(elsewhere, "/root/forged", reason)
    assert not elsewhere.exists(f"{ELSEWHERE}/evil")


@pytest.mark.one_release("trixie")
def test_what_is_there_is_never_replaced(ready: Host) -> None:
    reason = f"error: {STEP}: {FILE} is there already; give another name, or move it away"
    refuses(ready, ["bash", SCRIPT, "--to", FILE, *SIGN], reason)
    reason = f"error: {STEP}: {WORK}/ca is there already; give another --dir, or move it away"
    refuses(ready, ["bash", SCRIPT, "--restore", FILE, *SIGN], reason)


@pytest.mark.one_release("trixie")
def test_a_full_disk_leaves_no_back_up(ready: Host, tmp_path: Path) -> None:
    assert tmp_path
    ready.bash("mkdir /run/small; mount -t tmpfs -o size=4k none /run/small")
    result = ready.run(["bash", SCRIPT, "--to", "/run/small/ca", *SIGN], check=False)
    left = ready.run(["ls", "/run/small"]).stdout
    ready.bash("umount /run/small; rmdir /run/small")
    assert result.status == 1
    assert "is the disk full?" in result.stderr or "did not read back" in result.stderr
    assert left in ("", "ca.dockseal.new\n")


@pytest.mark.one_release("trixie")
def test_check_changes_nothing(ready: Host) -> None:
    before = ready.snapshot(("/root", "/tmp"))
    result = ready.run(["bash", SCRIPT, "--to", "/root/third", "--check"], check=False)
    assert result.status == 3
    assert "openssl enc -aes-256-cbc -pbkdf2" in result.stdout
    assert difference(before, ready.snapshot(("/root", "/tmp"))) == []
