"""A site whose CA, Docker host and client are three machines: only requests and certificates travel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dockseal.lab import Host, Lab, Result, difference
from dockseal.lab.snapshot import MACHINE, WHOLE, Snapshot
from tests.host.attempts import docker
from tests.host.authority import issue, new_authority
from tests.host.support import LOCK, PASSPHRASE, PASSPHRASE_FILE, WORK, keep_busybox
from tests.sites import render

NAME = "docker1.example"
ADDRESS = "192.0.2.10"
SITE = f"""\
ca: {{key: ec:P-256, common_name: Split CA}}
hosts:
  - name: {NAME}
    ip_addresses: [{ADDRESS}]
    listen: {ADDRESS}:2376
    key: ec:P-256
clients:
  - {{name: alice, key: ec:P-256}}
"""
TWO_HOSTS = "hosts:\n  - name: one.example\n  - name: two.example\n    listen: 0.0.0.0:2377\n"
HOST_PARTY, CLIENT_PARTY = f"hosts/{NAME}", "clients/alice"
REQUESTS = {HOST_PARTY: "request.csr", CLIENT_PARTY: "client-request.csr"}
CERTIFICATES = {HOST_PARTY: "certificate.pem", CLIENT_PARTY: "client-certificate.pem"}
KEYS = {"ca": "ca/ca-private.pem", HOST_PARTY: f"{HOST_PARTY}/server-key.pem"}
KEYS |= {CLIENT_PARTY: f"{CLIENT_PARTY}/client-key.pem"}


@dataclass
class Split:
    """The three machines by party, what each was before, and what each run of setup.sh said."""

    machines: dict[str, Host]
    scripts: Path
    before: dict[str, Snapshot]
    runs: dict[str, Result] = field(default_factory=dict)

    def setup(self, name: str, party: str, *words: str) -> Result:
        """Run the part of one party on its machine, and keep the result under a name."""
        argv = ["bash", "out/setup.sh", "--as", party, "--yes", *words]
        self.runs[name] = self.machines[party].run(argv, check=False)
        return self.runs[name]

    def check(self, name: str, party: str, *words: str) -> Result:
        """Ask what would run on the machine of a party, by default without saying which one it is."""
        self.runs[name] = self.machines[party].run(["bash", "out/setup.sh", "--check", *words], check=False)
        return self.runs[name]

    def carry(self, source: str, target: str, files: dict[str, list[str]]) -> None:
        """Carry files to the same relative place on another machine, as on a stick."""
        for folder, names in files.items():
            self.machines[target].run(["mkdir", "-p", "-m", "0700", WORK, f"{WORK}/{folder.split('/')[0]}"])
            self.machines[target].run(["mkdir", "-p", "-m", "0700", f"{WORK}/{folder}"])
            for name in names:
                path = f"{WORK}/{folder}/{name}"
                self.machines[target].write(path, self.machines[source].read_bytes(path))


@pytest.fixture(scope="module")
def split(lab: Lab, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    """The whole hand-over, hop by hop."""
    own: dict[str, Any] = {"name": "docker1", "addresses": [ADDRESS], "names": {NAME: ADDRESS}}
    options: dict[str, dict[str, Any]] = {"ca": {"name": "ca"}, HOST_PARTY: own, CLIENT_PARTY: {"name": "alice"}}
    with ThreadPoolExecutor() as pool:
        booted = pool.map(lambda words: lab.boot(release, **words), options.values())
        machines = dict(zip(options, booted, strict=True))
    for host in machines.values():
        keep_busybox(host, on_path=False)
    scripts = render(SITE, tmp_path_factory.mktemp("site") / "out")
    for host in machines.values():
        host.copy_in(scripts, "/root/out")
    machines["ca"].write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)
    machines[CLIENT_PARTY].reach(machines[HOST_PARTY])
    machines[CLIENT_PARTY].know({NAME: ADDRESS})
    one = Split(machines, scripts, {party: host.snapshot(WHOLE) for party, host in machines.items()})
    sign = ("--passphrase-file", PASSPHRASE_FILE)
    one.check("check of the CA", "ca", "--as", "ca")
    one.setup("make the CA", "ca", *sign)
    one.check("check of the waiting CA", "ca")
    for party, request in REQUESTS.items():
        one.check(f"check of {party}", party, "--as", party)
        one.setup(f"request of {party}", party)
        one.setup(f"{party} waits", party)
        one.check(f"check of the waiting {party}", party)
        one.carry(party, "ca", {party: [request]})
    one.check("check of the CA with requests", "ca")
    one.setup("sign", "ca", *sign)
    for party, certificate in CERTIFICATES.items():
        one.carry("ca", party, {party: [certificate, "ca-public.pem"]})
        one.setup(f"finish {party}", party)
        one.check(f"check of the finished {party}", party)
    yield one
    for host in machines.values():
        lab.remove(host)


def test_each_run_of_the_hand_over_tells_by_its_status_whether_it_is_done_or_waits(split: Split) -> None:
    expected = {"check of the CA": 3, "make the CA": 5, "check of the waiting CA": 5}
    for party in REQUESTS:
        expected |= {f"check of {party}": 3, f"request of {party}": 5, f"{party} waits": 5}
        expected |= {f"check of the waiting {party}": 5, f"finish {party}": 0, f"check of the finished {party}": 0}
    expected |= {"check of the CA with requests": 3, "sign": 0}
    assert {name: result.status for name, result in split.runs.items()} == expected


@pytest.mark.parametrize("name", ["make the CA", "check of the waiting CA"])
def test_the_last_line_of_a_ca_that_waits_names_the_requests(split: Split, name: str) -> None:
    files = ", ".join(f"{WORK}/{party}/{request}" for party, request in REQUESTS.items())
    assert split.runs[name].stderr.endswith(
        f"\nsetup.sh: waiting for {files}: carry here what the machines of these parties made, and run this again\n"
    )


def test_the_ca_says_which_requests_it_waits_for(split: Split) -> None:
    said = split.runs["make the CA"].stderr
    for step, (party, request) in zip(("20-sign-servers", "30-sign-clients"), REQUESTS.items(), strict=True):
        name = party.rpartition("/")[2]
        words = f"waiting for the request of {name}: bring it to {WORK}/{party}/{request} and run this again"
        assert f"ca/{step}.sh: {words}\n" in said
    assert "waiting" not in split.runs["sign"].stderr


@pytest.mark.parametrize("party", REQUESTS)
def test_a_party_says_what_to_carry_where_and_changes_nothing_while_it_waits(split: Split, party: str) -> None:
    folder = f"{WORK}/{party}"
    words = (
        f"setup.sh: waiting for a certificate. Carry {folder}/{REQUESTS[party]} to the CA machine, sign it there, "
        f"bring {CERTIFICATES[party]} and ca-public.pem back to {folder}, and run this again\n"
    )
    for name in (f"request of {party}", f"{party} waits", f"check of the waiting {party}"):
        assert split.runs[name].stderr.endswith(words)
    for name in (f"request of {party}", f"{party} waits"):
        assert "20-configure" not in split.runs[name].stderr.partition("[1/")[2]
    again = split.runs[f"{party} waits"].stderr
    assert f"{party}/10-request-certificate.sh: nothing to do\n" in again
    assert "\n+ " not in again


@pytest.mark.parametrize("party", REQUESTS)
def test_the_ca_and_the_party_show_the_same_public_key_to_compare(split: Split, party: str) -> None:
    shown = re.search(r"public key sha256: ([0-9a-f]{64})\n", split.runs[f"request of {party}"].stderr)
    assert shown is not None
    name = party.rpartition("/")[2]
    assert f"{name} asks with public key sha256: {shown[1]}\n" in split.runs["sign"].stderr


def test_each_private_key_is_on_its_own_machine_only(split: Split) -> None:
    for party, path in KEYS.items():
        key = split.machines[party].read(f"{WORK}/{path}")
        secret = key.splitlines()[2]
        assert len(secret) > 20
        assert "PRIVATE KEY" in key
        for other, machine in split.machines.items():
            search = ["grep", "-rlF", "-e", secret, "/root", "/etc", "/tmp", "/var/tmp"]
            found = machine.run(search, check=False).stdout.split()
            assert bool(found) == (other == party), (party, other, found)


def test_each_machine_has_only_its_own_party(split: Split) -> None:
    for party, machine in split.machines.items():
        words = ["find", WORK, "-type", "f", "!", "-name", ".lock", "-printf", "%P\n"]
        listing = machine.run(words).stdout.split()
        listing.remove("parties.txt")
        assert machine.read(f"{WORK}/parties.txt") == f"{party}\n"
        if party != "ca":
            assert {path.rpartition("/")[0] for path in listing} == {party}
        else:
            assert not [path for path in listing if path.endswith("-key.pem")]


def test_only_the_docker_host_was_restarted_and_configured(split: Split) -> None:
    drop_in = "/etc/systemd/system/docker.service.d/override.conf"
    assert {party: machine.exists(drop_in) for party, machine in split.machines.items()} == {
        "ca": False,
        HOST_PARTY: True,
        CLIENT_PARTY: False,
    }


def test_the_client_gets_an_answer_from_its_machine_by_name(split: Split) -> None:
    wanted = split.machines[HOST_PARTY].run(["docker", "info", "--format", "{{.ID}}"]).stdout
    client = split.machines[CLIENT_PARTY]
    assert client.run(["docker", "--context", NAME, "info", "--format", "{{.ID}}"]).stdout == wanted
    assert client.run(["docker", "info", "--format", "{{.ID}}"]).stdout != wanted


def test_another_cas_client_is_refused_from_its_machine(split: Split) -> None:
    """On the CA's machine, which knows the way and the CA, but has no client certificate of it."""
    machine = split.machines["ca"]
    machine.reach(split.machines[HOST_PARTY])
    machine.know({NAME: ADDRESS})
    own = (f"{WORK}/{CLIENT_PARTY}/client-certificate.pem", f"{WORK}/{KEYS[CLIENT_PARTY]}")
    other = issue(new_authority("Split CA"), "alice").install(machine, "/run/other")
    assert ps(split.machines[CLIENT_PARTY], own, f"{WORK}/{CLIENT_PARTY}/ca-public.pem").status == 0
    assert ps(machine, other, f"{WORK}/ca/ca-public.pem").status != 0
    # What docker itself says depends on whether it still writes when dockerd hangs up.
    said = f"TLS handshake error from {machine.address()}:"
    wait = 'until line=$(journalctl -qu docker -o cat | grep -F "$1"); do :; done; printf "%s" "$line"'
    logged = split.machines[HOST_PARTY].bash(wait, said, timeout=20).stdout
    assert re.search("certificate signed by unknown authority|client didn't provide a certificate", logged)


