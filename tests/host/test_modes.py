"""Who is answered by the daemon in each mode: mutual TLS, TLS of the server only, and plain TCP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockseal.lab import UPSTREAM, Host, Result, Snapshot, difference
from tests.host.support import (
    CONFIRM,
    DAEMON,
    DROP_IN,
    OPTIONS,
    TLS,
    WORK,
    arguments,
    install,
    main_pid,
    make_certificates,
    refuses,
)

pytestmark = pytest.mark.upstream
VERIFY = "hosts/localhost/90-verify.sh"
ERROR = f"error: {DAEMON}:"
UNTOUCHED = "nothing was changed"
ROOT_FOR_ALL = "everyone who reaches {} is root on this machine"
# What undo and a roll-back restore; the rest of /etc is the daemon's and the tests' own.
PLACES = ["/etc/docker", "/etc/systemd"]
SENTENCE = "plain_tcp_accepts_root_for_everyone_who_reaches_it: true"


def site(mode: str, listen: str = "127.0.0.1:2376", more: str = "") -> str:
    """Return the text of a site with one host of this mode; `more` is of the host."""
    certificate = 'ip_addresses: ["127.0.0.1"], key: ec:P-256, '
    clients = "clients:\n  - {name: client, key: ec:P-256}\n"
    if mode == "plain":
        certificate = clients = ""
    host = f'{{name: localhost, mode: {mode}, {certificate}listen: "{listen}"{more}}}'
    return f"ca: {{key: ec:P-256}}\nhosts:\n  - {host}\n{clients}"


SITES = {
    "mutual": site("mutual"),
    "server-only": site("server-only"),
    "plain": site("plain", "127.0.0.1:2375"),
    "without-icc": site("plain", "127.0.0.1:2375", ", icc: false"),
}


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host of this module: the scripts of each site, every certificate made, nothing configured."""
    for name, text in SITES.items():
        install(host, tmp_path_factory.mktemp(name), text, f"/root/{name}")
    host.run(["ln", "-s", "/root/mutual", "/root/out"])
    make_certificates(host)
    return host


@pytest.fixture(scope="module")
def before(ready: Host) -> Snapshot:
    """The host before anything was configured."""
    return ready.snapshot(PLACES)


def configure(host: Host, name: str, *words: str) -> Result:
    """Run the daemon's script of a site without a terminal."""
    return host.run(["bash", f"/root/{name}/{DAEMON}", *words], check=False)


def configured(host: Host, name: str) -> None:
    """Configure the daemon as a site says."""
    result = configure(host, name, "--yes")
    assert result.status == 0, result.stderr


@pytest.fixture
def undone(ready: Host, before: Snapshot) -> Iterator[None]:
    """Bring the host back at the end, and see that it is back."""
    yield
    assert configure(ready, "mutual", "--undo", "--yes").status == 0
    assert difference(before, ready.snapshot(PLACES)) == []


