"""What would make dockerd refuse is found before the first change; what fails later is put back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from generator.lab import Host, Lab, Result, difference
from generator.lab.image import tag
from tests.host.authority import DAY, issue, real_authority
from tests.host.support import (
    BUSYBOX,
    CERTIFICATE_STEPS,
    CLIENT,
    DAEMON,
    DROP_IN,
    TLS,
    UNATTENDED,
    WORK,
    arguments,
    changed,
    install,
    main_pid,
    make_certificates,
    refuses,
    site,
    stops,
    watched,
)

pytestmark = pytest.mark.no_probe_image
SCRIPT = f"/root/out/{DAEMON}"
FOLDER = f"{WORK}/hosts/localhost"
ERROR = f"error: {DAEMON}:"
UNTOUCHED = "nothing was changed"
# Where the scripts' fixed PATH looks first.
FIRST_ON_PATH = "/usr/local/sbin"


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host of this module, with every certificate made and nothing configured."""
    install(host, tmp_path_factory.mktemp("site"))
    make_certificates(host)
    return host


@contextmanager
def kept(host: Host, *paths: str) -> Iterator[None]:
    """Put these files back at the end, as they are now, and remove those that are not there now."""
    host.run(["tar", "-C", "/", "-c", "-f", "/run/kept.tar", "--ignore-failed-read", *paths], check=False)
    try:
        yield
    finally:
        host.bash('rm -rf "$@" && tar -C / -x -p -f /run/kept.tar && systemctl daemon-reload', *paths)


def configure(host: Host, *words: str, script: str = SCRIPT) -> Result:
    """Run the daemon's script without a terminal and return what came of it."""
    return host.run(["bash", script, "--yes", *words], check=False)


def refused(host: Host, message: str, script: str = SCRIPT) -> None:
    """See the script refuse with this message before it changes anything, with --check too."""
    refuses(host, ["bash", script, "--yes"], f"{ERROR} {message}; {UNTOUCHED}")
    assert host.run(["bash", script, "--check"], check=False).stderr == f"{ERROR} {message}; {UNTOUCHED}\n"


def ping(host: Host, port: int = 2376) -> str:
    """Ask the daemon through TCP with the client's certificate."""
    client = f"{WORK}/clients/client"
    words = [
        *("docker", "-H", f"tcp://localhost:{port}", "--tlsverify", f"--tlscacert={client}/ca-public.pem"),
        *(f"--tlscert={client}/client-certificate.pem", f"--tlskey={client}/client-key.pem"),
    ]
    return host.run([*words, "version", "--format", "{{.Server.Version}}"], check=False).stdout.strip()


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
        ready.write(path, "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd://\n")
        ready.run(["systemctl", "daemon-reload"])
        refused(ready, f"{path} sets ExecStart too; remove that line and run this again")


def test_an_environment_line_may_not_set_what_the_flags_set(ready: Host) -> None:
    with kept(ready, "/etc/systemd/system/docker.service.d"):
        ready.write(
            "/etc/systemd/system/docker.service.d/lax.conf", "[Service]\nEnvironment=DOCKER_OPTS=--tlsverify=false\n"
        )
        ready.run(["systemctl", "daemon-reload"])
        refused(
            ready,
            "an Environment= line of docker.service passes --tls to dockerd too; systemctl cat docker.service shows it",
        )


def test_somebody_elses_override_is_not_written_over(ready: Host) -> None:
    with kept(ready, "/etc/systemd/system/docker.service.d"):
        ready.write(DROP_IN, "[Service]\nEnvironment=HTTPS_PROXY=http://proxy:3128\n")
        ready.run(["systemctl", "daemon-reload"])
        refused(ready, f"{DROP_IN} is there and not made by this script; rename it, or set drop_in in the site file")


@pytest.mark.parametrize(
    ("value", "found"),
    [("-H tcp://127.0.0.1:2375", "-H"), ("--debug --host=fd://", "--host"), ("--tlsverify=false", "--tls")],
    ids=["-H", "--host", "--tlsverify"],
)
def test_docker_opts_may_not_set_what_the_flags_set(ready: Host, value: str, found: str) -> None:
    path = "/etc/default/docker"
    with kept(ready, path):
        ready.write(path, f'{ready.read(path)}DOCKER_OPTS="{value}"\n')
        refused(ready, f"{path} passes {found} to dockerd too; remove it there")


# ---- The unit, as systemd reads it ------------------------------------------

