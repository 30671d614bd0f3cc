"""Who gets an answer from dockerd and who does not, seen from outside of the scripts, each beside one who does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from dockseal.lab import Host
from tests.host.attempts import CA, Attempt, ask_in_plain_text, ask_strictly, attempt, docker, s_client
from tests.host.authority import CLIENT, DAY, NO_USAGE, SERVER, Pair, issue, new_authority, real_authority
from tests.host.support import BUSYBOX, DROP_IN, TLS, UNATTENDED, WORK, install, setup

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
SITE = """\
ca: {key: ec:P-256}
hosts:
  - name: localhost
    dns_names: [localhost, docker.example]
    ip_addresses: [127.0.0.1, 127.0.0.7]
    listen: 127.0.0.1:2376
    key: ec:P-256
clients:
  - {name: client, key: ec:P-256}
"""
GOOD = (f"{WORK}/clients/client/client-certificate.pem", f"{WORK}/clients/client/client-key.pem")
SERVERS_OWN = (f"{TLS}/certificate.pem", f"{TLS}/server-key.pem")
TEST_DROP_IN = f"{DROP_IN.rpartition('/')[0]}/zz-test.conf"

# Go's and OpenSSL's releases name the same alert differently: RFC 8446, section 6.
BAD_CERTIFICATE = r"alert bad certificate"
NO_CERTIFICATE = r"alert (bad certificate|certificate required)"
UNKNOWN_AUTHORITY = r"alert (bad certificate|unknown ca)"
EXPIRED = r"alert (bad certificate|certificate expired)"


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up."""
    install(host, tmp_path_factory.mktemp("site"), SITE)
    setup(host, *UNATTENDED)
    return host


@pytest.fixture(scope="module")
def authority(ready: Host) -> Pair:
    """The site's own CA, with its real key."""
    return real_authority(ready)


def asks(host: Host, pair: tuple[str, str], *options: str) -> Attempt:
    """Ask dockerd as the holder of a certificate and its key."""
    return attempt(host, s_client("-cert", pair[0], "-key", pair[1], *options))


def assert_answered(result: Attempt) -> None:
    assert result.answered, result


def assert_refused(result: Attempt, alert: str, reason: str) -> None:
    """The alert can be lost: dockerd closes while the client still writes, and the kernel answers with a reset."""
    assert "HTTP/1.1" not in result.said, result
    assert re.search(f"{alert}|:errno=104", result.said), result
    assert reason in result.logged, result


# ---- Without the CA's key ---------------------------------------------------


def test_a_client_without_a_certificate_is_refused(ready: Host) -> None:
    assert_answered(asks(ready, GOOD))
    assert_refused(attempt(ready, s_client()), NO_CERTIFICATE, "client didn't provide a certificate")