def verify(host: Host, name: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the verify script of a site; return its exit status and its controls by id, without those in containers."""
    result = host.run(["bash", f"/root/{name}/{VERIFY}", "--json"], check=False)
    assert result.stderr == ""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return result.status, {control["id"]: control for control in found}


def with_result(found: dict[str, dict[str, str]], result: str) -> set[str]:
    """Return the ids of the controls of the daemon that have this result."""
    kinds = ("CERT", "FILE", "DAEMON", "TLS", "HMODE")
    return {name for name, control in found.items() if control["result"] == result and name.startswith(kinds)}


def ask(host: Host, *words: str) -> str:
    """Ask the daemon for its version; "" where there is no answer."""
    return host.run(["docker", *words, "version", "--format", "{{.Server.Version}}"], check=False).stdout.strip()


PLAIN = ("-H", "tcp://127.0.0.1:2375")
ANYBODY = ("-H", "tcp://localhost:2376", "--tlsverify", f"--tlscacert={WORK}/hosts/localhost/ca-public.pem")
CLIENT = (
    *ANYBODY,
    f"--tlscert={WORK}/clients/client/client-certificate.pem",
    f"--tlskey={WORK}/clients/client/client-key.pem",
)


def starts(host: Host) -> int:
    """Return how many times docker.service has been started."""
    return len(re.findall("^Started ", host.journal(lines=100_000), re.MULTILINE))


# ---- Plain TCP --------------------------------------------------------------


def test_plain_tcp_is_named_before_it_is_opened(ready: Host) -> None:
    said = ROOT_FOR_ALL.format("127.0.0.1:2375")
    refuses(
        ready,
        ["bash", f"/root/plain/{DAEMON}"],
        f"{ERROR} Restart dockerd now? It interrupts 0 running container(s). Then {said}. There is no terminal to ask "
        "on: give --yes",
    )
    assert ask(ready, *PLAIN) == ""


def test_plain_tcp_at_the_prompt(ready: Host, before: Snapshot, undone: None) -> None:
    untouched = ready.snapshot()
    question = f"Then {ROOT_FOR_ALL.format('127.0.0.1:2375')}. [y/N] "
    terminal = ready.spawn(["bash", f"/root/plain/{DAEMON}"])
    assert terminal.expect(CONFIRM) == 0
    assert terminal.transcript.text.endswith(question)
    terminal.answer("n")
    assert terminal.wait() == 2
    assert terminal.transcript.text.endswith(f"{ERROR} not confirmed; {UNTOUCHED}\n")
    assert difference(untouched, ready.snapshot(), strict=True) == []

    terminal = ready.spawn(["bash", f"/root/plain/{DAEMON}"])
    assert terminal.expect(CONFIRM) == 0
    terminal.answer("y")
    assert terminal.wait() == 0
    assert terminal.transcript.text.endswith(
        f"{DAEMON}: dockerd answers everyone who reaches 127.0.0.1:2375, in plain text and without a certificate: "
        "that is root on this machine\n"
    )
    assert ask(ready, *PLAIN)
    assert "\n  -H unix:///var/run/docker.sock \\\n  -H tcp://127.0.0.1:2375 \\\n  --containerd" in ready.read(DROP_IN)
    assert [word for word in arguments(ready) if "tls" in word] == []

    pid = main_pid(ready)
    assert configure(ready, "plain").stderr == f"{DAEMON}: nothing to do\n"
    assert configure(ready, "plain", "--check").status == 0
    assert main_pid(ready) == pid


def plain_controls(host: Host) -> set[str]:
    """Return the controls that are judged on a plain host, which may have no folder of docker's own."""
    files = {f"FILE-{number}" for number in range(4, 11)} - {"FILE-10"}
    return (files if host.exists("/etc/docker") else files - {"FILE-4"}) | {"DAEMON-1", "HMODE-1", "HMODE-2"}


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("bash", "fails", "evidence"),
    [
        pytest.param("", set(), "", id="nothing"),
        pytest.param(
            "sed -i '$s|$| -H tcp://127.0.0.3:2377|' {}",
            {"DAEMON-1", "HMODE-2"},
            "it listens on 127.0.0.3:2377 too",
            id="another port is open too",
        ),
        pytest.param(
            "sed -i '$s|$| -H unix:///run/open.sock|' {}",
            {"DAEMON-1", "HMODE-2"},
            "it listens on /run/open.sock too",
            id="another local socket is open too",
        ),
        pytest.param(
            "sed -i 's|127.0.0.1:2375|0.0.0.0:2375 --tls=false|' {}",
            {"DAEMON-1", "HMODE-2"},
            "systemd gives dockerd tcp://0.0.0.0:2375, expected tcp://127.0.0.1:2375",
            id="every address is open",
        ),
        pytest.param(
            f"sed -i '$s|$| --tlsverify=false --tlscert={WORK}/hosts/localhost/certificate.pem "
            f"--tlskey={WORK}/hosts/localhost/server-key.pem|' {{}}",
            {"DAEMON-1", "HMODE-1"},
            "it was told --tls",
            id="it asks for TLS",
        ),
        pytest.param(
            "chmod 777 $(dirname {})",
            {"FILE-8"},
            "others can write to /etc/systemd/",
            id="others can replace its files",
        ),
    ],
)
def test_a_plain_host_is_verified_when(ready: Host, undone: None, bash: str, fails: set[str], evidence: str) -> None:
    configured(ready, "plain")
    if bash:
        ready.bash(bash.format(DROP_IN))
        restart(ready)
    status, found = verify(ready, "plain")
    ready.run(["chmod", "755", DROP_IN.rpartition("/")[0]])
    assert with_result(found, "PASS") | with_result(found, "FAIL") == plain_controls(ready)
    assert (status, with_result(found, "FAIL")) == (4 if fails else 0, fails)
    assert found["HMODE-1"]["what"] == "everyone who reaches 127.0.0.1:2375 is root here: no certificate is asked for"
    if fails:
        assert evidence in found[min(fails)]["evidence"]
    else:
        assert '"ApiVersion"' in found["HMODE-1"]["evidence"]


