"""What 60-check-expiry.sh says of the certificates in ~/.docker."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.host.authority import CLIENT, DAY, issue, new_authority
from tests.scripts.machine import SITE, Machine, new_machine

CHECK_EXPIRY, VERIFY = "clients/client/60-check-expiry.sh", "clients/client/90-verify.sh"
PLAIN = re.compile("[ -~\n]+")


def test_lines_are_plain_text(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With escapes in the folder's name and in a subject; one certificate is good, and one is none."""
    machine.make_all()
    docker = tmp_path / "home\x1b[31m\r\x07" / ".docker"
    docker.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(docker.parent))
    key = ["-key", "clients/client/client-key.pem"]
    machine.openssl("req", "-x509", *key, "-days", "90", "-subj", "/CN=\x1b]0;x\x07", "-out", docker / "cert.pem")
    shutil.copy(machine.work / "ca/ca-public.pem", docker / "ca.pem")
    done = machine.run(CHECK_EXPIRY)
    assert [line[:5] for line in done.stdout.splitlines()] == ["ok   ", "ok   "]
    assert PLAIN.fullmatch(done.stdout)
    (docker / "cert.pem").write_text("\x1b[31m")
    done = machine.run(CHECK_EXPIRY, check=False)
    assert (done.returncode, done.stdout[:4], done.stderr) == (4, "BAD ", "")
    assert PLAIN.fullmatch(done.stdout)
    assert f"{tmp_path}/home [31m  /.docker/cert.pem cannot be read as a certificate\n" in done.stdout


# In place of what asks docker and the hosts.
NO_DOCKER = "verify_ways() { has_docker=0; }\nverify_host() { :; }\n"
# Days that are left, days of warning, and whether it is time.
MOMENTS = [(45, 60, True), (45, 30, False), (29.5, 30, True), (61, 60, False)]


@pytest.mark.parametrize(("left", "warn_days", "due"), MOMENTS)
def test_the_check_and_the_verification_agree_when_it_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: float, warn_days: int, due: bool
) -> None:
    """As the watch and the verification of a host do."""
    machine = new_machine(tmp_path, f"{SITE.rstrip().removesuffix('}')}, warn_days: {warn_days}}}\n")
    library = machine.out / "lib/verify_client.sh"
    library.write_text(library.read_text() + NO_DOCKER)
    docker, authority = tmp_path / ".docker", new_authority("CA")
    docker.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    pair = issue(authority, "client", CLIENT, begins=(left - 365) * DAY, ends=left * DAY)
    (docker / "key.pem").touch(mode=0o600)
    for name, octets in (
        ("cert", pair.certificate_pem),
        ("key", pair.key_pem),
        ("ca", authority.certificate_pem),
    ):
        (docker / f"{name}.pem").write_bytes(octets)
    check = machine.run(CHECK_EXPIRY, check=False)
    words = re.findall("^([A-Za-z]+) .*/(cert|ca).pem$", check.stdout, re.MULTILINE)
    assert (check.returncode, words) == (
        (4, [("SOON", "cert"), ("ok", "ca")]) if due else (0, [("ok", "cert"), ("ok", "ca")])
    )
    results = dict(re.findall(r"^(\S+) +(PASS|FAIL|SKIP)  ", machine.run(VERIFY, check=False).stdout, re.MULTILINE))
    assert (results["CCERT-2"], results["CCERT-3"]) == ("PASS", "FAIL" if due else "PASS")
