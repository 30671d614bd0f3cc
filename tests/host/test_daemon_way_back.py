"""What fails after the first change is put back, and --undo takes away what is ours alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockseal.lab import Host, difference
from tests.host.authority import DAY, issue, real_authority
from tests.host.daemon import (
    ERROR,
    FOLDER,
    SCRIPT,
    UNIT,
    UNTOUCHED,
    configure,
    fake_dockerd,
    impatient,
    kept,
    ping,
    problem_in,
    restart,
    rolled_back,
    sign,
    write_unit,
)
from tests.host.support import (
    DAEMON,
    DROP_IN,
    OPTIONS,
    TLS,
    WORK,
    arguments,
    changed,
    digest,
    dockerd,
    install,
    main_pid,
    make_certificates,
    refuses,
    site,
    watched,
)

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
CERTIFICATE = f"{TLS}/certificate.pem"
CA = f"{TLS}/ca-public.pem"
OWN_WORDS = [
    *("-H", "unix:///var/run/docker.sock", "-H", "tcp://127.0.0.1:2376", "--tlsverify", f"--tlscacert={CA}"),
    *(f"--tlscert={CERTIFICATE}", f"--tlskey={TLS}/server-key.pem"),
]


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host of this module, with every certificate made and nothing configured."""
    install(host, tmp_path_factory.mktemp("site"))
    make_certificates(host)
    return host


# ---- The way back -----------------------------------------------------------


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


PATIENCE = ("SECONDS + 30", "SECONDS + 2")
# Of which words dockerd runs with, and of whom it answers: either puts it back.
PROOFS = {
    "words": ((PATIENCE,), "dockerd was told more: --tlsverify=false"),
    "an answer": (
        (PATIENCE, ("      problem=$(words_problem)\n", "      problem=''\n")),
        "a client without a certificate was not refused: ",
    ),
}


@pytest.mark.one_release
@pytest.mark.debian_options
@pytest.mark.parametrize("proof", PROOFS)
def test_a_dockerd_that_answers_anybody_is_put_back(ready: Host, proof: str) -> None:
    """The last of the proofs: a client without a certificate must be refused."""
    changes, said = PROOFS[proof]
    # A later --tlsverify=false wins; the check of $DOCKER_OPTS does not look into systemd's own environment.
    before = ready.snapshot(["/etc"])
    ready.run(["systemctl", "set-environment", "DOCKER_OPTS=--tlsverify=false"])
    result = configure(ready, script=changed(ready, SCRIPT, *changes))
    ready.run(["systemctl", "unset-environment", "DOCKER_OPTS"])
    restart(ready)
    assert problem_in(result).startswith(said), result.stderr
    assert difference(before, ready.snapshot(["/etc"])) == []


# As they stand in a unit, with comments between them, and what dockerd gets.
QUOTED = r"""DOCKERD -H fd:// \
  # a "comment
  --label "site=Hall  2" --label='who=a "b"  c' \
  ; another's comment
  --label hall=100%% "--label=unit=%N" --label wing=east\x20side \
  --label "money=$$5" --label 'path=C:\\docker' --label e"m"pty= --label=quote="it's \"so\""
"""
LABELS = [
    *("--label", "site=Hall  2", '--label=who=a "b"  c', "--label", "hall=100%", "--label=unit=docker"),
    *("--label", "wing=east side", "--label", "money=$5", "--label", "path=C:\\docker", "--label", "empty="),
    '--label=quote=it\'s "so"',
]


def test_words_in_quotes_reach_dockerd_as_the_unit_alone_would_pass_them(ready: Host) -> None:
    with kept(ready, UNIT):
        write_unit(ready, QUOTED.rstrip("\n").replace("DOCKERD", dockerd(ready)))
        restart(ready)
        unit, before = arguments(ready), ready.snapshot(["/etc"])
        assert unit[1:] == ["-H", "fd://", *LABELS]
        result = configure(ready)
        assert result.status == 0, result.stderr
        assert arguments(ready)[-len(LABELS) :] == LABELS
        assert arguments(ready)[1 : -len(LABELS)] == OWN_WORDS
        assert configure(ready).stderr == f"{DAEMON}: nothing to do\n"
        assert ping(ready)
        assert configure(ready, "--undo").status == 0
        assert arguments(ready) == unit
        assert difference(before, ready.snapshot(["/etc"])) == []
    restart(ready)


