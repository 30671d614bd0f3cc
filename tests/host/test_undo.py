"""After setup.sh --undo --remove-keys a machine is what it was: types, modes, owners and contents of all its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dockseal.lab import RELEASES, UPSTREAM, Host, difference
from dockseal.lab.snapshot import MACHINE, WHOLE
from dockseal.plan.hosts import ACCOUNTS
from tests.host.support import LOCK, UNATTENDED, WORK, install, site
from tests.sites import plan

PLAIN = "hosts:\n  - {name: localhost, mode: plain, listen: '127.0.0.1:2375'}\n"
NETWORKS = "    icc: false\n    networks: [{name: front, icc: false}, {name: back, internal: true}]\nclients:"
# A client who has used docker with another daemon before, and a shell profile with modes and no last line end.
HAD = """
mkdir -m 0755 /root/.docker
for name in ca cert key; do echo "of $name" >"/root/.docker/$name.pem"; done
chmod 0640 /root/.docker/key.pem
docker context create elsewhere --docker host=tcp://192.0.2.1:2376 >/dev/null
docker context use elsewhere >/dev/null
printf 'export A=1' >/root/.bashrc
chmod 0600 /root/.bashrc
"""
LINKED = """
mkdir -m 0750 /srv/dot-docker /srv/profiles
ln -s /srv/dot-docker /root/.docker
echo 'export A=1' >/srv/profiles/bashrc
ln -sf /srv/profiles/bashrc /root/.bashrc
mkdir -p /etc/systemd/system/docker.service.d
"""
TEXTFILES = "/srv/textfiles"
CASES = {
    "mutual": (site().replace("clients:", f"    textfile_directory: {TEXTFILES}\nclients:"), f"mkdir {TEXTFILES}"),
    "no-etc-docker": (site(), ""),  # Docker's own packages make none
    "server-only": (site().replace("    listen:", "    mode: server-only\n    listen:"), ""),
    "plain": (PLAIN, ""),
    "userns": (site().replace("clients:", "    userns_remap: default\nclients:"), ""),
    "networks": (site().replace("clients:", NETWORKS), "mkdir -p /etc/docker; chmod 0750 /etc/docker"),
    "client-with-profile": (site(more="    shell_profile: .profile-of-mine\n"), ""),
    "client-who-had-files": (site(more="    shell_profile: .bashrc\n"), HAD),
    "client-with-links": (site(more="    shell_profile: .bashrc\n"), LINKED),
}
# dockerd makes this user, and what was made in its namespaces is kept with it: --undo says so.
KEPT = {"userns": ("/run/adduser", *ACCOUNTS, *(f"{path}-" for path in ACCOUNTS))}
WATCH = "hosts/localhost/60-watch-expiry.sh"
WATCH_SERVICE = "dockseal-watch-expiry.service"
USER, HOME = "ann", "/home/ann"


def releases_of(case: str) -> tuple[str, ...]:
    """Return where a case is tried; the first takes the whole way, on each release."""
    return RELEASES if case == "mutual" else (UPSTREAM,) if case == "no-etc-docker" else ("bookworm",)


def run(host: Host, *words: str) -> None:
    """Run setup.sh, which takes its time."""
    host.run(["bash", "/root/out/setup.sh", *words], timeout=600)


@pytest.mark.parametrize(
    ("release", "case"),
    [(release, case) for case in CASES for release in releases_of(case)],
    indirect=["release"],
)
def test_undo_leaves_the_whole_file_system_as_it_was(boot: Callable[..., Host], tmp_path: Path, case: str) -> None:
    text, before_that = CASES[case]
    host = boot()
    install(host, tmp_path, text)
    host.bash(before_that)
    before = host.snapshot(WHOLE)
    # Throwaway containers leave nothing on any of them: one is enough.
    make = [step.path for step in plan(text).steps if not step.on_demand and "/9" not in step.path]
    run(host, *(() if case == "mutual" else [path for path in make if "/40-" not in path]), *UNATTENDED)
    if case == "mutual":
        run(host, WATCH, "--yes")
        host.run(["systemctl", "start", WATCH_SERVICE])
        assert host.exists(f"{TEXTFILES}/dockseal.prom")
    assert difference(before, host.snapshot(WHOLE), without=MACHINE) != []
    run(host, "--undo", "--remove-keys", "--yes")
    after = host.snapshot(WHOLE)
    changes = [str(change) for change in difference(before, after, without=(*MACHINE, *KEPT.get(case, ())))]
    assert changes == [LOCK]
    assert not host.run(["ls", WORK], check=False).stdout


@pytest.mark.parametrize("release", RELEASES, indirect=True)
def test_undo_of_an_ordinary_user_leaves_the_whole_file_system_as_it_was(
    boot: Callable[..., Host], tmp_path: Path
) -> None:
    """The CA alone remembers that client."""
    host = boot()
    install(host, tmp_path, site(more=f"  - {{name: {USER}, key: ec:P-256, shell_profile: .bashrc}}\n"), "/srv/out")
    host.run(["useradd", "--create-home", USER])
    host.run(["chmod", "-R", "a+rX", "/srv"])
    of_root = [word for party in ("ca", "hosts/localhost", "clients/client") for word in ("--as", party)]
    root = ["bash", "/srv/out/setup.sh", *of_root, "--no-containers", *UNATTENDED]
    assert host.run(root, check=False).status == 5
    folder = f"docker-tls/clients/{USER}"

    def by_user(*words: str, status: int = 0) -> None:
        argv = ["bash", "/srv/out/setup.sh", "--as", f"clients/{USER}", "--yes", *words]
        done = host.run(argv, check=False, cwd=HOME, env={"HOME": HOME}, user=USER)
        assert done.status == status, done.output

    before = host.snapshot(WHOLE)
    by_user(status=5)
    host.bash('install -D -m 600 "$1/$3/client-request.csr" "$2/$3/client-request.csr"', HOME, "/root", folder)
    host.run(root)
    for name in ("client-certificate.pem", "ca-public.pem"):
        host.bash('install -o "$4" "$1" "$2/$3"', f"/root/{folder}/{name}", HOME, f"{folder}/{name}", USER)
    by_user()
    assert "dockseal" in host.read(f"{HOME}/.bashrc")
    assert host.run(["docker", "--context", "localhost", "ps"], env={"HOME": HOME}, user=USER).status == 0
    by_user("--undo", "--remove-keys")
    changes = difference(before, host.snapshot(WHOLE), without=(*MACHINE, WORK))
    assert [str(change) for change in changes] == []