UNIT = "/etc/systemd/system/docker.service"
SOCKET = "/etc/systemd/system/docker.socket.d/site.conf"


def write_unit(host: Host, command: str) -> None:
    """Let the unit be the stock one with another command; nothing is restarted."""
    stock = host.read("/lib/systemd/system/docker.service")
    host.write(UNIT, re.sub(r"^ExecStart=.*$", lambda _: f"ExecStart={command}", stock, flags=re.MULTILINE))
    host.run(["systemctl", "daemon-reload"])


def test_words_of_the_unit_are_in_the_drop_in_as_they_stand(ready: Host) -> None:
    words = '/usr/sbin/dockerd -H fd:// \\\n  # why\n  --label "site=Hall  2" \\\n  $DOCKER_OPTS'
    with kept(ready, UNIT):
        write_unit(ready, words)
        result = ready.run(["bash", SCRIPT, "--check"], check=False)
        assert result.status == 3, result.stderr
        assert '\n  --label \\\n  "site=Hall  2" \\\n  $DOCKER_OPTS\nEND\n' in result.stdout


def test_a_command_that_only_leads_to_dockerd_is_refused(ready: Host) -> None:
    with kept(ready, UNIT):
        write_unit(ready, "/usr/bin/env dockerd -H fd://")
        said = "docker.service starts /usr/bin/env dockerd, and not dockerd itself; correct the ExecStart= of"
        refused(ready, f"{said} {UNIT}")


def test_a_file_of_options_in_a_word_of_its_own_is_read(ready: Host) -> None:
    path = "/etc/docker/site.json"
    with kept(ready, UNIT, path):
        ready.write(path, '{"hosts": ["fd://"]}\n')
        write_unit(ready, f"/usr/sbin/dockerd --config-file {path}")
        refused(ready, f'{path} sets "hosts" too, and dockerd refuses both; remove that key and run this again')


@pytest.mark.parametrize("text", ['"-H tcp://0.0.0.0:4243"', '"--dns 192.0.2.53 \\\n  -H tcp://0.0.0.0:4243"'])
def test_a_variable_of_any_name_may_not_set_what_the_flags_set(ready: Host, text: str) -> None:
    path = "/etc/default/docker"
    with kept(ready, UNIT, path):
        ready.write(path, f"docker_opts1={text}\n")
        write_unit(ready, "/usr/sbin/dockerd -H fd:// $docker_opts1")
        refused(ready, f"{path} passes -H to dockerd too; remove it there")


def test_what_no_word_of_the_command_passes_on_is_no_obstacle(ready: Host) -> None:
    path = "/etc/default/docker"
    with kept(ready, path, "/etc/systemd/system/docker.service.d"):
        ready.write(path, f'{ready.read(path)}NO_PROXY="localhost,REG-HQ.example.net"\n')
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


@pytest.mark.parametrize("release", ["trixie"], indirect=True)
def test_what_dockerd_says_of_its_file_is_said_before_the_restart(ready: Host) -> None:
    path = "/etc/docker/daemon.json"
    with kept(ready, path):
        ready.write(path, '{"no-such-key": true}\n')
        result = configure(ready)
        assert result.status == 2, result.stderr
        assert f"dockerd would not start with {path}: " in result.stderr
        assert "no-such-key" in result.stderr
        assert not ready.exists(TLS)


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


@pytest.mark.parametrize("place", ["127.0.0.2:2376", "127.0.0.1:2377"])
def test_a_port_in_use_elsewhere_is_no_obstacle(ready: Host, place: str) -> None:
    with listener(ready, place):
        assert ready.run(["bash", SCRIPT, "--check"], check=False).status == 3


@contextmanager
def listener(host: Host, place: str) -> Iterator[int]:
    """Let something listen there, and give its process id."""
    host.run(["systemd-run", "--quiet", "--unit=listener", BUSYBOX, "httpd", "-f", "-p", place, "-h", "/run"])
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


def test_a_key_that_does_not_belong_to_the_certificate(ready: Host) -> None:
    key, certificate = f"{FOLDER}/server-key.pem", f"{FOLDER}/certificate.pem"
    with kept(ready, key):
        ready.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", key])
        refused(ready, f"{key} does not belong to {certificate}")


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


