"""Verification and the switch of dockerd while another user of the machine does what any user can."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dockseal.lab import Host
from tests.host.authority import DAY, SERVER, issue, real_authority
from tests.host.support import NAME, RESTART, TLS, UNATTENDED, VERIFY_HOST, install, setup, site, verify

WATCH = f"hosts/{NAME}/60-watch-expiry.sh"
pytestmark = [pytest.mark.no_probe_image, pytest.mark.one_release]
LOGGED = {f"TLS-{number}" for number in range(2, 8)}
# Who listens on port 2375 and takes no connection, with a queue that is full.
FULL_QUEUE = """
cat >/run/full.pl <<'END'
use IO::Socket::INET;
my $address = "127.0.0.1:2375";
my $server = IO::Socket::INET->new(LocalAddr => $address, Listen => 1) or die;
my @clients = map { IO::Socket::INET->new(PeerAddr => $address) or die } 1, 2;
sleep;
END
systemd-run --quiet --unit full --property User=games perl /run/full.pl
timeout 20 bash -c 'until ss -ltn | grep --quiet "2 *1 *127.0.0.1:2375"; do :; done'
"""
# Connections that break off before they are a handshake, a hundred a second.
JUNK = """
systemd-run --quiet --unit junk --property User=games bash -c '
while :; do printf "this is no handshake" >/dev/tcp/127.0.0.1/2376; sleep 0.01; done'
timeout 20 bash -c '
until journalctl --unit docker.service --output cat --lines 1 | grep --quiet does.not.look; do :; done'
"""
# Who takes connections on dockerd's port and never answers.
SILENT = """
cat >/run/silent.pl <<'END'
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1:2376", Listen => 9, ReuseAddr => 1) or die;
my @clients;
while (my $client = $server->accept) { push @clients, $client }
END
systemd-run --quiet --unit silent --property User=games perl /run/silent.pl
timeout 20 bash -c 'until ss -ltn | grep --quiet 127.0.0.1:2376; do :; done'
"""


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up."""
    install(host, tmp_path_factory.mktemp("site"), site())
    setup(host, *UNATTENDED)
    return host


@pytest.fixture
def junk(ready: Host) -> Iterator[None]:
    """The same host while another user sends junk to dockerd's port."""
    ready.bash(JUNK)
    yield
    ready.run(["systemctl", "stop", "junk.service"])


def judge(host: Host) -> dict[str, dict[str, str]]:
    """Run the host's verify script; return its controls by id."""
    result = verify(host, VERIFY_HOST, "--json")
    assert result.stderr == ""
    return {control["id"]: control for control in map(json.loads, result.stdout.splitlines())}


def failed(found: dict[str, dict[str, str]]) -> set[str]:
    """Return the ids of the controls that do not hold."""
    return {name for name, control in found.items() if control["result"] == "FAIL"}


# ---- Junk in dockerd's log --------------------------------------------------


def test_a_refusal_is_judged_by_what_the_log_says_of_that_connection(ready: Host, junk: None) -> None:
    found = judge(ready)
    assert failed(found) == set(), found
    for name in LOGGED:
        assert "daemon: 127.0.0.1:" in found[name]["evidence"], found[name]


def test_a_refusal_for_another_reason_is_still_found(ready: Host, junk: None) -> None:
    """An expired certificate says nothing of what a server's certificate is refused for."""
    path = f"{TLS}/certificate.pem"
    key = serialization.load_pem_private_key(ready.read_bytes(f"{TLS}/server-key.pem"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    pair = issue(real_authority(ready), NAME, SERVER, key=key, names=(NAME, "127.0.0.1"), begins=-9 * DAY, ends=-DAY)
    ready.bash(f"cp -a {path} /run/good.pem")
    ready.write(path, pair.certificate_pem)
    found = judge(ready)
    ready.bash(f"cp -a /run/good.pem {path}; {RESTART}")
    assert failed(found) & LOGGED == {"TLS-6"}
    said = r"the daemon gave another reason: 127\.0\.0\.1:\d+: .*certificate has expired"
    assert re.match(said, found["TLS-6"]["evidence"])


# ---- Nobody takes the connection --------------------------------------------


@pytest.fixture
def full_queue(ready: Host) -> Iterator[None]:
    """The same host where another user listens on port 2375 and takes no connection."""
    ready.bash(FULL_QUEUE)
    yield
    ready.run(["systemctl", "stop", "full.service"])


def test_who_takes_no_connection_on_port_2375_is_found_without_long_waits(ready: Host, full_queue: None) -> None:
    argv = ["timeout", "90", "bash", f"/root/out/{VERIFY_HOST}", "--json"]
    result = ready.run(argv, check=False)
    found = {control["id"]: control for control in map(json.loads, result.stdout.splitlines())}
    assert (result.status, failed(found)) == (4, {"TLS-9"})
    assert found["TLS-9"]["evidence"] == "something listens on 127.0.0.1:2375"


# ---- Ctrl-C while somebody lets a script wait -------------------------------


@pytest.fixture
def silence(ready: Host) -> Iterator[None]:
    """The same host where in dockerd's place somebody takes connections and says nothing."""
    ready.bash("systemctl stop docker.socket docker.service")
    ready.bash(SILENT)
    yield
    ready.bash("systemctl stop silent.service; systemctl start docker.socket docker.service")


def test_ctrl_c_ends_a_script_that_waits_for_an_answer(ready: Host, silence: None) -> None:
    """A program in a process group of its own would not get the key, and bash would wait and go on."""
    terminal = ready.spawn(["bash", f"/root/out/{WATCH}", "--now"])
    ready.bash("until ss -tnH state established '( dport = 2376 )' | grep -q .; do :; done", timeout=60)
    terminal.interrupt()
    assert terminal.wait() == 130
    assert "shows no certificate" not in terminal.transcript.text


def test_an_answer_that_never_comes_is_said(ready: Host, silence: None) -> None:
    """The control of the test above."""
    result = ready.run(["bash", f"/root/out/{WATCH}", "--now"], check=False)
    assert (result.status, "shows no certificate" in result.stdout) == (4, True), result
