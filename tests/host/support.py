"""What the tests of the scripts share: a site with small keys, its passphrase, and how a script is run and refuses."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dockseal.lab import Host, Result, Terminal
from dockseal.lab.rehearse import AGAIN, CONFIRM
from dockseal.lab.rehearse import PASSPHRASE as PROMPT
from dockseal.output.reading import LOADS
from tests.sites import render

# Characters that a shell, printf and a list of words would each spoil.
PASSPHRASE = "correct $horse 'battery'  staple %s *"
PASSPHRASE_FILE = "/root/passphrase"
UNATTENDED = ("--yes", "--passphrase-file", PASSPHRASE_FILE)

NAME = "localhost"
WORK = "/root/docker-tls"
DROP_IN = "/etc/systemd/system/docker.service.d/override.conf"
TLS = "/etc/docker/tls"
# Debian's unit reads $DOCKER_OPTS there; that of Docker's own packages reads no file.
OPTIONS = "/etc/default/docker"
# One transaction restarts both; one by one, the socket refuses once dockerd is on its way.
RESTART = """
systemctl daemon-reload
systemctl reset-failed docker.service docker.socket
systemctl restart docker.socket
systemctl start docker.service
"""
# What --undo of a daemon leaves: empty, and gone with the next start of the machine.
LOCK = "+ file /run/dockseal.lock  f 600 0:0 e3b0c44298fc"
# For the tests, and off the PATH of the scripts, which would make an image of it.
BUSYBOX = "/opt/tests/busybox"

# The scripts that make certificates, in order.
CERTIFICATE_STEPS = (
    "ca/10-create-ca.sh",
    "hosts/localhost/10-request-certificate.sh",
    "ca/20-sign-servers.sh",
    "clients/client/10-request-certificate.sh",
    "ca/30-sign-clients.sh",
)
DAEMON = "hosts/localhost/20-configure-daemon.sh"
CLIENT = "clients/client/20-configure-client.sh"
SHOW = "hosts/localhost/40-show-namespaces.sh"
VERIFY_HOST = "hosts/localhost/90-verify.sh"
VERIFY_CLIENT = "clients/client/90-verify.sh"
# Controls of a host with no networks that are only shown in throwaway containers.
OF_PACKETS = {f"ICC-{number}" for number in (3, 4, 5)}
# And those that a host without user namespaces has no use for.
OF_USER_NAMESPACES = {"USERNS-1", "USERNS-2"}
# The keys of a line of --json, in order.
KEYS = ["machine", "script", "version", "id", "result", "what", "asked", "evidence", "remedy", "benchmark"]
# What every run of a verify script in these tests is given.
VERIFY_OPTIONS: dict[str, tuple[str, ...]] = {VERIFY_HOST: (), VERIFY_CLIENT: ()}

# A file's time of change cannot be set back: whatever is written or replaced shows. What a run locks is no change.
WATCH = r"""
state() {
  find /etc /root -type d -printf '%p %m %U\n' -o ! -name .lock -printf '%p %i %C@ %m %l\n' | sort
  systemctl show --property=MainPID,ActiveEnterTimestampMonotonic docker.service docker.socket 2>/dev/null
}
before=$(state)
"$@"
status=$?
after=$(state)
printf '\0'
[[ $before == "$after" ]] || diff <(printf '%s\n' "$before") <(printf '%s\n' "$after")
exit "$status"
"""

__all__ = ["AGAIN", "CONFIRM", "PROMPT"]


def site(key: str = "ec:P-256", listen: str = "127.0.0.1:2376", address: str = "127.0.0.1", more: str = "") -> str:
    """Return the text of a site of one host and one client on the same machine; `more` is of the client."""
    return f"""\
ca:
  key: {key}
hosts:
  - name: localhost
    ip_addresses: ["{address}"]
    listen: "{listen}"
    key: {key}
clients:
  - name: client
    key: {key}
{more}"""


def install(host: Host, scratch: Path, text: str = "", to: str = "/root/out") -> None:
    """Render a site, copy its scripts to a host, and put the passphrase beside them."""
    folder = render(text or site(), scratch / to.strip("/").replace("/", "-"))
    host.copy_in(folder, to)
    host.write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)


def setup(host: Host, *words: str, check: bool = True, cwd: str = "/root") -> Result:
    """Run setup.sh without a terminal."""
    return host.run(["bash", "/root/out/setup.sh", *words], check=check, cwd=cwd)


def whole(host: Host, script: str) -> str:
    """Return the text of a script on a host, with the library's files in the places where it loads them."""
    text = host.read(script)
    library = re.search(r'^\. "\$\{lib%((?:/\*)+)\}/lib/begin\.sh"$', text, re.MULTILINE)
    if library is None:
        return text  # it is whole already
    folder = f"{script.rsplit('/', library[1].count('*'))[0]}/lib"
    text = LOADS.sub(lambda match: host.read(f"{folder}/{match[1]}"), text)
    return text.replace("lib=${BASH_SOURCE[0]%/*}", f"lib={folder}")


