"""The networks of a host: made as the site says, never at somebody's cost, and isolated as packets show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockseal.lab import UPSTREAM, Host
from tests.host.support import (
    CERTIFICATE_STEPS,
    DAEMON,
    DROP_IN,
    OPTIONS,
    RESTART,
    UNATTENDED,
    controls,
    install,
    setup,
    trapped,
    watched,
)
from tests.host.traces import container_commands

pytestmark = pytest.mark.upstream
SITE = """\
ca: {key: ec:P-256}
hosts:
  - name: localhost
    ip_addresses: [127.0.0.1]
    listen: 127.0.0.1:2376
    key: ec:P-256
    icc: false
    networks:
      - {name: apart, icc: false}
      - {name: inside, icc: false, internal: true, subnet: 10.30.5.0/24, ipv6_subnet: "fd00:5::/64"}
      - {name: open}
clients:
  - {name: client, key: ec:P-256}
"""
NAME = "hosts/localhost/30-create-networks.sh"
SCRIPT = f"/root/out/{NAME}"
PROVE = "/root/out/hosts/localhost/91-prove-isolation.sh"
COPY = "/root/out/hosts/localhost/id.sh"
BRIDGE = "/root/out/hosts/localhost/bridge.sh"  # the same, of a host without networks of its own
LABEL = f"dockseal.script={NAME}"
DOCKER = "docker -H unix:///var/run/docker.sock"
CREATE = f"{DOCKER} network create --driver bridge -o com.docker.network.bridge.enable_icc="
COMMANDS = {
    "apart": f"{CREATE}false --label {LABEL} apart",
    "inside": f"{CREATE}false --label {LABEL} --internal --subnet 10.30.5.0/24 --ipv6 --subnet fd00:5::/64 inside",
    "open": f"{CREATE}true --label {LABEL} open",
}
PREDEFINED = {"bridge", "host", "none"}
FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"
# The container ends with the busybox that it runs; the image is not the one of 90-verify.sh.
CONTAINER = """
mkdir -p /run/image/bin
cp /bin/busybox /run/image/bin/busybox
docker image inspect tiny >/dev/null 2>&1 || tar -C /run/image -c . | docker import - tiny >/dev/null
docker run --detach --stop-signal KILL --network "$1" --name "$2" tiny busybox sleep 600
"""
# Power is lost right after a network was made, before the script notes it.
DIE = """set -o functrace; trap '[[ ${BASH_COMMAND} != "made+="* ]] || kill -9 $$' DEBUG"""


@pytest.fixture(scope="module")
def bare(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with Docker as Debian installs it."""
    install(host, tmp_path_factory.mktemp("site"), SITE)
    return host


@pytest.fixture(scope="module")
def ready(bare: Host) -> Host:
    """A host whose dockerd filters IPv6 and has the site's certificates and options."""
    bare.write("/etc/docker/daemon.json", '{"experimental": true, "ip6tables": true}\n')
    setup(bare, *CERTIFICATE_STEPS, DAEMON, *UNATTENDED)
    return bare


@pytest.fixture
def clean(ready: Host) -> Iterator[Host]:
    """A host that has no networks and containers, before and after."""
    remove_all(ready)
    yield ready
    remove_all(ready)


def remove_all(host: Host) -> None:
    host.bash(
        "docker ps --all --quiet | xargs -r docker rm --force >/dev/null; docker network prune --force >/dev/null"
    )
    assert networks(host) == set()


def networks(host: Host) -> set[str]:
    """Return the names of the networks that are not docker's own."""
    return set(host.run(["docker", "network", "ls", "--format", "{{.Name}}"]).stdout.split()) - PREDEFINED


def identifiers(host: Host) -> dict[str, str]:
    """Return the id of each network by its name."""
    lines = host.run(["docker", "network", "ls", "--no-trunc", "--format", "{{.Name}} {{.ID}}"]).stdout.splitlines()
    return dict(line.split() for line in lines)