def test_a_plain_host_needs_no_folder_of_dockers_own(ready: Host, undone: None) -> None:
    """Docker's own package makes none."""
    configured(ready, "plain")
    there = ready.exists("/etc/docker")
    if there:
        ready.run(["mv", "/etc/docker", "/run/away"])
    status, found = verify(ready, "plain")
    if there:
        ready.run(["mv", "/run/away", "/etc/docker"])
    assert (status, with_result(found, "SKIP")) == (0, {"FILE-4"} | {"FILE-10"})
    assert found["FILE-4"]["evidence"] == "there is no /etc/docker"


@pytest.mark.one_release
def test_what_others_wrote_in_a_plain_hosts_drop_in_is_not_lost(ready: Host, undone: None) -> None:
    configured(ready, "plain")
    ready.bash(f"cp {DROP_IN} /run/ours; echo '# proxy' >>{DROP_IN}")
    said = f"{ERROR} {DROP_IN} has lines that this script did not write: # proxy; move them to another file of that"
    for words in ([], ["--undo"]):
        refuses(
            ready, ["bash", f"/root/plain/{DAEMON}", "--yes", *words], f"{said} folder and run this again; {UNTOUCHED}"
        )
    ready.bash(f"sed 's|hosts/localhost|hosts/renamed|' /run/ours >{DROP_IN}")
    said = f"{ERROR} {DROP_IN} was made by {DAEMON.replace('localhost', 'renamed')}, perhaps under this host's earlier"
    for words in ([], ["--undo"]):
        refuses(
            ready,
            ["bash", f"/root/plain/{DAEMON}", "--yes", *words],
            f"{said} name; run that script's --undo first, as it was rendered then; {UNTOUCHED}",
        )
    ready.bash(f"cp /run/ours {DROP_IN}")
    assert configure(ready, "plain").stderr == f"{DAEMON}: nothing to do\n"


def restart(host: Host) -> None:
    """Start dockerd anew, however it ended."""
    units = "docker.service docker.socket"
    host.bash(
        f"systemctl daemon-reload; systemctl stop {units}; systemctl reset-failed {units}; systemctl start {units}"
    )


def test_a_plain_host_that_is_not_configured_is_told_what_to_run(ready: Host) -> None:
    said = f"error: {VERIFY}: {DROP_IN} is not there: run 20-configure-daemon.sh first"
    refuses(ready, ["bash", f"/root/plain/{VERIFY}"], said)


