"""The CA's key, which costs 600,000 rounds to open, is opened once a run, however many certificates are signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.machine import CREATE, SIGN_SERVERS, SITE, new_machine

NAMES = ("localhost", "second.example.com", "third.example.com")
HOST = "  - {name: localhost, key: ec:P-256}\n"


@pytest.mark.parametrize("hosts", [1, 3])
def test_the_key_is_opened_once_and_not_for_each_certificate(tmp_path: Path, hosts: int) -> None:
    machine = new_machine(
        tmp_path, SITE.replace(HOST, "".join(HOST.replace("localhost", name) for name in NAMES[:hosts]))
    )
    machine.run(CREATE)
    for name in NAMES[:hosts]:
        machine.run(f"hosts/{name}/10-request-certificate.sh")
    calls = tmp_path / "calls"
    library = machine.out / "lib/common.sh"
    library.write_text(
        f'{library.read_text()}\nopenssl() {{\n  printf "%s\\n" "$*" >>{calls}\n  command openssl "$@"\n}}\n'
    )
    machine.run(SIGN_SERVERS)
    said = calls.read_text().splitlines()
    key = f"pkey -in {machine.work}/ca/ca-private.pem -passin fd:3"
    assert [line for line in said if "ca-private.pem" in line or "-passin fd" in line] == [key]
    assert sum("-CAkey /dev/fd/3 " in line for line in said) == hosts
    assert len(machine.read("ca/ledger.txt").splitlines()) == 2 + hosts
