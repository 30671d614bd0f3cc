"""Facts about what is said of two folders: every change of a site is told by what it means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dockseal.output.review.facts import Site
from dockseal.output.review.meaning import key_type
from dockseal.output.review.page import page_octets
from dockseal.output.review.since import Since, compare
from tests.pages import Page, site
from tests.sites import dockseal, render

SITE = """
ca: {common_name: Example CA, days: 3000}
hosts:
  - name: one.example
    dns_names: [one.example]
    listen: 192.0.2.1:2376
    ip_addresses: [192.0.2.1, 192.0.2.9]
    networks: [{name: front, icc: false}]
  - name: two.example
clients:
  - name: alice
    hosts: [one.example]
  - name: bob
"""
ONE, TWO = "hosts/one.example", "hosts/two.example"

# What changes in the site file, whom it is about, and what has to be said.
CASES = {
    "name": (
        "[one.example]\n    listen",
        "[one.example, www.example]\n    listen",
        ONE,
        "a name more in the certificate: DNS:www.example",
    ),
    "address": (", 192.0.2.9]", "]", ONE, "a name less in the certificate: IP:192.0.2.9"),
    "port": ("192.0.2.1:2376", "192.0.2.1:2377", ONE, "dockerd listens on port 2376 -> 2377"),
    "listen": ("192.0.2.1:2376", "0.0.0.0:2376", ONE, "dockerd listens on 192.0.2.1:2376 -> 0.0.0.0:2376"),
    "mode": (
        "- name: two.example",
        "- name: two.example\n    mode: server-only",
        TWO,
        "mode mutual -> server-only: TLS, asks for no client certificate; everyone who reaches the port is root",
    ),
    "host key": (
        "- name: two.example",
        "- name: two.example\n    key: ec:P-256",
        TWO,
        "the type of the key: rsa:4096 -> ec:P-256",
    ),
    "host days": (
        "- name: two.example",
        "- name: two.example\n    days: 90",
        TWO,
        "the lifetime of the certificate, in days: 365 -> 90",
    ),
    "userns": (
        "- name: two.example",
        "- name: two.example\n    userns_remap: default",
        TWO,
        "user namespaces of containers: off -> default",
    ),
    "icc": (
        "- name: two.example",
        "- name: two.example\n    icc: false",
        TWO,
        "containers on the default bridge are kept apart",
    ),
    "warning": (
        "- name: two.example",
        "- name: two.example\n    warn_days: 20",
        TWO,
        "days before the end at which it is told: 30 -> 20",
    ),
    "folder": (
        "- name: two.example",
        "- name: two.example\n    tls_directory: /etc/two/tls",
        TWO,
        "the folder of dockerd's certificate: /etc/docker/tls -> /etc/two/tls",
    ),
    "network open": ("front, icc: false", "front", ONE, "containers on the network front can talk to each other now"),
    "network new": ("[{name: front", "[{name: back}, {name: front", ONE, "the network back is new"),
    "network inner": (
        "front, icc: false",
        "front, icc: false, internal: true",
        ONE,
        "network front: internal: false -> true",
    ),
    "CA days": ("days: 3000", "days: 2000", "ca", "the lifetime of the CA's certificate, in days: 3000 -> 2000"),
    "CA key": ("days: 3000", "days: 3000, key: ec:P-384", "ca", "the type of the key: rsa:4096 -> ec:P-384"),
    "CA name": ("Example CA", "Other CA", "ca", "the CA's name: Example CA -> Other CA"),
    "client gone": (
        "  - name: bob\n",
        "",
        "clients/bob",
        "the client is taken out; dockerd cannot revoke: its certificate works until it ends or the CA is replaced",
    ),
    "client new": (
        "  - name: bob\n",
        "  - name: bob\n  - name: carol\n",
        "clients/carol",
        "a new client: root on each host that asks for certificates of this CA",
    ),
    "host gone": ("  - name: two.example\n", "", TWO, "the host is taken out; nothing is undone on it"),
    "host new": (
        "- name: two.example",
        "- name: three.example\n  - name: two.example",
        "hosts/three.example",
        "a new host",
    ),
    "client uses": (
        "hosts: [one.example]",
        "hosts: [one.example, two.example]",
        "clients/alice",
        "now uses the host two.example",
    ),
    "client key": (
        "- name: bob",
        "- name: bob\n    key: ed25519",
        "clients/bob",
        "the type of the key: rsa:4096 -> ed25519",
    ),
    "profile": (
        "- name: bob",
        "- name: bob\n    shell_profile: .profile",
        "clients/bob",
        "the shell profile that is written to: none -> .profile",
    ),
}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site(SITE, tmp_path_factory.mktemp("since") / "out")


@pytest.fixture
def since(old: Site, tmp_path: Path) -> Callable[..., Since]:
    def against(before: str, after: str) -> Since:
        assert before in SITE
        return compare(old, site(SITE.replace(before, after), tmp_path / "out"))

    return against


@pytest.mark.parametrize(("before", "after", "party", "said"), CASES.values(), ids=CASES)
def test_a_change_is_told_by_its_meaning(
    before: str, after: str, party: str, said: str, since: Callable[..., Since]
) -> None:
    found = since(before, after)
    assert [one.text for one in found.sentences if party in one.subjects].count(said) == 1
    assert sum(len(one.changes) for one in found.sentences) == len(found.changes)


def test_a_change_is_told_once_however_often_it_shows(since: Callable[..., Since]) -> None:
    found = since("192.0.2.1:2376", "192.0.2.1:2377")
    told = [(one.subjects, one.text) for one in found.sentences]
    assert told == [
        ((ONE,), "dockerd listens on port 2376 -> 2377"),
        (("clients/alice", "clients/bob"), "uses the host one.example at another address"),
    ]


def test_nothing_has_changed_between_a_folder_and_itself(old: Site) -> None:
    found = compare(old, old)
    assert (found.sentences, found.changes, found.library, found.differences) == ((), (), {}, ())
    assert set(found.states.values()) == {"unchanged"}
    text = Page(page_octets(old, found).decode()).text
    assert "No value and no effect has changed." in text


def test_steps_are_unchanged_changed_added_and_removed(since: Callable[..., Since]) -> None:
    states = since("  - name: bob\n", "  - name: carol\n").states
    assert states["ca/10-create-ca.sh"] == "unchanged"
    assert states["ca/30-sign-clients.sh"] == "other values"
    assert states["clients/carol/90-verify.sh"] == "added"
    assert states["clients/bob/90-verify.sh"] == "removed"
    assert (
        since("icc: false", "icc: false, subnet: 172.30.5.0/24").states[f"{ONE}/30-create-networks.sh"] == "other text"
    )


def test_a_step_whose_library_is_another_one_is_not_unchanged(old: Site) -> None:
    path = "lib/create_networks.sh"
    bundle = replace(
        old.bundle,
        texts={**old.bundle.texts, path: old.bundle.texts[path] + "true\n"},
        digests={**old.bundle.digests, path: "0" * 64},
    )
    found = compare(old, replace(old, bundle=bundle))
    assert found.library == {path: "other text"}
    assert {name for name, state in found.states.items() if state == "same text, other library"} == {
        f"{ONE}/30-create-networks.sh"
    }
    assert [one.path for one in found.differences] == [path]
    assert "+true" in found.differences[0].lines


def test_a_line_of_code_above_the_mark_is_told(old: Site) -> None:
    path = f"{ONE}/30-create-networks.sh"
    head = old.heads[path]
    heads = {**old.heads, path: replace(head, others=(*head.others, (12, "rm -rf /")))}
    scripts = tuple(replace(one, sha256="0" * 64) if one.path == path else one for one in old.bundle.scripts)
    found = compare(old, replace(old, heads=heads, bundle=replace(old.bundle, scripts=scripts)))
    assert [(one.subjects, one.text) for one in found.sentences] == [((ONE,), "a line of the script is new: rm -rf /")]
    assert found.states[path] == "other text"


def test_a_mode_that_changes_is_told(old: Site) -> None:
    path = "ca/10-create-ca.sh"
    files = [{"path": "ca/ca-private.pem", "owner": "operator", "mode": "0644"}]
    scripts = tuple(replace(one, effects={"files": files}) if one.path == path else one for one in old.bundle.scripts)
    found = compare(old, replace(old, bundle=replace(old.bundle, scripts=scripts)))
    assert "owner and mode of ca/ca-private.pem: operator 0600 -> operator 0644" in [
        one.text for one in found.sentences
    ]


def test_every_place_leads_to_its_line(since: Callable[..., Since], old: Site, tmp_path: Path) -> None:
    found = since("[one.example]\n    listen", "[one.example, www.example]\n    listen")
    new = site(SITE.replace("[one.example]\n    listen", "[one.example, www.example]\n    listen"), tmp_path / "new")
    page = Page(page_octets(new, found).decode())
    assert {link.partition("#")[2] for link in page.links} <= set(page.ids)
    for change in found.changes:
        if change.new_line:
            line = new.bundle.texts[change.path].splitlines()[change.new_line - 1]
            assert (change.new or "").split(" ")[0] in line


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("openssl genrsa -out FILE 3072", "rsa:3072"),
        ("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out FILE", "ec:P-384"),
        ("openssl genpkey -algorithm ED25519 -out FILE", "ed25519"),
        ("something else", "something else"),
    ],
)
def test_the_type_of_a_key_is_read_from_its_command(words: str, kind: str) -> None:
    assert key_type(words.split()) == kind


def test_json_has_what_the_page_says(tmp_path: Path) -> None:
    first = render(SITE, tmp_path / "first")
    second = render(SITE.replace("192.0.2.1:2376", "192.0.2.1:2377"), tmp_path / "second")
    data = json.loads(dockseal("review", second, "--since", first, "--json").stdout)["since"]
    assert data["changes"][0]["text"] == "dockerd listens on port 2376 -> 2377"
    assert {"path": f"{ONE}/20-configure-daemon.sh", "line": 32, "old": False} in data["changes"][0]["places"]
    assert data["scripts"]["ca/10-create-ca.sh"] == "unchanged"
