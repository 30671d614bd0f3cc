"""Who brought a file may have it open still: dockerd gets what was looked at and shown, or nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockseal.lab import Host
from tests.host.support import DROP_IN, PASSPHRASE_FILE, WORK, changed, install

pytestmark = [pytest.mark.one_release, pytest.mark.no_probe_image]
CONFIGURE = "/root/out/hosts/localhost/20-configure-daemon.sh"
FOLDER = f"{WORK}/hosts/localhost"
OTHER = "/root/other"
# The moment between the operator's yes and the installation.
BEFORE = '  remove "$1.new"\n  run mkdir -m 0700 -- "$1.new"\n'


def make_pair(host: Host, work: str) -> None:
    """Make a CA and the server's certificate in a working folder."""
    more = ["--dir", work, "--yes"]
    secret = [*more, "--passphrase-file", PASSPHRASE_FILE]
    host.run(["bash", "out/ca/10-create-ca.sh", *secret])
    host.run(["bash", "out/hosts/localhost/10-request-certificate.sh", *more])
    host.run(["bash", "out/ca/20-sign-servers.sh", *secret])


@pytest.fixture
def ready(host: Host, tmp_path: Path) -> Host:
    """A host with a pair that is not installed, and in OTHER another CA's of the same name, for the same key."""
    if not host.exists(OTHER):
        install(host, tmp_path)
        make_pair(host, WORK)
        host.bash(f"umask 077; mkdir -p {OTHER}/hosts/localhost; cp {FOLDER}/server-key.pem {OTHER}/hosts/localhost/")
        make_pair(host, OTHER)
    host.bash(f"rm -rf /run/good; cp -a {FOLDER} /run/good")
    return host


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("ca-public.pem",), "certificate.pem is not valid here"),
        (("ca-public.pem", "certificate.pem"), f"the files of {FOLDER} were changed while they were installed"),
    ],
    ids=["CA", "pair"],
)
def test_a_swapped_file_is_not_installed(ready: Host, names: tuple[str, ...], said: str) -> None:
    swap = "".join(f'  cat {OTHER}/hosts/localhost/{name} >"${{folder}}/{name}"\n' for name in names)
    script = changed(ready, CONFIGURE, (BEFORE, swap + BEFORE))
    done = ready.run(["bash", script, "--yes"], check=False)
    assert (done.status, said in done.stderr) == (2, True), done.output
    for path in (DROP_IN, "/etc/docker/tls"):
        assert not ready.exists(path)
    ready.bash(f"cp -a /run/good/. {FOLDER}/")
    # The control: the very script, without the swap.
    ready.run(["bash", CONFIGURE, "--yes"])
    ready.run(["bash", CONFIGURE, "--yes", "--undo"])


@pytest.mark.parametrize("edit", ["", "sed -i '1i # ours'"], ids=["as installed", "with a comment"])
def test_another_ca_that_nobody_announced_takes_no_host_over(ready: Host, edit: str) -> None:
    """Its certificate is for the host's own key. The control: where nothing is trusted yet, it is installed."""
    ready.run(["bash", CONFIGURE, "--yes"])
    if edit:
        ready.bash(f"chmod u+w /etc/docker/tls/*.pem; {edit} $(realpath /etc/docker/tls)/ca-public.pem")
    trusted = ready.read("/etc/docker/tls/ca-public.pem")
    ready.bash(f"cp {OTHER}/hosts/localhost/{{ca-public,certificate}}.pem {FOLDER}/")
    done = ready.run(["bash", CONFIGURE, "--yes"], check=False)
    said = f"{FOLDER}/ca-public.pem is not installed: it holds another CA than the one that is trusted here"
    assert (done.status, said in done.stderr) == (2, True), done.output
    assert ready.read("/etc/docker/tls/ca-public.pem") == trusted
    for words in (["--undo"], [], ["--undo"]):
        ready.run(["bash", CONFIGURE, "--yes", *words])
    ready.bash(f"cp -a /run/good/. {FOLDER}/")


def test_rendered_with_another_folder_it_says_whose_the_old_one_is(ready: Host) -> None:
    ready.run(["bash", CONFIGURE, "--yes"])
    ready.bash(f"cp {OTHER}/hosts/localhost/c*.pem {FOLDER}/")
    words = ("tls_directory='", "--tlscacert=", "--tlscert=", "--tlskey=")
    elsewhere = changed(ready, CONFIGURE, *((f"{word}/etc/docker/tls", f"{word}/etc/docker/other") for word in words))
    done = ready.run(["bash", elsewhere, "--yes"], check=False)
    assert done.status == 2
    assert "dockerd uses /etc/docker/tls, which an earlier rendering of this script has installed" in done.stderr
    assert not ready.exists("/etc/docker/other")
    # The control: after --undo of that rendering a host takes what it is given.
    ready.run(["bash", CONFIGURE, "--yes", "--undo"])
    ready.run(["bash", elsewhere, "--yes"])
    ready.run(["bash", elsewhere, "--yes", "--undo"])
    ready.bash(f"cp -a /run/good/. {FOLDER}/")


def test_where_the_ca_was_deleted_none_is_taken_in_its_place(ready: Host) -> None:
    """dockerd runs on with the CA that it has read, and nothing tells which one that was."""
    ready.run(["bash", CONFIGURE, "--yes"])
    ready.bash("mv $(realpath /etc/docker/tls)/ca-public.pem /run/ca-public.pem")
    done = ready.run(["bash", CONFIGURE, "--yes"], check=False)
    assert (done.status, "/etc/docker/tls/ca-public.pem is gone" in done.stderr) == (2, True), done.output
    ready.bash("mv /run/ca-public.pem $(realpath /etc/docker/tls)")
    ready.run(["bash", CONFIGURE, "--yes"])
    ready.run(["bash", CONFIGURE, "--yes", "--undo"])