@pytest.mark.parametrize("release", [UPSTREAM], indirect=True)
def test_dockerds_own_wait_on_other_addresses_is_waited_for(ready: Host, tmp_path: Path, undone: None) -> None:
    """It takes 16 seconds before it listens."""
    install(ready, tmp_path, site("plain", "0.0.0.0:2375", f", {SENTENCE}"), "/root/everywhere")
    configured(ready, "everywhere")
    assert ask(ready, "-H", f"tcp://{ready.address()}:2375")
    status, found = verify(ready, "everywhere")
    assert (status, with_result(found, "FAIL")) == (0, set())
    assert found["HMODE-2"]["evidence"] == "[::]:2375"
    # The site's own address is one of those: the narrower script finds the difference.
    assert with_result(verify(ready, "plain")[1], "FAIL") == {"DAEMON-1", "HMODE-2"}


# ---- What plain TCP and icc cannot be set beside ----------------------------

JSON = "/etc/docker/daemon.json"


@contextmanager
def kept(host: Host, path: str) -> Iterator[None]:
    """Put a file back at the end, or remove it if it is not there now, with the folder that it is alone in."""
    absent = [one for one in (path, path.rpartition("/")[0]) if not host.exists(one)]
    text = "" if absent else host.read(path)
    try:
        yield
    finally:
        if absent:
            host.run(["rm", "-rf", *absent])
        else:
            host.write(path, text)


def refused(host: Host, name: str, message: str) -> None:
    """See the daemon's script of a site refuse with this message before it changes anything."""
    refuses(host, ["bash", f"/root/{name}/{DAEMON}", "--yes"], f"{ERROR} {message}; {UNTOUCHED}")


REMOVE = "remove that key and run this again"


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize(
    ("name", "key", "reason"),
    [
        ("plain", "hosts", f"and dockerd refuses both; {REMOVE}"),
        ("plain", "tlsverify", f"and the site has mode: plain; {REMOVE}"),
        ("plain", "tlscert", f"and the site has mode: plain; {REMOVE}"),
        ("without-icc", "icc", f"and dockerd refuses both; {REMOVE}"),
        ("server-only", "tlsverify", f"and dockerd refuses both; {REMOVE}"),
    ],
)
def test_daemon_json_may_not_set(ready: Host, name: str, key: str, reason: str) -> None:
    with kept(ready, JSON):
        ready.write(JSON, f'{{"{key}": false}}\n')
        refused(ready, name, f'{JSON} sets "{key}" too, {reason}')


@pytest.mark.one_release("bullseye")
def test_daemon_json_may_set_icc_where_the_site_does_not(ready: Host) -> None:
    with kept(ready, JSON):
        ready.write(JSON, '{"icc": false}\n')
        result = configure(ready, "plain", "--check")
        assert result.status == 3
        assert (
            f'{DAEMON}: "icc": false in {JSON} keeps containers of the default bridge apart, and the site has icc: '
            "true; set icc: false for this host in the site file and remove that key, or verification fails\n"
        ) in result.stderr


@pytest.mark.one_release("bullseye")
@pytest.mark.debian_options
@pytest.mark.parametrize(
    ("name", "value", "found"), [("plain", "--tls", "--tls"), ("without-icc", "--icc=true", "--icc")]
)
def test_docker_opts_may_not_set(ready: Host, name: str, value: str, found: str) -> None:
    with kept(ready, OPTIONS):
        ready.write(OPTIONS, f'{ready.read(OPTIONS)}DOCKER_OPTS="{value}"\n')
        refused(ready, name, f"{OPTIONS} passes {found} to dockerd too; remove it there")


@pytest.mark.one_release("bullseye")
def test_daemon_json_may_not_forbid_what_icc_needs(ready: Host) -> None:
    with kept(ready, JSON):
        ready.write(JSON, '{"iptables": false}\n')
        refused(
            ready,
            "without-icc",
            'the site has icc: false, and dockerd cannot keep containers apart with "iptables": false in '
            f"{JSON}; {REMOVE}",
        )
        assert configure(ready, "plain", "--check").status == 3


