"""The verify scripts: every control holds on a good machine, and each fails when what it guards is broken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from markupsafe import escape

from dockseal import __version__
from dockseal.lab import Host, difference
from dockseal.output.results import read_results
from tests.host.authority import CLIENT, DAY, SERVER, Pair, issue, new_authority, real_authority
from tests.host.support import (
    DAEMON,
    DROP_IN,
    KEYS,
    OF_USER_NAMESPACES,
    OPTIONS,
    RESTART,
    TLS,
    UNATTENDED,
    VERIFY_CLIENT,
    VERIFY_HOST,
    WORK,
    controls,
    install,
    setup,
    verify,
)
from tests.sites import dockseal

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
SITE = """\
ca: {key: ec:P-256}
hosts:
  - name: localhost
    dns_names: [localhost, docker.example]
    listen: 127.0.0.1:2376
    ip_addresses: [127.0.0.1]
    key: ec:P-256
clients:
  - {name: client, key: ec:P-256}
"""
HOST_CONTROLS = (
    *(f"CERT-{number}" for number in range(1, 7)),
    *(f"FILE-{number}" for number in range(1, 11)),
    "DAEMON-1",
    *sorted(OF_USER_NAMESPACES),
    *(f"TLS-{number}" for number in range(1, 10)),
)
HANDSHAKES = {f"TLS-{number}" for number in range(1, 10)}
UNITS = "docker.service docker.socket"
SOCKET_UNIT = "/etc/systemd/system/docker.socket"
MORE = f"{DROP_IN.rpartition('/')[0]}/zz-more.conf"
CLIENTS_FOLDER = f"{WORK}/clients/client"


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up, with copies of what the tests break."""
    install(host, tmp_path_factory.mktemp("site"), SITE)
    setup(host, *UNATTENDED)
    host.bash(f"cp -aL {TLS} /run/tls; cp -a {DROP_IN} /run/drop-in; cp -a {CLIENTS_FOLDER} /run/client")
    host.bash("cp -a /root/.docker /run/dot-docker; touch /run/stamp")
    return host


@pytest.fixture(scope="module")
def authority(ready: Host) -> Pair:
    """The site's own CA, with its real key."""
    return real_authority(ready)