GO_1_26 = """#!/bin/bash
# A stand-in: no release has a dockerd of Go 1.26 yet. It shows the alert that such a dockerd sends over TLS 1.2.
[[ $1 == s_client ]] || exec /usr/bin/openssl.real "$@"
shift
/usr/bin/openssl.real s_client -tls1_2 OPTIONS "$@" \\
  2> >(sed 's/alert bad certificate/alert handshake failure/; s/alert number 42/alert number 40/' >&2)
"""


@contextmanager
def over_tls_1_2(host: Host, options: str) -> Iterator[None]:
    """Let every handshake be one of TLS 1.2 that meets the alerts of Go 1.26."""
    host.run(["mv", "/usr/bin/openssl", "/usr/bin/openssl.real"])
    host.write("/usr/bin/openssl", GO_1_26.replace("OPTIONS", options), 0o755)
    try:
        yield
    finally:
        host.run(["mv", "/usr/bin/openssl.real", "/usr/bin/openssl"])


@contextmanager
def clients(host: Host, where: str) -> Iterator[None]:
    """Leave a client's files here, or take them away: then the daemon's log alone tells why it refused."""
    if where == "here":
        yield
        return
    host.run(["mv", f"{WORK}/clients", "/run/clients"])
    try:
        yield
    finally:
        host.run(["mv", "/run/clients", f"{WORK}/clients"])


@pytest.mark.one_release
@pytest.mark.parametrize("client", ["here", "elsewhere"])
def test_the_alert_of_go_1_26_for_a_missing_certificate_puts_nothing_back(ready: Host, client: str) -> None:
    with over_tls_1_2(ready, ""), clients(ready, client):
        result = configure(ready)
        said = ready.run(["openssl", "s_client", "-connect", "127.0.0.1:2376"], check=False).stderr
        again = configure(ready)
    assert result.status == 0, result.stderr
    assert "alert handshake failure" in said
    assert (again.status, again.stderr) == (0, f"{DAEMON}: nothing to do\n")
    assert "--tlsverify" in arguments(ready)
    assert ping(ready)
    assert configure(ready, "--undo").status == 0


NO_CIPHER = "-cipher AES256-GCM-SHA384"
# systemd shows dockerd another file in the place of the CA's.
OTHER_CA = f"""
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 9 \\
  -keyout /run/other.key -out /run/other.pem
mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\\nBindReadOnlyPaths=/run/other.pem:{CA}\\n' >/etc/systemd/system/docker.service.d/other.conf
"""
# And what is said of a client with a certificate, and of one without where no client is here.
REFUSES_GOOD = {
    "no cipher in common": (NO_CIPHER, "", "here", "a client with a certificate got no answer"),
    "that, and no client": (NO_CIPHER, "", "elsewhere", "a client without a certificate was not refused"),
    "another CA": ("", OTHER_CA, "here", "a client with a certificate got no answer"),
}


@pytest.mark.one_release
@pytest.mark.parametrize("case", REFUSES_GOOD)
def test_a_dockerd_that_sends_that_alert_to_good_clients_is_put_back(ready: Host, case: str) -> None:
    options, bash, client, said = REFUSES_GOOD[case]
    before = ready.snapshot(["/etc"])
    # systemd makes the place where it shows the other file.
    with kept(ready, "/etc/systemd/system/docker.service.d", TLS):
        ready.bash(bash)
        with over_tls_1_2(ready, options), clients(ready, client):
            result = configure(ready, script=impatient(ready))
        problem = problem_in(result)
        assert re.fullmatch(rf"{said}: .*alert handshake failure.*", problem), result.stderr
        rolled_back(ready, result, problem, "API listen on 127.0.0.1:2376")
        assert "--tlsverify" not in arguments(ready)
    restart(ready)
    assert difference(before, ready.snapshot(["/etc"])) == []


# ---- After all that is out of the way ---------------------------------------


@pytest.fixture(scope="module")
def configured(ready: Host) -> Host:
    """The same host once nothing stands in the way; $DOCKER_OPTS holds --debug where the unit has it."""
    if ready.exists(OPTIONS):
        ready.write(OPTIONS, f'{ready.read(OPTIONS)}DOCKER_OPTS="--debug --label=kept=yes"\n')
    result = configure(ready)
    assert result.status == 0, result.stderr
    return ready


def test_without_an_obstacle_it_configures_dockerd(configured: Host) -> None:
    assert ping(configured)
    assert "--tlsverify" in arguments(configured)


STOP_JOURNAL = """
systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald
! systemctl is-active --quiet systemd-journald.service
"""


