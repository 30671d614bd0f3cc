"""What dockerd has read at its start, beside the files that stand there since: verification tells them apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from dockseal.lab import Host
from tests.host.authority import DAY, SERVER, issue, new_authority, real_authority
from tests.host.support import (
    DAEMON,
    NAME,
    RESTART,
    TLS,
    UNATTENDED,
    VERIFY_HOST,
    WORK,
    changed,
    install,
    setup,
    site,
    verify,
)

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
CA = f"{TLS}/ca-public.pem"
CERTIFICATE = f"{TLS}/certificate.pem"
REMEDY = "run: systemctl restart docker.service"


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up."""
    install(host, tmp_path_factory.mktemp("site"), site())
    setup(host, *UNATTENDED)
    return host


def failures(host: Host) -> dict[str, dict[str, str]]:
    """Return the controls of the host that do not hold, by id."""
    result = verify(host, VERIFY_HOST, "--json")
    assert result.stderr == ""
    found = map(json.loads, result.stdout.splitlines())
    return {control["id"]: control for control in found if control["result"] == "FAIL"}


# How the file that dockerd read is left behind: $1 is it, $2 what is put there.
CHANGES = {
    "it is written again": 'cat "$2" >"$1"',
    "another file takes its place": 'cp -p "$1" "$1.new"; cat "$2" >"$1.new"; touch -r "$1" "$1.new"; mv "$1.new" "$1"',
    "another folder takes its place": """
        folder=$(realpath "${1%/*}")
        cp -a "$folder" "$folder.other"; cat "$2" >"$folder.other/${1##*/}"
        mv "$folder" /run/away; mv "$folder.other" "$folder"; rm -r /run/away
    """,
    "the link to its folder is turned": """
        folder=$(realpath "${1%/*}")
        cp -a "$folder" "${folder%-*}-0000000000000000"; cat "$2" >"${folder%-*}-0000000000000000/${1##*/}"
        ln -sfnT "${folder%-*}-0000000000000000" "${1%/*}"
    """,
}


@pytest.fixture
def kept(ready: Host) -> Iterator[None]:
    """Put the folder and the link back after a test, and let dockerd read it."""
    ready.bash(f"rm -rf /run/kept; mkdir /run/kept; cp -a {TLS} {TLS}-* /run/kept")
    yield
    ready.bash(f"rm -rf {TLS} {TLS}-*; cp -a /run/kept/* /etc/docker; {RESTART}")
    assert failures(ready) == {}


def answers(host: Host, client: tuple[str, str]) -> bool:
    """Tell whether dockerd answers a client."""
    flags = ["--tlsverify", "--tlscacert=/run/good.pem", f"--tlscert={client[0]}", f"--tlskey={client[1]}"]
    return host.run(["docker", "-H", "tcp://localhost:2376", *flags, "ps"], check=False).status == 0


CHANGED = r"/etc/docker/tls\S* was changed or linked since dockerd started"


@pytest.mark.parametrize("how", CHANGES)
def test_a_ca_that_dockerd_still_trusts_is_found(ready: Host, kept: None, how: str) -> None:
    second = new_authority("dockseal CA")
    client = issue(second).install(ready, "/run/second")
    ready.write("/run/second.pem", second.certificate_pem)
    ready.bash(f"cp {CA} /run/good.pem; cat /run/second.pem >>{CA}; {RESTART}")
    ready.bash(CHANGES[how], CA, "/run/good.pem")
    assert answers(ready, client)
    found = failures(ready)
    assert {*found} == {"CERT-5"}
    assert re.search(CHANGED, found["CERT-5"]["evidence"])
    assert found["CERT-5"]["remedy"] == REMEDY
    ready.bash(RESTART)
    assert not answers(ready, client)
    assert failures(ready) == {}


def test_a_ca_of_a_folder_that_was_moved_away_is_found(ready: Host, kept: None) -> None:
    """What is there now was never changed: dockerd read another folder of its name."""
    second = new_authority("dockseal CA")
    client = issue(second).install(ready, "/run/second")
    ready.write("/run/second.pem", second.certificate_pem)
    ready.bash(
        f"""
        cp {CA} /run/good.pem; cp -a /etc/docker /etc/docker.lab
        cat /run/second.pem >>/etc/docker.lab/tls/ca-public.pem
        mv /etc/docker /etc/docker.good; mv /etc/docker.lab /etc/docker; {RESTART}
        rm -rf /etc/docker; mv /etc/docker.good /etc/docker
        """
    )
    assert answers(ready, client)
    found = failures(ready)
    assert {*found} == {"CERT-5"}
    assert found["CERT-5"]["evidence"] == (
        f"dockerd asks for certificates of CN=dockseal CA and CN=dockseal CA, and {CA} has CN=dockseal CA"
    )
    assert found["CERT-5"]["remedy"] == REMEDY


@pytest.mark.one_release
@pytest.mark.parametrize("how", ['ln "$1" /etc/docker/linked', 'chmod 400 "$1"; chmod 444 "$1"'])
def test_a_file_that_may_have_been_changed_is_told_as_that(ready: Host, kept: None, how: str) -> None:
    """Its time of change does not tell a new link or mode from other contents that were put back."""
    ready.bash(how, CA)
    found = failures(ready)
    ready.run(["rm", "-f", "/etc/docker/linked"])
    assert {*found} == {"CERT-5"}
    assert re.search(CHANGED, found["CERT-5"]["evidence"])
    assert found["CERT-5"]["remedy"] == REMEDY
    ready.bash(RESTART)
    assert failures(ready) == {}


