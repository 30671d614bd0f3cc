"""A CA rolled over in three stages on a split site while clients ask, until a lost laptop is refused."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from dockseal.lab import Host, Lab, Result
from tests.host.stick import STICK, Stick
from tests.host.support import PASSPHRASE, PASSPHRASE_FILE, UNATTENDED, WORK, keep_busybox
from tests.sites import ROOT, render

pytestmark = pytest.mark.one_release
ADDRESSES = {"one.example": "192.0.2.21", "two.example": "192.0.2.22"}
STAYS = ("alice", "bob")
LOST = "laptop"
ROLL_OVER = "ca/60-roll-over-ca.sh"
SIGN = ("--passphrase-file", PASSPHRASE_FILE)
LIST = ("bash", "out/ca/80-list-certificates.sh")
PROVE = ("openssl", "verify", "-CAfile", f"{WORK}/ca/ca-public.pem")
# Asks both hosts again and again, a line each time.
POLL = """
exec </dev/null >/run/polled 2>&1
while [[ ! -e /run/stop ]]; do
  for name in one.example two.example; do
    if said=$(timeout 20 docker --context "$name" version --format '{{.Server.Version}}' 2>&1); then said=ok; fi
    printf '%s %s\\n' "$name" "${said//$'\\n'/ }"
  done
done
"""
# What a client says while a host's dockerd restarts. docker itself updates a context file by file: one request in that
# very moment may find another CA, key or certificate, the next one may not.
DOWN = r"onnection refused|Cannot connect to the Docker daemon|EOF|connection reset|broken pipe"


def site(clients: tuple[str, ...]) -> str:
    """Return the text of a site of two hosts and these clients."""
    hosts = [
        f"  - {{name: {name}, ip_addresses: [{address}], listen: '{address}:2376', key: ec:P-256}}"
        for name, address in ADDRESSES.items()
    ]
    rows = [f"  - {{name: {name}, key: ec:P-256}}" for name in clients]
    return "\n".join(["ca: {key: ec:P-256}", "hosts:", *hosts, "clients:", *rows, ""])


@dataclass
class Network:
    """The CA, two hosts and three clients, by party."""

    machines: dict[str, Host]
    stick: Stick
    ran: list[str]  # as the README has them

    def run(self, party: str, *argv: str, check: bool = True) -> Result:
        """Run a command on the machine of a party; what saves its questions and its time is not in the README."""
        words = [word for word in argv if word not in {*UNATTENDED, "--no-containers"}]
        self.ran.append(" ".join(words).replace(STICK, "FOLDER"))
        return self.machines[party].run(argv, check=check)

    def setup(self, party: str) -> None:
        """Carry the stick to a party's machine and run setup.sh: it ends well, or waits for what is carried next."""
        sign = SIGN if party == "ca" else ()
        argv = ("bash", "out/setup.sh", "--as", party, "--exchange", STICK, "--yes", "--no-containers", *sign)
        self.stick.plug_in(self.machines[party])
        result = self.run(party, *argv, check=False)
        self.stick.pull_out(self.machines[party])
        assert result.status in (0, 5), result.output

    def parties(self) -> list[str]:
        """Return the hosts and clients that stay."""
        return [*(f"hosts/{name}" for name in ADDRESSES), *(f"clients/{name}" for name in STAYS)]

    def renew(self, party: str) -> None:
        """Renew as the README says: ask on the party's machine, sign, switch."""
        self.run(party, "bash", f"out/{party}/10-request-certificate.sh", "--renew", "--new-key")
        for machine in (party, "ca", party):
            self.setup(machine)

    def tell_all(self) -> None:
        """Bring every host and client the CA certificates that they are to trust."""
        for party in ("ca", *self.parties()):
            self.setup(party)

    def roll_over(self, *stage: str) -> Result:
        """Run one stage on the CA's machine."""
        return self.run("ca", "bash", f"out/{ROLL_OVER}", *stage, *UNATTENDED)