@pytest.mark.one_release
def test_without_a_journal_it_configures_dockerd(configured: Host) -> None:
    """The log tells whose handshake was refused; without it the alert does."""
    assert configure(configured, "--undo").status == 0
    configured.bash(STOP_JOURNAL)
    try:
        result = configure(configured)
    finally:
        configured.bash("systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald")
    assert result.status == 0, result.stderr
    assert "--tlsverify" in arguments(configured)
    assert ping(configured)


def test_what_the_unit_passes_besides_the_sockets_is_kept(configured: Host) -> None:
    running = arguments(configured)
    stock = configured.bash("sed -n 's/^ExecStart=//p' \"$(systemctl show -p FragmentPath --value docker)\"").stdout
    variable = configured.exists(OPTIONS)
    containerd = "--containerd=/run/containerd/containerd.sock"
    assert stock.split() == [dockerd(configured), "-H", "fd://", containerd, *["$DOCKER_OPTS"] * variable]
    kept_words = [containerd, *["--debug", "--label=kept=yes"] * variable]
    assert running[-len(kept_words) :] == kept_words
    assert "fd://" not in running
    # $DOCKER_OPTS itself is passed on, not its value: the file keeps its say.
    assert ("$DOCKER_OPTS" in configured.read(DROP_IN)) == variable


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


@pytest.mark.one_release
def test_the_digest_of_the_ca_is_shown_when_it_is_installed(configured: Host) -> None:
    """It is compared by voice with the one that the CA's machine shows."""
    assert configure(configured, "--undo").status == 0
    for words in (["--check"], []):
        said = configure(configured, *words).stderr
        shown = re.findall(r"CA certificate sha256: (\S+)\n", said)
        assert shown == [digest(configured, f"{WORK}/ca/ca-public.pem")]
    assert digest(configured, f"{TLS}/ca-public.pem") == shown[0]
    assert digest(configured, f"{TLS}/certificate.pem") != shown[0]
    assert "sha256" not in configure(configured).stderr


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


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("", id="one disk"),
        pytest.param("mount -t tmpfs -o mode=0755 tmpfs /srv/other", id="two disks", marks=pytest.mark.one_release),
    ],
)
def test_a_folder_of_docker_that_is_a_link_is_one_folder(configured: Host, other: str) -> None:
    """It is on the file system of the drop-in, or on another one: nothing can be renamed from there to here."""
    assert configure(configured, "--undo").status == 0
    configured.bash(f"mkdir -p /srv/other /etc/docker; {other}\nmv /etc/docker /srv/other")
    configured.run(["ln", "-s", "/srv/other/docker", "/etc/docker"])
    try:
        disks = configured.run(["stat", "--dereference", "--format=%d", "/etc/docker", "/etc/systemd/system"])
        assert len({*disks.stdout.split()}) == (2 if other else 1)
        assert configure(configured).status == 0
        pid = main_pid(configured)
        result, changes = watched(configured, ["bash", SCRIPT, "--yes"])
        assert (result.status, result.stderr, changes) == (0, f"{DAEMON}: nothing to do\n", "")
        assert main_pid(configured) == pid
        before, shown = configured.run(["ls", "-l", "/srv/other/docker/"]).stdout, digest(configured, CERTIFICATE)
        with kept(configured, f"{FOLDER}/certificate.pem"):
            sign(configured, f"{FOLDER}/certificate.pem", "-1 days")
            with fake_dockerd(configured, "--tlsverify"):
                assert configure(configured).status == 1
            assert digest(configured, f"{FOLDER}/certificate.pem") != shown
        assert digest(configured, CERTIFICATE) == shown
        assert configured.run(["ls", "-l", "/srv/other/docker/"]).stdout == before
        assert ping(configured)
    finally:
        configured.bash("rm /etc/docker; mv /srv/other/docker /etc/docker; umount /srv/other || true")
        restart(configured)


# ---- What is in the drop-in's place, and what names the files --------------

