"""Each way in which a handshake fails, provoked for real, and the sentence that explains it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from dockseal.lab import Host
from tests.host.authority import CLIENT, DAY, SERVER, Pair, issue, new_authority, real_authority
from tests.host.support import TLS, UNATTENDED, WORK, install, setup
from tests.sites import library

SITE = """\
ca: {key: ec:P-256}
hosts:
  - name: localhost
    dns_names: [localhost, docker.example]
    listen: 0.0.0.0:2376
    ip_addresses: [127.0.0.1]
    key: ec:P-256
clients:
  - {name: client, key: ec:P-256}
"""
CA = f"{WORK}/ca/ca-public.pem"
FOLDER = f"{WORK}/clients/client"
GOOD = (f"{FOLDER}/client-certificate.pem", f"{FOLDER}/client-key.pem")
SERVERS_OWN = (f"{TLS}/certificate.pem", f"{TLS}/server-key.pem")
STRICT = "set -Eeuo pipefail; shopt -s inherit_errexit; export LC_ALL=C; . /run/explain.sh\n"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_numbers = itertools.count(1)

# What openssl s_client gets, and what the daemon's log has said of it.
ASK = """
mark=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor); mark=${mark#*cursor: }
answer=$(ask_daemon "$1" "$2" "$3" "$4" "${@:5}")
log() { journalctl -qu docker.service -o cat --after-cursor "$mark" | grep 'TLS handshake error' || true; }
for try in {1..50}; do
  said=$(log)
  if [[ -n $said || $2 != 2376 ]]; then break; fi
  sleep 0.1
done
printf '%s\\0' "$(explain_handshake "$answer")" "$(explain_handshake "$answer" "$said")" "$answer" "$said"
"""


@dataclass(frozen=True)
class Explained:
    """The sentence without and with the daemon's log, and what they were made of."""

    alone: str
    with_log: str
    answer: str
    log: str


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up, with the functions to test."""
    install(host, tmp_path_factory.mktemp("site"), SITE)
    setup(host, *UNATTENDED, "--no-containers")
    host.write("/run/explain.sh", library("handshake", "explain"))
    return host


@pytest.fixture(scope="module")
def authority(ready: Host) -> Pair:
    """The site's own CA, with its real key."""
    return real_authority(ready)


def put(host: Host, pair: Pair) -> tuple[str, str]:
    return pair.install(host, f"/run/pair-{next(_numbers)}")


def ask(
    host: Host,
    *options: str,
    pair: tuple[str, str] | None = GOOD,
    name: str = "localhost",
    address: str = "127.0.0.1",
    port: int = 2376,
    ca: str = CA,
) -> Explained:
    """Shake hands with openssl, and let both sentences be made."""
    words = ["-cert", pair[0], "-key", pair[1]] if pair else []
    said = host.bash(STRICT + ASK, address, str(port), name, ca, *words, *options).stdout
    return Explained(*said.split("\0")[:4])


def docker(host: Host, *words: str, pair: tuple[str, str] | None = GOOD, address: str = "localhost:2376") -> str:
    """Run docker and return the sentence for what it printed."""
    own = ["--tlscert", pair[0], "--tlskey", pair[1]] if pair else []
    flags = words or ("--tlsverify", "--tlscacert", CA, *own)
    script = 'said=$(docker "$@" ps 2>&1) && exit 9; explain_handshake "$said"'
    return host.bash(STRICT + script, "-H", f"tcp://{address}", *flags).stdout


def serve(host: Host, pair: Pair | None, *options: str) -> int:
    """Start a server of the test's own on a free port; return the port."""
    log = f"/run/server-{next(_numbers)}"
    words: Sequence[str] = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", *options]
    if pair:
        certificate, key = put(host, pair)
        words = [*words, "-cert", certificate, "-key", key]
    script = f"""
        setsid "$@" </dev/null >{log} 2>&1 &
        until port=$(grep -o -m1 'ACCEPT 127.0.0.1:[0-9]*' {log}); do kill -0 $!; done
        printf '%s' "${{port##*:}}"
    """
    return int(host.bash(script, *words, timeout=20).stdout)


def near(text: str) -> bool:
    """Tell whether a time is that of now, to two minutes."""
    return abs((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()) < 120


# ---- What the client refuses ------------------------------------------------


def test_a_good_client_is_answered(ready: Host) -> None:
    """Without this, the failures below would show nothing."""
    assert "HTTP/1.1 200 OK" in ask(ready).answer


def test_a_name_that_is_not_in_the_certificate(ready: Host) -> None:
    said = "client: the certificate is valid for localhost, docker.example, 127.0.0.1, not {}: use a name from the SAN"
    assert ask(ready, name="other.example").alone == said.format("other.example")
    assert ask(ready, name="0.0.0.0", address="0.0.0.0").alone == said.format("0.0.0.0")
    # D17: the documented address.
    assert docker(ready, address="0.0.0.0:2376") == (
        "client: the certificate is valid for 127.0.0.1, not 0.0.0.0: use a name from the SAN\n"
    )
    ready.bash("grep -q other.example /etc/hosts || printf '127.0.0.1 other.example\\n' >>/etc/hosts")
    assert docker(ready, address="other.example:2376") == (
        "client: the certificate is valid for localhost, docker.example, not other.example: use a name from the SAN\n"
    )


def test_a_server_of_another_ca(ready: Host) -> None:
    said = "client: the server's certificate is not of the CA in ca.pem: "
    stranger = new_authority("dockseal CA")
    ready.write("/run/other-ca.pem", stranger.certificate_pem)
    assert ask(ready, ca="/run/other-ca.pem").alone.startswith(said)
    words = ("--tlsverify", "--tlscacert", "/run/other-ca.pem", "--tlscert", GOOD[0], "--tlskey", GOOD[1])
    assert docker(ready, *words).startswith(said)
    port = serve(ready, issue(None, "localhost", SERVER))
    assert ask(ready, port=port).alone.startswith(said)
    assert docker(ready, address=f"localhost:{port}").startswith(said)


def test_a_server_certificate_that_has_ended(ready: Host, authority: Pair) -> None:
    port = serve(ready, issue(authority, "localhost", SERVER, begins=-9 * DAY, ends=-DAY))
    for said in (ask(ready, port=port).alone, docker(ready, address=f"localhost:{port}").strip()):
        match = re.fullmatch(
            f"client: the server's certificate ended ({TIME}), and the clock says ({TIME}): make a request and sign "
            "it with ca/20-sign-servers.sh, or set the clock",
            said,
        )
        assert match, said
        assert near(match[2])
        assert (datetime.now(UTC) - datetime.fromisoformat(match[1])).days == 1


def test_a_server_certificate_that_is_not_valid_yet(ready: Host, authority: Pair) -> None:
    port = serve(ready, issue(authority, "localhost", SERVER, begins=2 * DAY))
    for said in (ask(ready, port=port).alone, docker(ready, address=f"localhost:{port}").strip()):
        match = re.fullmatch(
            f"client: the server's certificate begins ({TIME}), and the clock says ({TIME}): set the clock, or wait",
            said,
        )
        assert match, said
        assert near(match[2])


def test_a_server_that_shows_a_clients_certificate(ready: Host, authority: Pair) -> None:
    port = serve(ready, issue(authority, "localhost", CLIENT))
    said = "client: the server's certificate is not for servers (extendedKeyUsage): make a request and sign it with "
    assert ask(ready, "-purpose", "sslserver", port=port).alone.startswith(said)
    assert docker(ready, address=f"localhost:{port}").startswith(said)


def test_a_server_that_speaks_plain_http(ready: Host) -> None:
    ready.bash(
        "busybox httpd -p 127.0.0.1:8080 -h /run; until (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null; do :; done"
    )
    said = "client: the server speaks plain text on this port: run 20-configure-daemon.sh there"
    assert ask(ready, port=8080).alone == said
    assert docker(ready, address="localhost:8080") == f"{said}\n"


# ---- What the server refuses ------------------------------------------------

SIGN = "make a request and sign it with ca/30-sign-clients.sh"


def test_a_client_without_a_certificate(ready: Host) -> None:
    said = "server: the client sent no certificate of the daemon's CA: run 20-configure-client.sh and use --tlsverify "
    result = ask(ready, pair=None)
    assert result.with_log.startswith(said)
    # Go up to 1.20 sends an alert that does not say it.
    assert result.alone.startswith((said, "server: it got no client certificate, or not one that it accepts: "))


def test_a_client_of_another_ca(ready: Host) -> None:
    result = ask(ready, pair=put(ready, issue(new_authority("another CA"))))
    said = f"server: the client's certificate is of another CA than the daemon's: {SIGN}"
    assert result.with_log == said
    assert result.alone == said or result.alone.startswith("server: it got no client certificate, or not one ")


def test_a_client_certificate_that_has_ended(ready: Host, authority: Pair) -> None:
    result = ask(ready, pair=put(ready, issue(authority, begins=-9 * DAY, ends=-DAY)))
    match = re.fullmatch(
        f"server: the client's certificate ended ({TIME}), and the clock says ({TIME}): {SIGN}, or set the clock",
        result.with_log,
    )
    assert match, result
    assert near(match[2])


def test_a_client_certificate_that_is_not_valid_yet(ready: Host, authority: Pair) -> None:
    result = ask(ready, pair=put(ready, issue(authority, begins=2 * DAY)))
    match = re.fullmatch(
        f"server: the client's certificate begins ({TIME}), and the clock says ({TIME}): set the clock, or wait",
        result.with_log,
    )
    assert match, result
    assert near(match[2])


def test_a_servers_certificate_used_as_a_client(ready: Host) -> None:
    result = ask(ready, pair=SERVERS_OWN)
    said = f"server: the client's certificate is not for clients (extendedKeyUsage): {SIGN}"
    assert result.with_log == said


def test_an_old_tls_version(ready: Host) -> None:
    said = "server: the client offered no TLS 1.2 or newer: use a newer client"
    result = ask(ready, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert (result.alone, result.with_log) == (said, said)


def test_no_common_cipher(ready: Host) -> None:
    result = ask(ready, "-tls1_2", "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0")
    said = "server: it got no client certificate, or shares no cipher suite with the client: journalctl "
    assert result.alone.startswith(said)
    said = "server: it shares no cipher suite with the client: let the client offer an ECDHE suite with "
    assert result.with_log.startswith(said)


def test_the_other_alert_for_a_missing_certificate(ready: Host, authority: Pair) -> None:
    """Over TLS 1.2 dockerd of Go 1.26 sends the same as OpenSSL's server."""
    port = serve(ready, issue(authority, "localhost", SERVER), "-tls1_2", "-Verify", "1")
    result = ask(ready, port=port, pair=None)
    assert "alert handshake failure" in result.answer
    said = "server: it got no client certificate, or shares no cipher suite with the client: journalctl "
    assert result.alone.startswith(said)
    script = 'explain_handshake "error during connect: Get \\"https://x/\\": remote error: tls: handshake failure"'
    assert ready.bash(STRICT + script).stdout.startswith(said)
    log = "http: TLS handshake error from 127.0.0.1:5: tls: client didn't provide a certificate"
    found = ready.bash(STRICT + 'explain_handshake "$1" "$2"', result.answer, log).stdout
    assert found.startswith("server: the client sent no certificate of the daemon's CA: ")


def test_plain_http_on_the_tls_port(ready: Host) -> None:
    said = docker(ready, "--log-level", "error")
    assert said == "server: it speaks TLS and was asked in plain text: set DOCKER_TLS_VERIFY=1\n"


LOG_OF_DOCKER = """
mark=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor); mark=${mark#*cursor: }
! docker -H tcp://localhost:2376 --tlsverify --tlscacert=/run/other-ca.pem ps &>/dev/null
until said=$(journalctl -qu docker.service -o cat --after-cursor "$mark" | grep 'TLS handshake error'); do
  sleep 0.1
done
printf '%s\\0' "$said"; explain_handshake 'remote error' "$said"
"""


def test_the_daemons_own_words_for_a_client_that_refused_it(ready: Host) -> None:
    ready.write("/run/other-ca.pem", new_authority("another CA").certificate_pem)
    log, _, said = ready.bash(STRICT + LOG_OF_DOCKER, timeout=20).stdout.partition("\0")
    assert "remote error: tls: " in log
    assert said.startswith("client: it refused the server's certificate (")
    # OpenSSL's client says it in the clear, where TLS 1.3 does not expect it.
    result = ask(ready, ca="/run/other-ca.pem")
    assert result.alone.startswith("client: the server's certificate is not of the CA in ca.pem: ")
    said = ready.bash(STRICT + 'explain_handshake "remote error" "$1"', result.log).stdout
    assert said.startswith("client: it refused the server's certificate")


# ---- No handshake at all ----------------------------------------------------


def test_a_port_on_which_nothing_listens(ready: Host) -> None:
    said = "server: nothing listens on this address and port: start dockerd there, or run 20-configure-daemon.sh"
    assert ask(ready, port=2).alone == said
    # docker has the same words for a name without an address.
    said = "server: nothing listens at {}, or its name has no address here: start dockerd there, or run "
    for address in ("localhost:2", "nowhere.invalid:2376"):
        assert docker(ready, address=address).startswith(said.format(f"tcp://{address}"))


def test_a_name_without_an_address(ready: Host) -> None:
    said = "client: the host's name has no address here: add it to the DNS or to /etc/hosts"
    assert ask(ready, name="nowhere.invalid", address="nowhere.invalid", port=3).alone == said


def test_no_way_to_the_host(ready: Host) -> None:
    ready.run(["ip", "route", "add", "unreachable", "192.0.2.99"], check=False)
    said = "client: there is no way to this address: look at the network between them"
    assert ask(ready, name="192.0.2.99", address="192.0.2.99", port=4).alone == said
    assert docker(ready, address="192.0.2.99:2376") == f"{said}\n"


def test_no_answer(ready: Host) -> None:
    """A port that accepts and never says a word; the limits of both programs are shortened here."""
    script = 'explain_handshake ""; explain_handshake "Get \\"https://x/\\": context deadline exceeded"'
    said = "client: no answer in time: is the host up, does a firewall drop the packets?\n"
    assert ready.bash(STRICT + script).stdout == said * 2


# ---- The client's own files -------------------------------------------------


def test_a_file_that_is_not_there(ready: Host) -> None:
    words = ("--tlsverify", "--tlscacert", "/root/none/ca.pem")
    assert docker(ready, *words) == "client: /root/none/ca.pem is not there: run 20-configure-client.sh\n"


def test_a_key_of_another_certificate(ready: Host) -> None:
    said = "client: the key belongs to another certificate: install both from one run\n"
    assert docker(ready, pair=(GOOD[0], SERVERS_OWN[1])) == said


def test_a_context_that_is_not_there(ready: Host) -> None:
    script = 'said=$(docker --context nothing ps 2>&1) && exit 9; explain_handshake "$said"'
    said = "client: there is no docker context nothing: run 20-configure-client.sh\n"
    assert ready.bash(STRICT + script).stdout == said


def test_what_is_not_known_is_shown_as_it_is(ready: Host) -> None:
    script = 'explain_handshake "the moon is in the way"'
    said = "client: the moon is in the way: no known reason; journalctl --unit docker.service on that host says more\n"
    assert ready.bash(STRICT + script).stdout == said