def sign(host: Host, certificate: str, clock: str) -> None:
    """Sign the server's certificate anew with the real CA, for 30 days from another day."""
    ca = f"{WORK}/ca"
    host.bash(
        """
        cat >/run/extensions <<'END'
subjectAltName = DNS:localhost,IP:127.0.0.1
extendedKeyUsage = serverAuth
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
        openssl req -new -subj /CN=localhost -key "$1" -out /run/request
        faketime "$5" openssl x509 -req -days 30 -sha256 -in /run/request -CA "$2" -CAkey "$3" \
          -passin file:/root/passphrase -set_serial 7 -extfile /run/extensions -out "$4"
        """,
        f"{FOLDER}/server-key.pem",
        f"{ca}/ca-public.pem",
        f"{ca}/ca-private.pem",
        certificate,
        clock,
    )


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


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_a_place_for_the_files_that_is_somebody_elses(ready: Host, kind: str) -> None:
    make = {"folder": ["mkdir", TLS], "file": ["touch", TLS], "link": ["ln", "-s", "/srv/certificates", TLS]}
    with kept(ready, TLS):
        ready.run(make[kind])
        refused(
            ready,
            f"{TLS} is there and not made by this script; move it away, or set tls_directory in the site file",
        )


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


def test_a_bundle_with_a_second_ca_is_not_installed(ready: Host) -> None:
    path = f"{FOLDER}/ca-public.pem"
    with kept(ready, path):
        make_certificates(ready, "--dir", "/run/second-ca")
        ready.bash(f"cat /run/second-ca/ca/ca-public.pem >>{path}")
        result = configure(ready)
        assert result.status == 2
        assert f"{ERROR} {path} is not installed: it holds 2 CAs and 0 announcements" in result.stderr
        assert not ready.exists(TLS)


# ---- The way back -----------------------------------------------------------


@contextmanager
def fake_dockerd(host: Host, refused_argument: str) -> Iterator[None]:
    """Put a fake in dockerd's place: it fails when it is given this argument and is dockerd otherwise."""
    real = "/usr/sbin/dockerd"
    host.run(["mv", real, f"{real}.real"])
    host.write(
        real,
        "#!/bin/sh\n"
        "# A fake: no real dockerd can be had that accepts the old flags and not the new ones.\n"
        f'case " $* " in *" {refused_argument} "*) echo "fake dockerd: no {refused_argument}" >&2; exit 1 ;; esac\n'
        f'exec {real}.real "$@"\n',
        0o755,
    )
    try:
        yield
    finally:
        host.run(["mv", f"{real}.real", real])
        restart(host)


def restart(host: Host) -> None:
    """Start dockerd anew, however it ended."""
    units = "docker.service docker.socket"
    host.bash(
        f"systemctl daemon-reload; systemctl stop {units}; systemctl reset-failed {units}; systemctl start {units}"
    )


def rolled_back(host: Host, result: Result, problem: str, said: str) -> None:
    """See that the run failed with the problem and the daemon's words, and that dockerd runs."""
    assert result.status == 1
    assert f"{DAEMON}: {problem}; putting the previous state back\n" in result.stderr, result.stderr
    last = f"{ERROR} {problem}; the previous state is back and docker.service runs with it\n"
    assert result.stderr.endswith(last)
    log = result.stderr.partition("---- the daemon said ----\n")[2].removesuffix(f"----\n{last}")
    assert said in log
    assert host.run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout.strip()


def test_a_dockerd_that_does_not_start_is_put_back(ready: Host) -> None:
    before = ready.snapshot(["/etc"])
    with fake_dockerd(ready, "--tlsverify"):
        result = configure(ready)
        rolled_back(ready, result, "docker.service did not start", "fake dockerd: no --tlsverify")
        assert "--tlsverify" not in arguments(ready)
    assert difference(before, ready.snapshot(["/etc"])) == []


@pytest.mark.one_release
def test_a_dockerd_that_does_not_answer_is_put_back(ready: Host) -> None:
    before = ready.snapshot(["/etc"])
    rule = ["-p", "tcp", "--dport", "2376", "-j", "REJECT", "--reject-with", "tcp-reset"]
    ready.run(["iptables", "-I", "INPUT", *rule])
    result = configure(ready, script=impatient(ready))
    ready.run(["iptables", "-D", "INPUT", *rule])
    problem = problem_in(result)
    assert problem.startswith("a client with a certificate got no answer: "), result.stderr
    rolled_back(ready, result, problem, "API listen on 127.0.0.1:2376")
    assert difference(before, ready.snapshot(["/etc"])) == []


