"""The document's commands in what the scripts of its own site really run, and what the documented forms do instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from dockseal.lab import Host, Lab
from tests.documented import ROWS, SITE, Documented, words
from tests.host.support import DROP_IN, UNATTENDED, WORK, arguments, install, setup

# On all releases the whole site is rehearsed: test_rehearse.py.
pytestmark = pytest.mark.one_release
BY_ID = {row.id: row for row in ROWS}
HOST_FOLDER, CLIENT_FOLDER = f"{WORK}/hosts/example.com", f"{WORK}/clients/client"


# The document's server, where its client and the CA are too; and its first step, on a machine of its own.
SERVER = ("--as", "ca", "--as", "hosts/example.com", "--as", "clients/client")
PLAIN = ("--as", "hosts/plain.example.com")


@dataclass(frozen=True)
class Document:
    """Two hosts that were set up with the document's own values, and what setup.sh printed on both."""

    host: Host
    plain: Host
    check: str
    run: str

    def host_of(self, path: str) -> Host:
        """Return the machine on which a script runs."""
        return self.plain if "plain.example.com" in path else self.host

    @cache  # noqa: B019 - there is one for each release
    def asked(self, path: str) -> list[str]:
        """Run a script that verifies; return what it ran for each control that held."""
        result = self.host_of(path).run(["bash", f"out/{path}", "--json"])
        found = [json.loads(line) for line in result.stdout.splitlines()]
        return [" ".join(words(one["asked"])) for one in found if one["result"] == "PASS"]


@pytest.fixture(scope="module")
def document(host: Host, lab: Lab, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Document]:
    """Print what would run, then run it."""
    plain = lab.boot(release)
    check = run = ""
    for machine, parties in ((host, SERVER), (plain, PLAIN)):
        install(machine, tmp_path_factory.mktemp("document"), SITE.read_text())
        machine.know({"example.com": "127.0.0.1"})
        checked = setup(machine, *parties, "--check", check=False)
        assert checked.status == 3, checked.output
        check += checked.stdout
        run += setup(machine, *parties, *UNATTENDED).stderr
    yield Document(host, plain, check, run)
    lab.remove(plain)


def rows(kind: str) -> list[Documented]:
    return [row for row in ROWS if row.shown_by == kind]


def commands(printed: str, mark: str) -> list[list[str]]:
    """Return the words of the printed commands; the content of files is left out."""
    without_files = re.sub(r"<<'END'\n.*?\nEND\n", "\n", printed, flags=re.DOTALL)
    lines = [line for line in without_files.splitlines() if line.startswith(mark)]
    return [words(line.removeprefix(mark)) for line in lines if not line.startswith(("#", "["))]


@pytest.mark.parametrize("row", rows("command"), ids=lambda row: row.id)
def test_check_prints_the_corrected_command(document: Document, row: Documented) -> None:
    printed = commands(document.check, "")
    for line in row.lines:
        if not line.startswith("rm "):  # nothing is there yet that could be removed
            assert words(line) in printed


@pytest.mark.parametrize("row", rows("command"), ids=lambda row: row.id)
def test_the_corrected_command_is_executed(document: Document, row: Documented) -> None:
    printed = commands(document.run, "+ ")
    for line in row.lines:
        assert words(line) in printed


@pytest.mark.parametrize("row", rows("file"), ids=lambda row: row.id)
def test_the_corrected_lines_are_written(document: Document, row: Documented) -> None:
    for printed in (document.check, document.run):
        files = re.findall(r"<<'END'\n(.*?\n)END\n", printed, flags=re.DOTALL)
        assert any(f"\n{row.works}\n" in f"\n{text}" for text in files)


@pytest.mark.parametrize("row", rows("drop-in"), ids=lambda row: row.id)
def test_the_drop_in_has_the_corrected_command_line_and_dockerd_runs_with_it(
    document: Document, row: Documented
) -> None:
    for path in row.where:
        host = document.host_of(path)
        wanted = row.works.split()
        assert drop_in_words(host)[: len(wanted)] == wanted
        assert arguments(host)[: len(wanted)] == wanted