def refuses(host: Host, *said: str) -> None:
    """Run the script, which must say this and change nothing."""
    before = identifiers(host)
    for verb in ((), ("--check",)):
        result, changes = watched(host, ["bash", SCRIPT, *verb])
        assert result.stderr == f"error: {NAME}: " + "\n".join(said) + "\n"
        assert (result.status, result.stdout, changes) == (2, "", "")
    assert identifiers(host) == before


# ---- What an isolated network needs -----------------------------------------


def test_ipv6_that_dockerd_would_not_filter_is_refused(bare: Host) -> None:
    refuses(
        bare,
        'inside would not be isolated: this dockerd does not filter IPv6; set "ip6tables": true and '
        '"experimental": true in /etc/docker/daemon.json and restart docker; nothing was changed',
    )


def test_packets_that_the_kernel_would_not_filter_are_refused(bare: Host) -> None:
    bare.bash(f"echo 0 >{FILTER}")
    try:
        refuses(
            bare,
            f"apart would not be isolated: {FILTER} is 0, expected 1; run modprobe br_netfilter and sysctl "
            "net.bridge.bridge-nf-call-iptables=1; nothing was changed",
        )
    finally:
        bare.bash(f"echo 1 >{FILTER}")


JSON = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("place", "text", "where"),
    [
        (JSON, '{"iptables" : false}\n', f'"iptables": false in {JSON}'),
        pytest.param(
            OPTIONS,
            "DOCKER_OPTS=--iptables=0\n",
            "--iptables=false on dockerd's command line",
            marks=pytest.mark.debian_options,
        ),
        pytest.param(
            OPTIONS,
            "DOCKER_OPTS='--config-file /etc/docker/other.json'\n",
            '"iptables": false in /etc/docker/other.json',
            marks=pytest.mark.debian_options,
        ),
    ],
)
def test_a_dockerd_that_filters_nothing_is_refused(bare: Host, place: str, text: str, where: str) -> None:
    bare.write("/etc/docker/other.json", '{"iptables": false}\n')
    before = bare.read(place) if bare.exists(place) else None
    bare.write(place, text)
    bare.bash(RESTART)
    try:
        refuses(
            bare,
            f"apart would not be isolated: dockerd has {where}; take it out and restart docker; nothing was changed",
        )
    finally:
        bare.run(["rm", place, "/etc/docker/other.json"])
        if before is not None:
            bare.write(place, before)
        bare.bash(RESTART)


# A dockerd that loads br_netfilter when it makes a network, or does not, as far as a script can see: stands before
# docker in PATH.
LOADS = f"""#!/bin/sh
case " $* " in *' version --format {{{{.Server.Version}}}} '*) echo 27.3.1; exit ;; esac
/usr/bin/docker "$@" || exit
case " $* " in *' network create '*) cat /run/filter >{FILTER} ;; esac
"""


@pytest.mark.one_release
def test_a_dockerd_that_loads_br_netfilter_itself_is_judged_afterwards(clean: Host) -> None:
    """From 27.3.1 on, unless DOCKER_IGNORE_BR_NETFILTER_ERROR is set and it cannot be loaded."""
    clean.write("/usr/local/sbin/docker", LOADS, 0o755)
    clean.bash(f"echo 0 >/run/filter; echo 0 >{FILTER}")
    try:
        result = clean.run(["bash", SCRIPT], check=False)
        assert result.status == 1
        assert result.stderr.splitlines() == [
            f"+ {COMMANDS['apart']}",
            f"+ {DOCKER} network rm apart",
            f"error: {NAME}: apart was not isolated: {FILTER} is 0, expected 1; it is removed again; state: made in "
            "this run: nothing; run modprobe br_netfilter, then run this again",
        ]
        assert networks(clean) == set()
        clean.bash("echo 1 >/run/filter")
        clean.run(["bash", SCRIPT])
        clean.bash(f"echo 0 >{FILTER}")
        refuses(
            clean,
            f"apart would not be isolated: {FILTER} is 0, expected 1; run modprobe br_netfilter and sysctl "
            "net.bridge.bridge-nf-call-iptables=1; nothing was changed",
        )
    finally:
        clean.bash(f"echo 1 >{FILTER}; rm /usr/local/sbin/docker")
    assert networks(clean) == {*COMMANDS}