def problem_in(result: Result) -> str:
    """Return the problem for which the previous state was put back."""
    found = re.search(rf"^{DAEMON}: (.*); putting the previous state back$", result.stderr, re.MULTILINE)
    assert found is not None, result.stderr
    return found[1]


def impatient(host: Host, script: str = SCRIPT) -> str:
    """Copy the script beside itself with 2 seconds to wait in place of 30, and nothing else different."""
    return changed(host, script, ("SECONDS + 30", "SECONDS + 2"))


@pytest.mark.one_release
def test_a_dockerd_that_answers_anybody_is_put_back(ready: Host) -> None:
    """The last of the proofs: a client without a certificate must be refused."""
    # A later --tlsverify=false wins; the check of $DOCKER_OPTS does not look into systemd's own environment.
    before = ready.snapshot(["/etc"])
    ready.run(["systemctl", "set-environment", "DOCKER_OPTS=--tlsverify=false"])
    result = configure(ready, script=impatient(ready))
    ready.run(["systemctl", "unset-environment", "DOCKER_OPTS"])
    restart(ready)
    assert problem_in(result).startswith("a client without a certificate was not refused: "), result.stderr
    assert difference(before, ready.snapshot(["/etc"])) == []


# ---- After all that is out of the way ---------------------------------------


@pytest.fixture(scope="module")
def configured(ready: Host) -> Host:
    """The same host once nothing stands in the way; $DOCKER_OPTS holds --debug."""
    path = "/etc/default/docker"
    ready.write(path, f'{ready.read(path)}DOCKER_OPTS="--debug --label=kept=yes"\n')
    result = configure(ready)
    assert result.status == 0, result.stderr
    return ready


def test_without_an_obstacle_it_configures_dockerd(configured: Host) -> None:
    assert ping(configured)
    assert "--tlsverify" in arguments(configured)


def test_what_the_unit_passes_besides_the_sockets_is_kept(configured: Host) -> None:
    running = arguments(configured)
    stock = configured.bash("sed -n 's/^ExecStart=//p' \"$(systemctl show -p FragmentPath --value docker)\"").stdout
    assert stock.split() == [
        *("/usr/sbin/dockerd", "-H", "fd://", "--containerd=/run/containerd/containerd.sock", "$DOCKER_OPTS")
    ]
    assert running[-3:] == ["--containerd=/run/containerd/containerd.sock", "--debug", "--label=kept=yes"]
    assert "fd://" not in running
    # $DOCKER_OPTS itself is passed on, not its value: the file keeps its say.
    assert "$DOCKER_OPTS" in configured.read(DROP_IN)


def test_a_drop_in_that_another_made_for_something_else_is_kept(configured: Host) -> None:
    path = "/etc/systemd/system/docker.service.d/proxy.conf"
    configured.write(path, "[Service]\nEnvironment=PROXY=here\n")
    configured.run(["systemctl", "daemon-reload"])
    result = configure(configured)
    assert (result.status, result.stderr) == (0, f"{DAEMON}: nothing to do\n")
    assert "PROXY=here" in configured.read(path)
    configured.run(["rm", path])
    configured.run(["systemctl", "daemon-reload"])


def commands(text: str) -> list[str]:
    """Return the lines of the commands that a run printed, without what it was told."""
    return [line.removeprefix("+ ") for line in text.splitlines() if not line.startswith((DAEMON, "error:"))]


def test_check_prints_every_command_of_a_renewal(configured: Host) -> None:
    configured.run(["bash", "/root/out/hosts/localhost/10-request-certificate.sh", "--renew", "--new-key"])
    configured.run(["bash", "/root/out/ca/20-sign-servers.sh", "--passphrase-file", "/root/passphrase"])
    checked = configured.run(["bash", SCRIPT, "--check"], check=False)
    assert checked.status == 3, checked.stderr
    done = configure(configured)
    assert done.status == 0, done.stderr
    assert commands(checked.stdout) == commands(done.stderr)
    assert f"rmdir -- {FOLDER}/renewal" in commands(checked.stdout)
    assert "CA certificate sha256: " in done.stderr


