"""What would make dockerd refuse is found before the first change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockseal.lab import UPSTREAM, Host
from tests.host.daemon import (
    ERROR,
    FOLDER,
    SCRIPT,
    UNIT,
    UNTOUCHED,
    configure,
    kept,
    refused,
    sign,
    write_unit,
)
from tests.host.support import (
    BUSYBOX,
    DAEMON,
    DROP_IN,
    OPTIONS,
    TLS,
    dockerd,
    install,
    make_certificates,
    refuses,
    site,
    stops,
    watched,
)

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
# Where the scripts' fixed PATH looks first.
FIRST_ON_PATH = "/usr/local/sbin"


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host of this module, with every certificate made and nothing configured."""
    install(host, tmp_path_factory.mktemp("site"))
    make_certificates(host)
    return host


# ---- The same options elsewhere ---------------------------------------------


def test_daemon_json_may_not_set_what_the_flags_set(ready: Host) -> None:
    path = "/etc/docker/daemon.json"
    message = '{} sets "{}" too, and dockerd refuses both; remove that key and run this again'
    with kept(ready, path):
        for option in ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey", "hosts"):
            ready.write(path, f'{{\n  "debug": true,\n  "{option}" : 1\n}}\n')
            said = ready.run(["bash", SCRIPT, "--check"], check=False).stderr
            assert said == f"{ERROR} {message.format(path, option)}; {UNTOUCHED}\n"
        refused(ready, message.format(path, "hosts"))
        ready.write(path, '{"tls": true, "tlscert": "/b", "hosts": ["fd://"]}\n')
        all_of_them = f'{path} sets "tls", "tlscert", "hosts" too, and dockerd refuses both'
        refused(ready, f"{all_of_them}; remove those keys and run this again")
        ready.write(path, '{"debug": true, "labels": ["hosts=many"]}\n')
        assert ready.run(["bash", SCRIPT, "--check"], check=False).status == 3


def test_another_drop_in_may_not_set_the_command(ready: Host) -> None:
    path = "/etc/systemd/system/docker.service.d/zz-proxy.conf"
    with kept(ready, "/etc/systemd/system/docker.service.d"):
        ready.write(path, f"[Service]\nExecStart=\nExecStart={dockerd(ready)} -H fd://\n")
        ready.run(["systemctl", "daemon-reload"])
        refused(ready, f"{path} sets ExecStart too; remove that line and run this again")


@pytest.mark.debian_options
def test_an_environment_line_may_not_set_what_the_flags_set(ready: Host) -> None:
    with kept(ready, "/etc/systemd/system/docker.service.d"):
        ready.write(
            "/etc/systemd/system/docker.service.d/lax.conf", "[Service]\nEnvironment=DOCKER_OPTS=--tlsverify=false\n"
        )
        ready.run(["systemctl", "daemon-reload"])
        refused(
            ready,
            "an Environment= line of docker.service passes --tlsverify to dockerd too; "
            "systemctl cat docker.service shows it",
        )


def test_somebody_elses_override_is_not_written_over(ready: Host) -> None:
    with kept(ready, "/etc/systemd/system/docker.service.d"):
        ready.write(DROP_IN, "[Service]\nEnvironment=HTTPS_PROXY=http://proxy:3128\n")
        ready.run(["systemctl", "daemon-reload"])
        refused(ready, f"{DROP_IN} is there and not made by this script; rename it, or set drop_in in the site file")


@pytest.mark.debian_options
@pytest.mark.parametrize(
    ("value", "found"),
    [("-H tcp://127.0.0.1:2375", "-H"), ("--debug --host=fd://", "--host"), ("--tlsverify=false", "--tlsverify")],
    ids=["-H", "--host", "--tlsverify"],
)
def test_docker_opts_may_not_set_what_the_flags_set(ready: Host, value: str, found: str) -> None:
    with kept(ready, OPTIONS):
        ready.write(OPTIONS, f'{ready.read(OPTIONS)}DOCKER_OPTS="{value}"\n')
        refused(ready, f"{OPTIONS} passes {found} to dockerd too; remove it there")