@pytest.mark.one_release("bullseye")
@pytest.mark.debian_options
def test_docker_opts_may_set_icc_where_the_site_does_not(ready: Host) -> None:
    with kept(ready, OPTIONS):
        ready.write(OPTIONS, f'{ready.read(OPTIONS)}DOCKER_OPTS="--icc=true"\n')
        assert configure(ready, "plain", "--check").status == 3


def test_icc_is_switched_off_with_a_flag(ready: Host, undone: None) -> None:
    configured(ready, "without-icc")
    assert "--icc=false" in arguments(ready)
    option = '{{index .Options "com.docker.network.bridge.enable_icc"}}'
    inspect = ["docker", "network", "inspect", "bridge", "--format", option]
    assert ready.run(inspect).stdout == "false\n"
    assert with_result(verify(ready, "without-icc")[1], "FAIL") == set()
    # The other way round: the site with icc is another drop-in, and dockerd's own default.
    configured(ready, "plain")
    assert "--icc=false" not in arguments(ready)
    assert ready.run(inspect).stdout == "true\n"


@pytest.mark.debian_options
def test_a_dockerd_that_refuses_icc_is_put_back(ready: Host) -> None:
    """Without iptables dockerd cannot keep containers apart, and says so when it starts."""
    with kept(ready, OPTIONS):
        ready.write(OPTIONS, f'{ready.read(OPTIONS)}DOCKER_OPTS="--iptables=false"\n')
        restart(ready)
        good = ready.snapshot(PLACES)
        result = configure(ready, "without-icc", "--yes")
        assert result.status == 1
        assert result.stderr.endswith(
            f"{ERROR} docker.service did not start; the previous state is back and docker.service runs with it\n"
        )
        assert "--icc=false" in result.stderr.partition("---- the daemon said ----\n")[2]
        assert difference(good, ready.snapshot(PLACES)) == []
        assert ask(ready)
    restart(ready)


# ---- TLS of the server only -------------------------------------------------

REFUSALS = {f"TLS-{number}" for number in range(2, 7)}
NO_CLIENT_CERTIFICATE = "mode server-only: no client certificate is asked for"


def test_server_only_is_named_and_answers_everyone_over_tls(ready: Host, undone: None) -> None:
    terminal = ready.spawn(["bash", f"/root/server-only/{DAEMON}"])
    assert terminal.expect(CONFIRM) == 0
    said = ROOT_FOR_ALL.format("127.0.0.1:2376")
    assert terminal.transcript.text.endswith(f"Then {said}. [y/N] ")
    terminal.answer("y")
    assert terminal.wait() == 0
    assert terminal.transcript.text.endswith(
        f"{DAEMON}: dockerd shows a certificate of this CA and asks for none: {said}\n"
    )
    assert ask(ready, *ANYBODY)
    assert ask(ready, *CLIENT)
    assert ask(ready, "-H", "tcp://localhost:2376") == ""
    assert configure(ready, "server-only").stderr == f"{DAEMON}: nothing to do\n"


def test_a_server_only_host_is_verified(ready: Host, undone: None) -> None:
    configured(ready, "server-only")
    status, found = verify(ready, "server-only")
    assert (status, with_result(found, "FAIL")) == (0, set())
    assert with_result(found, "SKIP") == {"CERT-5", *{"FILE-10"}, *REFUSALS}
    assert {found[name]["evidence"] for name in REFUSALS} == {NO_CLIENT_CERTIFICATE}
    assert {"HMODE-1", "TLS-1", "TLS-7", "TLS-8", "TLS-10"} <= with_result(found, "PASS")
    assert found["HMODE-1"]["what"] == "everyone who reaches 127.0.0.1:2376 is root here: no certificate is asked for"
    assert "verify error" in found["TLS-10"]["evidence"]
    # The script of the mutual site sees what is not so.
    assert with_result(verify(ready, "mutual")[1], "FAIL") == {"CERT-5", "DAEMON-1", *REFUSALS}


