"""Facts about connections to who takes none, or answers without end: the scripts wait for seconds, not for minutes."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Thread

import pytest

from tests.sites import library

LOADED = ("common", "plain_request", "impostor")
ASK = "probe_address=127.0.0.1 listen_port={port}; ask_in_plain_text /_ping"
KNOCK = "impostor=127.0.0.1:{port}; if is_impostor_free; then printf yes; else printf no; fi"
CONNECT = "if can_connect 127.0.0.1 {port}; then printf yes; else printf no; fi"
LIMIT = 16384


def script(code: str, port: int) -> list[str]:
    """Return bash that runs a piece of code with the functions that connect."""
    verify = library("verify_host")
    connecting = re.findall(r"^(?:connect|can_connect)\(\) {.*?^}$", verify, re.DOTALL | re.MULTILINE)
    text = "\n".join(("set -Eeuo pipefail", library(*LOADED), *connecting, code.format(port=port))).replace("#%", "#")
    return ["bash", "-c", text]


def says(code: str, port: int) -> bytes:
    """Run the code and return what it prints; it must not fail, complain, or take longer than half a minute."""
    done = subprocess.run(script(code, port), capture_output=True, check=True, timeout=30)
    assert done.stderr == b""
    return done.stdout


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full: the kernel answers no further connection."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = server.getsockname()[1]
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        yield port


@contextmanager
def answering(octets: bytes, *, endless: bool = False) -> Iterator[int]:
    """Answer each connection with the octets, once or until the other side hangs up; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.sendall(octets)
                        while endless:
                            connection.sendall(octets)
                    except OSError:
                        pass

        thread = Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_full_queue_is_given_up(full_port: int) -> None:
    """All three at the same time: each waits until its limit."""
    with ThreadPoolExecutor() as pool:
        said = pool.map(says, (ASK, KNOCK, CONNECT), [full_port] * 3)
    assert [*said] == [b"", b"no", b"no"]


def test_who_answers_is_heard() -> None:
    """The positive control of the test above."""
    with answering(b"HTTP/1.1 200 OK\r\n\r\nOK") as port:
        assert says(ASK, port) == b"HTTP/1.1 200 OK\r\n\r\nOK"
        assert says(CONNECT, port) == b"yes"
        assert says(KNOCK, port) == b"yes"


def test_an_answer_without_end_is_cut() -> None:
    with answering(b"x\0" * 512, endless=True) as port:
        assert says(ASK, port) == b"x" * (LIMIT // 2)


def test_nobody_there_is_no_connection() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        assert says(CONNECT, port) == b"no"
        assert says(KNOCK, port) == b"no"
        assert says(ASK, port) == b""


def test_an_answer_is_heard_though_the_server_hangs_up_on_the_request() -> None:
    """It does so before it has read all of it, as dockerd does: the kernel resets the connection."""
    with answering(b"HTTP/1.0 400 Bad Request\r\n\r\n") as port:
        assert says(f"for _ in {{{{1..100}}}}; do {ASK}; done", port) == b"HTTP/1.0 400 Bad Request\r\n\r\n" * 100