# ---- The unit, as systemd reads it ------------------------------------------

SOCKET = "/etc/systemd/system/docker.socket.d/site.conf"


def test_words_of_the_unit_are_in_the_drop_in_as_they_stand(ready: Host) -> None:
    words = f'{dockerd(ready)} -H fd:// \\\n  # why\n  --label "site=Hall  2" \\\n  $DOCKER_OPTS'
    with kept(ready, UNIT):
        write_unit(ready, words)
        result = ready.run(["bash", SCRIPT, "--check"], check=False)
        assert result.status == 3, result.stderr
        assert '\n  --label \\\n  "site=Hall  2" \\\n  $DOCKER_OPTS\nEND\n' in result.stdout
        # Told last, before the question, which nobody can answer here.
        told = f'{DAEMON}: taken over from {UNIT}, after the site\'s own words: --label "site=Hall  2" $DOCKER_OPTS\n'
        assert told in result.stderr
        asked = ready.run(["bash", SCRIPT], check=False).stderr
        assert f"{told}{ERROR} Restart dockerd now? " in asked
    assert "taken over" not in ready.run(["bash", SCRIPT], check=False).stderr


def test_a_command_that_only_leads_to_dockerd_is_refused(ready: Host) -> None:
    with kept(ready, UNIT):
        write_unit(ready, "/usr/bin/env dockerd -H fd://")
        said = "docker.service starts /usr/bin/env dockerd, and not dockerd itself; correct the ExecStart= of"
        refused(ready, f"{said} {UNIT}")


def test_a_file_of_options_in_a_word_of_its_own_is_read(ready: Host) -> None:
    path = "/etc/docker/site.json"
    with kept(ready, UNIT, path):
        ready.write(path, '{"hosts": ["fd://"]}\n')
        write_unit(ready, f"{dockerd(ready)} --config-file {path}")
        refused(ready, f'{path} sets "hosts" too, and dockerd refuses both; remove that key and run this again')


@pytest.mark.debian_options
@pytest.mark.parametrize("text", ['"-H tcp://0.0.0.0:4243"', '"--dns 192.0.2.53 \\\n  -H tcp://0.0.0.0:4243"'])
def test_a_variable_of_any_name_may_not_set_what_the_flags_set(ready: Host, text: str) -> None:
    with kept(ready, UNIT, OPTIONS):
        ready.write(OPTIONS, f"docker_opts1={text}\n")
        write_unit(ready, f"{dockerd(ready)} -H fd:// $docker_opts1")
        refused(ready, f"{OPTIONS} passes -H to dockerd too; remove it there")


def test_what_no_word_of_the_command_passes_on_is_no_obstacle(ready: Host) -> None:
    with kept(ready, OPTIONS, "/etc/systemd/system/docker.service.d"):
        ready.bash(f"echo 'NO_PROXY=\"localhost,REG-HQ.example.net\"' >>{OPTIONS}")
        ready.write(
            "/etc/systemd/system/docker.service.d/proxy.conf",
            '[Service]\nEnvironment="HTTPS_PROXY=http://PROXY-HA.example.net:3128" "NO_PROXY=REG-HQ.example.net"\n',
        )
        ready.run(["systemctl", "daemon-reload"])
        assert ready.run(["bash", SCRIPT, "--check"], check=False).status == 3