DROP_INS = "/etc/systemd/system/docker.service.d"
PROXY = "Environment=HTTPS_PROXY=http://proxy:3128"
STAYS = "names files of /etc/docker/tls, and dockerd would not start without them; take those lines out and run this"


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("edit", "line"),
    [(f"1i # proxy\\n[Service]\\n{PROXY}", "# proxy"), (f"$a {PROXY}", PROXY)],
    ids=["above ours", "below ours"],
)
def test_lines_that_an_operator_adds_to_the_drop_in_are_not_lost(configured: Host, edit: str, line: str) -> None:
    """`systemctl edit docker.service` opens this very file."""
    with kept(configured, DROP_INS):
        configured.run(["sed", "-i", edit, DROP_IN])
        configured.run(["systemctl", "daemon-reload"])
        said = (
            f"{ERROR} {DROP_IN} has lines that this script did not write: {line}; move them to another file of that "
            f"folder and run this again; {UNTOUCHED}"
        )
        for words in ([], ["--undo"], ["--undo", "--remove-keys"]):
            refuses(configured, ["bash", SCRIPT, "--yes", *words], said)
        restart(configured)
        assert ping(configured)
        configured.run(["sed", "-i", "/^# proxy/,+2d; /HTTPS_PROXY/d", DROP_IN])
        configured.write(f"{DROP_INS}/proxy.conf", f"[Service]\n{PROXY}\n")
        configured.run(["systemctl", "daemon-reload"])
        assert configure(configured).stderr == f"{DAEMON}: nothing to do\n"


@pytest.mark.one_release
def test_undo_under_another_name_of_the_host_leaves_dockerd_what_it_needs(configured: Host, tmp_path: Path) -> None:
    install(configured, tmp_path, site().replace("name: localhost", "name: renamed"), "/root/renamed")
    renamed = DAEMON.replace("localhost", "renamed")
    for words in (["--undo"], ["--undo", "--remove-keys"]):
        refuses(
            configured,
            ["bash", f"/root/renamed/{renamed}", "--yes", *words],
            f"error: {renamed}: {DROP_IN} was made by {DAEMON}, perhaps under this host's earlier name; run that "
            f"script's --undo first, as it was rendered then; {UNTOUCHED}",
        )
    restart(configured)
    assert ping(configured)


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("bash", "path"),
    [
        (f"mv {DROP_IN} {DROP_INS}/zz.conf", f"{DROP_INS}/zz.conf"),
        (f"mv {DROP_IN} {DROP_INS}/zz.conf; systemctl daemon-reload", f"{DROP_INS}/zz.conf"),
        (f"sed -i /^#/d {DROP_IN}", DROP_IN),
        (f"cp {DROP_IN} {UNIT}; rm {DROP_IN}; systemctl daemon-reload", UNIT),
        pytest.param(
            f"echo DOCKER_OPTS=--tlscert={TLS}/certificate.pem >>{OPTIONS}", OPTIONS, marks=pytest.mark.debian_options
        ),
        (f"""echo '{{"tlscert": "{TLS}/certificate.pem"}}' >/etc/docker/daemon.json""", "/etc/docker/daemon.json"),
    ],
    ids=["moved", "moved and loaded", "without its marker", "unit", "variables", "daemon.json"],
)
def test_undo_removes_no_file_that_dockerd_is_told_to_use(configured: Host, bash: str, path: str) -> None:
    with kept(configured, DROP_INS, UNIT, OPTIONS, "/etc/docker/daemon.json"):
        configured.bash(bash)
        refuses(configured, ["bash", SCRIPT, "--yes", "--undo"], f"{ERROR} {path} {STAYS} again; {UNTOUCHED}")
    assert ping(configured)


@pytest.mark.one_release
def test_undo_goes_on_where_a_killed_one_took_the_drop_in_away(configured: Host) -> None:
    """The flags that dockerd runs with may be those of another rendering: still it uses the files."""
    configured.run(["sed", "-i", "s/--tlsverify /--tlsverify=true /", DROP_IN])
    restart(configured)
    configured.run(["rm", DROP_IN])
    result = configure(configured, "--undo")
    assert result.status == 0, result.stderr
    assert not configured.exists(TLS)
    assert "--tlsverify=true" not in arguments(configured)
    assert configure(configured).status == 0


@pytest.mark.one_release
def test_undo_removes_what_a_killed_run_has_not_finished(configured: Host) -> None:
    names = (f"{DROP_IN}.new", f"{TLS}.new", f"{TLS}.previous.new", f"{TLS}-0123456789abcdef.new")
    configured.bash(
        f"cp {DROP_IN} {names[0]}; ln -s tls-0123456789abcdef {names[1]}; mkdir {names[2]}; cp {DROP_IN} {names[2]}\n"
        f"cp -a $(realpath {TLS}) {names[3]}"
    )
    other = f"{TLS}-fedcba9876543210.new"
    configured.bash(f"mkdir {other}; echo another >{other}/server-key.pem")
    result = configure(configured, "--undo")
    assert result.status == 0, result.stderr
    assert [name for name in names if configured.run(["ls", "-d", name], check=False).status == 0] == []
    # That key is nowhere else.
    assert f"{DAEMON}: kept: {other}, which has another key than {FOLDER}/server-key.pem\n" in result.stderr
    assert configured.exists(f"{other}/server-key.pem")
    assert configure(configured, "--undo", "--remove-keys").status == 0
    assert not configured.exists(other)
    assert configure(configured).status == 0