def test_folders_that_were_not_there_are_made_and_go(configured: Host, tmp_path: Path) -> None:
    text = site().replace("    listen:", "    tls_directory: /srv/made/deep/tls\n    listen:", 1)
    install(configured, tmp_path, text, "/root/deep")
    configured.run(["mkdir", "-m", "0750", "/srv/there"], check=False)
    assert configure(configured, "--undo").status == 0
    # The folder of the drop-in was there, and is empty now.
    configured.bash("rm -rf /etc/systemd/system/docker.service.d; mkdir /etc/systemd/system/docker.service.d")
    before = configured.snapshot(["/etc", "/srv"])
    result = configure(configured, script=f"/root/deep/{DAEMON}")
    assert result.status == 0, result.stderr
    modes = configured.run(["stat", "--format=%a %U", "/srv/made", "/srv/made/deep"]).stdout
    assert modes == "755 root\n755 root\n"
    assert configure(configured, script=f"/root/deep/{DAEMON}").stderr == f"{DAEMON}: nothing to do\n"
    assert configure(configured, "--undo", script=f"/root/deep/{DAEMON}").status == 0
    assert difference(before, configured.snapshot(["/etc", "/srv"])) == []
    assert configure(configured).status == 0


def test_a_client_that_has_ended_does_not_roll_the_switch_back(configured: Host) -> None:
    certificate = f"{WORK}/clients/client/client-certificate.pem"
    key = f"{WORK}/clients/client/client-key.pem"
    with kept(configured, certificate, key):
        pair = issue(real_authority(configured), begins=-9 * DAY, ends=-DAY)
        configured.write(certificate, pair.certificate_pem)
        configured.write(key, pair.key_pem, 0o600)
        assert configure(configured, "--undo").status == 0
        result = configure(configured)
        assert result.status == 0, result.stderr
        assert f"{DAEMON}: no client's valid files are here: " in result.stderr


def test_a_folder_of_docker_that_is_a_link_is_one_folder(configured: Host) -> None:
    configured.bash("mkdir -p /srv/etc; mv /etc/docker /srv/etc/docker; ln -s /srv/etc/docker /etc/docker")
    try:
        pid = main_pid(configured)
        assert configure(configured).stderr == f"{DAEMON}: nothing to do\n"
        assert main_pid(configured) == pid
        with kept(configured, f"{FOLDER}/certificate.pem"):
            sign(configured, f"{FOLDER}/certificate.pem", "-1 days")
            with fake_dockerd(configured, "--tlsverify"):
                assert configure(configured).status == 1
        assert configured.exists(f"{TLS}/certificate.pem")
        assert ping(configured)
    finally:
        configured.bash("rm /etc/docker; mv /srv/etc/docker /etc/docker")


# ---- The way back to an earlier configuration ------------------------------


@pytest.mark.one_release
def test_a_second_configuration_that_fails_brings_the_first_back(configured: Host, tmp_path: Path) -> None:
    install(configured, tmp_path, site(listen="127.0.0.1:2377"), "/root/second")
    before = configured.snapshot(["/etc"])
    with fake_dockerd(configured, "tcp://127.0.0.1:2377"):
        result = configure(configured, script=f"/root/second/{DAEMON}")
        rolled_back(configured, result, "docker.service did not start", "fake dockerd: no tcp://127.0.0.1:2377")
        assert ping(configured)
    assert difference(before, configured.snapshot(["/etc"])) == []
    assert configure(configured, script=f"/root/second/{DAEMON}").status == 0
    assert ping(configured, 2377)
    assert configure(configured).status == 0


def test_a_renewed_pair_that_fails_brings_the_old_one_back(configured: Host) -> None:
    certificate = f"{FOLDER}/certificate.pem"
    before = configured.snapshot(["/etc"])
    with kept(configured, certificate):
        sign(configured, certificate, "-1 days")
        with fake_dockerd(configured, "--tlsverify"):
            result = configure(configured)
        # The fake refuses the old flags too: with them dockerd cannot be had back either.
        assert result.status == 1
        assert result.stderr.endswith(
            f"{ERROR} docker.service did not start; docker.service does not start with the previous state either\n"
        )
        assert "fake dockerd: no --tlsverify" in result.stderr
    assert difference(before, configured.snapshot(["/etc"])) == []
    assert ping(configured)


# ---- Machines that cannot be configured -------------------------------------


