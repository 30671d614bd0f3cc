"""User namespaces in the daemon: what must be right before, what is told and asked, and that nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockseal.lab import Host, Result, Snapshot, difference
from tests.host.support import (
    CONFIRM,
    DAEMON,
    DROP_IN,
    OPTIONS,
    RESTART,
    arguments,
    changed,
    install,
    main_pid,
    refuses,
)

pytestmark = pytest.mark.upstream
VERIFY = "hosts/localhost/90-verify.sh"
ERROR = f"error: {DAEMON}:"
UNTOUCHED = "nothing was changed"
PLACES = ["/etc/docker", "/etc/systemd"]
# What dockerd and these tests write for users.
USERS = ["/etc/subuid", "/etc/subgid", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"]
JSON = "/etc/docker/daemon.json"
# Where the scripts' fixed PATH looks first.
DOCKER = "/usr/local/sbin/docker"

SITES = {"off": "", "on": ", userns_remap: default", "user": ", userns_remap: remapper"}


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host of this module with the scripts of each site; a plain daemon needs no certificates."""
    for name, more in SITES.items():
        text = f"ca: {{key: ec:P-256}}\nhosts:\n  - {{name: localhost, mode: plain{more}}}\n"
        install(host, tmp_path_factory.mktemp(name), text, f"/root/{name}")
    host.run(["mkdir", "-p", "/run/image/bin"])
    host.run(["cp", "/bin/busybox", "/run/image/bin/cat"])
    return host


@pytest.fixture
def same_users(ready: Host) -> Iterator[None]:
    """Put the files of users and their ranges back at the end."""
    ready.run(["tar", "-C", "/", "-c", "-f", "/run/users.tar", *USERS])
    yield
    ready.run(["tar", "-C", "/", "-x", "-p", "-f", "/run/users.tar"])


def configure(host: Host, name: str, *words: str) -> Result:
    """Run the daemon's script of a site without a terminal."""
    return host.run(["bash", f"/root/{name}/{DAEMON}", *words], check=False)


@pytest.fixture
def undone(ready: Host) -> Iterator[None]:
    """Bring the daemon back at the end."""
    before = ready.snapshot(PLACES)
    yield
    assert configure(ready, "off", "--undo", "--yes").status == 0
    assert difference(before, ready.snapshot(PLACES)) == []