def judge(host: Host, script: str = VERIFY_HOST, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Run a verify script; return its exit status and its controls by id."""
    result = verify(host, script, "--json", *words)
    assert result.stderr == ""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len({control["id"] for control in found}) == len(found)
    return result.status, {control["id"]: control for control in found}


def failed(found: dict[str, dict[str, str]]) -> set[str]:
    """Return the ids of the controls that do not hold."""
    return {name for name, control in found.items() if control["result"] == "FAIL"}


# ---- A good host ------------------------------------------------------------


def test_every_control_of_a_good_host_holds(ready: Host) -> None:
    status, found = judge(ready)
    assert status == 0
    assert [*found] == [*HOST_CONTROLS]
    skipped = {name for name, control in found.items() if control["result"] == "SKIP"}
    assert skipped == OF_USER_NAMESPACES | {"FILE-10"}
    assert {control["result"] for control in found.values()} == {"PASS", "SKIP"}


def test_a_line_of_json_has_the_keys_that_readers_expect(ready: Host) -> None:
    _, found = judge(ready)
    for control in found.values():
        assert [*control] == KEYS
        assert all(isinstance(value, str) for value in control.values())
        assert control["what"]
        assert control["asked"] or control["result"] == "SKIP"
        assert control["evidence"]
        assert control["remedy"] == ""


def test_a_report_for_an_auditor_has_each_control_of_this_machine_with_its_evidence(
    ready: Host, tmp_path: Path
) -> None:
    file = tmp_path / "host.json"
    file.write_text(verify(ready, VERIFY_HOST, "--json").stdout)
    made = dockseal("report", file, "--html", tmp_path / "report.html")
    assert (made.returncode, made.stderr) == (0, "")
    name = ready.bash("uname --nodename").stdout.strip()
    (read,) = read_results([(str(file), file.read_bytes())])
    page = (tmp_path / "report.html").read_text()
    assert [one.id for one in read.controls] == [*HOST_CONTROLS]
    assert {(one.machine, one.version) for one in read.controls} == {(name, __version__)}
    assert [one.id for one in read.controls if str(escape(one.evidence)) not in page] == []


def test_the_table_has_one_line_for_each_control(ready: Host) -> None:
    result = verify(ready, VERIFY_HOST)
    found = controls(result.stdout)
    assert [name for name, _ in found] == [*HOST_CONTROLS]
    assert result.stderr == ""


def test_verifying_changes_nothing_and_leaves_nothing(ready: Host) -> None:
    roots = ("/etc", "/root", "/tmp", "/var/tmp", "/dev/shm")
    before = ready.snapshot(roots)
    assert judge(ready)[0] == 0
    assert judge(ready, VERIFY_CLIENT)[0] == 0
    assert difference(before, ready.snapshot(roots), strict=True) == []


@pytest.mark.one_release("bullseye")
def test_without_a_clients_files_the_answer_to_a_client_is_skipped(ready: Host) -> None:
    status, found = judge(ready, VERIFY_HOST, "--dir", "/root/elsewhere")
    assert status == 0
    skipped = {name: control for name, control in found.items() if control["result"] == "SKIP"}
    # There is nothing of the site to compare dockerd's CA with either.
    assert {*skipped} == {"TLS-1", "CERT-5"} | OF_USER_NAMESPACES | {"FILE-10"}
    assert skipped["TLS-1"]["evidence"] == "no client's key is here; clients/NAME/90-verify.sh shows it there"
    assert not ready.exists("/root/elsewhere")


# ---- Each control, broken ---------------------------------------------------


@dataclass(frozen=True)
class Break:
    """Bash that breaks something, what must fail then, and what is said at `control`, or at the first of it."""

    bash: str
    fails: set[str]
    evidence: str
    remedy: str
    restarts: bool = False
    control: str = ""


def with_flags(*words: str) -> str:
    """Return bash that adds flags to those of the drop-in; dockerd heeds the last of two."""
    return f"sed -i '$s|$| {' '.join(words)}|' {DROP_IN}; {RESTART}"


def with_command(edit: str) -> str:
    """Return bash that puts the command of the drop-in, with its last line edited, into another one after it."""
    return f"{{ printf '[Service]\\nExecStart=\\n'; sed '1,/^ExecStart=$/d; ${edit}' {DROP_IN}; }} >{MORE}; {RESTART}"


def with_socket(line: str) -> str:
    """Return bash that adds a line to docker.socket."""
    return (
        f"mkdir {SOCKET_UNIT}.d; printf '[Socket]\\n{line}\\n' >{SOCKET_UNIT}.d/more.conf\n"
        f"systemctl daemon-reload; systemctl stop {UNITS}; systemctl start docker.socket docker.service"
    )


REFUSALS = {"TLS-2", "TLS-3", "TLS-4", "TLS-5", "TLS-6"}
BREAKS = {
    "another key is installed": Break(
        f"openssl genpkey -algorithm ED25519 >{TLS}/server-key.pem",
        # Nobody can show the server's certificate to dockerd without its key.
        {"CERT-2", "TLS-6"},
        "server-key.pem has another public key than /etc/docker/tls/certificate.pem",
        "install the pair again",
    ),
    "dockerd was started with other paths": Break(
        f"cp {TLS}/ca-public.pem /run/ca.pem\n"
        f"sed -i 's|--tlscacert=[^ ]*|--tlscacert=/run/ca.pem|' {DROP_IN}\n{RESTART}",
        {"DAEMON-1"},
        f"systemd gives dockerd --tlscacert=/run/ca.pem, expected --tlscacert={TLS}/ca-public.pem",
        "run 20-configure-daemon.sh",
        restarts=True,
    ),
    "two words of the drop-in are swapped": Break(
        f"sed -i '/--tlsverify/d; s|^  --tlscert=|  --tlsverify \\\\\\n&|' {DROP_IN}; {RESTART}",
        {"DAEMON-1"},
        f"systemd gives dockerd --tlscacert={TLS}/ca-public.pem, expected --tlsverify",
        "run 20-configure-daemon.sh",
        restarts=True,
    ),
    "another drop-in adds a word": Break(
        with_command("s/$/ --debug/"),
        {"DAEMON-1"},
        "systemd gives dockerd --debug, expected nothing more",
        "run 20-configure-daemon.sh",
        restarts=True,
    ),
    "another drop-in leaves a word out": Break(
        with_command("s/[^ ]*$//"),
        {"DAEMON-1"},
        "systemd gives dockerd nothing more, expected ",
        "run 20-configure-daemon.sh",
        restarts=True,
    ),
    "dockerd was not started again with a word that the drop-in has": Break(
        f"sed -i 's|^  --containerd=|  --debug \\\\\\n&|' {DROP_IN}; systemctl daemon-reload",
        {"DAEMON-1"},
        "dockerd runs with --containerd=/run/containerd/containerd.sock, expected --debug",
        "run 20-configure-daemon.sh",
        restarts=True,
    ),
    "clients are not verified, though --tlsverify is among the flags": Break(
        with_flags("--tlsverify=false"),
        {"CERT-5", "DAEMON-1", *REFUSALS},
        "it was told --tlsverify=false too",
        "run 20-configure-daemon.sh",
        restarts=True,
        control="DAEMON-1",
    ),
    "a variable gives dockerd other files": Break(
        f"cp {TLS}/*.pem /run; systemctl set-environment "
        "'ELSEWHERE=--tlscacert=/run/ca-public.pem --tlskey /run/server-key.pem'; "
        f"{with_flags('$ELSEWHERE')}",
        {"DAEMON-1"},
        "it was told --tlscacert=/run/ca-public.pem too; it was told --tlskey too",
        "run 20-configure-daemon.sh",
        restarts=True,
    ),
    "systemd has not read a drop-in yet": Break(
        f"printf '[Service]\\nExecStartPost=/bin/true\\n' >{MORE}",
        {"DAEMON-1"},
        "the files of docker.service were changed since systemd read them: run systemctl daemon-reload",
        "run 20-configure-daemon.sh",
        restarts=True,
    ),
    "a program of the unit is somebody's": Break(
        "cp /bin/true /usr/local/bin/program; chown games /usr/local/bin/program\n"
        f"printf '[Service]\\nExecStartPost=/usr/local/bin/program\\n' >{MORE}; {RESTART}",
        {"FILE-9"},
        "/usr/local/bin/program is games:root 755, expected root:root 755 or less",
        "chown root:root those files",
        restarts=True,
    ),
    "a program of the socket unit is somebody's": Break(
        "cp /bin/true /usr/local/bin/program; chown games /usr/local/bin/program\n"
        + with_socket("ExecStartPre=/usr/local/bin/program"),
        {"FILE-9"},
        "/usr/local/bin/program is games:root 755, expected root:root 755 or less",
        "chown root:root those files",
        restarts=True,
    ),
    "a shell of the unit runs what is somebody's": Break(
        "install -o games -m 755 /dev/null /usr/local/bin/program\n"
        f"printf '[Service]\\nExecStartPost=/bin/sh /usr/local/bin/program\\n' >{MORE}; {RESTART}",
        {"FILE-9"},
        "/usr/local/bin/program is games:root 755, expected root:root 755 or less",
        "chown root:root those files",
        restarts=True,
    ),
    "the data stands in somebody's folder": Break(
        "install -d -o games /var/games-own\n"
        f"""printf '{{"data-root": "/var/games-own/docker"}}' >/etc/docker/daemon.json; {RESTART}""",
        {"FILE-8"},
        "/var/games-own belongs to another user",
        "chown root these folders",
        restarts=True,
    ),
    "there is no TLS": Break(
        f"sed -i '/--tls/d' {DROP_IN}; {RESTART}",
        {"CERT-5", "CERT-6", "DAEMON-1", *HANDSHAKES} - {"TLS-9"},
        "dockerd trusts no file that is there",
        "carry ca-public.pem from the CA again; run 20-configure-daemon.sh",
        restarts=True,
    ),
    "dockerd listens on port 2375 too": Break(
        with_flags("-H", "tcp://127.0.0.1:2375"),
        {"DAEMON-1", "TLS-9"},
        "it listens on 127.0.0.1:2375 too",
        "take away every other -H",
        restarts=True,
    ),
    "dockerd listens on another local socket too": Break(
        with_flags("-H", "unix:///run/open.sock"),
        {"DAEMON-1"},
        "it was told to listen on unix:///run/open.sock too",
        "take away every other -H",
        restarts=True,
    ),
    "dockerd listens on every address of another port too": Break(
        with_flags("-H", "tcp://0.0.0.0:2377"),
        {"DAEMON-1"},
        "it listens on [::]:2377 too",
        "take away every other -H",
        restarts=True,
    ),
    "a variable lets dockerd listen elsewhere too": Break(
        f"systemctl set-environment 'ELSEWHERE=-H tcp://[::1]:2377'; {with_flags('$ELSEWHERE')}",
        {"DAEMON-1"},
        "it listens on [::1]:2377 too",
        "take away every other -H",
        restarts=True,
    ),
    "a socket unit listens for dockerd elsewhere too": Break(
        with_socket("ListenStream=127.0.0.3:2377"),
        {"DAEMON-1"},
        "it listens on 127.0.0.3:2377 too; systemd listens for it on 127.0.0.3:2377 of docker.socket",
        "ListenStream",
        restarts=True,
    ),
    "a socket unit listens for dockerd on another local socket": Break(
        with_socket("ListenStream=/run/open.sock"),
        {"DAEMON-1"},
        "it listens on /run/open.sock too; systemd listens for it on /run/open.sock of docker.socket",
        "ListenStream",
        restarts=True,
    ),
    "a socket unit listens for dockerd on a name that is no file's": Break(
        with_socket("ListenStream=@open"),
        {"DAEMON-1"},
        "it listens on @open too; systemd listens for it on @open of docker.socket",
        "ListenStream",
        restarts=True,
    ),
    "dockerd's file lets it listen on another local socket": Break(
        f"sed -i 's|-H [^ ]*||g' {DROP_IN}\n"
        """printf '{"hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2376", "unix:///run/open.sock"]}'"""
        f" >/etc/docker/daemon.json; {RESTART}",
        {"DAEMON-1"},
        "it listens on /run/open.sock too",
        "take away every other -H, hosts,",
        restarts=True,
    ),
    "something listens on port 2375 of the other family": Break(
        f"systemd-run --quiet --unit plain openssl s_server -accept [::1]:2375 "
        f"-www -cert {TLS}/certificate.pem -key {TLS}/server-key.pem\n"
        "until (exec 3<>/dev/tcp/::1/2375) 2>/dev/null; do :; done",
        {"TLS-9"},
        "something listens on [::1]:2375",
        "find what listens on port 2375 and stop it",
    ),
    "something listens on port 2375 of another address": Break(
        f"systemd-run --quiet --unit plain openssl s_server -accept 127.0.0.9:2375 "
        f"-www -cert {TLS}/certificate.pem -key {TLS}/server-key.pem\n"
        "until (exec 3<>/dev/tcp/127.0.0.9/2375) 2>/dev/null; do :; done",
        {"TLS-9"},
        "something listens on 127.0.0.9:2375",
        "find what listens on port 2375 and stop it",
    ),
    "the client's certificate is damaged": Break(
        f"sed -i 2d {CLIENTS_FOLDER}/client-certificate.pem",
        {"TLS-1"},
        "error",
        "run 20-configure-daemon.sh",
    ),
    "dockerd does not run": Break(
        f"systemctl stop {UNITS}",
        {"CERT-5", "CERT-6", "DAEMON-1", "FILE-7", *HANDSHAKES},
        "trusts no file",
        "run 20",
        restarts=True,
    ),
}


@pytest.fixture
def mended(ready: Host) -> Iterator[list[bool]]:
    """Put everything back after a test; dockerd is restarted when the list is not empty."""
    restarts: list[bool] = []
    yield restarts
    ready.bash(
        f"""
        if [[ -n $(find {TLS} {TLS}/ -cnewer /run/stamp) ]]; then
          generation=$(realpath {TLS})
          rm -rf "$generation"
          cp -a /run/tls "$generation"
        fi
        rm -rf {CLIENTS_FOLDER} /root/.docker
        cp -a /run/drop-in {DROP_IN}
        cp -a /run/client {CLIENTS_FOLDER}
        cp -a /run/dot-docker /root/.docker
        chmod 755 /etc/docker
        chmod 644 /lib/systemd/system/docker.service
        chown root:docker /var/run/docker.sock && chmod 660 /var/run/docker.sock || true
        systemctl stop plain.service stand-in.service 2>/dev/null || true
        systemctl unset-environment ELSEWHERE
        rm -rf /etc/docker/daemon.json {MORE} /usr/local/bin/program /run/*.pem /var/games-own
        for group in docker ops; do gpasswd -d games $group; done 2>/dev/null || true
        rm -rf {SOCKET_UNIT}.d
        """
    )
    changed = ready.bash(f"find {TLS} {TLS}/ -cnewer /run/stamp; touch /run/stamp").stdout
    if restarts or changed:
        ready.bash(RESTART)


@pytest.mark.parametrize("name", BREAKS)
def test_the_control_fails_when(ready: Host, mended: list[bool], name: str) -> None:
    broken = BREAKS[name]
    mended += [True] * broken.restarts
    ready.bash(broken.bash)
    status, found = judge(ready)
    assert failed(found) == broken.fails, found
    assert status == 4
    for control in found.values():
        assert bool(control["remedy"]) == (control["result"] == "FAIL")
    told = found[broken.control or min(broken.fails)]
    assert broken.evidence in told["evidence"]
    assert broken.remedy in told["remedy"]


APPEND = f"cat /run/second.pem >>$(realpath {TLS})/ca-public.pem"


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("with_working_folder", [True, False])
def test_a_second_ca_that_nobody_announced_is_found(ready: Host, mended: list[bool], with_working_folder: bool) -> None:
    """Whoever has it is root here."""
    mended.append(True)
    second = new_authority("dockseal CA")
    ready.write("/run/second.pem", second.certificate_pem)
    client = second_client(ready, second)
    assert not answers(ready, client)
    ready.bash(f"{APPEND}; {RESTART}")
    assert answers(ready, client)
    status, found = judge(ready, VERIFY_HOST, *(() if with_working_folder else ("--dir", "/root/elsewhere")))
    assert (status, failed(found)) == (4, {"CERT-5"})
    evidence = found["CERT-5"]["evidence"]
    assert second.certificate.fingerprint(SHA256()).hex() in evidence
    assert real_authority(ready).certificate.fingerprint(SHA256()).hex() in evidence


@pytest.mark.one_release
def test_another_ca_than_that_of_the_working_folder_is_found(ready: Host, mended: list[bool]) -> None:
    mended.append(True)
    second = new_authority("dockseal CA")
    ready.write(f"{TLS}/ca-public.pem", second.certificate_pem)
    ready.bash(RESTART)
    _, found = judge(ready)
    digest = second.certificate.fingerprint(SHA256()).hex()
    assert found["CERT-5"]["result"] == "FAIL"
    assert found["CERT-5"]["evidence"] == f"sha256 {digest} is not in {WORK}/ca/ca-public.pem"


def second_client(host: Host, authority: Pair) -> tuple[str, str]:
    """Write the pair of a client of another CA."""
    return issue(authority).install(host, "/run/second")


def answers(host: Host, client: tuple[str, str]) -> bool:
    """Tell whether dockerd answers a client."""
    flags = ["--tlsverify", f"--tlscacert={TLS}/ca-public.pem", f"--tlscert={client[0]}", f"--tlskey={client[1]}"]
    return host.run(["docker", "-H", "tcp://localhost:2376", *flags, "ps"], check=False).status == 0


FILES = {
    "FILE-1": (f"{TLS}/ca-public.pem", "chmod 644", "root:root 644", "root:root", "444"),
    "FILE-2": (f"{TLS}/certificate.pem", "chown nobody", "nobody:root 444", "root:root", "444"),
    "FILE-3": (f"{TLS}/server-key.pem", "chmod 440", "root:root 440", "root:root", "400"),
    "FILE-4": ("/etc/docker", "chmod 775", "root:root 775", "root:root", "755"),
    "FILE-5": (DROP_IN, "chmod 666", "root:root 666", "root:root", "644"),
    "FILE-6": (None, "chmod 664", "root:root 664", "root:root", "644"),
    "FILE-7": ("/var/run/docker.sock", "chmod 666", "root:docker 666", "root:docker", "660"),
}


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("names", [["FILE-1", "FILE-4", "FILE-6"], ["FILE-2", "FILE-3", "FILE-5", "FILE-7"]])
def test_the_control_of_a_file_fails_when_others_can_do_too_much(
    ready: Host, mended: list[bool], names: list[str]
) -> None:
    unit = ready.run(["systemctl", "show", "--property=FragmentPath", "--value", "docker.service"]).stdout.strip()
    for name in names:
        path, how, *_ = FILES[name]
        ready.run([*how.split(), path or unit])
    status, found = judge(ready)
    # Of a file that has changed nobody can say what dockerd has read.
    unread = {"CERT-5"} & {name.replace("FILE-1", "CERT-5") for name in names}
    # Who can write to a folder can replace the one in it.
    above = {"FILE-8"} & {name.replace("FILE-4", "FILE-8") for name in names}
    assert (status, failed(found)) == (4, {*names} | unread | above)
    for name in names:
        path, _, mode, owner, widest = FILES[name]
        path = path or unit
        assert found[name]["evidence"] == f"{path} is {mode}, expected {owner} {widest} or less"
        assert found[name]["remedy"] == f"chown {owner} {path}; chmod {widest} {path}"


DROP_INS = DROP_IN.rpartition("/")[0]
JSON = "/etc/docker/daemon.json"
ALIAS = "/etc/systemd/system/docker-engine.service"


def with_variables(file: str) -> str:
    """Return bash that lets docker.service read a file of variables."""
    return f"printf '[Service]\\nEnvironmentFile={file}\\n' >{DROP_INS}/zz.conf; systemctl daemon-reload"


REPLACEABLE = {
    "the folder of the certificates is another's": (f"chown nobody {TLS}/", "FILE-8", f"{TLS} belongs to another user"),
    "others can write to the folder of the certificates": (
        f"chmod 777 {TLS}/",
        "FILE-8",
        f"others can write to {TLS}; run: chmod go-w {TLS}",
    ),
    "others can write to the folder of the drop-in": (
        f"chmod 777 {DROP_INS}",
        "FILE-8",
        f"others can write to {DROP_INS}; run: chmod go-w {DROP_INS}",
    ),
    "the folder of the drop-in is another's": (
        f"chown nobody {DROP_INS}",
        "FILE-8",
        f"{DROP_INS} belongs to another user",
    ),
    "others can write to the folder of the unit": (
        "chmod 777 $(dirname $(systemctl show --property FragmentPath --value docker.service))",
        "FILE-8",
        "others can write to {}",
    ),
    "another drop-in leads to another's folder": (
        f"install -d -o nobody /srv/nobody; echo '[Service]' >/srv/nobody/zz.conf\n"
        f"ln -s /srv/nobody/zz.conf {DROP_INS}; systemctl daemon-reload",
        "FILE-8",
        "/srv/nobody belongs to another user",
    ),
    "the folder of every service's drop-ins is another's": (
        "install -d -o nobody /etc/systemd/system/service.d",
        "FILE-8",
        "/etc/systemd/system/service.d belongs to another user",
    ),
    "others can write to the folder of every socket's drop-ins": (
        "install -d -m 777 /run/systemd/system/socket.d",
        "FILE-8",
        "others can write to /run/systemd/system/socket.d; ",
    ),
    "the folder of the socket's drop-ins is another's": (
        f"install -d -o nobody {SOCKET_UNIT}.d",
        "FILE-8",
        f"{SOCKET_UNIT}.d belongs to another user",
    ),
    "the folder of the drop-ins of what another name begins with is another's": (
        f"ln -s $(systemctl show --property FragmentPath --value docker.service) {ALIAS}; systemctl daemon-reload\n"
        "install -d -o nobody /etc/systemd/system/docker-.service.d",
        "FILE-8",
        "/etc/systemd/system/docker-.service.d belongs to another user",
    ),
    "the folder of every service's drop-ins could be made by another user": (
        "install -d -o nobody /srv/nobody; ln -s /srv/nobody/service.d /etc/systemd/system/service.d",
        "FILE-8",
        "/srv/nobody belongs to another user",
    ),
    "a missing file of variables could be made by another user": (
        f"install -d -o nobody /srv/nobody; {with_variables('-/srv/nobody/docker/variables')}",
        "FILE-8",
        "/srv/nobody belongs to another user",
    ),
    "a file of variables that a pattern finds is another's": (
        f"install -d /srv/nobody; install -o nobody /dev/null /srv/nobody/a.env; {with_variables('/srv/nobody/*.env')}",
        "FILE-9",
        "/srv/nobody/a.env is nobody:root 755, expected root:root 644 or less",
    ),
    "others can write to the folder in which a pattern finds a file of variables": (
        f"install -d -m 777 /srv/nobody; : >/srv/nobody/a.env; {with_variables('/srv/nobody/*.env')}",
        "FILE-8",
        "others can write to /srv/nobody; run: chmod go-w /srv/nobody",
    ),
    "a folder that a pattern finds is another's": (
        f"install -d /srv/nobody; install -d -o nobody /srv/nobody/b; {with_variables('-/srv/nobody/*/variables')}",
        "FILE-8",
        "/srv/nobody/b belongs to another user",
    ),
    "others can write to a drop-in of the socket": (
        f"mkdir {SOCKET_UNIT}.d; echo '[Socket]' >{SOCKET_UNIT}.d/zz.conf; chmod 666 {SOCKET_UNIT}.d/zz.conf\n"
        "systemctl daemon-reload",
        "FILE-9",
        f"{SOCKET_UNIT}.d/zz.conf is root:root 666, expected root:root 644 or less",
    ),
    "others can write to another drop-in": (
        f"echo '[Service]' >{DROP_INS}/zz.conf; chmod 666 {DROP_INS}/zz.conf; systemctl daemon-reload",
        "FILE-9",
        f"{DROP_INS}/zz.conf is root:root 666, expected root:root 644 or less",
    ),
    "others can write to the file of variables": (
        f"chmod 666 {OPTIONS}",
        "FILE-9",
        f"{OPTIONS} is root:root 666, expected root:root 644 or less",
    ),
    "daemon.json is another's": (
        f"echo '{{}}' >{JSON}; chown nobody {JSON}; chmod 666 {JSON}",
        "FILE-10",
        f"{JSON} is nobody:root 666, expected root:root 644 or less",
    ),
}