@pytest.mark.parametrize(
    ("socket", "json", "now", "later"),
    [
        ("SocketGroup=root\nSocketMode=0600", "", "root:root 0600", "root:docker 0660"),
        ("SocketGroup=ops", "", "root:ops 0660", "root:docker 0660"),
        ("", '{"group": "ops"}', "root:docker 0660", "root:ops 0660"),
    ],
    ids=["narrower", "another group", "daemon.json"],
)
def test_who_may_use_the_local_socket_stays(ready: Host, socket: str, json: str, now: str, later: str) -> None:
    with kept(ready, "/etc/docker/daemon.json", "/etc/systemd/system/docker.socket.d"):
        ready.write(SOCKET, f"[Socket]\n{socket}\n")
        if json:
            ready.write("/etc/docker/daemon.json", json)
        ready.run(["systemctl", "daemon-reload"])
        refused(
            ready,
            f"docker.socket makes /run/docker.sock {now}, and dockerd without -H fd:// would make it {later}; set "
            'SocketUser=, SocketGroup= and SocketMode= (systemctl edit docker.socket) and "group" in '
            "/etc/docker/daemon.json to the same",
        )


@pytest.mark.one_release("bullseye")
def test_a_service_that_nothing_would_start_is_refused(ready: Host) -> None:
    with kept(ready, "/etc/systemd/system"):
        ready.run(["rm", "/etc/systemd/system/multi-user.target.wants/docker.service"])
        ready.run(["systemctl", "daemon-reload"])
        refused(
            ready,
            "docker.service is disabled: after the next start of this machine nothing would listen on "
            "127.0.0.1:2376; run: systemctl enable docker.service",
        )
        ready.run(["ln", "-s", "/dev/null", UNIT])
        ready.run(["systemctl", "daemon-reload"])
        refused(
            ready,
            "docker.service is masked, so that nothing can start it; run: systemctl unmask docker.service",
        )


@pytest.mark.parametrize("release", [UPSTREAM], indirect=True)
def test_what_dockerd_says_of_its_file_is_said_before_the_restart(ready: Host) -> None:
    path = "/etc/docker/daemon.json"
    with kept(ready, path):
        ready.write(path, '{"no-such-key": true}\n')
        result = configure(ready)
        assert result.status == 2, result.stderr
        assert f"dockerd would not start with {path}: " in result.stderr
        assert "no-such-key" in result.stderr
        assert not ready.exists(TLS)


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("folder", ["/etc/docker", "/etc/systemd/system", "/root/docker-tls/hosts"])
def test_folders_that_others_can_change_are_refused(ready: Host, folder: str) -> None:
    mode = ready.run(["stat", "--format=%a", folder]).stdout.strip()
    ready.run(["chmod", "o+w", folder])
    try:
        result = configure(ready)
        assert result.status == 2, result.stderr
        assert folder in result.stderr
        assert not ready.exists(TLS)
    finally:
        ready.run(["chmod", mode, folder])


# ---- The place to listen ----------------------------------------------------


@pytest.mark.parametrize("place", ["127.0.0.1:2376", "0.0.0.0:2376", "[::]:2376"])
def test_a_port_in_use_is_told_with_its_process(ready: Host, place: str) -> None:
    with listener(ready, place) as pid:
        refused(
            ready,
            f"port 2376 is in use by busybox (process {pid}); stop it, or set another port in the site file",
        )


@pytest.mark.one_release
def test_the_name_of_a_process_tells_the_terminal_nothing(ready: Host) -> None:
    program = "/opt/tests/busybox\x1b[2J\r"
    ready.run(["cp", BUSYBOX, program])
    with listener(ready, "127.0.0.1:2376", program) as pid:
        assert "\x1b[2J\r" in ready.read(f"/proc/{pid}/comm")
        said = f"port 2376 is in use by busybox [2J  (process {pid}); stop it, or set another port in the site file"
        refused(ready, said)
    ready.run(["rm", program])


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("place", ["127.0.0.2:2376", "127.0.0.1:2377"])
def test_a_port_in_use_elsewhere_is_no_obstacle(ready: Host, place: str) -> None:
    with listener(ready, place):
        assert ready.run(["bash", SCRIPT, "--check"], check=False).status == 3


