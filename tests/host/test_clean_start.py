"""Facts about what the programs that a script runs are given, and about locks that another user would hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockseal.lab import Host
from tests.host.support import (
    BUSYBOX,
    CERTIFICATE_STEPS,
    CLIENT,
    DAEMON,
    NAME,
    PASSPHRASE,
    UNATTENDED,
    VERIFY_HOST,
    WORK,
    install,
    setup,
    site,
)

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
NETWORKS, WATCH = f"hosts/{NAME}/30-create-networks.sh", f"hosts/{NAME}/60-watch-expiry.sh"
TRIED = 'exec 9<"$1" && flock --nonblock 9'


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with the scripts of a site that has a network."""
    networks = f"  - name: {NAME}\n    networks: [{{name: shared, icc: true}}]\n"
    text = site().replace(f"  - name: {NAME}\n", networks, 1)
    install(host, tmp_path_factory.mktemp("scripts"), text)
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


# What a caller may have exported: each would note that it was called.
CALLED = ("docker", "openssl", "cp", "systemctl", "cd", "mv", "ip", "unshare", "timeout", "flock", "grep", "command")
EXPORTED = {f"BASH_FUNC_{name}%%": "() { builtin printf x >>/run/called; return 1; }" for name in CALLED} | {
    "BASH_ENV": "/run/startup",
    "ENV": "/run/startup",
    "CDPATH": "/",
    "GLOBIGNORE": "*",
    "SHELLOPTS": "noglob:physical",
}


def test_what_a_caller_exports_is_called_by_no_script_of_a_host(ready: Host) -> None:
    """From the first request to --undo. The control: a bare bash calls it."""
    ready.write("/run/startup", "dockerd() { builtin printf x >>/run/called; }; systemd-run() { dockerd; }\n")
    ready.run(["cp", BUSYBOX, "/usr/local/bin/busybox"])
    work = ("--dir", "/root/exported")
    party = f"hosts/{NAME}"
    for step, *words in (
        ("setup.sh", *work, *UNATTENDED),
        (f"{party}/40-show-namespaces.sh", *work),
        (WATCH, *work),
        (WATCH, "--now", *work),
        (VERIFY_HOST, *work),
        (f"{party}/91-prove-isolation.sh", *work),
        ("setup.sh", "--undo", "--remove-keys", "--yes", *work),
    ):
        done = ready.run(["bash", f"/root/out/{step}", *words], env=EXPORTED, check=False)
        assert done.status == 0, (step, done.output)
    ready.run(["rm", "/usr/local/bin/busybox"])
    assert not ready.exists("/run/called")
    assert not ready.exists("/root/exported/ca/ca-private.pem")
    ready.run(["bash", "-c", "docker; systemd-run"], env=EXPORTED, check=False)
    assert ready.read("/run/called") == "xx"


# Another user's process that locks what it can open there, and says what that is.
HOLDS = """
exec >/run/nobody/part
while IFS= read -r file; do
  exec {held}<"$file" && flock --nonblock "$held" && printf '%s\\n' "$file"
done < <(find "$@" -xdev '(' -type f -o -type d ')' -readable 2>/dev/null)
mv /run/nobody/part /run/nobody/held
sleep infinity
"""
FOLDERS = ("/etc/systemd/system", "/etc/docker", "/root", "/usr/local/lib/dockseal")


def test_another_user_can_hold_no_lock(ready: Host) -> None:
    """The control: what he holds are the folders and files of every script that follows."""
    setup(ready, *CERTIFICATE_STEPS, DAEMON, CLIENT, NETWORKS, WATCH, *UNATTENDED)
    locks = {"/run/dockseal.lock", *(f"{WORK}/{party}/.lock" for party in ("ca", f"hosts/{NAME}", "clients/client"))}
    for path in locks:
        ready.bash(TRIED, path)
        nobody = ready.run(["runuser", "-u", "nobody", "--", "bash", "-c", TRIED, "bash", path], check=False)
        assert nobody.status != 0, path
    # What another user can open and lock stops nothing.
    ready.bash(
        'chmod o+rx /root /root/.docker $(find "$1" -type d); install -d -o nobody /run/nobody; shift\n'
        'systemd-run --quiet --unit holds --property User=nobody --property LimitNOFILE=65536 bash -c "$@"\n'
        "timeout 30 bash -c 'until [[ -e /run/nobody/held ]]; do systemctl --quiet is-active holds; done'",
        WORK,
        HOLDS,
        "bash",
        "/run",
        *FOLDERS,
    )
    held = {*ready.read("/run/nobody/held").splitlines()}
    folders = {path.rpartition("/")[0] for path in locks}
    assert held > {*folders, *FOLDERS, "/root/.docker/ca.pem", f"/root/out/{DAEMON}"}
    assert held & locks == set()
    try:
        for step, *words in (
            (NETWORKS, "--undo"),
            (WATCH, "--undo"),
            (CLIENT, "--undo"),
            (DAEMON, "--undo", "--yes"),
            (DAEMON, "--yes"),
            (CLIENT,),
            (WATCH,),
            (NETWORKS,),
            ("ca/70-back-up-ca.sh", "--to", "/root/back-up", *UNATTENDED[1:]),
            (VERIFY_HOST,),
        ):
            done = ready.run(["bash", f"/root/out/{step}", *words], check=False, timeout=60)
            assert done.status == 0, (step, done.output)
    finally:
        ready.bash("systemctl stop holds; chmod 700 /root")


def test_a_lock_that_is_left_stops_nobody(ready: Host, tmp_path: Path) -> None:
    ready.bash("mkdir -p -m 0700 /root/left/ca && touch /root/left/ca/.lock && chmod 644 /root/left/ca/.lock")
    ready.run(["bash", "/root/out/ca/10-create-ca.sh", "--dir", "/root/left", *UNATTENDED])
    assert ready.bash("stat -c %a /root/left/ca/.lock").stdout == "600\n"