@pytest.fixture
def as_before(ready: Host, mended: list[bool]) -> Iterator[None]:
    """Put the modes of folders and units back after a test."""
    yield
    ready.bash(
        f"chown root {TLS}/ {DROP_INS}; chmod 700 {TLS}/; chmod 755 {DROP_INS} /lib/systemd/system\n"
        f"chmod --silent 644 {OPTIONS} || true; rm -f {DROP_INS}/zz.conf {JSON} {ALIAS}\n"
        f"rm -rf /srv/{{nobody,root}} {{/etc,/run}}/systemd/system/{{service,socket,docker.socket,docker-.service}}.d\n"
        "systemctl daemon-reload"
    )


@pytest.mark.one_release
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.debian_options if OPTIONS in bash else ())
        for name, (bash, *_) in REPLACEABLE.items()
    ],
)
def test_what_others_could_put_in_place_of_dockerds_files_is_found(ready: Host, as_before: None, name: str) -> None:
    bash, fails, evidence = REPLACEABLE[name]
    unit = ready.run(["systemctl", "show", "--property=FragmentPath", "--value", "docker.service"]).stdout
    ready.bash(bash)
    status, found = judge(ready)
    # A folder that has changed since dockerd started is CERT-5's too.
    assert (status, failed(found) - {"CERT-5"}) == (4, {fails})
    assert found[fails]["evidence"].startswith(evidence.format(unit.rpartition("/")[0]))
    assert found[fails]["remedy"]