def test_a_server_only_host_that_asks_for_certificates_is_noticed(ready: Host, undone: None) -> None:
    configured(ready, "mutual")
    status, found = verify(ready, "server-only")
    assert (status, with_result(found, "FAIL")) == (4, {"DAEMON-1", "HMODE-1"})
    assert "alert" in found["HMODE-1"]["evidence"]


@pytest.mark.one_release
def test_a_server_of_another_ca_is_noticed(ready: Host, undone: None) -> None:
    configured(ready, "server-only")
    make_certificates(ready, "--dir", "/run/other")
    other = "/run/other/hosts/localhost"
    ready.bash(f"sed -i 's|={TLS}/certificate|={other}/certificate|; s|={TLS}/server|={other}/server|' {DROP_IN}")
    restart(ready)
    status, found = verify(ready, "server-only")
    assert (status, with_result(found, "FAIL")) == (4, {"CERT-6", "DAEMON-1", "HMODE-1", "TLS-1"})
    assert "verify error" in found["HMODE-1"]["evidence"]


def test_a_server_without_tls_is_noticed(ready: Host, undone: None) -> None:
    configured(ready, "server-only")
    ready.bash(f"sed -i '/--tls/d' {DROP_IN}")
    restart(ready)
    status, found = verify(ready, "server-only")
    assert (status, with_result(found, "FAIL")) == (
        4,
        {"CERT-6", "DAEMON-1", "HMODE-1", "TLS-1", "TLS-7", "TLS-8", "TLS-10"},
    )


# ---- From one mode to another -----------------------------------------------


@pytest.mark.one_release
def test_each_switch_restarts_once_and_undo_leaves_nothing(ready: Host, before: Snapshot) -> None:
    configured(ready, "mutual")
    for name, answered in (("server-only", ANYBODY), ("mutual", CLIENT), ("plain", PLAIN), ("mutual", CLIENT)):
        started = starts(ready)
        configured(ready, name)
        assert starts(ready) == started + 1
        assert ask(ready, *answered)
        assert bool(ask(ready, *ANYBODY)) == (name == "server-only")
        assert bool(ask(ready, *PLAIN)) == (name == "plain")
    assert configure(ready, "mutual", "--undo", "--yes").status == 0
    assert difference(before, ready.snapshot(PLACES)) == []
    assert "fd://" in arguments(ready)


def test_plain_tcp_says_that_the_certificates_stay(ready: Host, undone: None) -> None:
    configured(ready, "mutual")
    result = configure(ready, "plain", "--yes")
    assert f"{DAEMON}: kept: {TLS}, which plain TCP does not use; the script that made it removes it with --undo\n" in (
        result.stderr
    )
    assert ready.exists(f"{TLS}/server-key.pem")


@pytest.mark.debian_options
@pytest.mark.parametrize("name", ["server-only", "plain"])
def test_a_dockerd_that_refuses_the_other_mode_is_put_back(ready: Host, undone: None, name: str) -> None:
    """A later --tlsverify wins, and then dockerd finds no CA in its default place."""
    configured(ready, "mutual")
    good = ready.snapshot(PLACES)
    ready.run(["systemctl", "set-environment", "DOCKER_OPTS=--tlsverify"])
    result = configure(ready, name, "--yes")
    ready.run(["systemctl", "unset-environment", "DOCKER_OPTS"])
    assert result.status == 1
    assert result.stderr.endswith(
        f"{ERROR} docker.service did not start; the previous state is back and docker.service runs with it\n"
    ), result.stderr
    assert ask(ready, *CLIENT)
    restart(ready)
    assert difference(good, ready.snapshot(PLACES)) == []
    assert ask(ready, *ANYBODY) == ask(ready, *PLAIN) == ""