# ---- Subnets that the machine reaches elsewhere ------------------------------


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize(
    ("subnet", "route"),
    [
        ("10.30.5.0/24", "10.30.4.0/23 dev eth0"),
        ("10.30.5.0/24", "10.30.5.77/32 dev eth0"),
        ("10.30.5.0/24", "10.16.0.0/12 dev eth0"),
        ("fd00:5::/64", "fd00:5::8/125 dev eth0"),
        ("fd00:5::/64", "fd00::/16 dev eth0"),
    ],
)
def test_a_subnet_that_the_machine_reaches_elsewhere_is_refused(clean: Host, subnet: str, route: str) -> None:
    clean.run(["ip", "route", "add", *route.split()])
    try:
        refuses(
            clean,
            f"the subnet {subnet} of inside holds addresses that this machine reaches through eth0; choose a subnet "
            "that ip route does not list; nothing was changed",
        )
    finally:
        clean.run(["ip", "route", "del", *route.split()])


@pytest.mark.one_release
def test_routes_to_other_addresses_and_default_routes_are_no_reason(clean: Host) -> None:
    routes = (
        *("0.0.0.0/1 dev eth0", "128.0.0.0/1 dev eth0", "2000::/3 dev eth0", "10.30.4.0/24 dev eth0"),
        *("10.30.6.0/23 dev eth0", "fd00:5:0:1::/64 dev eth0", "unreachable 10.30.0.0/16", "unreachable fd00::/8"),
    )
    try:
        clean.bash("".join(f"ip route add {route};" for route in routes))
        assert clean.run(["bash", SCRIPT, "--check"], check=False).status == 3
    finally:
        clean.bash("".join(f"ip route del {route} || true;" for route in routes))


@pytest.mark.one_release("bullseye")
def test_without_a_daemon_it_says_how_to_start_it(bare: Host) -> None:
    bare.bash("systemctl stop docker.socket docker.service")
    result = bare.run(["bash", SCRIPT], check=False)
    bare.bash("systemctl reset-failed docker.service docker.socket; systemctl start docker.socket docker.service")
    assert result.status == 2
    assert result.stderr == (
        f"error: {NAME}: dockerd does not answer at unix:///var/run/docker.sock; start it: systemctl start docker; "
        "if it does not start, run hosts/localhost/20-configure-daemon.sh first; nothing was changed\n"
    )


@pytest.mark.one_release("bullseye")
def test_without_a_daemon_nothing_is_proven(bare: Host) -> None:
    bare.bash("systemctl stop docker.socket docker.service")
    result = bare.run(["bash", f"{SCRIPT.rpartition('/')[0]}/91-prove-isolation.sh"], check=False)
    bare.bash("systemctl reset-failed docker.service docker.socket; systemctl start docker.socket docker.service")
    assert (result.status, result.stdout) == (1, "")
    assert "dockerd does not answer on unix:///var/run/docker.sock; start it: systemctl start docker" in result.stderr


# dockerd cannot start without its files: starting it again is no remedy.
BROKEN = "rm /etc/docker/tls; systemctl restart docker.socket; systemctl start docker || true"
MADE = {"apart", "inside", "open"}