@pytest.mark.one_release
def test_other_files_that_root_alone_can_change_hold(ready: Host, as_before: None) -> None:
    folders = f"/etc/systemd/system/{{service,socket,docker-.service}}.d {SOCKET_UNIT}.d"
    ready.bash(f"mkdir -p {folders}; echo '{{}}' >{JSON}; echo '[Socket]' >{SOCKET_UNIT}.d/zz.conf")
    ready.bash("mkdir -p /srv/root/b; : >/srv/root/a.env")
    patterns = ("-/srv/root/*/variables", "/srv/root/*.env", "-/srv/missing/variables")
    ready.bash(with_variables("\\nEnvironmentFile=".join(patterns)))
    status, found = judge(ready)
    assert (status, found["FILE-10"]["result"], found["FILE-10"]["benchmark"]) == (
        0,
        "PASS",
        "CIS Docker Benchmark v1.6.0, 3.17 and 3.18",
    )
    looked_at = {"/etc/systemd/system/service.d", "/srv", "/srv/root", "/srv/root/b"}
    assert looked_at <= {*found["FILE-8"]["evidence"].splitlines()}
    files = {f"{DROP_INS}/zz.conf", "/srv/root/a.env", f"{SOCKET_UNIT}.d/zz.conf", *[OPTIONS] * ready.exists(OPTIONS)}
    assert files <= {*found["FILE-9"]["evidence"].split()}


