"""The step that makes a party's key and its certificate signing request, and how a key is made."""

from __future__ import annotations

from collections.abc import Sequence

from dockseal.plan.names import Names, Work
from dockseal.plan.steps import Effects, File, Step, Words, lock

KEY_FILE = "FILE"  # the word that stands for the key's name, which the script knows


def key_command(key: str, encryption: Sequence[str] = ()) -> tuple[Words, ...]:
    """Return the lines of the command that makes a key of a type of the site file (openssl-genrsa(1), -genpkey(1)).

    `encryption` are the options that encrypt it. An RSA key is made with the documented `openssl genrsa`.
    """
    kind, _, size = key.partition(":")
    if kind == "rsa":
        return (Words("openssl", "genrsa", *encryption, "-out", KEY_FILE, size),)
    if kind == "ec":
        curve = Words("-pkeyopt", f"ec_paramgen_curve:{size}", "-pkeyopt", "ec_param_enc:named_curve")
        return (Words("openssl", "genpkey", "-algorithm", "EC", *encryption, "-out", KEY_FILE), curve)
    return (Words("openssl", "genpkey", "-algorithm", "ED25519", *encryption, "-out", KEY_FILE),)


def key_program(key: str) -> str:
    """Return the program and the command of it that make a key of this type."""
    return " ".join(key_command(key)[0][:2])


def encrypted_key_command(key: str) -> tuple[Words, ...]:
    """Return the same of a key that is encrypted with the passphrase that descriptor 3 gives."""
    return key_command(key, ("-aes256", "-passout" if key.startswith("rsa:") else "-pass", "fd:3"))


def request_step(names: Names, kind: str, party: str, key: str, alternative_names: str) -> Step:
    """Return the step of a `server` or `client`; `party` is its folder, hosts/NAME or clients/NAME."""
    work: Work = names.server if kind == "server" else names.client
    path = f"{party}/10-request-certificate.sh"
    places = (party, f"{party}/renewal")
    kept = (f"previous/{work.key}", f"previous/{work.certificate}", work.certificate, names.files.ca_certificate)
    return Step(
        path=path,
        party=party,
        template=f"request-{kind}.sh",
        purpose=f"make the {kind}'s key and its certificate signing request",
        context={
            "script": path,
            "name": party.partition("/")[2],
            "alternative_names": alternative_names,
            "key_file": work.key,
            "request_file": work.request,
            "certificate_file": work.certificate,
            "ca_certificate_file": names.files.ca_certificate,
            "key_command": key_command(key),
        },
        looks_at=(f"{party}/{work.certificate}", f"{party}/{names.files.ca_certificate}"),
        asks="passphrase",
        effects=Effects(
            files=(
                *(File(f"{place}/{name}", "operator", "0600") for place in places for name in (work.key, work.request)),
                lock(party),
            ),
            undoes=tuple(f"{party}/{name}" for name in kept),
            commands=(key_program(key), "openssl req"),
        ),
        undo="removes the requests; lists the keys and keeps them, unless --remove-keys",
    )