@pytest.fixture(scope="module")
def container(lab: Lab, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A machine on which systemd does not run: a plain container of the same image, with the scripts."""
    labels = [word for label in lab.labels for word in ("--label", label)]
    words = ["--detach", "--network", "none", "--stop-signal", "KILL", *labels, "--tty", tag(release), "cat"]
    identity = lab.engine.run("run", *words).stdout.strip()
    plain = Host(lab.engine, identity, "plain", release)
    install(plain, tmp_path_factory.mktemp("plain"))
    yield plain
    lab.remove(plain)


@contextmanager
def away(host: Host, path: str) -> Iterator[None]:
    """Move a program out of the way for a while."""
    host.run(["mv", path, f"{path}.away"])
    try:
        yield
    finally:
        host.run(["mv", f"{path}.away", path])


def test_without_systemd_it_prints_the_command_to_run_by_hand(container: Host) -> None:
    refuses(
        container,
        ["bash", SCRIPT, "--yes"],
        f"{DAEMON}: systemd does not run this machine. To start dockerd by hand, install the files of {FOLDER} in "
        f"{TLS} and run:\n"
        "/usr/sbin/dockerd -H unix:///var/run/docker.sock -H tcp://127.0.0.1:2376 --tlsverify "
        f"--tlscacert={TLS}/ca-public.pem --tlscert={TLS}/certificate.pem --tlskey={TLS}/server-key.pem\n"
        f"{ERROR} systemd is needed; {UNTOUCHED}",
    )


def test_without_systemd_setup_stops_before_the_first_change(container: Host) -> None:
    said = f"error: setup.sh: {DAEMON} cannot run on this machine; nothing was changed"
    stops(container, ["bash", "/root/out/setup.sh", *UNATTENDED], f"{ERROR} systemd is needed; {UNTOUCHED}\n{said}")


def test_without_dockerd_it_says_so(container: Host) -> None:
    with away(container, "/usr/sbin/dockerd"):
        refuses(
            container,
            ["bash", SCRIPT, "--yes"],
            f"{ERROR} there is no dockerd in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; run this on "
            "a Docker host whose docker.service starts dockerd as root",
        )


def test_without_openssl_every_script_says_which_package(container: Host) -> None:
    with away(container, "/usr/bin/openssl"):
        for script in ("setup.sh", *CERTIFICATE_STEPS, DAEMON, CLIENT, "hosts/localhost/90-verify.sh"):
            said = f"error: {script}: openssl is not installed; install the package openssl"
            refuses(container, ["bash", f"/root/out/{script}"], said)


@pytest.mark.parametrize("version", ["OpenSSL 1.1.0l  10 Sep 2019", "OpenSSL 1.0.2u  20 Dec 2019", "LibreSSL 3.8.2"])
def test_an_openssl_that_is_too_old(container: Host, version: str) -> None:
    path = f"{FIRST_ON_PATH}/openssl"
    text = f"#!/bin/sh\n# A fake: no openssl this old is in the releases.\necho '{version}'\n"
    container.write(path, text, 0o755)
    for script in ("setup.sh", DAEMON):
        said = f"error: {script}: OpenSSL 1.1.1 or newer is needed, found {version}"
        refuses(container, ["bash", f"/root/out/{script}"], said)
    container.run(["rm", path])


@pytest.mark.parametrize("script", ["setup.sh", DAEMON])
def test_another_shell_than_bash(container: Host, script: str) -> None:
    path = f"/root/out/{script}"
    refuses(container, ["dash", path], f"error: this script needs bash; run: bash {path}")


def test_a_bash_that_is_too_old(container: Host) -> None:
    """No bash this old is in the releases: a copy of the script is told that this is version 4.3."""
    old, new = [(("BASH_VERSINFO[0]", "4"), ("BASH_VERSINFO[1]", minor)) for minor in "34"]
    path = changed(container, "/root/out/setup.sh", *old)
    version = container.run(["bash", "-c", 'echo "$BASH_VERSION"']).stdout.strip()
    refuses(container, ["bash", path], f"error: bash 4.4 or newer is needed, found {version}")
    path = changed(container, "/root/out/setup.sh", *new)
    assert container.run(["bash", path, "--help"]).stdout


def test_not_root(ready: Host, tmp_path: Path) -> None:
    install(ready, tmp_path, to="/srv/out")
    ready.run(["chmod", "-R", "go+rX", "/srv/out"])
    nobody = ["runuser", "-u", "nobody", "--", "bash"]
    said = f"{ERROR} this needs root: run it with sudo"
    refuses(ready, [*nobody, f"/srv/out/{DAEMON}", "--dir", "/srv/docker-tls", "--yes"], said)
    said += f"\nerror: setup.sh: {DAEMON} cannot run on this machine; nothing was changed"
    stops(ready, [*nobody, "/srv/out/setup.sh", "--dir", "/srv/docker-tls", "--yes"], said)
    assert not ready.exists("/srv/docker-tls")