@contextmanager
def listener(host: Host, place: str, program: str = BUSYBOX) -> Iterator[int]:
    """Let something listen there, and give its process id."""
    host.run(["systemd-run", "--quiet", "--unit=listener", program, "httpd", "-f", "-p", place, "-h", "/run"])
    try:
        # Field 4 of /proc/net/tcp is 0A for a socket that listens.
        host.bash(
            'until awk -v port=:$(printf %04X "$1") \'$2 ~ port && $4 == "0A" { found = 1 } END { exit !found }\''
            " /proc/net/tcp /proc/net/tcp6; do systemctl --quiet is-active listener; done",
            place.rpartition(":")[2],
            timeout=10,
        )
        yield int(host.run(["systemctl", "show", "--property=MainPID", "--value", "listener"]).stdout)
    finally:
        host.run(["systemctl", "stop", "listener"])


def test_a_port_that_a_socket_unit_holds_is_told_with_its_name(ready: Host) -> None:
    unit = "/etc/systemd/system/other.socket"
    with kept(ready, unit, unit.replace(".socket", ".service")):
        ready.write(unit, "[Socket]\nListenStream=127.0.0.1:2376\n")
        ready.write(unit.replace(".socket", ".service"), "[Service]\nExecStart=/bin/true\n")
        ready.bash("systemctl daemon-reload; systemctl start other.socket")
        refused(
            ready,
            "systemd listens on port 2376 for other.socket; take its ListenStream= out (systemctl cat other.socket "
            "shows it), or set another port in the site file",
        )
        ready.run(["systemctl", "stop", "other.socket"])


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_that_the_machine_has_not_got(ready: Host, tmp_path: Path, address: str) -> None:
    listen = f"[{address}]:2376" if ":" in address else f"{address}:2376"
    install(ready, tmp_path, site(listen=listen, address=address), "/root/elsewhere")
    script = f"/root/elsewhere/{DAEMON}"
    refused(
        ready,
        f"this machine does not have the address {address} to listen on; correct listen in the site file, or give "
        "the address to an interface",
        script,
    )
    # With the address, the next thing is found: the certificate is for another one.
    ready.run(["ip", "addr", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo"])
    result = configure(ready, script=script)
    assert f"{FOLDER}/certificate.pem is for DNS:localhost,IP:127.0.0.1, not for DNS:localhost,IP:" in result.stderr


# ---- Keys and certificates --------------------------------------------------


@pytest.mark.one_release("bullseye")
def test_a_key_that_does_not_belong_to_the_certificate(ready: Host) -> None:
    key, certificate = f"{FOLDER}/server-key.pem", f"{FOLDER}/certificate.pem"
    with kept(ready, key):
        ready.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", key])
        refused(ready, f"{key} does not belong to {certificate}")


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        (
            "2020-01-01",
            "certificate has expired: it ended WHEN, and the clock here says WHEN; renew it, or set the clock",
        ),
        (
            "+40 days",
            "certificate is not yet valid: it begins WHEN, and the clock here says WHEN; set the clock, or wait",
        ),
    ],
    ids=["expired", "not yet valid"],
)
def test_a_certificate_whose_time_is_not_now(ready: Host, clock: str, reason: str) -> None:
    certificate = f"{FOLDER}/certificate.pem"
    with kept(ready, certificate):
        sign(ready, certificate, clock)
        result = ready.run(["bash", SCRIPT, "--yes"], check=False)
        said = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "WHEN", result.stderr)
        assert said == f"{ERROR} {certificate} is not valid here: {reason}; {UNTOUCHED}\n"
        assert result.status == 2
        assert not ready.exists(TLS)
        assert not ready.exists(DROP_IN)


@pytest.mark.one_release("bullseye")
def test_a_certificate_of_another_ca(ready: Host) -> None:
    path = f"{FOLDER}/ca-public.pem"
    with kept(ready, path):
        make_certificates(ready, "--dir", "/run/other-ca")
        ready.run(["cp", "/run/other-ca/ca/ca-public.pem", path])
        result = configure(ready)
        assert result.status == 2
        said = f"{ERROR} {FOLDER}/certificate.pem is not valid here: unable to get local issuer certificate"
        assert result.stderr == f"{said}; {UNTOUCHED}\n"
        assert not ready.exists(TLS)


