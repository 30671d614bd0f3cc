"""40-show-namespaces.sh: what each namespace isolates and what sharing does, and that nothing is left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from dockseal.lab import Host, Result
from tests.host.support import NAME, assert_interrupted, changed, controls, refuses, trapped
from tests.host.traces import container_commands
from tests.sites import render

STEP = f"hosts/{NAME}/40-show-namespaces.sh"
OUT = "/root/out"
SCRIPT = f"{OUT}/{STEP}"
COUNTS = {"PID": 4, "USER": 4, "UTS": 3, "IPC": 3, "MNT": 3, "NET": 4}
CONTROLS = [f"{kind}-{number}" for kind, count in COUNTS.items() for number in range(1, count + 1)]
ONE, TWO = "add_member container1 container1", 'add_member container2 "container2-${probe_run}"'

# All that a run could leave: what docker has, folders, processes, and who has the host's port 80.
STATE = """
docker container ls --all --format '{{.Names}}'
docker network ls --format '{{.Name}}'
docker volume ls --quiet
docker image ls --all --quiet
find /run -maxdepth 1 -name 'dockseal-*'
ls -A /dev/mqueue /dev/shm 2>/dev/null
pgrep --full --list-full '[s]leep 12[0-9]|[h]ttpd|[4]0-show' || true
(exec 3<>/dev/tcp/127.0.0.1/80) 2>/dev/null && echo 'port 80 is open' || true
"""
# Kills the script before its n-th call of docker that changes something.
KILL = """
n=0
set -o functrace
trap '[[ $BASH_COMMAND != "timeout 60 docker "*probe_folder* ]] || ((++n != %d)) || kill -9 $$' DEBUG
"""
# Stands before docker in PATH, and kills the script, the parent of timeout, when it removes something of a kind. bash
# runs no DEBUG trap in an EXIT trap.
KILL_FROM_DOCKER = """#!/bin/bash
if [[ " $* " == *" %s rm "* ]]; then
  read -r _ _ _ script _ </proc/$PPID/stat
  kill -9 "$script"
fi
exec /usr/bin/docker "$@"
"""
# A root file system with a busybox and all its commands.
IMAGE = """
mkdir -p /run/image/bin
cp /bin/busybox /run/image/bin/busybox
for name in $(/bin/busybox --list); do
  [[ $name == busybox ]] || ln -s busybox /run/image/bin/$name
done
"""
REMAP = """
mkdir -p /etc/docker
printf '{"userns-remap": "default"}\\n' >/etc/docker/daemon.json
systemctl reset-failed docker.service docker.socket
systemctl restart docker.service
"""
NO_REMAP = """
rm /etc/docker/daemon.json
systemctl reset-failed docker.service docker.socket
systemctl restart docker.service
"""


def site(more: str = "") -> str:
    """Return the text of a site of one host; `more` is one more setting of it."""
    return f"""\
ca: {{key: ec:P-256}}
hosts:
  - name: {NAME}
    listen: 127.0.0.1:2376
    ip_addresses: [127.0.0.1]
    key: ec:P-256
    {more}
"""


def state(host: Host) -> str:
    """Return what there is on the host that a run could have left."""
    return host.bash(STATE).stdout


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with the scripts of three sites: plain, with user namespaces, and with a named image."""
    sites = {
        OUT: site(),
        f"{OUT}-remap": site("userns_remap: default"),
        f"{OUT}-named": site("probe_image: probe:named"),
    }
    for folder, text in sites.items():
        host.copy_in(render(text, tmp_path_factory.mktemp("site") / "out"), folder)
    return host


@pytest.fixture(scope="module")
def empty(ready: Host) -> str:
    """The state of the host before the first run."""
    return state(ready)


@pytest.fixture(autouse=True)
def nothing_is_left(ready: Host, empty: str) -> Iterator[None]:
    """Every test leaves the host as it was."""
    yield
    assert state(ready) == empty


@pytest.fixture
def remapped(ready: Host, empty: str) -> Iterator[Host]:
    """The same host with user namespaces."""
    assert empty is not None
    ready.bash(REMAP)
    yield ready
    ready.bash(NO_REMAP)


@pytest.fixture
def service(ready: Host) -> Iterator[None]:
    """A service of the host's own on port 80."""
    ready.bash("mkdir /run/www && echo 'page of the host itself' >/run/www/index.html && busybox httpd -h /run/www")
    yield
    ready.bash("pkill --full '[b]usybox httpd -h /run/www'; rm -r /run/www")


