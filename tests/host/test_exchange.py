"""The hand-over of a split site by one command and one folder that is carried, as the README tells it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dockseal.lab import Host, Lab, Result
from tests.host.stick import STICK, Stick
from tests.host.support import PASSPHRASE, PASSPHRASE_FILE, keep_busybox
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
HOST, CLIENT = f"hosts/{NAME}", "clients/alice"
RUNS = [(HOST, 5), (CLIENT, 5), ("ca", 0), (HOST, 0), (CLIENT, 0)]
# What FAT cannot do, or what would lead out of it.
MODES_AND_LINKS = "chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,link,linkat,symlink,symlinkat"


@dataclass
class Carried:
    """Three machines, the stick, and what the runs said."""

    machines: dict[str, Host]
    stick: Stick = field(default_factory=Stick)
    runs: list[tuple[str, Result]] = field(default_factory=list)

    def exchange(self, party: str, *words: str) -> Result:
        """Plug the stick in at a machine, run the command, and pull it out."""
        host = self.machines[party]
        self.stick.plug_in(host)
        sign = ("--passphrase-file", PASSPHRASE_FILE) if party == "ca" else ()
        argv = ["bash", "out/setup.sh", "--as", party, "--exchange", STICK, "--yes", *sign, *words]
        found = host.run(argv, check=False)
        self.stick.pull_out(host)
        return found


@pytest.fixture(scope="module")
def carried(lab: Lab, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carried]:
    """The whole hand-over, run by run."""
    own: dict[str, Any] = {"name": "docker1", "addresses": [ADDRESS], "names": {NAME: ADDRESS}}
    options: dict[str, dict[str, Any]] = {"ca": {"name": "ca"}, HOST: own, CLIENT: {"name": "alice"}}
    with ThreadPoolExecutor() as pool:
        booted = pool.map(lambda words: lab.boot(release, **words), options.values())
        machines = dict(zip(options, booted, strict=True))
    scripts = render(SITE, tmp_path_factory.mktemp("site") / "out")
    for host in machines.values():
        keep_busybox(host, on_path=False)
        host.copy_in(scripts, "/root/out")
    machines["ca"].write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)
    machines[CLIENT].reach(machines[HOST])
    machines[CLIENT].know({NAME: ADDRESS})
    one = Carried(machines)
    for party, _ in RUNS:
        one.runs.append((party, one.exchange(party)))
    yield one
    for host in machines.values():
        lab.remove(host)


def test_five_runs_and_nothing_by_hand(carried: Carried) -> None:
    found = [(party, result.status) for party, result in carried.runs]
    assert found == RUNS, [result.stderr[-2000:] for _, result in carried.runs]
    assert "TLS-2    PASS" in carried.runs[3][1].stdout
    assert "CLIENT-1 PASS" in carried.runs[4][1].stdout


def test_the_digests_to_compare_are_shown_on_both_sides(carried: Carried) -> None:
    said = [result.stderr for _, result in carried.runs]
    for text in said[:2]:
        digest = text.rpartition("public key sha256: ")[2].strip()
        assert len(digest) == 64
        assert digest in said[2]
    authority = said[2].rpartition("CA certificate sha256: ")[2][:64]
    assert f"CA certificate sha256: {authority}\n" in said[3]
    assert f"CA certificate sha256: {authority}\n" in said[4]


def test_nothing_private_was_carried(carried: Carried) -> None:
    assert sorted(carried.stick.holds) == sorted(
        f"Split_CA+{party.replace('/', '+')}+{file}"
        for party, file in [
            (HOST, "ca-public.pem"),
            (HOST, "certificate.pem"),
            (CLIENT, "ca-public.pem"),
            (CLIENT, "client-certificate.pem"),
        ]
    )
    assert not [name for name, octets in carried.stick.holds.items() if b"PRIVATE" in octets]


@pytest.mark.one_release("bullseye")
def test_a_full_stick_is_named_and_loses_nothing(carried: Carried) -> None:
    host = carried.machines[HOST]
    host.run(["bash", f"out/{HOST}/10-request-certificate.sh", "--renew"])
    before = dict(carried.stick.holds)
    carried.stick.holds["film"] = bytes(48 * 1024)
    full = carried.exchange(HOST)
    assert full.status == 1
    assert f"what it leaves for others is not all in {STICK}; run this again" in full.stderr
    assert not [name for name in carried.stick.holds if name.endswith("request.csr")]
    carried.stick.holds = before
    assert carried.exchange(HOST).status == 5
    assert carried.exchange("ca").status == 0
    assert carried.exchange(HOST).status == 0
    assert carried.exchange(HOST).status == 0


@pytest.mark.one_release("bullseye")
def test_a_stick_that_has_become_read_only_is_named(carried: Carried) -> None:
    host = carried.machines[CLIENT]
    host.run(["bash", f"out/{CLIENT}/10-request-certificate.sh", "--renew"])
    host.bash(f"mkdir -p {STICK}; mount -t tmpfs -o size=64k stick {STICK}; mount -o remount,ro {STICK}")
    argv = ["bash", "out/setup.sh", "--as", CLIENT, "--exchange", STICK, "--yes"]
    read_only = host.run(argv, check=False)
    host.bash(f"umount {STICK}")
    assert read_only.status == 1
    assert f"{STICK} cannot be written to; this machine has done its part" in read_only.stderr
    assert carried.exchange(CLIENT).status == 5
    assert carried.exchange("ca").status == 0
    assert carried.exchange(CLIENT).status == 0


@pytest.mark.one_release("bullseye")
def test_nothing_is_asked_of_the_stick_that_fat_has_not(carried: Carried, tmp_path: Path) -> None:
    host = carried.machines[HOST]
    host.run(["bash", f"out/{HOST}/10-request-certificate.sh", "--renew"])
    Stick().plug_in(host)
    trace = f"strace --follow-forks -y -e trace={MODES_AND_LINKS} --output /run/trace"
    host.bash(f"{trace} bash out/setup.sh --as {HOST} --exchange {STICK} --yes || (($? == 5))")
    found = f"grep -F -e {STICK} -e Split_CA+ /run/trace || true"
    assert host.bash(found).stdout == ""
    (name,) = host.bash(f"ls -A {STICK}").stdout.split()
    assert name == f"Split_CA+hosts+{NAME}+renewal+request.csr"
    host.bash(f"cd {STICK}; {trace} chmod 0600 {name}")
    assert name in host.bash(found).stdout