def verify(host: Host, name: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the verify script of a site; return its exit status and its controls by id, without those in containers."""
    result = host.run(["bash", f"/root/{name}/{VERIFY}", "--json"], check=False)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return result.status, {control["id"]: control for control in found}


def results(host: Host, name: str) -> tuple[str, str]:
    """Return what the two controls of user namespaces say."""
    _, found = verify(host, name)
    return found["USERNS-1"]["result"], found["USERNS-2"]["result"]


def refused(host: Host, name: str, message: str) -> None:
    """See the daemon's script of a site refuse with this message before it changes anything."""
    refuses(host, ["bash", f"/root/{name}/{DAEMON}", "--yes"], f"{ERROR} {message}; {UNTOUCHED}")


def accepted(host: Host, name: str) -> None:
    """See that nothing stands in the way any more."""
    assert configure(host, name, "--check").status == 3


# ---- What is told and asked, and what is lost: nothing ----------------------


def make_image(host: Host) -> None:
    """Make an image that holds a static busybox."""
    host.bash("tar -C /run/image -c . | docker import - tiny")


def start(host: Host, name: str, *options: str) -> None:
    """Run a container that waits."""
    host.run(["docker", "run", "--detach", "--tty", "--stop-signal", "KILL", "--name", name, *options, "tiny", "cat"])


@contextmanager
def things(host: Host) -> Iterator[None]:
    """Have an image, a stopped container, a volume and running containers for a while."""
    make_image(host)
    host.run(["docker", "create", "--name", "kept", "tiny", "cat"])
    host.run(["docker", "volume", "create", "data"])
    start(host, "ordinary")
    start(host, "near", "--network", "host")
    start(host, "close", "--pid", "host")
    start(host, "exempt", "--network", "host", "--userns", "host")
    try:
        yield
    finally:
        host.run(["docker", "rm", "--force", "kept", "ordinary", "near", "close", "exempt"])
        host.run(["docker", "volume", "rm", "data"])
        host.run(["docker", "image", "rm", "tiny"])


def seen(host: Host) -> tuple[list[str], list[str], list[str]]:
    """Return the names of the images, containers and volumes in view."""
    lists = (("image", "{{.Repository}}"), ("container", "{{.Names}}"), ("volume", "{{.Name}}"))
    images, containers, volumes = (
        sorted(host.run(["docker", kind, "ls", *["--all"] * (kind != "volume"), "--format", form]).stdout.split())
        for kind, form in lists
    )
    return images, containers, volumes


ALL = (["tiny"], ["close", "exempt", "kept", "near", "ordinary"], ["data"])
NOTHING: tuple[list[str], list[str], list[str]] = ([], [], [])


def test_what_vanishes_is_told_asked_and_comes_back(ready: Host, same_users: None) -> None:
    with things(ready):
        before = ready.snapshot()
        say_no(ready, f"/root/on/{DAEMON}")
        assert difference(before, ready.snapshot(), strict=True) == []
        say_yes_to_user_namespaces(ready)
        assert seen(ready) == NOTHING
        assert results(ready, "on") == ("PASS", "PASS")
        pid = main_pid(ready)
        assert configure(ready, "on").stderr == f"{DAEMON}: nothing to do\n"
        assert main_pid(ready) == pid

        make_image(ready)
        assert_refused_with_user_namespaces(ready)
        before_undo = ready.snapshot()
        say_no(ready, f"/root/on/{DAEMON}", "--undo")
        assert difference(before_undo, ready.snapshot(), strict=True) == []
        say_yes_to_undo(ready)
        assert seen(ready) == ALL
        again = ready.snapshot()
        changed = [change for change in difference(before, again) if not is_about_users(str(change))]
        assert changed == []


def is_about_users(change: str) -> bool:
    """Tell whether a change is of the user that dockerd makes; a copy with a dash is useradd's."""
    return any(f"file {path} " in change or f"file {path}- " in change for path in USERS)


def say_no(host: Host, script: str, *words: str) -> None:
    """Answer the question with n; the script must end without a change."""
    terminal = host.spawn(["bash", script, *words])
    assert terminal.expect(CONFIRM) == 0
    terminal.answer("n")
    assert terminal.wait() == 2
    assert terminal.transcript.text.endswith(f"{ERROR} not confirmed; {UNTOUCHED}\n")


def say_yes_to_user_namespaces(host: Host) -> None:
    """Enable them at the prompt; the question and what stands before it must say what happens."""
    counts = "1 image(s), 5 container(s) and 1 volume(s)"
    terminal = host.spawn(["bash", f"/root/on/{DAEMON}"])
    assert terminal.expect(CONFIRM) == 0
    assert terminal.transcript.text == (
        f"{DAEMON}: with --userns-remap=default dockerd has another data folder. Out of view until --undo, and not "
        f"lost: {counts}\n"
        f"{DAEMON}: with user namespaces dockerd refuses containers like close (--pid=host), near (--network=host); "
        "--userns=host exempts one\n"
        f"Restart dockerd now? It interrupts 4 running container(s) and hides {counts}. Then everyone who reaches "
        "127.0.0.1:2375 is root on this machine. [y/N] "
    )
    terminal.answer("y")
    assert terminal.wait() == 0
    assert "--userns-remap=default" in arguments(host)


def assert_refused_with_user_namespaces(host: Host) -> None:
    """See that dockerd refuses what the script named, and why."""
    for option, reason in (
        ("--privileged", "privileged mode is incompatible with user namespaces"),
        ("--network=host", "cannot share the host's network namespace when user namespaces are enabled"),
        ("--pid=host", "cannot share the host PID namespace when user namespaces are enabled"),
    ):
        result = host.run(["docker", "create", option, "tiny", "cat"], check=False)
        assert result.status != 0
        assert reason.lower() in result.stderr.lower()
        exempt = host.run(["docker", "create", option, "--userns=host", "tiny", "cat"]).stdout.strip()
        host.run(["docker", "rm", exempt])


def say_yes_to_undo(host: Host) -> None:
    """Undo at the prompt, which says what comes back and what goes."""
    counts = "1 image(s), 0 container(s) and 0 volume(s)"
    terminal = host.spawn(["bash", f"/root/on/{DAEMON}", "--undo"])
    assert terminal.expect(CONFIRM) == 0
    assert terminal.transcript.text == (
        f"{DAEMON}: dockerd goes back to the data folder without user namespaces: what was hidden there comes back. "
        f"Out of view until they are on again: {counts}\n"
        f"Restart dockerd now? It interrupts 0 running container(s) and hides {counts}. [y/N] "
    )
    terminal.answer("y")
    assert terminal.wait() == 0
    assert (
        f"{DAEMON}: kept: /var/lib/docker/100000.100000, with what was made in user namespaces, and the user whose "
        "ids it has\n"
    ) in terminal.transcript.text


@pytest.mark.one_release("bullseye")
def test_without_a_terminal_nothing_is_hidden(ready: Host) -> None:
    result = configure(ready, "on")
    assert result.status == 2
    assert result.stderr.endswith("There is no terminal to ask on: give --yes\n")
    assert "and hides " in result.stderr
    assert main_pid(ready)
    assert not ready.exists(DROP_IN)


def test_a_privileged_container_is_named(ready: Host) -> None:
    """A fake: none can run in the lab, so that docker lists the created ones as running."""
    make_image(ready)
    ready.run(["docker", "create", "--name", "strong", "--privileged", "tiny", "cat"])
    ready.run(["docker", "create", "--name", "ordinary", "tiny", "cat"])
    ready.write(
        DOCKER,
        '#!/bin/sh\ncase " $* " in *" ps --quiet "*) set -- "$@" --all ;; esac\nexec /usr/bin/docker "$@"\n',
        0o755,
    )
    said = configure(ready, "on", "--check").stderr
    ready.run(["rm", DOCKER])
    ready.run(["docker", "rm", "strong", "ordinary"])
    ready.run(["docker", "image", "rm", "tiny"])
    assert "refuses containers like strong (--privileged); --userns=host exempts one\n" in said


@pytest.mark.one_release("bullseye")
def test_a_docker_that_gives_no_numbers_is_said(ready: Host) -> None:
    ready.write(DOCKER, "#!/bin/sh\n# A fake in place of a docker that is not installed.\nexit 127\n", 0o755)
    said = configure(ready, "on").stderr
    ready.run(["rm", DOCKER])
    assert (
        "It interrupts an unknown number of containers (docker ps got no answer) and hides all images, containers and "
        "volumes (docker gives no number)."
    ) in said


# ---- Ranges in /etc/subuid and /etc/subgid ----------------------------------

ADD = {"/etc/subuid": "--add-subuids", "/etc/subgid": "--add-subgids"}


def no_range(path: str, user: str, free: str) -> str:
    return f"{path} has no range for {user}, and dockerd adds none; run: usermod {ADD[path]} {free} {user}"


@pytest.fixture
def no_ranges(ready: Host, same_users: None) -> Host:
    """The host without any ranges and without dockremap."""
    ready.bash("userdel dockremap 2>/dev/null || true; : >/etc/subuid; : >/etc/subgid")
    return ready


def test_dockerd_makes_its_own_user(no_ranges: Host) -> None:
    accepted(no_ranges, "on")


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("path", ADD)
def test_a_dockremap_without_a_range(no_ranges: Host, path: str) -> None:
    no_ranges.run(["useradd", "--system", "dockremap"])
    other = next(file for file in ADD if file != path)
    no_ranges.write(other, "dockremap:200000:65536\n")
    refused(no_ranges, "on", no_range(path, "dockremap", "100000-165535"))
    no_ranges.run(["usermod", ADD[path], "100000-165535", "dockremap"])
    accepted(no_ranges, "on")


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("path", ADD)
def test_a_file_that_is_not_there(no_ranges: Host, path: str) -> None:
    no_ranges.run(["rm", path])
    refused(
        no_ranges,
        "on",
        f"there is no {path}, which dockerd needs for --userns-remap; run: touch /etc/subuid /etc/subgid",
    )
    no_ranges.run(["touch", path])
    accepted(no_ranges, "on")


@pytest.mark.one_release("bullseye")
def test_a_range_that_is_too_short(no_ranges: Host) -> None:
    no_ranges.run(["useradd", "--system", "dockremap"])
    for path in ADD:
        no_ranges.write(path, "dockremap:100000:65535\n")
    refused(
        no_ranges,
        "on",
        "in /etc/subuid dockremap:100000:65535 has 65535 ids, and containers need 65536; take the range of dockremap "
        "out and run: usermod --add-subuids 165535-231070 dockremap",
    )
    for path in ADD:
        no_ranges.write(path, "dockremap:100000:65535\ndockremap:300000:1\n")
    accepted(no_ranges, "on")


# ---- Accounts whose ids containers would have -------------------------------


def held(mine: str, number: int, name: str) -> str:
    return f"{mine} holds {number}, the id of the account {name}"


def not_free(path: str, held_by: str, free: str) -> str:
    return (
        f"dockerd would give its user dockremap a range in {path} that is not free: {held_by}; make that user with "
        "another one: useradd --system --user-group --shell /usr/sbin/nologin dockremap, then usermod "
        f"--add-subuids {free} --add-subgids {free} dockremap"
    )


@pytest.fixture
def account(no_ranges: Host) -> Host:
    """The host with an account whose uid and gid lie where dockerd puts its own, as a directory may have them."""
    no_ranges.bash("printf 'ann:x:100500:165535:::\n' >>/etc/passwd; printf 'staff2:x:100001:\n' >>/etc/group")
    return no_ranges


@pytest.mark.one_release("bullseye")
def test_an_account_where_dockerd_puts_its_own_range(account: Host) -> None:
    mine, free = "dockremap:100000:65536", "165536-231071"
    refused(account, "on", not_free("/etc/subuid", held(mine, 100500, "ann"), free))
    account.bash("sed -i s/:100500:/:812:/ /etc/passwd")
    refused(account, "on", not_free("/etc/subgid", held(mine, 100001, "staff2"), free))
    account.bash("sed -i /^staff2:/d /etc/group")
    refused(account, "on", not_free("/etc/subgid", held(mine, 165535, "ann"), free))
    account.bash("useradd --system --user-group dockremap; usermod --add-subuids $1 --add-subgids $1 dockremap", free)
    accepted(account, "on")


@pytest.mark.one_release("bullseye")
def test_an_account_in_a_range_that_is_there(account: Host) -> None:
    account.run(["useradd", "--system", "dockremap"])
    for path in ADD:
        account.write(path, "dockremap:100000:65536\n")
    refused(
        account,
        "on",
        f"in /etc/subuid {held('dockremap:100000:65536', 100500, 'ann')}; take the range of dockremap out and run: "
        "usermod --add-subuids 165536-231071 dockremap",
    )


@pytest.mark.one_release
def test_a_dockerd_that_looks_at_no_other_range_is_refused_before(no_ranges: Host) -> None:
    """From 28.0 on; here a fake says its version."""
    for path in ADD:
        no_ranges.write(path, "alice:100000:65536\n")
    accepted(no_ranges, "on")
    no_ranges.write("/usr/local/sbin/dockerd", "#!/bin/sh\necho 'Docker version 28.0.0, build 0'\n", 0o755)
    refused(
        no_ranges,
        "on",
        not_free(
            "/etc/subuid",
            "these have ids in common: dockremap:100000:65536 and alice:100000:65536",
            "165536-231071",
        ),
    )
    no_ranges.run(["rm", "/usr/local/sbin/dockerd"])


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize(
    ("mine", "other"),
    [("100000:65536", "165535:10"), ("100000:65536", "90000:10001"), ("165535:65536", "100000:65536")],
)
def test_ranges_that_overlap(no_ranges: Host, mine: str, other: str) -> None:
    no_ranges.run(["useradd", "--system", "dockremap"])
    good = f"dockremap:{mine}\n"
    no_ranges.write("/etc/subuid", good)
    no_ranges.write("/etc/subgid", good)
    accepted(no_ranges, "on")
    no_ranges.write("/etc/subgid", f"alice:{other}\n{good}")
    first, _, count = other.partition(":")
    free = max(int(first) + int(count), sum(map(int, mine.split(":"))))
    refused(
        no_ranges,
        "on",
        f"in /etc/subgid these have ids in common: dockremap:{mine} and alice:{other}; take the range of dockremap "
        f"out and run: usermod --add-subgids {free}-{free + 65535} dockremap",
    )


@pytest.mark.one_release("bullseye")
def test_ranges_that_only_touch(no_ranges: Host) -> None:
    no_ranges.run(["useradd", "--system", "dockremap"])
    for path in ADD:
        no_ranges.write(path, "alice:34464:65536\ndockremap:100000:65536\nbob:165536:65536")
    accepted(no_ranges, "on")


@pytest.mark.one_release("bullseye")
def test_ranges_under_a_number_count_as_the_users(no_ranges: Host) -> None:
    no_ranges.run(["useradd", "--system", "--uid", "812", "dockremap"])
    for path in ADD:
        no_ranges.write(path, "812:100000:65536\n")
    accepted(no_ranges, "on")


@pytest.mark.one_release("bullseye")
def test_a_user_that_does_not_exist(no_ranges: Host) -> None:
    refused(
        no_ranges,
        "user",
        "there is no user remapper for userns_remap; run: useradd --system --user-group --shell /usr/sbin/nologin "
        "remapper, or set userns_remap: default",
    )
    no_ranges.run(["useradd", "--system", "--no-user-group", "--gid", "nogroup", "remapper"])
    refused(no_ranges, "user", "there is no group remapper, which dockerd takes too; run: groupadd remapper")
    no_ranges.run(["groupadd", "remapper"])
    refused(no_ranges, "user", no_range("/etc/subuid", "remapper", "100000-165535"))
    no_ranges.run(["usermod", "--add-subuids", "100000-165535", "remapper"])
    refused(no_ranges, "user", no_range("/etc/subgid", "remapper", "165536-231071"))
    no_ranges.run(["usermod", "--add-subgids", "165536-231071", "remapper"])
    accepted(no_ranges, "user")


# ---- The same option elsewhere ----------------------------------------------


@pytest.mark.one_release("bullseye")
def test_daemon_json_may_not_set_userns_remap_too(ready: Host) -> None:
    ready.write(JSON, '{"userns-remap": "default"}\n')
    message = "and dockerd refuses both; remove that key and run this again"
    refused(ready, "on", f'{JSON} sets "userns-remap" too, {message}')
    accepted(ready, "off")
    ready.run(["rm", JSON])
    accepted(ready, "on")


@pytest.mark.one_release("bullseye")
@pytest.mark.debian_options
def test_docker_opts_may_not_set_userns_remap_too(ready: Host) -> None:
    text = ready.read(OPTIONS)
    ready.write(OPTIONS, f'{text}DOCKER_OPTS="--userns-remap=default"\n')
    refused(ready, "on", f"{OPTIONS} passes --userns-remap to dockerd too; remove it there")
    accepted(ready, "off")
    ready.write(OPTIONS, text)
    accepted(ready, "on")


# ---- Another user, and what verify says -------------------------------------


@pytest.fixture
def remapper(no_ranges: Host) -> Host:
    """The host with a user of its own for containers; its ranges are not the same."""
    no_ranges.run(["useradd", "--system", "--user-group", "remapper"])
    no_ranges.run(["usermod", "--add-subuids", "300000-365535", "--add-subgids", "400000-465535", "remapper"])
    return no_ranges


@pytest.mark.one_release("bullseye")
def test_a_user_of_the_host(remapper: Host, undone: None) -> None:
    assert configure(remapper, "user", "--yes").status == 0
    _, found = verify(remapper, "user")
    assert (found["USERNS-1"]["result"], found["USERNS-2"]["result"]) == ("PASS", "PASS")
    assert "/var/lib/docker/300000.400000" in found["USERNS-1"]["evidence"]
    assert found["USERNS-2"]["evidence"] == "/etc/subuid: remapper:300000:65536; /etc/subgid: remapper:400000:65536"
    with ranges(remapper, "alice:365535:1\n"):
        _, found = verify(remapper, "user")
        assert (found["USERNS-1"]["result"], found["USERNS-2"]["result"]) == ("PASS", "FAIL")
        assert found["USERNS-2"]["evidence"] == (
            "in /etc/subuid these have ids in common: remapper:300000:65536 and alice:365535:1"
        )
    # An account that comes later: nothing is switched, so that a renewal goes on, and verification says it.
    with account_of(remapper, "ann:x:300500:400500:::"):
        assert configure(remapper, "user").stderr == f"{DAEMON}: nothing to do\n"
        _, found = verify(remapper, "user")
        assert (found["USERNS-1"]["result"], found["USERNS-2"]["result"]) == ("PASS", "FAIL")
        assert found["USERNS-2"]["evidence"] == "; ".join(
            f"in {path} {held(mine, number, 'ann')}"
            for path, mine, number in (
                ("/etc/subuid", "remapper:300000:65536", 300500),
                ("/etc/subgid", "remapper:400000:65536", 400500),
            )
        )
    # The site without them: back in view, with the same announcement as --undo.
    said = configure(remapper, "off", "--yes").stderr
    assert "goes back to the data folder without user namespaces" in said
    assert "kept: /var/lib/docker/300000.400000, " in said
    assert results(remapper, "user") == ("FAIL", "PASS")
    assert results(remapper, "off") == ("SKIP", "SKIP")


@pytest.mark.one_release("bullseye")
def test_an_account_that_comes_into_the_range_of_dockerds_own_user(no_ranges: Host, undone: None) -> None:
    assert configure(no_ranges, "on", "--yes").status == 0
    assert results(no_ranges, "on") == ("PASS", "PASS")
    with account_of(no_ranges, "ann:x:100500:165535:::"):
        status, found = verify(no_ranges, "on")
        assert status == 4
        assert (found["USERNS-1"]["result"], found["USERNS-2"]["result"]) == ("PASS", "FAIL")
        assert found["USERNS-2"]["evidence"] == "; ".join(
            f"in {path} {held('dockremap:100000:65536', number, 'ann')}"
            for path, number in (("/etc/subuid", 100500), ("/etc/subgid", 165535))
        )
    assert results(no_ranges, "on") == ("PASS", "PASS")


@contextmanager
def account_of(host: Host, line: str) -> Iterator[None]:
    """Have one more line in /etc/passwd for a while."""
    text = host.read("/etc/passwd")
    host.write("/etc/passwd", f"{text}{line}\n")
    try:
        yield
    finally:
        host.write("/etc/passwd", text)


@contextmanager
def ranges(host: Host, line: str) -> Iterator[None]:
    """Have one more line in /etc/subuid for a while."""
    text = host.read("/etc/subuid")
    host.write("/etc/subuid", text + line)
    try:
        yield
    finally:
        host.write("/etc/subuid", text)


# ---- Containers that outlive dockerd ----------------------------------------


def restart(host: Host) -> None:
    """Restart dockerd, however often it was."""
    host.bash(RESTART)


@pytest.fixture
def live(ready: Host, same_users: None) -> Iterator[Host]:
    """The host with live-restore and a container that runs."""
    ready.write(JSON, '{"live-restore": true}\n')
    restart(ready)
    make_image(ready)
    start(ready, "web")
    yield ready
    ready.run(["docker", "rm", "--force", "web"])
    ready.run(["docker", "image", "rm", "tiny"])
    ready.run(["rm", JSON])
    restart(ready)


LOST = "with live-restore these containers would go on running where dockerd finds them no more: "


def test_containers_that_live_restore_would_lose_are_named(live: Host, undone: None) -> None:
    message = f"{LOST}web; stop them, and run this again: docker stop web"
    refused(live, "on", message)
    assert live.run(["docker", "inspect", "--format", "{{.State.Running}}", "web"]).stdout == "true\n"
    live.run(["docker", "stop", "web"])
    assert configure(live, "on", "--yes").status == 0
    make_image(live)
    start(live, "new")
    refuses(
        live,
        ["bash", f"/root/on/{DAEMON}", "--yes", "--undo"],
        f"{ERROR} {LOST}new; stop them, and run this again: docker stop new; {UNTOUCHED}",
    )
    live.run(["docker", "rm", "--force", "new"])
    live.run(["docker", "image", "rm", "tiny"])


def test_a_stopped_dockerd_does_not_hide_what_runs(live: Host) -> None:
    live.bash("systemctl stop docker.service docker.socket")
    refused(
        live,
        "on",
        "dockerd does not answer, and containers run that it would not find; start it (systemctl start docker), stop "
        "them (docker stop), and run this again",
    )
    restart(live)


def test_a_container_that_was_lost_fails(live: Host, undone: None) -> None:
    """Somebody switches user namespaces on by hand, and the site's script after that finds nothing to refuse."""
    number = live.run(["docker", "inspect", "--format", "{{.Id}}", "web"]).stdout[:12]
    live.write(JSON, '{"live-restore": true, "userns-remap": "default"}\n')
    restart(live)
    live.write(JSON, '{"live-restore": true}\n')
    assert configure(live, "on", "--yes").status == 0
    _, found = verify(live, "on")
    assert (found["USERNS-1"]["result"], found["USERNS-2"]["result"]) == ("FAIL", "PASS")
    assert found["USERNS-1"]["evidence"] == f"containers run that dockerd does not list: {number}"
    assert configure(live, "on", "--undo", "--yes").status == 0
    assert "web" in live.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split()


# ---- The way back -----------------------------------------------------------


@pytest.mark.one_release
def test_ids_that_dockerd_took_from_another_are_put_back(no_ranges: Host) -> None:
    """From 28.0 on dockerd may do that; here another user gets the ids while it starts."""
    path = "/etc/systemd/system/docker.service.d/late.conf"
    script = r"case $(tr '\\0' ' ' </proc/$MAINPID/cmdline) in *userns*) echo alice:100000:9 >>/etc/subuid ;; esac"
    no_ranges.write("/run/late.sh", f"{script}\n".replace(r"\\0", r"\0"))
    no_ranges.write(path, "[Service]\nExecStartPost=/bin/sh /run/late.sh\n")
    no_ranges.run(["systemctl", "daemon-reload"])
    before: Snapshot = no_ranges.snapshot(PLACES)
    copy = changed(no_ranges, f"/root/on/{DAEMON}", ("SECONDS + 30", "SECONDS + 2"))
    result = no_ranges.run(["bash", copy, "--yes"], check=False)
    assert result.status == 1, result.stderr
    assert result.stderr.endswith(
        f"{ERROR} in /etc/subuid these have ids in common: dockremap:100000:65536 and alice:100000:9; the previous "
        "state is back and docker.service runs with it\n"
    ), result.stderr
    assert difference(before, no_ranges.snapshot(PLACES)) == []
    assert "--userns-remap=default" not in arguments(no_ranges)
    refused_next = configure(no_ranges, "on", "--yes")
    assert refused_next.status == 2
    assert "these have ids in common: dockremap:100000:65536 and alice:100000:9" in refused_next.stderr
    no_ranges.run(["rm", path])
    no_ranges.run(["systemctl", "daemon-reload"])


@pytest.mark.debian_options
def test_a_dockerd_that_refuses_is_put_back(ready: Host, tmp_path: Path) -> None:
    """Without iptables dockerd cannot keep containers apart: the option beside user namespaces is what it refuses."""
    text = "ca: {key: ec:P-256}\nhosts:\n  - {name: localhost, mode: plain, icc: false, userns_remap: default}\n"
    install(ready, tmp_path, text, "/root/both")
    options = ready.read(OPTIONS)
    ready.write(OPTIONS, f'{options}DOCKER_OPTS="--iptables=false"\n')
    ready.run(["systemctl", "restart", "docker.service"])
    with things_kept(ready):
        result = configure(ready, "both", "--yes")
        assert result.status == 1
        assert result.stderr.endswith(
            f"{ERROR} docker.service did not start; the previous state is back and docker.service runs with it\n"
        )
    ready.write(OPTIONS, options)
    ready.run(["systemctl", "restart", "docker.service"])


@contextmanager
def things_kept(host: Host) -> Iterator[None]:
    """Have a volume that is in view before and after."""
    host.run(["docker", "volume", "create", "data"])
    yield
    assert seen(host)[2] == ["data"]
    host.run(["docker", "volume", "rm", "data"])