def read(result: Result) -> dict[str, dict[str, str]]:
    """Return the controls of a run with --json, by id."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [control["id"] for control in found] == [*CONTROLS]
    return {control["id"]: control for control in found}


def show(host: Host, script: str = SCRIPT, *words: str) -> dict[str, dict[str, str]]:
    """Run the script; the exit status has to say whether every control holds."""
    result = host.run(["bash", script, "--json", *words], check=False)
    found = read(result)
    assert all(line.startswith("+ docker ") for line in result.stderr.splitlines()), result.stderr
    assert result.status == (4 if failed(found) else 0)
    return found


def failed(found: dict[str, dict[str, str]]) -> set[str]:
    """Return the ids of the controls that do not hold."""
    assert {control["result"] for control in found.values()} <= {"PASS", "FAIL"}
    return {name for name, control in found.items() if control["result"] == "FAIL"}


@pytest.fixture(scope="module")
def shown(ready: Host, empty: str) -> dict[str, dict[str, str]]:
    """The controls of one run without user namespaces."""
    assert empty
    return show(ready)


# ---- What is shown ----------------------------------------------------------


def test_every_control_holds_and_shows_its_evidence(shown: dict[str, dict[str, str]]) -> None:
    assert failed(shown) == set()
    assert all(control["evidence"] and control["asked"] for control in shown.values())


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("PID-1", r"1 sleep 121\n"),
        ("PID-3", r"1 sleep 121\n.* sleep 123\n"),
        ("USER-1", r"\A0 0 4294967295\n(.|\n)*CIS 2.9 asks for"),
        ("USER-2", r"in container2: user 0; here: user 0"),
        ("USER-3", r"container2: wrote a file that belongs to user 0"),
        ("UTS-1", r"container1 is ([0-9a-f]{12}), its id \1[0-9a-f]{52}\n"),
        ("UTS-2", r"container4 is customhost; this host was (\S+), and is \1\n"),
        ("IPC-1", r"container2:\nls: /dev/mqueue/dockseal-\w+: No such file"),
        ("IPC-2", r"\A/dev/mqueue/(dockseal-\w+)\n/dev/shm/\1\n"),
        ("MNT-1", r"tmpfs on /mounted\ncontainer2: none\nhost: none\Z"),
        ("NET-2", r"page of container1\n.*page of container2\n.*page of container4\Z"),
        ("NET-3", r"\A127.0.0.1 port 80: page of sharing\n"),
    ],
)
def test_the_evidence_is_what_came_back(shown: dict[str, dict[str, str]], name: str, evidence: str) -> None:
    assert re.search(evidence, shown[name]["evidence"]), shown[name]["evidence"]


def test_what_is_called_isolated_differs_and_what_is_called_shared_is_the_same(
    shown: dict[str, dict[str, str]],
) -> None:
    for name, apart in {
        **dict.fromkeys(("PID-2", "UTS-1", "UTS-2", "IPC-1", "MNT-2", "NET-1"), True),
        **dict.fromkeys(("PID-3", "PID-4", "USER-1", "USER-4", "UTS-3", "IPC-2", "IPC-3", "NET-3", "NET-4"), False),
    }.items():
        numbers = re.findall(r"^\w+: [a-z]+:\[(\d+)\]$", shown[name]["evidence"], re.MULTILINE)
        assert len(numbers) >= 2
        assert len(set(numbers)) == (len(numbers) if apart else 1), name


@pytest.mark.one_release
def test_beside_foreign_containers_and_a_service_on_port_80(ready: Host, service: None) -> None:
    ready.bash(
        f"{IMAGE}tar -C /run/image -c . | docker import - probe:named >/dev/null; "
        "for name in container1 container3; do docker run --detach --name $name probe:named sleep 600; done"
    )
    foreign = 'docker inspect --format "{{.Id}} {{.State.Running}} {{.State.StartedAt}}" container1 container3'
    before = ready.bash(foreign).stdout
    result = ready.run(["bash", f"{OUT}-named/{STEP}"], check=False)
    assert ready.bash(foreign).stdout == before
    ready.bash("docker rm --force container1 container3; docker image rm probe:named; rm -r /run/image")
    assert controls(result.stdout) == [(name, "PASS") for name in CONTROLS]
    assert result.stdout.count("\n              found: ") == len(CONTROLS)
    assert "127.0.0.1 port 80: page of the host itself, of a service that was there before\n" in result.stdout
    assert re.search(r"--pid=container:container1-\w+ --name container3-\w+ ", result.stderr)
    assert " import " not in result.stderr
    assert " image rm " not in result.stderr


# ---- User namespaces --------------------------------------------------------


def test_with_user_namespaces_root_is_refused(remapped: Host) -> None:
    """The image comes from a tar, as it would to a host without a static busybox."""
    remapped.bash(f"{IMAGE}mkdir /run/tars; tar -C /run/image -cf /run/tars/probe-image.tar .")
    found = show(remapped, f"{OUT}-remap/{STEP}", "--dir", "/run/tars")
    remapped.bash("rm -r /run/image /run/tars")
    assert failed(found) == set()
    assert found["USER-1"]["evidence"].startswith("0 100000 65536\n")
    assert found["USER-2"]["evidence"] == "in container2: user 0; here: user 100000"
    assert "touch: /there/container2: Permission denied" in found["USER-3"]["evidence"]
    assert "wrote a file that belongs to user 0" in found["USER-4"]["evidence"]
    assert found["USER-1"]["benchmark"].endswith(", 2.9")
    patched = changed(remapped, f"{OUT}-remap/{STEP}", (TWO, f"{TWO} --userns=host"))
    assert failed(show(remapped, patched)) == {"USER-1", "USER-2", "USER-3"}


# ---- Each namespace, shared -------------------------------------------------


MOUNTED = '--volume "${folder}/root:/mounted"'
SHARED: dict[str, tuple[set[str], list[tuple[str, str]]]] = {
    "pid": ({"PID-1", "PID-2", "PID-3"}, [(ONE, f"{ONE} --userns=host --pid=host")]),
    "uts": ({"UTS-1"}, [(ONE, f"{ONE} --uts=host")]),
    "ipc": ({"IPC-1"}, [(TWO, f'{TWO} --ipc="container:${{member_name[container1]}}"')]),
    "mnt": (
        {"MNT-1", "MNT-3"},
        [
            ("--tmpfs /mounted \\", f"{MOUNTED} \\"),
            (TWO, f'{TWO} {MOUNTED} --volume "${{folder}}/shared:/shared"'),
        ],
    ),
    # docker names a container in the host's network after the host.
    "net": ({"NET-1", "NET-3", "UTS-1"}, [(TWO, f"{TWO} --network=host")]),
}


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("kind", SHARED)
def test_a_namespace_that_is_shared_fails_its_own_controls_only(ready: Host, kind: str) -> None:
    expected, changes = SHARED[kind]
    assert failed(show(ready, changed(ready, SCRIPT, *changes))) == expected


@pytest.mark.one_release("bullseye")
def test_a_container_that_does_not_start_fails_every_control(ready: Host) -> None:
    found = show(ready, changed(ready, SCRIPT, (TWO, f"{TWO} --network=no-such-network")))
    assert failed(found) == {*CONTROLS}
    for control in found.values():
        assert re.match(r"the container container2-\w+ does not start: .*no-such-network", control["evidence"])


@pytest.fixture
def stopped(ready: Host) -> Iterator[None]:
    """A host whose docker daemon does not run."""
    ready.bash("systemctl stop docker.service docker.socket")
    yield
    ready.bash("systemctl reset-failed docker.service docker.socket; systemctl start docker.socket docker.service")


@pytest.mark.one_release("bullseye")
def test_a_daemon_that_does_not_run_is_said(ready: Host, empty: str, stopped: None) -> None:
    said = "dockerd does not answer on unix:///var/run/docker.sock; start it: systemctl start docker.service"
    for words in ([], ["--check"]):
        refuses(ready, ["bash", SCRIPT, *words], f"error: {STEP}: {said}")


# ---- Interrupted ------------------------------------------------------------


@pytest.mark.parametrize("point", ["docker .* import", "--name container1 ", "--name container4 ", "PID-1"])
def test_ctrl_c_leaves_nothing(ready: Host, point: str) -> None:
    terminal = ready.spawn(["bash", SCRIPT])
    assert terminal.expect(point) == 0
    terminal.interrupt()
    assert_interrupted(terminal)


@pytest.mark.one_release
def test_sigterm_leaves_nothing(ready: Host) -> None:
    result = ready.bash(
        f"bash {SCRIPT} >/run/said 2>&1 & until grep -q container3 /run/said; do :; done; kill $!; wait $!", check=False
    )
    assert result.status == 143


@pytest.mark.one_release
@pytest.mark.parametrize("number", [1, 2, 5, 13])
def test_what_a_killed_run_leaves_is_removed_by_the_next_one(ready: Host, number: int, empty: str) -> None:
    result = ready.run(["bash", trapped(ready, SCRIPT, KILL % number)], check=False)
    assert result.status == 137
    assert state(ready) != empty
    undone = ready.run(["bash", SCRIPT, "--undo"])
    assert undone.stdout == ""
    assert "nothing to do" not in undone.stderr


@pytest.mark.one_release
@pytest.mark.parametrize("kind", ["container", "image"])
def test_what_a_run_killed_while_it_removes_leaves_is_removed(ready: Host, kind: str) -> None:
    ready.write("/usr/local/sbin/docker", KILL_FROM_DOCKER % kind, 0o755)
    result = ready.run(["bash", SCRIPT], check=False)
    ready.run(["rm", "/usr/local/sbin/docker"])
    assert result.status == 137
    assert "nothing to do" not in ready.run(["bash", SCRIPT, "--undo"]).stderr


@pytest.mark.one_release
def test_containers_of_a_killed_run_end_by_themselves(ready: Host) -> None:
    patched = trapped(ready, changed(ready, SCRIPT, ("probe_seconds=120", "probe_seconds=5")), KILL % 6)
    assert ready.run(["bash", patched], check=False).status == 137
    ready.bash("until [[ -z $(docker ps --all --quiet) ]]; do :; done", timeout=60)
    assert ready.run(["bash", SCRIPT, "--undo"]).stderr.count("\n") == 1  # the image


@pytest.mark.one_release("bullseye")
def test_undo_has_nothing_to_do_after_a_whole_run(ready: Host) -> None:
    result = ready.run(["bash", SCRIPT, "--undo"])
    assert (result.stdout, result.stderr) == ("", f"{STEP}: nothing to do\n")


# ---- Without containers -----------------------------------------------------


def test_check_prints_the_commands_and_changes_nothing(ready: Host) -> None:
    result = ready.run(["bash", SCRIPT, "--check"])
    assert result.stderr == ""
    for written in ("mktemp -d /run/dockseal-probe.XXXXXXXX", "tar --create ", "mkdir -m 0755 ", "rm -rf -- "):
        assert f"\n{written}" in f"\n{result.stdout}"
    for documented in ("--pid=container:container1 --name container3 ", "--hostname=customhost --name container4 "):
        assert documented in result.stdout


@pytest.mark.one_release("bullseye")
def test_it_needs_root(ready: Host) -> None:
    ready.bash("chmod a+rx /root")
    result = ready.run(["bash", SCRIPT], check=False, user="nobody")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == f"error: {STEP}: this needs root: run it with sudo\n"


@pytest.fixture
def hidden(ready: Host) -> Iterator[None]:
    """A host without busybox."""
    ready.bash("mv $(command -v busybox) /run/busybox; hash -r; ! command -v busybox")
    yield
    ready.bash("mv /run/busybox /bin/busybox")


@pytest.mark.one_release("bullseye")
@pytest.mark.usefixtures("hidden")
def test_without_an_image_it_says_how_to_get_one(ready: Host) -> None:
    expected = (
        f"error: {STEP}: there is no image for the throwaway containers: install the package busybox-static, or carry "
        "the files of a container with busybox here (docker export) as /root/docker-tls/probe-image.tar, or set "
        "probe_image in the site file"
    )
    refuses(ready, ["bash", SCRIPT], expected)
    refuses(ready, ["bash", SCRIPT, "--check"], expected)


@pytest.mark.one_release("bullseye")
def test_a_named_image_that_is_not_there_is_said(ready: Host) -> None:
    refuses(
        ready,
        ["bash", f"{OUT}-named/{STEP}"],
        f"error: {STEP}: the image probe:named is not on this host; load it (docker load), or take probe_image out of "
        "the site file. Images from before user namespaces were switched on have to be loaded again",
    )


@pytest.mark.one_release
def test_an_image_that_another_user_could_replace_is_refused(ready: Host) -> None:
    ready.bash("mkdir --mode 0777 /run/tars; : >/run/tars/probe-image.tar")
    said = "others can write to /run/tars; run: chmod go-w /run/tars"
    for words in ([], ["--check"]):
        refuses(ready, ["bash", SCRIPT, "--dir", "/run/tars", *words], f"error: {STEP}: {said}")
    ready.bash("rm -r /run/tars")


@pytest.mark.one_release
def test_check_prints_every_command_that_a_run_executes(ready: Host) -> None:
    printed, executed = container_commands(ready, SCRIPT)
    assert executed == printed


@pytest.mark.one_release
def test_an_image_that_is_of_no_use_is_said(ready: Host) -> None:
    patched = changed(ready, SCRIPT, ("probe_commands=(\n", "probe_commands=(\n  no-such-command\n"))
    ready.bash(f"{IMAGE}mkdir /run/tars; tar -C /run/image -cf /run/tars/probe-image.tar .")
    lacking = ready.run(["bash", patched, "--dir", "/run/tars"], check=False)
    ready.bash("rm -r /run/image/bin; tar -C /run/image -cf /run/tars/probe-image.tar .")
    barren = ready.run(["bash", SCRIPT, "--dir", "/run/tars"], check=False)
    ready.bash("rm -r /run/tars /run/image")
    assert (lacking.status, lacking.stdout, barren.status, barren.stdout) == (2, "", 2, "")
    assert "run as user 0, and none may be missing; found user 0, no no-such-command\n" in lacking.stderr
    assert "no command runs in the image for the throwaway containers: " in barren.stderr
    assert "install the package busybox-static, or make the tar with docker export\n" in barren.stderr
