"""Facts about what the programs that a script runs are given, and about locks that another user would hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockseal.lab import Host
from tests.host.support import DAEMON, PASSPHRASE, UNATTENDED, VERIFY_HOST, install, make_certificates, setup

pytestmark = [pytest.mark.one_release, pytest.mark.no_probe_image]

# Stands for a program: notes its own environment, arguments and open files, and runs the program.
SPY = """\
#!/bin/dash
pipes=
for number in 3 4 5 6 7 8 9 10 11 12 60 61 62 63; do
  [ ! -p "/proc/$$/fd/$number" ] || pipes="$pipes $number"
done
{
  printf 'program %s\\n' "$0"
  tr '\\0' '\\n' <"/proc/$$/environ"
  tr '\\0' '\\n' <"/proc/$$/cmdline"
  printf 'pipes:%s\\n' "$pipes"
} >>/run/spied 2>/dev/null
exec "/usr/bin/${0##*/}" "$@"
"""
SPIED = (
    "openssl",
    "stat",
    "mkdir",
    "realpath",
    "flock",
    "sync",
    "mv",
    "chmod",
    "date",
    "sha256sum",
    "id",
    "cmp",
)
TRIED = 'exec 9<"$1" && flock --nonblock 9'


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with the scripts."""
    install(host, tmp_path_factory.mktemp("scripts"))
    return host


def test_no_program_but_openssl_gets_the_passphrase(ready: Host) -> None:
    for name in SPIED:
        ready.write(f"/usr/local/sbin/{name}", SPY, 0o755)
    ready.run(
        ["bash", "/root/out/setup.sh", "--as", "ca", "--dir", "/root/spied", *UNATTENDED],
        env={"passphrase": "exported before"},
        check=False,
    )
    ready.bash("rm -- /root/docker-tls.link " + " ".join(f"/usr/local/sbin/{name}" for name in SPIED))
    told = ready.read("/run/spied")
    assert ready.exists("/root/spied/ca/ca-private.pem")
    assert PASSPHRASE not in told
    assert "exported before" not in told
    runs = told.split("program /usr/local/sbin/")[1:]
    assert {run.split()[0] for run in runs} == set(SPIED)
    # A text that cmp compares with is its own argument.
    holders = {run.split()[0] for run in runs if "pipes: " in run and "/dev/fd/63\npipes: 63\n" not in run}
    assert holders == {"openssl"}


def test_another_user_can_hold_no_lock(ready: Host) -> None:
    make_certificates(ready)
    setup(ready, DAEMON, *UNATTENDED)
    for path in ("/run/dockseal.lock", "/root/docker-tls/ca/.lock"):
        ready.bash(TRIED, path)
        nobody = ready.run(["runuser", "-u", "nobody", "--", "bash", "-c", TRIED, "bash", path], check=False)
        assert nobody.status != 0, path
    # What another user can open and lock stops nothing.
    line = (
        "for file in /run /etc/systemd/system /etc/docker /root; do ( "
        + TRIED.replace("$1", "$file")
        + " && sleep 300 ) & done; "
    )
    ready.bash(f"runuser -u nobody -- bash -c {line!r}' wait' >/dev/null 2>&1 & echo $! >/run/nobody.pid")
    try:
        assert ready.run(["bash", f"/root/out/{DAEMON}", "--undo", "--yes"], timeout=60).status == 0
        assert ready.run(["bash", f"/root/out/{DAEMON}", "--yes"], timeout=60).status == 0
        assert ready.run(["bash", f"/root/out/{VERIFY_HOST}"], check=False, timeout=60).status == 0
    finally:
        ready.bash("pkill -u nobody || true")


def test_a_lock_that_is_left_stops_nobody(ready: Host, tmp_path: Path) -> None:
    ready.bash("mkdir -p -m 0700 /root/left/ca && touch /root/left/ca/.lock && chmod 644 /root/left/ca/.lock")
    ready.run(["bash", "/root/out/ca/10-create-ca.sh", "--dir", "/root/left", *UNATTENDED])
    assert ready.bash("stat -c %a /root/left/ca/.lock").stdout == "600\n"
