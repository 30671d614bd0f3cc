"""After setup.sh --undo --remove-keys a machine is what it was: types, modes, owners and contents of all its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dockseal.lab import UPSTREAM, Host, difference
from dockseal.lab.snapshot import MACHINE, WHOLE
from dockseal.plan.hosts import ACCOUNTS
from tests.host.support import UNATTENDED, WORK, install, site
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
CASES = {
    "mutual": (site(), ""),
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
# Empty, and gone with the next start of the machine.
LOCK = "+ file /run/dockseal.lock  f 600 0:0 e3b0c44298fc"


def run(host: Host, *words: str) -> None:
    """Run setup.sh, which takes its time."""
    host.run(["bash", "/root/out/setup.sh", *words], timeout=600)


@pytest.mark.parametrize(
    ("release", "case"),
    [(UPSTREAM if case == "no-etc-docker" else "bookworm", case) for case in CASES],
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
    assert difference(before, host.snapshot(WHOLE), without=MACHINE) != []
    run(host, "--undo", "--remove-keys", "--yes")
    after = host.snapshot(WHOLE)
    changes = [str(change) for change in difference(before, after, without=(*MACHINE, *KEPT.get(case, ())))]
    assert changes == [LOCK]
    assert not host.run(["ls", WORK], check=False).stdout
