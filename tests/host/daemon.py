"""The daemon's script as the tests run it: on a host, without a terminal, beside what stands in its way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dockseal.lab import Host, Result
from tests.host.support import (
    DAEMON,
    WORK,
    changed,
    dockerd,
    refuses,
)

SCRIPT = f"/root/out/{DAEMON}"
FOLDER = f"{WORK}/hosts/localhost"
ERROR = f"error: {DAEMON}:"
UNTOUCHED = "nothing was changed"
UNIT = "/etc/systemd/system/docker.service"


@contextmanager
def kept(host: Host, *paths: str) -> Iterator[None]:
    """Put these files back at the end, as they are now, and remove those that are not there now."""
    host.run(["tar", "-C", "/", "-c", "-f", "/run/kept.tar", "--ignore-failed-read", *paths], check=False)
    try:
        yield
    finally:
        host.bash('rm -rf "$@" && tar -C / -x -p -f /run/kept.tar && systemctl daemon-reload', *paths)


def configure(host: Host, *words: str, script: str = SCRIPT) -> Result:
    """Run the daemon's script without a terminal and return what came of it."""
    return host.run(["bash", script, "--yes", *words], check=False)


def refused(host: Host, message: str, script: str = SCRIPT) -> None:
    """See the script refuse with this message before it changes anything, with --check too."""
    refuses(host, ["bash", script, "--yes"], f"{ERROR} {message}; {UNTOUCHED}")
    assert host.run(["bash", script, "--check"], check=False).stderr == f"{ERROR} {message}; {UNTOUCHED}\n"


def write_unit(host: Host, command: str) -> None:
    """Let the unit be the stock one with another command; nothing is restarted."""
    stock = host.read("/lib/systemd/system/docker.service")
    host.write(UNIT, re.sub(r"^ExecStart=.*$", lambda _: f"ExecStart={command}", stock, flags=re.MULTILINE))
    host.run(["systemctl", "daemon-reload"])


def ping(host: Host, port: int = 2376) -> str:
    """Ask the daemon through TCP with the client's certificate."""
    client = f"{WORK}/clients/client"
    words = [
        *("docker", "-H", f"tcp://localhost:{port}", "--tlsverify", f"--tlscacert={client}/ca-public.pem"),
        *(f"--tlscert={client}/client-certificate.pem", f"--tlskey={client}/client-key.pem"),
    ]
    return host.run([*words, "version", "--format", "{{.Server.Version}}"], check=False).stdout.strip()


def sign(host: Host, certificate: str, clock: str) -> None:
    """Sign the server's certificate anew with the real CA, for 30 days from another day."""
    ca = f"{WORK}/ca"
    host.bash(
        """
        cat >/run/extensions <<'END'
subjectAltName = DNS:localhost,IP:127.0.0.1
extendedKeyUsage = serverAuth
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
        openssl req -new -subj /CN=localhost -key "$1" -out /run/request
        faketime "$5" openssl x509 -req -days 30 -sha256 -in /run/request -CA "$2" -CAkey "$3" \
          -passin file:/root/passphrase -set_serial 7 -extfile /run/extensions -out "$4"
        """,
        f"{FOLDER}/server-key.pem",
        f"{ca}/ca-public.pem",
        f"{ca}/ca-private.pem",
        certificate,
        clock,
    )


@contextmanager
def fake_dockerd(host: Host, refused_argument: str) -> Iterator[None]:
    """Put a fake in dockerd's place: it fails when it is given this argument and is dockerd otherwise."""
    real = dockerd(host)
    host.run(["mv", real, f"{real}.real"])
    host.write(
        real,
        "#!/bin/sh\n"
        "# A fake: no real dockerd can be had that accepts the old flags and not the new ones.\n"
        f'case " $* " in *" {refused_argument} "*) echo "fake dockerd: no {refused_argument}" >&2; exit 1 ;; esac\n'
        f'exec {real}.real "$@"\n',
        0o755,
    )
    try:
        yield
    finally:
        host.run(["mv", f"{real}.real", real])
        restart(host)


def restart(host: Host) -> None:
    """Start dockerd anew, however it ended."""
    units = "docker.service docker.socket"
    host.bash(
        f"systemctl daemon-reload; systemctl stop {units}; systemctl reset-failed {units}; systemctl start {units}"
    )


def rolled_back(host: Host, result: Result, problem: str, said: str) -> None:
    """See that the run failed with the problem and the daemon's words, and that dockerd runs."""
    assert result.status == 1
    assert f"{DAEMON}: {problem}; putting the previous state back\n" in result.stderr, result.stderr
    last = f"{ERROR} {problem}; the previous state is back and docker.service runs with it\n"
    assert result.stderr.endswith(last)
    log = result.stderr.partition("---- the daemon said ----\n")[2].removesuffix(f"----\n{last}")
    assert said in log
    assert host.run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout.strip()


def problem_in(result: Result) -> str:
    """Return the problem for which the previous state was put back."""
    found = re.search(rf"^{DAEMON}: (.*); putting the previous state back$", result.stderr, re.MULTILINE)
    assert found is not None, result.stderr
    return found[1]


def impatient(host: Host, script: str = SCRIPT) -> str:
    """Copy the script beside itself with 2 seconds to wait in place of 30, and nothing else different."""
    return changed(host, script, ("SECONDS + 30", "SECONDS + 2"))
