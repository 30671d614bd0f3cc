"""A signed pack on a machine that has nothing but its own tools: no dockseal, no dockerd that runs, no systemd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dockseal.lab import Host, Lab
from dockseal.lab.image import tag
from dockseal.output.pack import open_source, write_pack
from dockseal.output.signature import verify_line
from tests.host.support import refuses, site, watched
from tests.signers import OTHER, WHO, key, sign, signers
from tests.sites import render

pytestmark = pytest.mark.no_probe_image
KEYGEN = "/usr/bin/ssh-keygen"
VERIFY = verify_line("/root/ca.tar").replace("SIGNERS", "/root/signers").replace("WHO", WHO)
SETUP = ("bash", "/root/out/setup.sh", "--check", "--signers", "/root/signers")


@pytest.fixture(scope="module")
def target(lab: Lab, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A plain container with a pack of the CA, its signature, and the list of signers."""
    labels = [word for label in lab.labels for word in ("--label", label)]
    words = ["--detach", "--network", "none", "--stop-signal", "KILL", *labels, "--tty", tag(release), "cat"]
    plain = Host(lab.engine, lab.engine.run("run", *words).stdout.strip(), "plain", release)
    scratch = tmp_path_factory.mktemp("packs")
    source, _ = open_source(render(site(), scratch / "out"))
    write_pack(source, ["ca"], scratch / "ca.tar", key(scratch))
    sign(key(scratch, OTHER), scratch / "out/SHA256SUMS")
    for file in ("ca.tar", "ca.tar.sig"):
        plain.write(f"/root/{file}", (scratch / file).read_bytes())
    plain.write("/root/signers", signers(scratch).read_bytes())
    plain.write("/root/theirs.sig", (scratch / "out/SHA256SUMS.sig").read_bytes())
    plain.bash("cd && tar -xf ca.tar")
    yield plain
    lab.remove(plain)


def test_a_pack_is_checked_with_the_machine_s_own_tools(target: Host) -> None:
    assert target.bash("! command -v dockseal python3 && " + VERIFY).status == 0
    target.bash("cd /root/out && sha256sum --check --strict --quiet SHA256SUMS")
    result, changes = watched(target, SETUP)
    assert (result.status, changes) == (3, ""), result.stderr
    assert f'Good "dockseal" signature for {WHO} with ED25519 key' in result.stderr
    assert result.stdout.startswith("# ca/10-create-ca.sh\n")


def test_a_pack_of_other_bytes_is_refused(target: Host) -> None:
    target.bash("cp /root/ca.tar /root/kept && printf x >>/root/ca.tar")
    result = target.bash(VERIFY, check=False)
    target.bash("mv /root/kept /root/ca.tar")
    assert result.status != 0
    assert "Signature verification failed: incorrect signature" in result.stderr


def test_a_signature_by_nobody_of_the_list_stops_setup(target: Host) -> None:
    target.bash("cd /root/out && cp SHA256SUMS.sig ../kept && cp ../theirs.sig SHA256SUMS.sig")
    result, changes = watched(target, SETUP)
    target.bash("mv /root/kept /root/out/SHA256SUMS.sig")
    assert (result.status, result.stdout, changes) == (2, "", "")
    assert result.stderr.endswith(
        "error: setup.sh: /root/out/SHA256SUMS.sig is no signature of SHA256SUMS by one of /root/signers: ssh-keygen "
        "says why above. Nothing was changed.\n"
    )


def test_without_ssh_keygen_setup_says_which_package(target: Host) -> None:
    target.run(["mv", KEYGEN, f"{KEYGEN}.away"])
    refuses(target, SETUP, "error: setup.sh: ssh-keygen is not installed; install the package openssh-client")
    result, changes = watched(target, [*SETUP[:-2]])
    target.run(["mv", f"{KEYGEN}.away", KEYGEN])
    assert (result.status, changes) == (3, "")