@pytest.mark.one_release
@pytest.mark.parametrize("change", ["chown nobody", "chgrp daemon", "chmod g+w"])
@pytest.mark.parametrize("name", ["", "/ca-public.pem", "/certificate.pem", "/server-key.pem"])
def test_what_somebody_else_could_change_is_installed_anew(configured: Host, change: str, name: str) -> None:
    if (change, name) == ("chgrp daemon", ""):
        return  # its group can do nothing there, and is that of the folder above where that says so
    generation = configured.run(["realpath", TLS]).stdout.strip()
    configured.bash(f"{change} {generation}{name}")
    result = configure(configured)
    assert (result.status, "install -o root" in result.stderr) == (0, True), result.stderr
    modes = configured.run(["stat", "--format=%a %U:%G", f"{generation}{name}"]).stdout
    assert modes == f"{ {'': '700', '/server-key.pem': '400'}.get(name, '444') } root:root\n"
    assert configure(configured).stderr == f"{DAEMON}: nothing to do\n"


# ---- Names that a file has for a moment -------------------------------------

# What a planted name leads to: nothing in there may change.
VICTIMS = """
rm -rf /run/victim && mkdir -p /run/victim/folder && cd /run/victim/folder
printf precious | tee ../file override.conf tls made ca-public.pem certificate.pem server-key.pem >/dev/null
chmod 644 ../file ./*
"""
STATE = "find /run/victim -printf '%p %m %u %C@ %s\\n' | sort"
PLANTS = {
    "link to a file": 'ln -s /run/victim/file "$1"',
    "link to a folder": 'ln -s /run/victim/folder "$1"',
    "folder of another user": 'install -d -o nobody -m 777 "$1"; install -o nobody /dev/null "$1/server-key.pem"',
}


@pytest.mark.one_release
@pytest.mark.parametrize("plant", PLANTS)
def test_what_has_a_temporary_name_is_not_written_through(configured: Host, tmp_path: Path, plant: str) -> None:
    """On the way there, back and at --undo; the control: what comes of it is whole, and root's alone."""
    install(configured, tmp_path, site(listen="127.0.0.1:2377"), "/root/second")
    generation = configured.run(["realpath", TLS]).stdout.strip()
    files, folders = [f"{DROP_IN}.new", f"{TLS}.new"], [f"{TLS}.previous.new", f"{generation}.new"]
    if plant.startswith("folder"):
        files = []  # told before anything changes: test_daemon_conflicts.py
    lines = {name: PLANTS[plant].replace("$1", name) for name in (*files, *folders, generation)}
    configured.bash(VICTIMS)
    victims = configured.bash(STATE).stdout

    assert configure(configured, "--undo").status == 0
    configured.bash("\n".join(("mkdir -p /etc/systemd/system/docker.service.d", *lines.values())))
    result = configure(configured)
    assert (result.status, configured.bash(STATE).stdout) == (0, victims), result.stderr
    assert configured.run(["ls", "-d", *files, *folders], check=False).stdout == ""
    owned = configured.bash('stat -c "%A %U" "$1" "$1"/*', generation).stdout.splitlines()
    assert owned == ["drwx------ root", "-r--r--r-- root", "-r--r--r-- root", "-r-------- root"]
    assert ping(configured)

    planted = "".join(f"  {lines[name]}\n" for name in files)
    script = changed(configured, f"/root/second/{DAEMON}", ("  restore_replaced\n", f"{planted}  restore_replaced\n"))
    before = configured.snapshot(["/etc"])
    with fake_dockerd(configured, "tcp://127.0.0.1:2377"):
        assert configure(configured, script=script).status == 1
    assert (difference(before, configured.snapshot(["/etc"])), configured.bash(STATE).stdout) == ([], victims)

    configured.bash("\n".join(lines[name] for name in (*files, *folders)))
    result = configure(configured, "--undo", "--remove-keys")
    assert (result.status, configured.bash(STATE).stdout) == (0, victims), result.stderr
    left = configured.run(["ls", "-d", *files, *folders, generation], check=False).stdout
    # No folder of a pair is a link: that is somebody else's.
    assert left == (f"{generation}.new\n" if plant.startswith("link") else "")
    configured.bash(f"rm -rf {generation}.new")
    assert configure(configured).status == 0


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