VIEW = "/etc/systemd/system/docker.service.d/view.conf"
# What puts another file there for dockerd alone.
VIEWS = {
    "a file": f"BindReadOnlyPaths=/run/other/ca-public.pem:{CA}",
    "a folder": f"BindReadOnlyPaths=/run/other:{TLS}",
    "its /tmp": "PrivateTmp=yes",
}


@pytest.fixture
def viewed(kept: None, ready: Host) -> Iterator[None]:
    """Take away, at the end, the drop-in that gives dockerd a view of its own."""
    yield
    ready.bash(f"rm -rf {VIEW} /run/other; {RESTART}")


@pytest.mark.one_release
@pytest.mark.parametrize("view", ["a file", "a folder"])
def test_another_file_that_dockerd_alone_sees_is_found(ready: Host, viewed: None, view: str) -> None:
    second = new_authority("dockseal CA")
    client = issue(second).install(ready, "/run/second")
    ready.write("/run/second.pem", second.certificate_pem)
    ready.bash(f"cp {CA} /run/good.pem; cp -aL {TLS} /run/other; cat /run/second.pem >>/run/other/ca-public.pem")
    ready.write(VIEW, f"[Service]\n{VIEWS[view]}\n", 0o644)
    ready.bash(RESTART)
    assert answers(ready, client)
    found = failures(ready)
    assert {*found} == {"CERT-5"}
    assert found["CERT-5"]["evidence"].startswith(f"dockerd sees another {TLS}")


@pytest.mark.one_release
def test_a_view_in_which_the_files_are_the_same_holds(ready: Host, viewed: None) -> None:
    ready.write(VIEW, f"[Service]\n{VIEWS['its /tmp']}\n", 0o644)
    ready.bash(RESTART)
    namespaces = ready.bash("stat -L --format %i /proc/1/ns/mnt /proc/$(pidof dockerd)/ns/mnt").stdout.split()
    assert len({*namespaces}) == 2
    assert failures(ready) == {}


@pytest.mark.one_release
def test_a_certificate_that_dockerd_does_not_show_is_found(ready: Host, kept: None) -> None:
    key = serialization.load_pem_private_key(ready.read_bytes(f"{TLS}/server-key.pem"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    shown = x509.load_pem_x509_certificate(ready.read_bytes(CERTIFICATE)).fingerprint(SHA256()).hex()
    pair = issue(real_authority(ready), NAME, SERVER, key=key, names=(NAME, "127.0.0.1"), ends=300 * DAY)
    ready.bash(f"cat >{CERTIFICATE} <<'END'\n{pair.certificate_pem.decode()}END")
    found = failures(ready)
    assert {*found} == {"CERT-6"}
    assert (found["CERT-6"]["evidence"], found["CERT-6"]["remedy"]) == (f"it shows sha256 {shown}", REMEDY)
    ready.bash(RESTART)
    assert failures(ready) == {}


@pytest.mark.one_release
def test_the_daemon_s_script_makes_dockerd_show_the_certificate_that_is_installed(ready: Host, kept: None) -> None:
    key = serialization.load_pem_private_key(ready.read_bytes(f"{TLS}/server-key.pem"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    pair = issue(real_authority(ready), NAME, SERVER, key=key, names=(NAME, "127.0.0.1"), ends=300 * DAY)
    ready.bash(f"cp -a {CERTIFICATE} /run/right.pem; cat >{CERTIFICATE} <<'END'\n{pair.certificate_pem.decode()}END")
    ready.bash(f"{RESTART} cp -a /run/right.pem {CERTIFICATE}")
    assert {*failures(ready)} == {"CERT-6"}
    result = ready.run(["bash", f"/root/out/{DAEMON}", "--yes"])
    assert "systemctl restart" in result.stderr
    assert failures(ready) == {}
    assert ready.run(["bash", f"/root/out/{DAEMON}", "--yes"]).stderr == f"{DAEMON}: nothing to do\n"


VIRTUAL = "echo '60.00 60.00' >/run/uptime; mount --bind /run/uptime /proc/uptime"


@pytest.mark.one_release
@pytest.mark.parametrize("virtual", [False, True])
def test_when_dockerd_started_is_told_where_the_machines_uptime_is_its_own(
    ready: Host, kept: None, virtual: bool
) -> None:
    """A container's /proc/uptime may count from the container's start, and the processes' times do not."""
    if virtual:
        ready.bash(VIRTUAL)
    try:
        assert failures(ready) == {}
        ready.bash(CHANGES["it is written again"], CA, f"{WORK}/hosts/localhost/ca-public.pem")
        assert {*failures(ready)} == {"CERT-5"}
        ready.bash(RESTART)
        assert failures(ready) == {}
    finally:
        ready.bash("umount /proc/uptime || true")


@pytest.mark.one_release
def test_a_clock_that_was_set_since_the_start_is_no_pass(ready: Host, kept: None) -> None:
    """The clock of the tests' machine is not theirs: a script is told that systemd wrote down another start."""
    path = changed(
        ready,
        f"/root/out/{VERIFY_HOST}",
        ("${text:-@0}", "${text:-@0} + 1 minute"),
    )
    found = map(json.loads, ready.run(["bash", path, "--json"], check=False).stdout.splitlines())
    controls = {control["id"]: control for control in found}
    assert {name for name, control in controls.items() if control["result"] == "FAIL"} == {"CERT-5"}
    assert controls["CERT-5"]["evidence"].startswith("when dockerd started cannot be told: at 20")
    assert controls["CERT-5"]["remedy"] == REMEDY
