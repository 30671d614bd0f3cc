"""A certificate that was just signed and is not as wanted gets neither a line of the ledger nor its name."""

from __future__ import annotations

import pytest

from tests.scripts.machine import FOLDER, SIGN_SERVERS, Machine, asking, text_of

SIGN = "lib/sign.sh"
SIGNED_REQUEST = '-in "$2" \\'
OTHER = '-in "${dir}/other" \\'
OWN_KEY = ["-key", f"{FOLDER}/server-key.pem", "-subj", "/CN=bank.example"]
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key"]
OTHER_KEY = [*NEW_KEY, "-subj", "/CN=localhost"]


@pytest.mark.parametrize(
    ("file", "right", "wrong", "other", "problem"),
    [
        pytest.param(
            *(SIGN, '"keyUsage = critical, ${usage_wanted[$1]}"'),
            *("'keyUsage = critical, digitalSignature, keyEncipherment'", [], "its extensions are others"),
            id="extensions",
        ),
        pytest.param(
            *(SIGN_SERVERS, "extended_key_usage=serverAuth", "extended_key_usage='serverAuth, clientAuth'", []),
            "its extensions are others",
            id="second use",
        ),
        pytest.param(
            *(SIGN_SERVERS, "extended_key_usage=serverAuth", "extended_key_usage=clientAuth", []),
            "it is not a good certificate",
            id="other use",
        ),
        pytest.param(
            *(SIGN, '-days "${days_wanted[$1]}"', "-days 366", [], "its lifetime is not 365 days"), id="lifetime"
        ),
        pytest.param(
            *(SIGN, '"subjectAltName = ${names_wanted[$1]}"', "'subjectAltName = DNS:localhost,DNS:bank.example'", []),
            "its extensions are others",
            id="names",
        ),
        pytest.param(SIGN, SIGNED_REQUEST, OTHER, OWN_KEY, "it is for CN=bank.example", id="subject"),
        pytest.param(SIGN, SIGNED_REQUEST, OTHER, OTHER_KEY, "its key is not the one of the request", id="key"),
    ],
)
def test_what_was_signed_otherwise_is_not_handed_out(
    machine: Machine, file: str, right: str, wrong: str, other: list[str], problem: str
) -> None:
    """The control: the very script, put right again, goes on with the same request."""
    request = asking(machine)
    machine.openssl("req", "-new", *(other or OWN_KEY), "-out", "other")
    ledger = machine.read("ca/ledger.txt")
    script = machine.out / file
    text = script.read_text()
    assert text.count(right) == 1
    script.write_text(text.replace(right, wrong))
    done = machine.run(SIGN_SERVERS, check=False)
    assert (done.returncode, f"is not what was to be signed: {problem}" in done.stderr) == (1, True), done.stderr
    assert (machine.read("ca/ledger.txt"), request.exists()) == (ledger, True)
    assert not [path for path in request.parent.iterdir() if path.name.startswith(("certificate", "ca-public"))]
    script.write_text(text)
    machine.run(SIGN_SERVERS)
    assert len(machine.read("ca/ledger.txt").splitlines()) == len(ledger.splitlines()) + 1
    assert "bank.example" not in text_of(machine)