@pytest.mark.one_release
def test_a_daemon_that_does_not_start_is_mended_and_undone_all_the_same(
    boot: Callable[..., Host], tmp_path: Path
) -> None:
    """Its networks are a later step than the script that brings it back, and an earlier one in the way back."""
    host = boot()
    install(host, tmp_path, SITE)
    host.write("/etc/docker/daemon.json", '{"experimental": true, "ip6tables": true}\n')
    setup(host, "--no-containers", *UNATTENDED)
    host.bash(BROKEN)
    silent = f"{NAME}: dockerd does not answer at unix:///var/run/docker.sock"
    result = host.run(["bash", SCRIPT, "--check"], check=False)
    said = f"{silent}: what is to be made is shown once it does\n"
    assert (result.status, result.stdout, result.stderr) == (3, "", said)
    result = host.run(["bash", SCRIPT, "--undo"], check=False)
    left = f"{silent}; the networks of this script may be left: apart, inside, open; once dockerd answers, --undo of"
    assert (result.status, result.stdout, result.stderr) == (0, "", f"{left} this script removes them\n")

    assert setup(host, "--check", "--no-containers", check=False).status == 3
    setup(host, "--no-containers", *UNATTENDED)
    assert networks(host) == MADE
    host.bash(BROKEN)
    assert left in setup(host, "--undo", "--yes").stderr
    assert not host.exists(DROP_IN)
    assert networks(host) == MADE
    host.run(["bash", SCRIPT, "--undo"])
    assert networks(host) == set()


@pytest.mark.one_release("bullseye")
def test_it_needs_root(bare: Host) -> None:
    bare.bash("chmod a+rx /root; usermod --append --groups docker nobody")
    result = bare.run(["bash", SCRIPT], check=False, user="nobody")
    bare.bash("chmod 0700 /root; gpasswd --delete nobody docker >/dev/null")
    assert (result.status, result.stderr) == (2, f"error: {NAME}: this needs root: run it with sudo\n")


# ---- Three verbs ------------------------------------------------------------


def test_check_prints_the_commands_and_makes_nothing(clean: Host) -> None:
    result = clean.run(["bash", SCRIPT, "--check"], check=False)
    assert (result.status, result.stderr) == (3, "")
    assert result.stdout.splitlines() == [*COMMANDS.values()]
    assert networks(clean) == set()


def test_each_network_has_its_options(clean: Host) -> None:
    result = clean.run(["bash", SCRIPT])
    assert result.stderr.splitlines() == [f"+ {command}" for command in COMMANDS.values()]
    found = {fact["Name"]: fact for fact in json.loads(clean.run(["docker", "network", "inspect", *COMMANDS]).stdout)}
    option = "com.docker.network.bridge.enable_icc"
    assert {fact["Driver"] for fact in found.values()} == {"bridge"}
    assert {name: fact["Options"][option] for name, fact in found.items()} == {
        "apart": "false",
        "inside": "false",
        "open": "true",
    }
    assert {name for name, fact in found.items() if fact["Internal"]} == {"inside"}
    assert {name for name, fact in found.items() if fact["EnableIPv6"]} == {"inside"}
    assert {pool["Subnet"] for pool in found["inside"]["IPAM"]["Config"]} == {"10.30.5.0/24", "fd00:5::/64"}


@pytest.mark.one_release
def test_a_second_run_does_nothing_and_undo_removes_all(clean: Host) -> None:
    clean.run(["bash", SCRIPT])
    before = identifiers(clean)
    for verb in ((), ("--check",)):
        result = clean.run(["bash", SCRIPT, *verb])
        assert (result.stdout, result.stderr) == ("", f"{NAME}: nothing to do\n")
    assert identifiers(clean) == before
    clean.run(["bash", SCRIPT, "--undo"])
    assert networks(clean) == set()
    assert clean.run(["bash", SCRIPT, "--undo"]).stderr == f"{NAME}: nothing to do\n"


@pytest.mark.one_release
def test_the_run_after_an_interrupted_one_finishes(clean: Host) -> None:
    killed = clean.run(["bash", trapped(clean, SCRIPT, DIE)], check=False)
    assert killed.status == 137
    assert networks(clean) == {"apart"}
    before = identifiers(clean)
    assert clean.run(["bash", SCRIPT]).stderr.splitlines() == [f"+ {COMMANDS[name]}" for name in ("inside", "open")]
    assert networks(clean) == {*COMMANDS}
    assert identifiers(clean)["apart"] == before["apart"]
    clean.run(["bash", SCRIPT, "--undo"])
    assert networks(clean) == set()