def ps(host: Host, pair: tuple[str, str], ca: str) -> Result:
    """Run the documented docker command."""
    return host.run(docker(*pair, "ps", "--quiet", name=NAME, ca=ca), check=False)


def test_the_hosts_own_verification_skips_the_client_that_is_elsewhere(split: Split) -> None:
    said = split.runs[f"finish {HOST_PARTY}"].stdout
    assert re.search(r"^TLS-1 +SKIP ", said, re.MULTILINE)
    assert "FAIL" not in said
    assert re.search(r"^CLIENT-1 +PASS ", split.runs[f"finish {CLIENT_PARTY}"].stdout, re.MULTILINE)


@pytest.mark.parametrize("remembered", ["by --as", "by parties.txt", "by the key"])
@pytest.mark.parametrize("party", ["ca", *REQUESTS])
def test_a_last_run_changes_nothing_and_knows_its_party(split: Split, party: str, remembered: str) -> None:
    machine = split.machines[party]
    words = ["--as", party] if remembered == "by --as" else []
    if remembered == "by the key":
        machine.run(["mv", f"{WORK}/parties.txt", "/run/parties.txt"])
    before = machine.snapshot()
    result = machine.run(["bash", "out/setup.sh", "--yes", *words])
    assert difference(before, machine.snapshot(), strict=True) == []
    if remembered == "by the key":
        machine.run(["mv", "/run/parties.txt", f"{WORK}/parties.txt"])
    others = [other for other in KEYS if other != party]
    assert f" {party}/" in result.stderr
    assert not [other for other in others if re.search(rf"^ *\d+\. {other}/", result.stderr, re.MULTILINE)]


