"""What the docker commands of several versions print when they fail, and the sentence that explains it, by bash alone.

The lines of 20.10.24 and 28.2.2 were recorded at a dockerd 20.10.24, the line of 29 is what that version prints.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.sites import TEMPLATES, library

OPEN = "/root/.docker/contexts/meta/283bb9deef02e684/meta.json: no such file or directory"
LINES = [
    (
        "20.10.24",
        'error during connect: Get "https://127.0.0.2:2376/v1.24/containers/json": '
        "x509: certificate is valid for 127.0.0.1, not 127.0.0.2",
        "client: the certificate is valid for 127.0.0.1, not 127.0.0.2: ",
    ),
    (
        "28.2.2",
        'error during connect: Get "https://127.0.0.2:2376/v1.50/containers/json": tls: failed to verify certificate: '
        "x509: certificate is valid for 127.0.0.1, not 127.0.0.2",
        "client: the certificate is valid for 127.0.0.1, not 127.0.0.2: ",
    ),
    (
        "20.10.24",
        'unable to resolve docker endpoint: context "gone" does not exist',
        "client: there is no docker context gone: ",
    ),
    (
        "28.2.2",
        f'Failed to initialize: unable to resolve docker endpoint: context "gone": context not found: open {OPEN}',
        "client: there is no docker context gone: ",
    ),
    (
        "20.10.24",
        "unable to resolve docker endpoint: open /gone: no such file or directory",
        "client: /gone is not there: ",
    ),
    (
        "28.2.2",
        "Failed to initialize: unable to resolve docker endpoint: open /gone: no such file or directory",
        "client: /gone is not there: ",
    ),
    (
        "20.10.24",
        "failed to retrieve context tls info: ca.pem seems invalid",
        "client: its ca.pem holds no certificate: ",
    ),
    (
        "28.2.2",
        "Failed to initialize: failed to retrieve context tls info: ca.pem seems invalid",
        "client: its ca.pem holds no certificate: ",
    ),
    (
        "28.2.2",
        "Failed to initialize: failed to retrieve context tls info: tls: private key does not match public key",
        "client: the key belongs to another certificate: ",
    ),
    (
        "28.2.2",
        "Cannot connect to the Docker daemon at tcp://nowhere.invalid:2376. Is the docker daemon running?",
        "server: nothing listens at tcp://nowhere.invalid:2376, or its name has no address here: ",
    ),
    (
        "28.2.2",
        "Error response from daemon: Client sent an HTTP request to an HTTPS server.",
        "server: it speaks TLS and was asked in plain text: ",
    ),
    (
        "28.2.2",
        'error during connect: Get "https://192.0.2.99:2376/v1.50/version": dial tcp 192.0.2.99:2376: connect: '
        "no route to host",
        "client: there is no way to this address: ",
    ),
    (
        "29",
        "dial tcp: lookup docker.example: i/o timeout",
        "client: the host's name has no address here: add it to the DNS or to /etc/hosts",
    ),
    ("29", "dial tcp 192.0.2.99:2376: i/o timeout", "client: no answer in time: "),
]


@pytest.mark.parametrize(("version", "line", "said"), LINES)
def test_each_versions_words_are_explained(version: str, line: str, said: str) -> None:
    loaded = library("handshake", "explain")
    script = f'set -Eeuo pipefail; export LC_ALL=C\n{loaded}\nexplain_handshake "$1"'
    done = subprocess.run(["bash", "-c", script, "bash", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(said), version


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("TLS handshake error from 127.0.0.1:9: tls: client didn't provide a certificate", "server: the client sent"),
        ("x509: certificate signed by unknown authority", "client: the server's certificate is not of the CA"),
    ],
    ids=["of the daemon's log", "of a client"],
)
def test_the_file_alone_explains_a_line(line: str, said: str) -> None:
    done = subprocess.run(["bash", TEMPLATES / "lib" / "explain.sh", line], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(said)
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")
