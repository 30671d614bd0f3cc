"""Who brought a file may have it open still: dockerd gets what was looked at and shown, or nothing changes."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("ca-public.pem",), "certificate.pem is not valid here"),
        (("ca-public.pem", "certificate.pem"), f"the files of {FOLDER} were changed while they were installed"),
    ],
    ids=["CA", "pair"],
)
def test_a_swapped_file_is_not_installed(host: Host, tmp_path: object, names: tuple[str, ...], said: str) -> None:
    """Another CA of the same name has signed a certificate for the same key."""
    if host.run(["test", "-e", OTHER], check=False).status:
        install(host, tmp_path)  # type: ignore[arg-type]
        make_pair(host, WORK)
        host.bash(f"umask 077; mkdir -p {OTHER}/hosts/localhost; cp {FOLDER}/server-key.pem {OTHER}/hosts/localhost/")
        make_pair(host, OTHER)
    host.bash(f"rm -rf /run/good; cp -a {FOLDER} /run/good")
    swap = "".join(f'  cat {OTHER}/hosts/localhost/{name} >"${{folder}}/{name}"\n' for name in names)
    script = changed(host, CONFIGURE, (BEFORE, swap + BEFORE))
    done = host.run(["bash", script, "--yes"], check=False)
    assert (done.status, said in done.stderr) == (2, True), done.output
    for path in (DROP_IN, "/etc/docker/tls"):
        assert host.run(["test", "-e", path], check=False).status == 1
    host.bash(f"cp -a /run/good/. {FOLDER}/")
    # The control: the very script, without the swap.
    host.run(["bash", CONFIGURE, "--yes"])
    host.run(["bash", CONFIGURE, "--yes", "--undo"])
