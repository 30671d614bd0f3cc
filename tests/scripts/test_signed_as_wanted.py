"""A certificate that was just signed and is not as wanted gets neither a line of the ledger nor its name."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.scripts.machine import (
    CREATE,
    FOLDER,
    REQUEST,
    REQUEST_CLIENT,
    SIGN_CLIENTS,
    SIGN_SERVERS,
    Machine,
    text_of,
)


class Party(NamedTuple):
    """Whose certificate it is, and who asks for it and signs it."""

    name: str
    asks: str
    signs: str
    request: str
    key: str
    certificate: str
    use: str
    other_use: str


SERVER = Party(
    name="localhost",
    asks=REQUEST,
    signs=SIGN_SERVERS,
    request=f"{FOLDER}/request.csr",
    key=f"{FOLDER}/server-key.pem",
    certificate=f"{FOLDER}/certificate.pem",
    use="serverAuth",
    other_use="clientAuth",
)
CLIENT = Party(
    name="client",
    asks=REQUEST_CLIENT,
    signs=SIGN_CLIENTS,
    request="clients/client/client-request.csr",
    key="clients/client/client-key.pem",
    certificate="clients/client/client-certificate.pem",
    use="clientAuth",
    other_use="serverAuth",
)
SIGN = "lib/sign.sh"
SIGNED_REQUEST = '-in "$2" \\'
OTHER = '-in "${dir}/other" \\'
BASIC = "'basicConstraints = critical, CA:FALSE'"
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key"]


@pytest.mark.parametrize(("seconds", "status"), [(0, 0), (1, 0), (60, 0), (61, 1), (-1, 1)])
def test_openssl_may_read_the_clock_a_moment_later_for_the_end(machine: Machine, seconds: int, status: int) -> None:
    """A certificate may be longer by seconds: here the script expects so many fewer."""
    machine.run(CREATE)
    machine.run(REQUEST)
    script = machine.out / SIGN
    text = script.read_text()
    assert text.count("* 86400))\n  ((longer") == 1
    script.write_text(text.replace("* 86400))\n  ((longer", f"* 86400 + {seconds}))\n  ((longer"))
    assert machine.run(SIGN_SERVERS, check=False).returncode == status


# KEY, NAME, SIGNS, USE and OTHER_USE stand for the party's own.
@pytest.mark.parametrize("party", [pytest.param(SERVER, id="server"), pytest.param(CLIENT, id="client")])
@pytest.mark.parametrize(
    ("file", "right", "wrong", "other", "problem"),
    [
        pytest.param(
            *(SIGN, '"keyUsage = critical, ${usage_wanted[$1]}"'),
            *("'keyUsage = critical, digitalSignature, keyEncipherment'", [], "its extensions are others"),
            id="extensions",
        ),
        pytest.param(
            *(SIGN, '    -extfile "${extensions}" \\\n', "", [], "its extensions are others"), id="no extensions"
        ),
        pytest.param(*(SIGN, f"    {BASIC} \\\n", "    \\\n", [], "its extensions are others"), id="no constraints"),
        pytest.param(*(SIGN, BASIC, BASIC.replace("FALSE", "TRUE"), [], "its extensions are others"), id="a CA"),
        pytest.param(
            *("SIGNS", "extended_key_usage=USE", "extended_key_usage='USE, OTHER_USE'", []),
            "its extensions are others",
            id="second use",
        ),
        pytest.param(
            *("SIGNS", "extended_key_usage=USE", "extended_key_usage=OTHER_USE", []),
            "it is not a good certificate",
            id="other use",
        ),
        pytest.param(
            *(SIGN, '-days "${days_wanted[$1]}"', "-days 366", [], "its lifetime is not 365 days"), id="lifetime"
        ),
        pytest.param(
            *(SIGN, '"subjectAltName = ${names_wanted[$1]}"', "'subjectAltName = DNS:NAME,DNS:bank.example'", []),
            "its extensions are others",
            id="names",
        ),
        pytest.param(
            *(SIGN, SIGNED_REQUEST, OTHER, ["-key", "KEY", "-subj", "/CN=bank.example"], "it is for CN=bank.example"),
            id="subject",
        ),
        pytest.param(
            *(SIGN, SIGNED_REQUEST, OTHER, [*NEW_KEY, "-subj", "/CN=NAME"], "its key is not the one of the request"),
            id="key",
        ),
    ],
)
def test_what_was_signed_otherwise_is_not_handed_out(
    machine: Machine, party: Party, file: str, right: str, wrong: str, other: list[str], problem: str
) -> None:
    """The control: the very script, put right again, goes on with the same request."""

    def own(text: str) -> str:
        text = text.replace("OTHER_USE", party.other_use).replace("USE", party.use).replace("SIGNS", party.signs)
        return text.replace("KEY", party.key).replace("NAME", party.name)

    machine.run(CREATE)
    machine.run(party.asks)
    request = machine.work / party.request
    if other:
        machine.openssl("req", "-new", *map(own, other), "-out", "other")
    ledger = machine.read("ca/ledger.txt")
    script = machine.out / own(file)
    text = script.read_text()
    assert text.count(own(right)) == 1
    script.write_text(text.replace(own(right), own(wrong)))
    done = machine.run(party.signs, check=False)
    assert (done.returncode, f"is not what was to be signed: {problem}" in done.stderr) == (1, True), done.stderr
    assert (machine.read("ca/ledger.txt"), request.exists()) == (ledger, True)
    assert not [path for path in request.parent.iterdir() if "certificate" in path.name or "ca-public" in path.name]
    script.write_text(text)
    machine.run(party.signs)
    assert len(machine.read("ca/ledger.txt").splitlines()) == len(ledger.splitlines()) + 1
    assert "bank.example" not in text_of(machine, party.certificate)