@pytest.fixture(scope="module")
def network(lab: Lab, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Two hosts and three clients with certificates, and two of the clients asking."""
    options: dict[str, dict[str, Any]] = {"ca": {"name": "ca"}}
    for name, address in ADDRESSES.items():
        options[f"hosts/{name}"] = {"name": name.partition(".")[0], "addresses": [address], "names": {name: address}}
    for name in (*STAYS, LOST):
        options[f"clients/{name}"] = {"name": name}
    with ThreadPoolExecutor(2) as pool:
        machines = dict(zip(options, pool.map(lambda words: lab.boot(release, **words), options.values()), strict=True))
    scripts = render(site((*STAYS, LOST)), tmp_path_factory.mktemp("site") / "out")
    for party, machine in machines.items():
        keep_busybox(machine, on_path=False)
        machine.copy_in(scripts, "/root/out")
        if party.startswith("clients/"):
            for name in ADDRESSES:
                machine.reach(machines[f"hosts/{name}"])
            machine.know(ADDRESSES)
    machines["ca"].write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)
    one = Network(machines, Stick(1024), [])
    everybody = (*one.parties(), f"clients/{LOST}")
    for party in (*everybody, "ca", *everybody):
        one.setup(party)
    for name in STAYS:
        machines[f"clients/{name}"].bash(
            f"nohup bash -c '{POLL.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}' >/dev/null 2>&1 &"
        )
    yield one
    for machine in machines.values():
        lab.remove(machine)


@dataclass(frozen=True)
class Story:
    """What the clients saw, and what the CA said."""

    before: dict[str, bool]
    switched: dict[str, bool]
    after: dict[str, bool]
    finish: str
    polled: dict[str, list[str]]
    listed: list[dict[str, Any]]
    reachable: str
    verified: dict[str, str]
    proof: Result
    ran: list[str]
    why: str


def answered(network: Network) -> dict[str, bool]:
    """Tell which clients get an answer of both hosts; a thief's does not care which server that is."""
    found = {}
    for name in (*STAYS, LOST):
        machine = network.machines[f"clients/{name}"]
        asked = []
        for host in ADDRESSES:
            how = ["--tls", "-H", f"tcp://{host}:2376"] if name == LOST else ["--context", host]
            asked.append(machine.run(["docker", *how, "version"], check=False).status == 0)
        found[name] = all(asked)
    return found


@pytest.fixture(scope="module")
def story(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The lost laptop: out of the site file, three stages, and everybody else renewed."""
    before = answered(network)
    network.ran.clear()
    reachable = network.run("ca", *LIST).stdout
    without = render(site(STAYS), tmp_path_factory.mktemp("without") / "out")
    for machine in network.machines.values():
        machine.run(["rm", "-r", "/root/out"])
        machine.copy_in(without, "/root/out")
    network.roll_over("--begin")
    network.tell_all()
    network.roll_over("--switch")
    for party in network.parties():
        network.renew(party)
    switched = answered(network)
    finish = network.roll_over("--finish", "--shut-out", f"clients/{LOST}").output
    network.tell_all()
    after = answered(network)
    polled = {}
    for name in STAYS:
        machine = network.machines[f"clients/{name}"]
        machine.bash("touch /run/stop")
        polled[name] = machine.read("/run/polled").splitlines()
    listing = network.run("ca", *LIST, "--json").stdout.splitlines()
    hosts = [party for party in network.parties() if party.startswith("hosts/")]
    verify = {party: network.run(party, "bash", f"out/{party}/90-verify.sh", check=False).stdout for party in hosts}
    return Story(
        before,
        switched,
        after,
        finish,
        polled,
        [json.loads(line) for line in listing],
        reachable,
        verify,
        network.run("ca", *PROVE, f"{WORK}/clients/{LOST}/client-certificate.pem", check=False),
        network.ran,
        why_refused(network.machines[f"clients/{LOST}"]),
    )


def why_refused(machine: Host) -> str:
    """Return what docker says; a reset can come before the daemon's alert is read, and then it is asked again."""
    for _ in range(20):
        asked = machine.run(["docker", "--tls", "-H", "tcp://one.example:2376", "ps"], check=False)
        assert asked.status != 0, asked.output
        if not re.search("connection reset|broken pipe|EOF", asked.stderr):
            break
    return asked.stderr


def test_every_client_works_before_and_while_both_are_trusted(story: Story) -> None:
    assert story.before == story.switched == dict.fromkeys((*STAYS, LOST), True)


def test_the_lost_laptop_is_refused_at_the_end_and_the_others_are_not(story: Story) -> None:
    assert story.after == {"alice": True, "bob": True, LOST: False}
    assert re.search("remote error: tls: (bad certificate|unknown certificate authority)", story.why), story.why
    assert "clients/laptop" in story.finish


@pytest.mark.parametrize("name", STAYS)
def test_a_client_that_stays_is_never_refused(story: Story, name: str) -> None:
    """Between two answers there are only moments at which a host's dockerd restarts."""
    lines = story.polled[name]
    assert len([line for line in lines if line.endswith(" ok")]) > 20
    for host in ADDRESSES:
        asked = [line for line in lines if line.startswith(host)]
        refused = [not line.endswith(" ok") and not re.search(DOWN, line) for line in asked]
        assert not any(one and two for one, two in itertools.pairwise(refused)), asked


def test_the_last_stage_names_who_is_left_behind(story: Story) -> None:
    listed = {(one["party"], one["state"]) for one in story.listed}
    assert ("clients/laptop", "retired") in listed
    assert ("hosts/one.example", "current") in listed


def test_what_it_could_reach_is_listed(story: Story) -> None:
    for host in ADDRESSES:
        assert f" hosts/{host} " in story.reachable


def test_the_old_certificate_is_of_no_ca_any_more(story: Story) -> None:
    assert story.proof.status != 0
    assert "unable to get local issuer certificate" in story.proof.output
    for said in story.verified.values():
        for control in ("TLS-3", "TLS-4"):
            assert re.search(rf"^{control} +PASS ", said, re.MULTILINE), said


def test_the_readme_has_the_commands_that_were_run(story: Story) -> None:
    text = (ROOT / "README.md").read_text()
    runbook = text[text.index("### A lost laptop") : text.index("## The document, command by command")]
    commands = re.findall(r"`(?:sudo )?((?:bash|openssl) [^`]+)`", runbook)
    assert len(commands) > 10
    ran = "\n".join(story.ran).replace(f"{WORK}/", "docker-tls/")
    for command in commands:
        pattern = re.escape(command).replace("NAME", r"[a-z.]+")
        assert re.search(rf"^{pattern}$", ran, re.MULTILINE), command