# ---- Somebody else's networks and containers --------------------------------


@pytest.mark.one_release("bullseye")
def test_other_options_are_shown_and_nothing_is_made(clean: Host) -> None:
    clean.bash(
        "docker network create --driver bridge -o com.docker.network.driver.mtu=1400 inside --subnet 172.31.9.0/24;"
        "docker network create --driver bridge --internal --ipv6 --subnet fd00:6::/64 open"
    )
    refuses(
        clean,
        "networks of these names are there with other options. Correct the site file, or remove them (--undo where "
        "this script made them, else docker network rm NAME), and run this again; nothing was changed:",
        "inside: icc: found true, expected false",
        "inside: internal: found false, expected true",
        "inside: ipv6: found false, expected true",
        "inside: subnet: found 172.31.9.0/24, expected 10.30.5.0/24",
        "inside: ipv6_subnet: found none, expected fd00:5::/64",
        "inside: com.docker.network.driver.mtu: found 1400, expected none",
        "open: internal: found true, expected false",
        "open: ipv6: found true, expected false",
        "open: ipv6_subnet: found fd00:6::/64, expected none",
    )


@pytest.mark.one_release
def test_a_network_of_another_with_the_same_options_is_used_and_kept(clean: Host) -> None:
    clean.bash('docker network create --driver bridge -o "com.docker.network.bridge.enable_icc"="false" apart')
    before = identifiers(clean)["apart"]
    assert clean.run(["bash", SCRIPT]).stderr.splitlines() == [f"+ {COMMANDS[name]}" for name in ("inside", "open")]
    clean.run(["bash", SCRIPT, "--undo"])
    assert networks(clean) == {"apart"}
    assert identifiers(clean)["apart"] == before


@pytest.mark.one_release("bullseye")
def test_the_beginning_of_an_id_is_no_name(clean: Host) -> None:
    clean.bash(
        'sed "s/^  .apart. /  \'$(docker network inspect --format "{{.ID}}" host | cut -c 1-12)\' /" "$1" >"$2"',
        SCRIPT,
        COPY,
    )
    result = clean.run(["bash", COPY, "--check"], check=False)
    assert (result.status, len(result.stdout.splitlines())) == (3, len(COMMANDS))


@pytest.mark.one_release
def test_undo_keeps_a_network_with_containers_and_names_them(clean: Host) -> None:
    clean.run(["bash", SCRIPT])
    clean.bash(CONTAINER, "open", "running")
    clean.bash(CONTAINER, "open", "stopped")
    clean.run(["docker", "kill", "stopped"])
    undone = clean.run(["bash", SCRIPT, "--undo"], check=False)
    assert undone.status == 1
    assert undone.stderr.splitlines()[-1] == (
        f"error: {NAME}: kept: open (attached: stopped, running); disconnect or remove these containers and run "
        "this again"
    )
    assert networks(clean) == {"open"}
    assert clean.run(["docker", "inspect", "--format", "{{.State.Running}}", "running"]).stdout == "true\n"
    clean.run(["docker", "rm", "--force", "running", "stopped"])
    clean.run(["bash", SCRIPT, "--undo"])
    assert networks(clean) == set()


@pytest.mark.one_release("bullseye")
def test_a_subnet_of_another_network_is_refused_before(clean: Host) -> None:
    clean.bash("docker network create -o com.docker.network.bridge.name=wide --subnet 10.30.0.0/16 wide")
    refuses(
        clean,
        "the subnet 10.30.5.0/24 of inside holds addresses that this machine reaches through wide; choose a subnet "
        "that ip route does not list; nothing was changed",
    )