@pytest.mark.parametrize("row", rows("flag"), ids=lambda row: row.id)
def test_the_drop_in_has_the_corrected_flag_and_dockerd_runs_with_it(document: Document, row: Documented) -> None:
    for path in row.where:
        host = document.host_of(path)
        assert row.works in drop_in_words(host)
        assert row.works in arguments(host)
    assert row.works not in arguments(document.plain)


def drop_in_words(host: Host) -> list[str]:
    """Return the words of dockerd's command line in the drop-in."""
    line = re.search(r"^ExecStart=(/.*)$", host.read(DROP_IN).replace("\\\n", " "), re.MULTILINE)
    assert line is not None
    return line[1].split()


@pytest.mark.parametrize("row", rows("control"), ids=lambda row: row.id)
def test_verification_runs_the_corrected_command(document: Document, row: Documented) -> None:
    for path in row.where:
        asked = document.asked(path)
        for line in row.lines:
            assert any(one.startswith(" ".join(words(line))) for one in asked), asked


def test_the_corrected_docker_command_gets_an_answer_as_it_stands(document: Document) -> None:
    answer = document.host.run(BY_ID["D17"].works.split(), cwd="/root/.docker")
    assert answer.stdout.startswith("CONTAINER ID")


# ---- What the documented forms do -------------------------------------------


def documented(document: Document, name: str, scratch: str) -> tuple[int, str]:
    """Run a documented command as it stands, among copies of all files of the site."""
    found = document.host.bash(
        'cd "$2"; mkdir -p "$1"; for folder in ca hosts/* clients/*; do cp "$2"/$folder/* "$1"; done; cd "$1"\n'
        'bash -c "$3" </dev/null 2>&1 || echo "status $?"',
        scratch,
        WORK,
        BY_ID[name].documented,
    )
    status = re.search(r"^status ([0-9]+)$", found.stdout, re.MULTILINE)
    return int(status[1]) if status else 0, found.stdout


def test_d07_as_documented_finds_no_key(document: Document) -> None:
    status, said = documented(document, "D07", "/run/d07")
    assert status != 0
    assert "server-key.pm" in said
    assert "No such file" in said


def test_d08_as_documented_leaves_an_empty_file_and_no_error(document: Document) -> None:
    assert documented(document, "D08", "/run/d08") == (0, "subjectAltName = DNS:sub.example.com\n")
    assert document.host.read("/run/d08/extfile.cnf") == ""


def test_d09_as_documented_writes_to_a_file_that_nothing_reads(document: Document) -> None:
    assert documented(document, "D09", "/run/d09") == (0, "")
    assert document.host.exists("/run/d09/extFile.cnf")
    assert not document.host.exists("/run/d09/extfile.cnf")


def test_d14_as_documented_ends_at_the_blank(document: Document) -> None:
    status, said = documented(document, "D14", "/run/d14")
    assert status == 127
    assert "-CA: command not found" in said


def test_d17_as_documented_is_no_name_of_the_certificate(document: Document) -> None:
    status, said = documented(document, "D17", "/run/d17")
    assert status != 0
    assert re.search(r"x509: certificate is valid for 192\.168\.0\.1, not 0\.0\.0\.0", said)


def test_the_ca_key_is_not_where_the_daemon_or_the_client_reads(document: Document) -> None:
    """D15: on one machine it stays in the CA's own folder."""
    secret = document.host.read(f"{WORK}/ca/ca-private.pem").splitlines()[4]
    found = document.host.run(["grep", "-rlF", "-e", secret, "/etc", "/root"]).stdout
    assert found == f"{WORK}/ca/ca-private.pem\n"


def test_the_rendered_example_is_the_one_of_the_table(document: Document, tmp_path: Path) -> None:
    """Without the requests and extension files: D15 removed them."""
    listing = document.host.run(["ls", HOST_FOLDER, CLIENT_FOLDER]).stdout
    assert not re.search(r"\.csr|\.cnf", listing)
    for name in ("certificate.pem", "server-key.pem", "client-certificate.pem", "client-key.pem"):
        assert f"{name}\n" in listing