STRANGERS: dict[str, Callable[[], Pair]] = {
    "another CA": lambda: issue(new_authority("another CA")),
    "another CA of the same name": lambda: issue(new_authority("dockseal CA")),
    "self-signed": lambda: issue(None),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_strangers_client_is_refused(ready: Host, stranger: str) -> None:
    pair = STRANGERS[stranger]().install(ready, "/run/stranger")
    assert_answered(asks(ready, GOOD))
    assert_refused(asks(ready, pair), UNKNOWN_AUTHORITY, "x509: certificate signed by unknown authority")


def test_another_ca_of_the_same_name_is_taken_for_the_real_one_until_its_signature_is_checked(ready: Host) -> None:
    pair = STRANGERS["another CA of the same name"]().install(ready, "/run/stranger")
    assert '"dockseal CA"' in asks(ready, pair).logged


def test_the_servers_certificate_is_refused_as_a_client(ready: Host) -> None:
    assert_answered(asks(ready, GOOD))
    reason = "x509: certificate specifies an incompatible key usage"
    assert_refused(asks(ready, SERVERS_OWN), r"alert (bad|unsupported) certificate", reason)


def test_plain_http_on_the_tls_port_is_refused(ready: Host) -> None:
    assert_answered(asks(ready, GOOD))
    result = ask_in_plain_text(ready, 2376)
    assert result.startswith("HTTP/1.0 400 Bad Request")
    assert "Client sent an HTTP request to an HTTPS server" in result


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_tls_before_1_2_is_refused(ready: Host, version: str) -> None:
    everything = ("-cipher", "ALL:@SECLEVEL=0")
    assert_answered(asks(ready, GOOD, "-tls1_2", *everything))
    result = asks(ready, GOOD, version, *everything)
    assert_refused(result, "alert protocol version", "client offered only unsupported versions")


def test_the_plain_text_port_is_closed(ready: Host) -> None:
    assert ask_in_plain_text(ready, 2376) != ""
    refused = ready.run([BUSYBOX, "nc", "127.0.0.1", "2375"], check=False)
    assert "Connection refused" in refused.stderr
    assert ready.run(["docker", "-H", "tcp://127.0.0.1:2375", "ps"], check=False).status != 0


@pytest.mark.parametrize("name", ["localhost", "docker.example", "127.0.0.1", "127.0.0.7"])
def test_each_name_of_the_certificate_satisfies_a_strict_client(ready: Host, tmp_path: Path, name: str) -> None:
    for source in (CA, *GOOD):
        (tmp_path / Path(source).name).write_bytes(ready.read_bytes(source))
    files = [str(tmp_path / Path(source).name) for source in (CA, *GOOD)]
    assert "HTTP/1.1 200 OK" in ask_strictly(ready, name, *files)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED.*mismatch, certificate is not valid for"):
        ask_strictly(ready, f"not-{name}" if name[0].isalpha() else "127.0.0.8", *files)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_the_docker_client_is_refused_with_a_strangers_certificate(ready: Host, stranger: str) -> None:
    """From Docker 26 on it does not even send a certificate of a CA that the server did not name."""
    assert ready.run(docker(*GOOD, "ps", "--quiet")).status == 0
    pair = STRANGERS[stranger]().install(ready, "/run/stranger")
    assert ready.run(docker(*pair, "ps", "--quiet"), check=False).status != 0
    result = attempt(ready, docker(*pair, "ps", "--quiet"))
    assert re.search(r"remote error: tls: |connection reset|broken pipe", result.said), result
    assert re.search("certificate signed by unknown authority|client didn't provide a certificate", result.logged)


# ---- Client certificates of the real CA -------------------------------------


@dataclass(frozen=True)
class Odd:
    """A client certificate of the real CA that is not as the scripts make it."""

    name: str = "client"
    usage: tuple[object, ...] = CLIENT
    begins: timedelta = -DAY
    ends: timedelta = 60 * DAY

    def install(self, host: Host, authority: Pair) -> tuple[str, str]:
        pair = issue(authority, self.name, self.usage, begins=self.begins, ends=self.ends)  # type: ignore[arg-type]
        return pair.install(host, "/run/odd")


DATES = "x509: certificate has expired or is not yet valid"
USAGE = "x509: certificate specifies an incompatible key usage"


@pytest.mark.parametrize(
    ("odd", "alert", "reason"),
    [
        pytest.param(Odd(begins=-9 * DAY, ends=-DAY), EXPIRED, f"{DATES}: current time", id="expired"),
        pytest.param(Odd(begins=DAY), EXPIRED, f"{DATES}: current time", id="not yet valid"),
        pytest.param(Odd(usage=SERVER), BAD_CERTIFICATE, USAGE, id="serverAuth only"),
        pytest.param(Odd(usage=(ExtendedKeyUsageOID.CODE_SIGNING,)), BAD_CERTIFICATE, USAGE, id="codeSigning only"),
    ],
)
def test_a_client_of_the_real_ca_is_refused(ready: Host, authority: Pair, odd: Odd, alert: str, reason: str) -> None:
    assert_answered(asks(ready, Odd().install(ready, authority)))
    assert_refused(asks(ready, odd.install(ready, authority)), alert, reason)


def test_a_client_without_extended_key_usage_is_accepted(ready: Host, authority: Pair) -> None:
    """To Go, no extended key usage is any usage: whatever this CA signs without one is root on the host.

    So the CA signs nothing but the two kinds of certificate that the scripts make, each with exactly one usage.
    """
    assert_answered(asks(ready, Odd(usage=NO_USAGE).install(ready, authority)))


def test_a_client_of_any_name_is_accepted(ready: Host, authority: Pair) -> None:
    """The name in a client's certificate is for people: dockerd has no list of clients.

    So one CA cannot let a client into one host and keep it out of another. That takes two CAs.
    """
    assert_answered(asks(ready, Odd(name="somebody.example").install(ready, authority)))


# ---- Server certificates of the real CA -------------------------------------


@pytest.fixture(scope="module")
def serve(ready: Host) -> Iterator[Callable[[Pair], AbstractContextManager[None]]]:
    """Let dockerd show another certificate for a while: a second drop-in, as the first one but for the pair."""
    drop_in = ready.read(DROP_IN)

    def restart() -> None:
        # systemctl would restart both one by one, and the socket refuses once dockerd is on its way.
        ready.bash("systemctl daemon-reload; systemctl reset-failed docker.service docker.socket")
        ready.bash("systemctl stop docker.socket; systemctl restart docker.service")

    @contextmanager
    def show(pair: Pair) -> Iterator[None]:
        certificate, key = pair.install(ready, "/run/server")
        text = drop_in.replace(SERVERS_OWN[0], certificate).replace(SERVERS_OWN[1], key)
        assert text.count("/run/server/") == 2
        ready.write(TEST_DROP_IN, text)
        restart()
        yield

    yield show
    ready.run(["rm", "-f", TEST_DROP_IN])
    restart()
    assert_answered(asks(ready, GOOD))


def issue_server(authority: Pair, *, names: tuple[str, ...] = ("localhost",), **options: object) -> Pair:
    return issue(authority, names[0], **{"usage": SERVER, "names": names, **options})  # type: ignore[arg-type]


def test_a_good_server_certificate_put_in_by_hand_is_accepted(
    ready: Host, authority: Pair, serve: Callable[[Pair], AbstractContextManager[None]]
) -> None:
    """The positive control of the refusals below: what makes them is the certificate, not the way it got there."""
    with serve(issue_server(authority)):
        assert ready.run(docker(*GOOD, "ps", "--quiet")).status == 0
        assert_answered(asks(ready, GOOD))


@pytest.mark.parametrize(
    ("options", "docker_says", "openssl_says"),
    [
        pytest.param(
            {"begins": -9 * DAY, "ends": -DAY}, rf"{DATES}: current time \S+ is after ", "has expired", id="expired"
        ),
        pytest.param({"begins": DAY}, rf"{DATES}: current time \S+ is before ", "not yet valid", id="not yet valid"),
        pytest.param(
            {"usage": CLIENT}, USAGE, r"unsuitable certificate purpose|unsupported certificate purpos", id="wrong use"
        ),
        pytest.param(
            {"names": ("other.example",)},
            "x509: certificate is valid for other.example, not localhost",
            "(H|h)ostname mismatch",
            id="another name",
        ),
    ],
)
def test_a_server_certificate_is_refused_by_clients(
    ready: Host,
    authority: Pair,
    serve: Callable[[Pair], AbstractContextManager[None]],
    options: dict[str, object],
    docker_says: str,
    openssl_says: str,
) -> None:
    with serve(issue_server(authority, **options)):  # type: ignore[arg-type]
        refused = ready.run(docker(*GOOD, "ps", "--quiet"), check=False)
        assert refused.status != 0
        assert re.search(docker_says, refused.stderr), refused.stderr
        result = asks(ready, GOOD)
        assert not result.answered
        assert re.search(openssl_says, result.said), result


def test_a_server_of_another_ca_of_the_same_name_is_refused_by_clients(
    ready: Host, serve: Callable[[Pair], AbstractContextManager[None]]
) -> None:
    with serve(issue_server(new_authority("dockseal CA"))):
        refused = ready.run(docker(*GOOD, "ps", "--quiet"), check=False)
        assert refused.status != 0
        assert "x509: certificate signed by unknown authority" in refused.stderr
