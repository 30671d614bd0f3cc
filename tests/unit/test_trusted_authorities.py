"""Facts about which bundles of CA certificates are trusted: one CA, or an old one that announces a new one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.host.authority import CERTIFICATE_SIGN, Pair, common_name, issue, new_authority
from tests.sites import TEMPLATES

PART = TEMPLATES / "lib/certificates.sh"
NOT_TRUSTED = "it holds two CAs, and the one that announces the other is not trusted here: sha256 "


def announce(new: Pair, old: Pair, path_length: int | None = 0) -> bytes:
    """Return a certificate for the new CA's key and name that the old CA has signed."""
    now = datetime.now(UTC)
    key = new.key.public_key()
    builder = (
        x509.CertificateBuilder(old.certificate.subject, new.certificate.subject, key, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(x509.KeyUsage(*CERTIFICATE_SIGN), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(old.key.public_key()), critical=False)
    )
    return builder.sign(old.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


OLD, NEW, THIEF = (new_authority("CA") for _ in range(3))
ONE, TWO, EVIL = OLD.certificate_pem, NEW.certificate_pem, THIEF.certificate_pem
ANNOUNCED = announce(NEW, OLD)
BUNDLE = ONE + TWO + ANNOUNCED
LEAF = issue(OLD, "localhost")


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., str]:
    """Call a function of the part with files of these bytes."""

    def call(function: str, *contents: bytes | None) -> str:
        files = [tmp_path / f"{number}.pem" for number in range(len(contents))]
        for path, content in zip(files, contents, strict=True):
            if content is not None:
                path.write_bytes(content)
        start = (
            f'set -Eeuo pipefail; shopt -s inherit_errexit; . "{PART}"; said=$({function} "$@"); printf "%s" "$said"'
        )
        done = subprocess.run(["bash", "-c", start, "bash", *files], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return call


@pytest.mark.parametrize(
    ("bundle", "installed", "certificate"),
    [
        (ONE, None, None),
        (ONE, ONE, None),
        (TWO, ONE[:200], None),
        (BUNDLE, ONE, None),
        (TWO + ANNOUNCED + ONE, ONE, None),
        (BUNDLE, BUNDLE, None),
        (TWO, BUNDLE, None),
        (BUNDLE, None, LEAF.certificate_pem),
    ],
    ids=[
        "first",
        "same",
        "where another was cut off",
        "announced",
        "any order",
        "again",
        "finished",
        "first while rolled over",
    ],
)
def test_a_bundle_that_is_trusted(
    judge: Callable[..., str], bundle: bytes, installed: bytes | None, certificate: bytes | None
) -> None:
    assert judge("why_not_trusted", bundle, installed, certificate) == ""


@pytest.mark.parametrize(
    ("bundle", "installed", "certificate", "said"),
    [
        pytest.param(ONE + EVIL, ONE, None, "it holds 2 CAs and 0 announcements", id="appended"),
        pytest.param(ONE + EVIL, None, None, "it holds 2 CAs and 0 announcements", id="appended, first"),
        pytest.param(ONE + ONE, ONE, None, "it holds 2 CAs and 0 announcements", id="twice"),
        pytest.param(BUNDLE + EVIL, ONE, None, "it holds 3 CAs and 1 announcements", id="a third"),
        pytest.param(ONE + EVIL + ANNOUNCED, ONE, None, "neither has announced the other", id="of another"),
        pytest.param(ONE + EVIL + announce(THIEF, THIEF), ONE, None, "it holds 3 CAs", id="by itself"),
        pytest.param(ONE + EVIL + announce(OLD, THIEF), ONE, None, NOT_TRUSTED, id="by the thief"),
        pytest.param(EVIL + ONE + announce(OLD, THIEF), None, LEAF.certificate_pem, NOT_TRUSTED, id="first, a thief"),
        pytest.param(BUNDLE, None, None, NOT_TRUSTED, id="first, without a certificate"),
        pytest.param(BUNDLE, EVIL, None, NOT_TRUSTED, id="nothing that is trusted here"),
        pytest.param(BUNDLE, TWO, None, NOT_TRUSTED, id="back to the old one"),
        pytest.param(EVIL, ONE, None, "it holds another CA than the one that is trusted here", id="another"),
        pytest.param(EVIL, BUNDLE, None, "it holds another CA than the one that is trusted here", id="none of two"),
        pytest.param(
            EVIL,
            b"# ours\n" + ONE,
            None,
            "it holds another CA than the one that is trusted here",
            id="beside a comment",
        ),
        pytest.param(LEAF.certificate_pem, ONE, None, "not of a CA of this kind", id="no CA"),
        pytest.param(ONE + LEAF.certificate_pem, ONE, None, "not of a CA of this kind", id="a leaf beside it"),
        pytest.param(ONE + TWO + announce(NEW, OLD, None), ONE, None, "not of a CA of this kind", id="of any length"),
        pytest.param(b"# mine\n" + ONE, ONE, None, "something else than certificates", id="text before"),
        pytest.param(ONE + b"# mine\n", ONE, None, "something else than certificates", id="text after"),
        pytest.param(ONE + OLD.key_pem, ONE, None, "something else than certificates", id="a key"),
        pytest.param(ONE[:-1] + b"\0\n", ONE, None, "something else than certificates", id="a NUL byte"),
        pytest.param(ONE + b"\0", ONE, None, "something else than certificates", id="a NUL byte at the end"),
        pytest.param(ONE.replace(b"\n", b"\r\n"), ONE, None, "something else than certificates", id="CR LF"),
        pytest.param(ONE[:-1], ONE, None, "something else than certificates", id="no line end"),
        pytest.param(ONE[:200], ONE, None, "something else than certificates", id="cut off"),
        pytest.param(b"", ONE, None, "something else than certificates", id="empty"),
        pytest.param(b"x" * 65537, ONE, None, "not a file of 64 KiB at most", id="too large"),
        pytest.param(None, ONE, None, "not a file of 64 KiB at most", id="none"),
    ],
)
def test_a_bundle_that_is_refused(
    judge: Callable[..., str], bundle: bytes | None, installed: bytes | None, certificate: bytes | None, said: str
) -> None:
    assert said in judge("why_not_trusted", bundle, installed, certificate)


def test_a_bundle_judged_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "ca-public.pem"
    for content, said in ((ONE, ""), (BUNDLE, ""), (ONE + EVIL, "it holds 2 CAs and 0 announcements")):
        path.write_bytes(content)
        text = f'set -eu; . "{PART}"; why_not_trusted "$1" "$1"'
        found = subprocess.run(["bash", "-c", text, "bash", path], capture_output=True, text=True, check=True).stdout
        assert found.startswith(said)
        assert bool(found) == bool(said)


def test_the_digests_are_those_of_the_authorities(judge: Callable[..., str]) -> None:
    digests = [pair.certificate.fingerprint(hashes.SHA256()).hex() for pair in (OLD, NEW)]
    assert judge("ca_digests_of", BUNDLE).split() == digests
    assert judge("ca_digests_of", ONE).split() == digests[:1]


def test_names_may_be_shared_or_not(judge: Callable[..., str]) -> None:
    other = new_authority("Another CA")
    assert judge("why_not_trusted", ONE + other.certificate_pem + announce(other, OLD), ONE) == ""
    assert common_name("CA") == OLD.certificate.subject != other.certificate.subject
    assert isinstance(other.key, ec.EllipticCurvePrivateKey)