@pytest.mark.one_release("bullseye")
def test_a_certificate_that_is_not_here_yet(ready: Host) -> None:
    certificate = f"{FOLDER}/certificate.pem"
    with kept(ready, certificate):
        ready.run(["rm", certificate])
        refuses(
            ready,
            ["bash", SCRIPT, "--yes"],
            f"{ERROR} {certificate} is not here: carry {FOLDER}/request.csr to the CA, run ca/20-sign-servers.sh "
            f"there, and bring certificate.pem and ca-public.pem back; {UNTOUCHED}",
            status=5,
        )


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_a_place_for_the_files_that_is_somebody_elses(ready: Host, kind: str) -> None:
    make = {"folder": ["mkdir", TLS], "file": ["touch", TLS], "link": ["ln", "-s", "/srv/certificates", TLS]}
    with kept(ready, TLS):
        ready.run(make[kind])
        refused(
            ready,
            f"{TLS} is there and not made by this script; move it away, or set tls_directory in the site file",
        )


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_somebody_else_made_is_not_undone(ready: Host, kind: str) -> None:
    previous = f"{TLS}.previous"
    make = {"folder": f"mkdir -p {TLS}.previous/mine {TLS}", "file": f"touch {TLS}.previous {TLS}"}
    make["link"] = f"ln -s /srv/certificates {TLS}; ln -s /srv {previous}"
    with kept(ready, TLS, previous):
        ready.bash(make[kind])
        result, changes = watched(ready, ["bash", SCRIPT, "--undo", "--yes"])
        assert (result.status, changes) == (0, "")
        ready.run(["rm", "-rf", TLS])
        refused(
            ready,
            f"{previous} is there and not made by this script, which keeps the previous state there; move it away",
        )


@pytest.mark.one_release
@pytest.mark.parametrize("name", [f"{DROP_IN}.new", f"{TLS}.new"], ids=["drop-in", "link"])
def test_a_folder_that_has_the_temporary_name_of_a_file(ready: Host, name: str) -> None:
    """Nothing takes its place. --undo leaves it; the control: once it is gone, nothing stands in the way."""
    with kept(ready, "/etc/systemd/system/docker.service.d", name):
        ready.run(["install", "-D", "-d", "-o", "nobody", name])
        refused(ready, f"{name} is a folder; move it away")
        assert configure(ready, "--undo").status == 0
        assert ready.exists(name)
        ready.run(["rmdir", name])
        assert ready.run(["bash", SCRIPT, "--check"], check=False).status == 3


@pytest.mark.one_release("bullseye")
def test_a_bundle_with_a_second_ca_is_not_installed(ready: Host) -> None:
    path = f"{FOLDER}/ca-public.pem"
    with kept(ready, path):
        make_certificates(ready, "--dir", "/run/second-ca")
        ready.bash(f"cat /run/second-ca/ca/ca-public.pem >>{path}")
        result = configure(ready)
        assert result.status == 2
        assert f"{ERROR} {path} is not installed: it holds 2 CAs and 0 announcements" in result.stderr
        assert not ready.exists(TLS)


@pytest.mark.one_release("bullseye")
def test_not_root(ready: Host, tmp_path: Path) -> None:
    install(ready, tmp_path, to="/srv/out")
    ready.run(["chmod", "-R", "go+rX", "/srv/out"])
    nobody = ["runuser", "-u", "nobody", "--", "bash"]
    said = f"{ERROR} this needs root: run it with sudo"
    refuses(ready, [*nobody, f"/srv/out/{DAEMON}", "--dir", "/srv/docker-tls", "--yes"], said)
    said += f"\nerror: setup.sh: {DAEMON} cannot run on this machine; nothing was changed"
    stops(ready, [*nobody, "/srv/out/setup.sh", "--dir", "/srv/docker-tls", "--yes"], said)
    assert not ready.exists("/srv/docker-tls")