@pytest.mark.one_release("bullseye")
def test_what_docker_refuses_is_its_own_error_and_the_state_is_told(clean: Host) -> None:
    """A network whose bridge is gone has no route."""
    clean.bash("docker network create -o com.docker.network.bridge.name=wide --subnet 10.30.0.0/16 wide")
    clean.run(["ip", "link", "delete", "wide"])
    result = clean.run(["bash", SCRIPT], check=False)
    assert result.status == 1
    reason, said = result.stderr.splitlines()[-2:]
    assert "overlaps" in reason
    assert said == (
        f"error: {NAME}: docker refuses the network inside, for the reason above; state: made in this run: apart; "
        "correct the site file and run this again"
    )
    assert networks(clean) == {"wide", "apart"}
    clean.run(["docker", "network", "rm", "wide"])
    clean.run(["bash", SCRIPT])
    assert networks(clean) == {*COMMANDS}


# ---- Isolation, by packets --------------------------------------------------

Control = dict[str, str]
ISOLATED = ("TCP", "UDP", "ICMP")
ARRIVED = "one packet sent each way: 1 and 1 arrived"
LOST = re.compile(
    r"one packet sent each way: 0 and 0 arrived; then one of the host each: 1 and 1 arrived; "
    r"the same on the ordinary network dockseal-\w+: 1 and 1 arrived"
)


def prove(host: Host, script: str = PROVE) -> tuple[int, list[Control]]:
    """Run the script that proves isolation; return its exit status and its controls."""
    result = host.run(["bash", script, "--json"], check=False, timeout=600)
    assert result.stderr == ""
    return result.status, [json.loads(line) for line in result.stdout.splitlines()]


def of(found: list[Control], network: str) -> dict[str, Control]:
    """Return the controls of one network by their ids."""
    return {control["id"]: control for control in found if control["what"].startswith(f"{network}: ")}


def left(host: Host) -> str:
    """Return all containers, networks, images and volumes."""
    listings = ("ps --all --quiet", "network ls --quiet", "image ls --all --quiet", "volume ls --quiet")
    return host.bash(
        "".join(f"docker {listing};" for listing in listings) + "ls -d /run/dockseal-* 2>&1 || true"
    ).output


@pytest.fixture(scope="module")
def isolated(ready: Host) -> Host:
    """A host with the networks of the site."""
    remove_all(ready)
    ready.run(["bash", SCRIPT])
    return ready


@pytest.fixture(scope="module")
def proof(isolated: Host) -> list[Control]:
    """What a good host's verification says of networks; it leaves nothing behind."""
    before = left(isolated)
    status, found = prove(isolated)
    assert left(isolated) == before
    assert status == 0, [control for control in found if control["result"] != "PASS"]
    return found


def test_every_network_and_the_default_bridge_is_proven(proof: list[Control]) -> None:
    assert {control["result"] for control in proof} == {"PASS"}
    names = {name: [*of(proof, name)] for name in ("bridge", *COMMANDS)}
    lost = ["ICC-3", "ICC-4", "ICC-5"]
    assert names == {
        "bridge": [*lost, "ICC-9", "ICC-11"],
        "apart": ["ICC-2", *lost, "ICC-9", "ICC-11"],
        "inside": ["ICC-2", *lost, "ICC-6", "ICC-7", "ICC-8", "ICC-9", "ICC-10", "ICC-11"],
        "open": ["ICC-2", *lost, "ICC-9"],
    }
    assert len(proof) == 1 + sum(map(len, names.values()))


@pytest.mark.parametrize("network", ["bridge", "apart", "inside"])
def test_packets_are_lost_both_ways_beside_ones_that_arrive(proof: list[Control], network: str) -> None:
    families = [("IPv4", 3), ("IPv6", 6)] if network == "inside" else [("IPv4", 3)]
    found = of(proof, network)
    for family, first in families:
        for number, protocol in enumerate(ISOLATED, first):
            control = found[f"ICC-{number}"]
            assert control["what"] == f"{network}: {family} {protocol} between containers is lost, both ways"
            assert LOST.fullmatch(control["evidence"]), control