def changed(host: Host, script: str, *changes: tuple[str, str]) -> str:
    """Write a whole script beside itself, with some places changed that are there once; return the copy's path."""
    text = whole(host, script)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = f"{script.removesuffix('.sh')}-changed.sh"
    host.write(path, text)
    return path


def assert_interrupted(terminal: Terminal) -> None:
    """See that Ctrl-C has ended a script, and that it says nothing of a failure; docker may say that it was ended.

    Where the key comes while bash 5.2 reads the very command substitution that it runs next, it takes the trap for a
    part of that, says so, and ends with status 2: no script can mend that, and what it leaves is the same.
    """
    status, text = terminal.wait(), terminal.transcript.text
    assert status == 130 or (status == 2 and "interrupt trap: " in text), (status, text[-2000:])
    assert re.search("^error: (hosts|clients|ca)/", text, re.MULTILINE) is None, text[-2000:]


def trapped(host: Host, script: str, trap: str) -> str:
    """Set a trap in a copy of a script, behind its clean start; return the path of the copy."""
    text = whole(host, script)
    assert text.count("\nreadonly script=") == 1
    host.write("/root/trapped.sh", text.replace("\nreadonly script=", f"\n{trap}\nreadonly script="))
    return "/root/trapped.sh"


def keep_busybox(host: Host, *, on_path: bool) -> None:
    """Keep a host's static busybox where only the tests look, and on PATH too or not."""
    host.bash('install -D /bin/busybox "$1"; [[ $2 == True ]] || rm /bin/busybox', BUSYBOX, str(on_path))


def verify(host: Host, script: str, *words: str, env: Mapping[str, str] | None = None) -> Result:
    """Run a verify script without a terminal; a control that does not hold is no error here."""
    return host.run(["bash", f"/root/out/{script}", *VERIFY_OPTIONS[script], *words], check=False, env=env)


def read_folder(host: Host, folder: str) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its path there."""
    octets = host.run(["tar", "-C", folder, "-c", "--transform", "s,^[.]/,,", "."]).octets
    with tarfile.open(fileobj=io.BytesIO(octets)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def make_certificates(host: Host, *words: str) -> None:
    """Make the CA and both certificates, and configure nothing."""
    setup(host, *CERTIFICATE_STEPS, *UNATTENDED, *words)


def watched(host: Host, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> tuple[Result, str]:
    """Run a command without a terminal; return what came of it, and what it changed or restarted."""
    result = host.run(["bash", "-c", WATCH, "bash", *argv], check=False, env=env)
    octets, _, changes = result.octets.rpartition(b"\0")
    return replace(result, octets=octets), changes.decode()


def refuses(
    host: Host, argv: Sequence[str], said: str, *, env: Mapping[str, str] | None = None, status: int = 2
) -> None:
    """Run a command that must say exactly this on standard error, and change and restart nothing."""
    result, changes = watched(host, argv, env=env)
    assert result.stderr == f"{said}\n"
    assert (result.status, result.stdout, changes) == (status, "", "")


def stops(host: Host, argv: Sequence[str], said: str) -> None:
    """Run a command that must say exactly this in the end, and change and restart nothing."""
    result, changes = watched(host, argv)
    assert f"\n{result.stderr}".endswith(f"\n{said}\n"), result.stderr
    assert (result.status, result.stdout, changes) == (2, "", "")


def answer(terminal: Terminal, *secrets: str) -> None:
    """Answer the two questions for a new passphrase."""
    for prompt, secret in zip((PROMPT, AGAIN), secrets, strict=True):
        assert terminal.expect(prompt) == 0
        terminal.answer_secretly(secret)


def controls(text: str) -> list[tuple[str, str]]:
    """Return the id and the result of each line of a verify script's table."""
    return re.findall(r"^((?:[A-Z]+-)+[0-9]+) +(PASS|FAIL|SKIP)  ", text, re.MULTILINE)


def main_pid(host: Host) -> int:
    """Return the process of the docker daemon, 0 where there is none."""
    return int(host.run(["systemctl", "show", "--property=MainPID", "--value", "docker.service"]).stdout)


def arguments(host: Host) -> list[str]:
    """Return the command line of the running docker daemon."""
    return host.read(f"/proc/{main_pid(host)}/cmdline").rstrip("\0").split("\0")


def dockerd(host: Host) -> str:
    """Return the path of dockerd, which Debian's packages and Docker's own have in different places."""
    return host.bash("command -v dockerd").stdout.strip()


def digest(host: Host, certificate: str) -> str:
    """Return the sha256 of a certificate as people compare it."""
    return host.bash('openssl x509 -in "$1" -outform DER | sha256sum', certificate).stdout.split()[0]


def run_container(host: Host) -> None:
    """Run a container that does nothing, from an image that holds a static busybox."""
    host.bash(
        f"mkdir -p /run/image/bin && cp {BUSYBOX} /run/image/bin/cat && "
        "tar -C /run/image -c . | docker import - tiny >/dev/null && "
        "docker run --detach --tty --stop-signal KILL tiny cat"
    )