def test_a_site_of_several_hosts_wants_to_know_which_machine_this_is(split: Split, tmp_path: Path) -> None:
    machine = split.machines["ca"]
    machine.copy_in(render(f"{TWO_HOSTS}clients:\n  - name: alice\n", tmp_path / "two"), "/root/two")
    before = machine.snapshot()
    refused = machine.run(["bash", "two/setup.sh", "--dir", "/root/none"], check=False)
    assert (refused.status, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: setup.sh: this site has 2 Docker hosts: say which party this machine is with --as: "
        "ca hosts/one.example hosts/two.example clients/alice\n"
    )
    unknown = machine.run(["bash", "two/setup.sh", "--as", "hosts/three.example"], check=False)
    assert (unknown.status, unknown.stdout) == (2, "")
    assert unknown.stderr == (
        "error: setup.sh: --as needs one of: ca hosts/one.example hosts/two.example clients/alice\n"
    )
    assert difference(before, machine.snapshot(), strict=True) == []


@pytest.mark.parametrize("party", REQUESTS)
def test_undo_takes_what_was_carried_here_too_and_leaves_the_whole_file_system_as_it_was(
    split: Split, party: str
) -> None:
    machine = split.machines[party]
    kept = machine.run(["bash", "out/setup.sh", "--undo", "--yes"]).stderr
    folder = f"{WORK}/{party}"
    for name in (KEYS[party].rpartition("/")[2], CERTIFICATES[party], "ca-public.pem"):
        assert f"kept: {folder}/{name} (--undo --remove-keys removes it)\n" in kept
        assert machine.exists(f"{folder}/{name}")
    machine.run(["bash", "out/setup.sh", "--as", party, "--undo", "--remove-keys", "--yes"])
    assert not machine.exists(WORK)
    changes = difference(split.before[party], machine.snapshot(WHOLE), without=MACHINE)
    assert [str(change) for change in changes] == ([LOCK] if party == HOST_PARTY else [])