def test_an_ordinary_network_lets_packets_pass(proof: list[Control]) -> None:
    found = of(proof, "open")
    assert [found[f"ICC-{number}"]["evidence"] for number in (3, 4, 5)] == [ARRIVED] * 3


def test_the_default_bridge_is_the_item_of_the_benchmark(proof: list[Control]) -> None:
    named = {control["what"].partition(":")[0] for control in proof if control["benchmark"].endswith(", 2.2")}
    assert named == {"bridge"}


def test_the_outside_direction_and_the_limits_are_measured(proof: list[Control]) -> None:
    assert of(proof, "inside")["ICC-9"]["evidence"] == "10.30.5.1 answered"
    assert "answered a container of dockseal-" in of(proof, "inside")["ICC-10"]["evidence"]
    for network in ("bridge", "apart", "inside"):
        limits = of(proof, network)["ICC-11"]
        assert "the host reaches each container; raw frames pass unless NET_RAW is dropped" in limits["what"]
        assert "host to each: 1 and 1 arrived; arping: Unicast reply from" in limits["evidence"]


def test_without_an_image_the_options_are_verified_only(isolated: Host) -> None:
    isolated.run(["mv", "/bin/busybox", "/bin/busybox.away"])
    result = isolated.run(["bash", PROVE], check=False)
    isolated.run(["mv", "/bin/busybox.away", "/bin/busybox"])
    assert (result.status, result.stderr) == (0, "")
    skipped = [(f"ICC-{number}", "SKIP") for number in (3, 4, 5)]
    assert controls(result.stdout) == [("ICC-1", "PASS"), *skipped, *[("ICC-2", "PASS")] * 3]
    assert "found: there is no image for the throwaway containers: " in result.stdout


@pytest.mark.one_release
def test_check_prints_every_command_that_a_run_executes(isolated: Host) -> None:
    printed, executed = container_commands(isolated, PROVE)
    assert executed == printed
    assert len([words for words in printed if words[3:4] == ["run"]]) == 1 + 2 * (2 + len(COMMANDS))


@pytest.mark.one_release
def test_what_a_killed_run_left_goes_with_undo(isolated: Host) -> None:
    isolated.bash("docker network create --label dockseal.probe=killed dockseal-killed")
    undone = isolated.run(["bash", PROVE, "--undo"])
    assert networks(isolated) == {*COMMANDS}
    assert "nothing to do" not in undone.stderr
    assert isolated.run(["bash", PROVE, "--undo"]).stderr.endswith(": nothing to do\n")


@pytest.fixture
def setting(isolated: Host) -> Iterator[Callable[[str], None]]:
    """Give dockerd other options in its file for one test."""
    before = isolated.read(JSON)

    def give(text: str) -> None:
        isolated.write(JSON, text)
        isolated.bash(RESTART)

    yield give
    give(before)


BASE = '"experimental": true, "ip6tables": true'


@pytest.mark.one_release
def test_without_a_default_bridge_it_is_left_out(isolated: Host, setting: Callable[[str], None]) -> None:
    setting(f'{{{BASE}, "bridge": "none"}}\n')
    status, found = prove(isolated)
    assert status == 0, [control for control in found if control["result"] == "FAIL"]
    bridge = of(found, "bridge")
    assert {name: control["result"] for name, control in bridge.items()} == dict.fromkeys(
        ("ICC-3", "ICC-4", "ICC-5"), "SKIP"
    )
    assert bridge["ICC-3"]["evidence"] == "dockerd has no default bridge"
    assert {control["result"] for control in of(found, "apart").values()} == {"PASS"}
    # With no network of the site's either there is nothing to filter.
    isolated.bash('sed "/^readonly -a networks=(/,/^)/{/^  /d}" "$1" >"$2"', PROVE, BRIDGE)
    _, found = prove(isolated, BRIDGE)
    assert [(control["id"], control["result"]) for control in found] == [
        (f"ICC-{number}", "SKIP") for number in (3, 4, 5)
    ]


