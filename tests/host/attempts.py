"""Attempts to talk to dockerd, with what the caller saw and what dockerd's log says of it."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dockseal.lab import Host
from tests.host.support import BUSYBOX, WORK

PORT = 2376
CA = f"{WORK}/ca/ca-public.pem"
REQUEST = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
MARK = "---- dockerd's log ----"
# $1 is the request, the rest the command. dockerd logs a refused handshake a
# moment later: wait for that line, unless there was an answer.
SCRIPT = r"""
cursor=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor)
request=$1
shift
printf '%s' "$request" | timeout 10 "$@" 2>&1 | tee /run/attempt || true
printf '\n%s\n' "---- dockerd's log ----"
if grep --quiet 'HTTP/1.1 200 OK' /run/attempt; then exit; fi
deadline=$((SECONDS + 10))
until [[ ${text:-} == *'TLS handshake error'* ]] || ((SECONDS > deadline)); do
  text=$(journalctl --unit docker.service --quiet --output cat --after-cursor "${cursor#*cursor: }")
done
printf '%s\n' "$text"
"""


@dataclass(frozen=True)
class Attempt:
    """What came of a connection."""

    said: str  # by the caller's program
    logged: str  # by dockerd

    @property
    def answered(self) -> bool:
        """Tell whether the Docker API answered the request."""
        return "HTTP/1.1 200 OK" in self.said and self.said.rstrip().endswith("OK")


def attempt(host: Host, argv: Sequence[str]) -> Attempt:
    """Run a command that is given a request for /_ping; it must get an answer or make dockerd log a handshake."""
    text = host.bash(SCRIPT, REQUEST.decode(), *argv).stdout
    said, _, logged = text.partition(MARK)
    return Attempt(said, logged)


def s_client(*options: str, port: int = PORT, ca: str = CA, name: str = "localhost") -> list[str]:
    """Return the command that asks dockerd over TLS, refusing a server that is not `name`."""
    words = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", "-CAfile", ca]
    return [*words, "-verify_return_error", "-verify_hostname", name, *options]


def docker(certificate: str, key: str, *words: str, name: str = "localhost", ca: str = CA) -> list[str]:
    """Return a docker command with the documented flags."""
    tls = ["--tlsverify", f"--tlscacert={ca}", f"--tlscert={certificate}", f"--tlskey={key}"]
    return ["docker", "-H", f"tcp://{name}:{PORT}", *tls, *words]


@contextmanager
def stream(host: Host, address: str = "127.0.0.1", port: int = PORT) -> Iterator[socket.socket]:
    """Yield a socket of this process that is joined to a port of the host."""
    here, there = socket.socketpair()
    argv = host.command([BUSYBOX, "nc", address, str(port)])
    with (
        here,
        there,
        subprocess.Popen(argv, stdin=there.fileno(), stdout=there.fileno(), env=host.engine.env) as process,
    ):
        there.close()
        here.settimeout(20)
        try:
            yield here
        finally:
            here.close()
            process.kill()


def ask_in_plain_text(host: Host, port: int) -> str:
    """Send the request without TLS and return what comes back."""
    with stream(host, port=port) as plain:
        plain.sendall(REQUEST)
        plain.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: plain.recv(4096), b"")).decode()


def ask_strictly(host: Host, name: str, ca: str, certificate: str, key: str) -> str:
    """Ask dockerd from this process with Python's ssl, as strict as Python 3.13 is; the files are this machine's."""
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(certificate, key)
    with stream(host) as plain, context.wrap_socket(plain, server_hostname=name) as secured:
        secured.sendall(REQUEST)
        return b"".join(iter(lambda: secured.recv(4096), b"")).decode()
