"""The parts of the lab that need no engine."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from dockseal.errors import UsageError
from dockseal.lab import image, watches
from dockseal.lab.engine import cache_directory, client_environment, remove_stray, stale_pid
from dockseal.lab.entry import enter
from dockseal.lab.errors import LabError
from dockseal.lab.host import hosts_file
from dockseal.lab.machines import machines_of, names_from_afar, own_addresses, own_names
from dockseal.lab.results import Control, Rehearsal, Stage, controls_from, keep, report, table, verdict
from dockseal.lab.session import GONE_MEANWHILE, is_gone, rights, this_process
from dockseal.lab.snapshot import Change, difference, parse
from dockseal.lab.terminal import Transcript
from dockseal.site.model import Client, Host, Site

FILE = "file\tf\t644\t0:0\t100.5\t/etc/a b\t"
LINK = "file\tl\t777\t0:0\t100.5\t/etc/link\ttarget"
FOLDER = "file\td\t755\t0:0\t100.5\t/etc\t"
RECORDS = [
    FOLDER,
    FILE,
    LINK,
    "sum\t0123456789abcdef\t/etc/a b",
    "unit\tdocker.service\tDropInPaths\t",
    "unit\tdocker.service\tMainPID\t84",
    "argv\t/usr/sbin/dockerd -H fd:// ",
    "network\tbridge bridge",
    "context\tdefault unix:///var/run/docker.sock",
]
BEFORE = parse("\0".join([*RECORDS, ""]))


def test_a_snapshot_holds_what_the_host_printed() -> None:
    assert str(BEFORE.files["/etc/a b"]) == "f 644 0:0 0123456789ab"
    assert str(BEFORE.files["/etc/link"]) == "l 777 0:0 -> target"
    assert str(BEFORE.files["/etc"]) == "d 755 0:0"
    assert BEFORE.units == {"docker.service DropInPaths": ""}
    assert BEFORE.runs == {"docker.service MainPID": "84"}
    assert BEFORE.daemon == "/usr/sbin/dockerd -H fd://"
    assert BEFORE.networks == {"bridge bridge"}


def test_equal_snapshots_do_not_differ() -> None:
    assert difference(BEFORE, BEFORE, strict=True) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        pytest.param(FILE, "file\tf\t600\t0:0\t100.5\t/etc/a b\t", "~ file /etc/a b", id="mode"),
        pytest.param(FILE, "file\tf\t644\t1:0\t100.5\t/etc/a b\t", "~ file /etc/a b", id="owner"),
        pytest.param(RECORDS[3], "sum\tfedc\t/etc/a b", "~ file /etc/a b", id="content"),
        pytest.param(LINK, "file\tl\t777\t0:0\t100.5\t/etc/link\tother", "~ file /etc/link", id="link"),
        pytest.param(FOLDER, "", "- file /etc", id="removed"),
        pytest.param("", "file\td\t755\t0:0\t1\t/etc/new\t", "+ file /etc/new", id="added"),
        pytest.param(RECORDS[4], "unit\tdocker.service\tDropInPaths\t/x", "~ unit docker.service", id="unit"),
        pytest.param(RECORDS[6], "argv\tdockerd", "~ daemon argv", id="daemon"),
        pytest.param("", "network\tone bridge", "+ network one bridge", id="network"),
        pytest.param("", "context\tone tcp://one:2376", "+ context one tcp://one:2376", id="context"),
    ],
)
def test_each_kind_of_difference_is_seen(old: str, new: str, line: str) -> None:
    records = [new if record == old else record for record in [*RECORDS, ""]]
    changes = difference(BEFORE, parse("\0".join(records)))
    assert len(changes) == 1
    assert str(changes[0]).startswith(line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(FILE, FILE.replace("100.5", "200.5"), id="written anew"),
        pytest.param(RECORDS[5], "unit\tdocker.service\tMainPID\t85", id="restarted"),
    ],
)
def test_what_was_done_again_shows_in_a_strict_comparison_only(old: str, new: str) -> None:
    after = parse("\0".join(new if record == old else record for record in RECORDS))
    assert difference(BEFORE, after) == []
    assert len(difference(BEFORE, after, strict=True)) == 1


def test_a_temporary_file_in_a_folder_is_no_difference() -> None:
    after = parse("\0".join([FOLDER.replace("100.5", "200.5"), *RECORDS[1:]]))
    assert difference(BEFORE, after, strict=True) == []


def test_folders_can_be_left_out() -> None:
    after = replace(BEFORE, files={})
    assert [change.what for change in difference(BEFORE, after, without=("/etc",))] == []


def test_a_change_is_one_line() -> None:
    assert str(Change("changed", "file /a", "f 644", "f 600")) == "~ file /a  f 644 => f 600"
    assert str(Change("removed", "network n")) == "- network n"


def test_a_transcript_never_holds_a_secret() -> None:
    lines: list[str] = []
    transcript = Transcript(lines.append)
    transcript.hide("correct horse")
    transcript.write("\x1b[1mword:\x1b[0m correct ")
    assert not transcript.leaked
    transcript.write("horse\r\nnext")
    assert transcript.leaked
    assert transcript.text == "word: (hidden)\nnext"
    assert lines == ["word: (hidden)"]


def test_the_image_is_named_after_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [image.tag(release) for release in image.RELEASES]
    assert len(set(before)) == len(image.RELEASES)
    monkeypatch.setattr(image, "PACKAGES", (*image.PACKAGES, "another"))
    assert not set(before) & {image.tag(release) for release in image.RELEASES}


def test_the_docker_command_has_its_own_package_on_debian_13() -> None:
    assert "docker-cli" in image.packages("trixie")
    assert "docker-cli" not in image.packages("bookworm")
    assert image.dockerfile("trixie").startswith("FROM debian:trixie\n")


def test_a_host_laid_out_as_upstreams_needs_no_image_of_its_own() -> None:
    assert [image.base(host) for host in image.HOSTS] == [*image.RELEASES, "trixie"]
    assert [host for host in image.HOSTS if image.changes(host)] == [image.UPSTREAM]


def test_a_host_that_could_not_watch_files_is_not_booted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(watches, "watches_left", lambda wanted: wanted)
    watches.require_watches("unix:///run/docker.sock")
    monkeypatch.setattr(watches, "watches_left", lambda wanted: 3)
    watches.require_watches("tcp://elsewhere:2376")
    with pytest.raises(
        LabError, match=r"needs 10 inotify instances, and of the \d+ .* allows 3 are left: .* `sysctl fs"
    ):
        watches.require_watches("unix:///run/docker.sock")


def test_the_kernel_tells_how_many_more_can_watch() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert watches.watches_left(2) == 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        left = watches.watches_left(2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert left == 0


def test_privileged_is_used_where_it_can_work_only() -> None:
    assert rights(privileged=True) == ("--privileged",)
    assert rights(privileged=False)[:4] == ("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE")


def test_the_client_speaks_to_one_engine_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "production")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    env = client_environment("unix:///a.sock", tmp_path)
    assert env["DOCKER_HOST"] == "unix:///a.sock"
    assert not {"DOCKER_CONTEXT", "DOCKER_TLS_VERIFY"} & env.keys()
    env = client_environment("tcp://a:2376", tmp_path)
    assert env["DOCKER_TLS_VERIFY"] == "1"
    assert env["DOCKER_CERT_PATH"] == str(Path.home() / ".docker")


def test_the_cache_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_directory() == Path("/x/dockseal")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() == Path.home() / ".cache/dockseal"


def test_a_process_that_is_not_our_dockerd_is_never_taken_for_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    assert stale_pid(pid, tmp_path) is None
    pid.write_text(str(os.getpid()))
    assert stale_pid(pid, tmp_path) is None


def test_a_live_process_is_not_gone_and_a_strange_one_is_left_alone() -> None:
    assert not is_gone(this_process())
    namespace, pid, _ = this_process().split()
    assert is_gone(f"{namespace} {pid} 1")
    assert not is_gone(f"elsewhere {pid} 1")
    assert not is_gone("")


def test_only_empty_folders_are_strays(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    (empty / "lib").mkdir(parents=True)
    (empty / "key.json").touch()
    full.mkdir()
    (full / "daemon.json").touch()
    for folder in (empty, full, tmp_path / "absent"):
        remove_stray(folder)
    assert not empty.exists()
    assert (full / "daemon.json").exists()


def test_a_name_stands_for_one_address() -> None:
    text = "127.0.0.1\tlocalhost\n172.18.0.2\thost.example host\n"
    assert hosts_file(text, {"host.example": "10.0.0.1"}) == "127.0.0.1\tlocalhost\n10.0.0.1\thost.example\n"


def test_one_host_is_one_machine_and_it_is_not_called_localhost() -> None:
    site = Site(hosts=(Host(name="localhost"),), clients=(Client(name="client"),))
    assert [machine.name for machine in machines_of(site)] == ["docker-host"]
    assert machines_of(site)[0].options == ()


def test_two_clients_are_a_machine_for_each_party() -> None:
    site = Site(hosts=(Host(name="a1"),), clients=(Client(name="c1"), Client(name="c2")))
    assert [machine.name for machine in machines_of(site)] == ["ca", "a1", "c1-client", "c2-client"]


def test_two_hosts_are_a_machine_for_each_party() -> None:
    site = Site(hosts=(Host(name="a1"), Host(name="b1")), clients=(Client(name="c1"),))
    assert [machine.options for machine in machines_of(site)] == [
        ("--as", "ca"),
        ("--as", "hosts/a1"),
        ("--as", "hosts/b1"),
        ("--as", "clients/c1"),
    ]


def test_a_fleet_is_refused_with_a_sentence() -> None:
    site = Site(hosts=tuple(Host(name=f"h{number}") for number in range(20)))
    with pytest.raises(UsageError, match="the site has 21 parties, each a machine, and at most 12 can be rehearsed"):
        machines_of(site)


def test_a_host_gets_the_addresses_that_it_listens_on() -> None:
    host = Host(name="a1", dns_names=("a1", "b.example"), ip_addresses=("192.168.0.1", "127.0.0.1"))
    assert own_addresses(host) == ("192.168.0.1",)
    assert own_names(host) == {"a1": "192.168.0.1", "b.example": "192.168.0.1"}
    assert own_names(Host(name="a1")) == {"a1": "127.0.0.1"}
    assert own_names(Host(name="localhost", listen="127.0.0.1:2376")) == {}
    local = Host(name="a1", ip_addresses=("127.0.0.1", "10.0.0.1"), listen="127.0.0.1:2376")
    assert own_names(local) == {"a1": "127.0.0.1"}


def test_other_machines_find_a_host_by_its_own_address_or_on_the_network() -> None:
    assert names_from_afar(Host(name="a1"), "172.18.0.2") == {"a1": "172.18.0.2"}
    host = Host(name="a1", ip_addresses=("10.0.0.1", "10.0.0.2"), listen="10.0.0.2:2376")
    assert names_from_afar(host, "172.18.0.2") == {"a1": "10.0.0.2"}


CONTROL = '{"id":"TLS-1","result":"PASS","what":"an answer","asked":"x","evidence":"200","remedy":""}\n'


def test_controls_are_read_from_json_lines() -> None:
    assert controls_from(CONTROL, "m", "s") == [Control("m", "s", "TLS-1", "PASS", "an answer", "x", "200", "")]
    with pytest.raises(ValueError, match="Expecting value"):
        controls_from("no JSON", "m", "s")


def test_a_rehearsal_is_good_without_failures_and_problems_only() -> None:
    found = Rehearsal("site.yaml", "bookworm", "engine")
    found.controls = controls_from(CONTROL, "m", "s")
    found.stages = [Stage("m", "setup", "bash out/setup.sh", 0, 1.5, changes=("+ file /a",))]
    assert found.good
    assert verdict(found) == "site.yaml on bookworm: good: 1 PASS"
    found.controls.append(replace(found.controls[0], result="FAIL", evidence="no answer", remedy="restart"))
    assert not found.good
    assert "    found: no answer" in report(found)
    found.controls.pop()
    found.stages[0] = replace(found.stages[0], problem="exit status 1, expected 0")
    assert not found.good
    assert verdict(found) == "site.yaml on bookworm: NOT GOOD: 1 PASS; 1 stage(s) went wrong"


def test_results_are_kept_beside_the_site(tmp_path: Path) -> None:
    found = Rehearsal("site.yaml", "bookworm", "engine")
    keep(tmp_path / "rehearsal", found, "text\n")
    assert (tmp_path / "rehearsal/transcript.txt").read_text() == "text\n"
    assert json.loads((tmp_path / "rehearsal/results.json").read_text())["release"] == "bookworm"


def test_a_table_has_even_columns() -> None:
    assert table(("A", "B"), [("long", "x")]) == ["A     B", "long  x"]


@pytest.mark.parametrize(
    ("line", "meanwhile"),
    [
        ("a" * 64, True),
        (f"Error response from daemon: removal of container {'a' * 64} is already in progress", True),
        ("Error response from daemon: No such container: abc", True),
        ("Error response from daemon: network abc has active endpoints", False),
        ("Cannot connect to the Docker daemon", False),
    ],
)
def test_what_another_lab_removes_at_the_same_moment_is_no_failure(line: str, meanwhile: bool) -> None:
    assert bool(GONE_MEANWHILE.search(line)) is meanwhile


def test_the_namespaces_of_another_process_than_the_containers_are_not_entered() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    for pid in (0, os.getpid(), 2**22 + 1):
        assert enter("0" * 64, pid, {}) is None
    assert sorted(Path("/proc/self/fd").iterdir()) == before