@pytest.mark.parametrize("release", [UPSTREAM], indirect=True)
def test_networks_that_are_isolated_by_default_are_no_ordinary_ones(
    isolated: Host, setting: Callable[[str], None]
) -> None:
    """The default options of networks are of dockerd 24 and newer."""
    options = '{"com.docker.network.bridge.enable_icc": "false", "com.docker.network.driver.mtu": "1400"}'
    setting(f'{{{BASE}, "default-network-opts": {{"bridge": {options}}}}}\n')
    try:
        isolated.bash("docker network rm apart inside open >/dev/null")
        isolated.run(["bash", SCRIPT])
        assert isolated.run(["bash", SCRIPT]).stderr == f"{NAME}: nothing to do\n"
        status, found = prove(isolated)
        assert status == 0, [control for control in found if control["result"] == "FAIL"]
    finally:
        isolated.bash("docker network rm apart inside open >/dev/null")
        isolated.run(["bash", SCRIPT])


@pytest.mark.one_release
def test_networks_that_do_not_isolate_or_are_missing_fail(isolated: Host) -> None:
    isolated.bash("docker network rm apart inside; docker network create apart")
    isolated.bash("docker network create --label dockseal.probe=killed dockseal-killed")
    status, found = prove(isolated)
    assert networks(isolated) == {"apart", "open"}, "the network of a killed run is left"
    isolated.run(["docker", "network", "rm", "apart"])
    assert status == 4
    apart = of(found, "apart")
    assert {name for name, control in apart.items() if control["result"] == "FAIL"} == {
        *("ICC-2", "ICC-3", "ICC-4", "ICC-5"),
    }
    assert apart["ICC-2"]["evidence"] == "apart: icc: found true, expected false"
    assert [apart[f"ICC-{number}"]["evidence"] for number in (3, 4, 5)] == [ARRIVED] * 3
    inside = of(found, "inside")
    assert [*inside] == ["ICC-2"]
    assert inside["ICC-2"]["evidence"] == "there is no such network"
    assert "30-create-networks.sh" in inside["ICC-2"]["remedy"]
    assert {control["result"] for name in ("bridge", "open") for control in of(found, name).values()} == {"PASS"}


def test_without_br_netfilter_isolation_fails(isolated: Host) -> None:
    isolated.bash('sed "/^readonly -a networks=(/,/^)/{/^  /d}" "$1" >"$2"', PROVE, BRIDGE)
    isolated.bash(f"echo 0 >{FILTER}")
    try:
        status, found = prove(isolated, BRIDGE)
    finally:
        isolated.bash(f"echo 1 >{FILTER}")
    assert status == 4
    assert {control["id"] for control in found if control["result"] == "FAIL"} == {
        *("ICC-1", "ICC-3", "ICC-4", "ICC-5"),
    }
    assert found[0]["evidence"] == f"{FILTER} is 0, expected 1"


@pytest.mark.one_release
def test_a_host_where_nothing_arrives_proves_nothing(isolated: Host) -> None:
    isolated.bash('sed "/^readonly -a networks=(/,/^)/{/^  /d}" "$1" >"$2"', PROVE, BRIDGE)
    isolated.bash("iptables -I DOCKER-USER -j DROP")
    try:
        status, found = prove(isolated, BRIDGE)
    finally:
        isolated.bash("iptables -D DOCKER-USER -j DROP")
    assert status == 4
    failed = {control["id"]: control["evidence"] for control in found if control["result"] == "FAIL"}
    assert [*failed] == ["ICC-3", "ICC-4", "ICC-5"]
    assert all(text.startswith("this shows nothing: on the ordinary network ") for text in failed.values())