def test_after_all_that_the_host_is_good_again(ready: Host) -> None:
    """Each of the breaks above must have been undone, or the next one showed nothing."""
    assert failed(judge(ready)[1]) == set()


def test_a_failure_in_the_table_says_what_was_found_and_what_to_do(ready: Host, mended: list[bool]) -> None:
    ready.run(["chmod", "666", DROP_IN])
    result = verify(ready, VERIFY_HOST)
    assert result.status == 4
    said = re.search(r"^FILE-5 .*\n +found: (.*)\n +do: +(.*)$", result.stdout, re.MULTILINE)
    assert said is not None
    assert said.groups() == (
        f"{DROP_IN} is root:root 666, expected root:root 644 or less",
        f"chown root:root {DROP_IN}; chmod 644 {DROP_IN}",
    )


def server_key(host: Host) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(host.read_bytes("/run/tls/server-key.pem"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


ALL_NAMES = ("localhost", "docker.example", "127.0.0.1")
CERTIFICATES: dict[str, tuple[dict[str, object], set[str], str]] = {
    "as good as the installed one": ({}, set(), ""),
    "it ends in 29 of its 365 days": (
        {"begins": -336 * DAY, "ends": 29 * DAY},
        {"CERT-3"},
        "it is time to renew it, 30 days before its end",
    ),
    "it ends in 9 of its 30 days": (
        {"begins": -21 * DAY, "ends": 9 * DAY},
        {"CERT-3"},
        "it is time to renew it, 10 days before its end",
    ),
    "it ends in 29 of its 30 days": ({"begins": -DAY, "ends": 29 * DAY}, set(), ""),
    "one name is missing": ({"names": ("localhost", "127.0.0.1")}, {"CERT-4"}, "it is for DNS:localhost,IP:127.0.0.1"),
    "one address is missing": (
        {"names": ("localhost", "docker.example")},
        {"CERT-4"},
        "it is for DNS:localhost,DNS:docker.example",
    ),
    # What dockerd does not accept for another reason too shows nothing of the
    # server's certificate as a client: TLS-6 must not claim otherwise.
    "it has expired": (
        {"begins": -9 * DAY, "ends": -DAY},
        {"CERT-1", "CERT-3", "TLS-6"},
        "certificate has expired",
    ),
    "it is not valid yet": ({"begins": DAY}, {"CERT-1", "TLS-6"}, "certificate is not yet valid"),
    "another CA issued it": (
        {"ca": new_authority("dockseal CA")},
        {"CERT-1", "TLS-6"},
        "unable to get local issuer certificate",
    ),
    "it is a client's": ({"usage": CLIENT}, {"CERT-1", "TLS-6"}, "certificate purpose"),
    "it is a client's too": ({"usage": (*SERVER, *CLIENT)}, {"TLS-6"}, "it got an answer"),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_server_certificate_is_judged_when(ready: Host, authority: Pair, mended: list[bool], name: str) -> None:
    options, fails, evidence = CERTIFICATES[name]
    wanted = {"ca": authority, "usage": SERVER, "names": ALL_NAMES, **options}
    pair = issue(wanted.pop("ca"), "localhost", key=server_key(ready), **wanted)  # type: ignore[arg-type]
    ready.bash(f"cat >{TLS}/certificate.pem <<'END'\n{pair.certificate_pem.decode()}END")
    status, found = judge(ready)
    # dockerd has not read it yet.
    assert (status, failed(found)) == (4, {*fails, "CERT-6"})
    for control in sorted(fails)[:1]:
        assert evidence in found[control]["evidence"]
        assert found[control]["remedy"]


def test_a_client_of_the_ca_that_has_expired_gets_no_answer(ready: Host, authority: Pair, mended: list[bool]) -> None:
    pair = issue(authority, begins=-9 * DAY, ends=-DAY)
    ready.write(f"{CLIENTS_FOLDER}/client-certificate.pem", pair.certificate_pem)
    ready.write(f"{CLIENTS_FOLDER}/client-key.pem", pair.key_pem, 0o600)
    status, found = judge(ready)
    assert (status, failed(found)) == (4, {"TLS-1"})
    assert re.search("alert (bad certificate|certificate expired)", found["TLS-1"]["evidence"])


def stand_in(host: Host, *options: str) -> None:
    """Let a server with dockerd's certificate answer on its port, for what no dockerd of these releases does."""
    host.bash(
        f"""
        systemctl stop {UNITS}
        mkdir -p /run/www
        printf 'HTTP/1.1 200 OK\\r\\n\\r\\nOK' >/run/www/_ping
        systemd-run --quiet --unit stand-in --property WorkingDirectory=/run/www \
          openssl s_server -accept 127.0.0.1:2376 -cert {TLS}/certificate.pem -key {TLS}/server-key.pem -HTTP "$@"
        until (exec 3<>/dev/tcp/127.0.0.1/2376) 2>/dev/null; do :; done
        """,
        *options,
    )


def test_a_server_that_speaks_tls_1_1_is_noticed(ready: Host, mended: list[bool]) -> None:
    mended.append(True)
    stand_in(ready, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    status, found = judge(ready)
    assert status == 4
    assert found["TLS-7"]["result"] == "FAIL"
    assert found["TLS-7"]["evidence"] == "it got an answer"


ALERT_ALONE = "daemon: no log of handshakes here; the alert alone decides"


def test_the_other_alert_for_a_missing_certificate_is_a_refusal_too(ready: Host, mended: list[bool]) -> None:
    """Over TLS 1.2 it is the same that dockerd of Go 1.26 sends."""
    mended.append(True)
    strict = ("-CAfile", f"{TLS}/ca-public.pem", "-Verify", "1", "-verify_return_error")
    stand_in(ready, "-tls1_2", *strict)
    _, found = judge(ready)
    assert failed(found) & REFUSALS == set()
    assert found["TLS-1"]["result"] == "PASS"
    assert "alert handshake failure" in found["TLS-2"]["evidence"]
    assert found["TLS-2"]["evidence"].endswith(ALERT_ALONE)


STOP_JOURNAL = """
systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald
! systemctl is-active --quiet systemd-journald.service
"""


@pytest.fixture
def without_journal(ready: Host, mended: list[bool]) -> Iterator[None]:
    """The same host, where journald does not run."""
    mended.append(True)
    ready.bash(STOP_JOURNAL)
    yield
    ready.bash("systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service")


def test_without_a_log_the_alert_alone_decides(ready: Host, without_journal: None) -> None:
    status, found = judge(ready)
    assert (status, failed(found)) == (0, set())
    for name in (*REFUSALS, "TLS-7"):
        assert found[name]["evidence"].endswith(ALERT_ALONE)
    ready.bash(with_flags("--tlsverify=false"))
    status, found = judge(ready)
    assert (status, failed(found)) == (4, {"CERT-5", "DAEMON-1", *REFUSALS})


def test_a_dockerd_that_logs_errors_alone_still_logs_handshakes(ready: Host, mended: list[bool]) -> None:
    """Go's own server logs them, which knows no levels."""
    mended.append(True)
    ready.write("/etc/docker/daemon.json", '{"log-level": "error"}\n')
    ready.bash(RESTART)
    status, found = judge(ready)
    assert (status, failed(found)) == (0, set())
    for name in (*REFUSALS, "TLS-7"):
        assert "; daemon: 127.0.0.1:" in found[name]["evidence"]
    ready.bash(with_flags("--tlsverify=false"))
    status, found = judge(ready)
    assert (status, failed(found)) == (4, {"CERT-5", "DAEMON-1", *REFUSALS})


@pytest.fixture
def quiet(ready: Host, mended: list[bool]) -> Iterator[None]:
    """The same host, whose journal keeps no more than errors of docker.service."""
    mended.append(True)
    path = f"{DROP_IN.rpartition('/')[0]}/quiet.conf"
    ready.write(path, "[Service]\nLogLevelMax=err\n")
    yield
    ready.run(["rm", path])


@pytest.mark.one_release
def test_where_the_journal_keeps_errors_alone_the_alert_alone_decides(ready: Host, quiet: None) -> None:
    for word in ("--undo", "--yes"):
        ready.run(["bash", f"/root/out/{DAEMON}", word, "--yes"])
    status, found = judge(ready)
    assert (status, failed(found)) == (0, set())
    for name in (*REFUSALS, "TLS-7"):
        assert found[name]["evidence"].endswith(ALERT_ALONE)
    ready.bash(with_flags("--tlsverify=false"))
    status, found = judge(ready)
    assert (status, failed(found)) == (4, {"CERT-5", "DAEMON-1", *REFUSALS})


PUBLISH = """
mkdir -p /run/image/bin
cp /opt/tests/busybox /run/image/bin/cat
tar -C /run/image -c . | docker import - tiny >/dev/null
docker run --detach --tty --stop-signal KILL --name published -p 8080:80 -p 127.0.0.5:8081:81 -p [::1]:8082:82 tiny cat
ss -ltnp
"""


@pytest.mark.one_release("bullseye")
def test_a_published_port_is_no_place_where_dockerd_answers(ready: Host, mended: list[bool]) -> None:
    """Without its userland proxy, which the benchmark does not like, dockerd itself holds the port."""
    mended.append(True)
    ready.write("/etc/docker/daemon.json", '{"userland-proxy": false}\n')
    ready.bash(RESTART)
    said = ready.bash(PUBLISH).stdout
    held = re.findall(r" (\S+:80\d\d) .*\"dockerd\"", said)
    status, found = judge(ready)
    ready.bash("docker rm --force published; docker image rm tiny; rm /etc/docker/daemon.json")
    assert {"127.0.0.5:8081", "0.0.0.0:8080"} <= {*held}, said
    assert (status, failed(found)) == (0, set())


@pytest.mark.one_release
def test_a_published_port_of_another_protocol_excuses_no_listener(ready: Host, mended: list[bool]) -> None:
    """The same address and port: published for UDP, and where dockerd answers over TCP."""
    mended.append(True)
    metrics = '"metrics-addr": "127.0.0.1:9323", "experimental": true'
    ready.write("/etc/docker/daemon.json", f'{{"userland-proxy": false, {metrics}}}\n')
    ready.bash(RESTART)
    ready.bash(PUBLISH.replace("-p 8080:80", "-p 127.0.0.1:9323:80/udp -p 8080:80"))
    status, found = judge(ready)
    ready.bash("docker rm --force published; docker image rm tiny; rm /etc/docker/daemon.json")
    assert (status, failed(found)) == (4, {"DAEMON-1"})
    assert found["DAEMON-1"]["evidence"].startswith("it listens on 127.0.0.1:9323 too")


NARROWER = {
    "of root's group alone": ("chown root:root {0}; chmod 660 {0}", True),
    "for its owner alone": ("chown root:nogroup {0}; chmod 600 {0}", True),
    "for a group that nobody is in": ("groupadd -f ops; chown root:ops {0}", True),
    "for a group of somebody": ("groupadd -f ops; gpasswd -a games ops; chown root:ops {0}", False),
    "for a group whose members may use docker too": (
        "groupadd -f ops; gpasswd -a games ops; gpasswd -a games docker; chown root:ops {0}",
        True,
    ),
    "for another group": ("chown root:nogroup {0}; chmod 660 {0}", False),
    "of another user": ("chown nobody:root {0}; chmod 600 {0}", False),
}


@pytest.mark.one_release
@pytest.mark.parametrize("name", NARROWER)
def test_what_is_narrower_than_the_benchmark_passes(ready: Host, mended: list[bool], name: str) -> None:
    bash, passes = NARROWER[name]
    ready.bash(bash.format("/var/run/docker.sock"))
    _, found = judge(ready)
    assert failed(found) == (set() if passes else {"FILE-7"})


@pytest.mark.one_release
def test_an_access_control_list_lets_in_whom_the_mode_does_not_name(ready: Host, mended: list[bool]) -> None:
    socket = "/run/docker.sock"
    ready.run(["setfacl", "-m", "u:nobody:rw", socket])
    _, found = judge(ready)
    ready.run(["setfacl", "-b", socket])
    assert failed(found) == {"FILE-7"}
    assert found["FILE-7"]["evidence"].startswith("/var/run/docker.sock has an access control list: ")
    assert failed(judge(ready)[1]) == set()


# ---- What another user could change -----------------------------------------


@pytest.mark.one_release
@pytest.mark.parametrize("folder", [WORK, CLIENTS_FOLDER])
def test_a_folder_that_others_can_write_to_is_not_read(ready: Host, mended: list[bool], folder: str) -> None:
    ready.run(["chmod", "777", folder])
    result = verify(ready, VERIFY_HOST)
    ready.run(["chmod", "700", folder])
    said = f"error: {VERIFY_HOST}: others can write to {folder}; run: chmod go-w {folder}\n"
    assert (result.status, result.stdout, result.stderr) == (2, "", said)


# ---- The client's script ----------------------------------------------------

CLIENT_CONTROLS = (
    *("CCERT-1", "CCERT-2", "CCERT-3", "CFILE-1", "CFILE-2", "CLIENT-5"),
    *(f"PLAIN-{number}" for number in range(1, 4)),
    *("MODE-7", "MODE-13"),
    *(f"CLIENT-{number}" for number in (1, 2, 3, 4, 6)),
    "MODE-17",
)


def test_every_control_of_a_good_client_holds(ready: Host) -> None:
    status, found = judge(ready, VERIFY_CLIENT)
    assert status == 0
    assert [*found] == [*CLIENT_CONTROLS]
    # What Debian's own shell profiles say is not judged.
    assert {name for name, control in found.items() if control["result"] != "PASS"} == {"PLAIN-2"}


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("bash", "fails"),
    [
        pytest.param("chmod 755 /root/.docker", {"CFILE-1"}, id="others can look into the folder"),
        pytest.param("chmod 644 /root/.docker/key.pem", {"CFILE-2"}, id="others can read the key"),
        pytest.param("docker context rm --force localhost", {"CLIENT-4"}, id="the context is gone"),
        pytest.param(
            "openssl genpkey -algorithm ED25519 >/root/.docker/key.pem",
            {"CCERT-2", "CLIENT-1", "CLIENT-2", "CLIENT-3", "CLIENT-4"},
            id="another key",
        ),
        pytest.param(
            f"systemctl stop {UNITS}", {"CLIENT-1", "CLIENT-2", "CLIENT-3", "CLIENT-4"}, id="the host does not answer"
        ),
    ],
)
def test_a_control_of_the_client_fails_when(ready: Host, mended: list[bool], bash: str, fails: set[str]) -> None:
    mended += [True] * ("systemctl" in bash)
    ready.bash(bash)
    status, found = judge(ready, VERIFY_CLIENT)
    assert (status, failed(found)) == (4, fails)
    assert all(found[name]["remedy"] for name in fails)


def test_a_client_that_trusts_another_ca_refuses_the_host(ready: Host, mended: list[bool]) -> None:
    """The context has a copy of the right CA, which is not the one in its place."""
    ready.write("/root/.docker/ca.pem", new_authority("dockseal CA").certificate_pem)
    status, found = judge(ready, VERIFY_CLIENT)
    assert (status, failed(found)) == (4, {"CCERT-1", "CLIENT-1", "CLIENT-3", "CLIENT-4", "CLIENT-5", "CLIENT-6"})
    assert (
        "certificate verify failed" in found["CLIENT-1"]["evidence"] or "verify error" in found["CLIENT-1"]["evidence"]
    )


@pytest.mark.one_release("bullseye")
def test_a_client_without_files_is_told_what_to_run(ready: Host) -> None:
    result = verify(ready, VERIFY_CLIENT, env={"HOME": "/run"})
    assert result.status == 2
    assert result.stderr == (
        "error: clients/client/90-verify.sh: /run/.docker/key.pem is not there: run 20-configure-client.sh first\n"
    )
