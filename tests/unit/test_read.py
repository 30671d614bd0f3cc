"""Facts about problems in a site file: each with file, line, key path and advice, all of them at once."""

from __future__ import annotations

import pytest

from dockseal.errors import SiteError
from dockseal.site.load import parse
from dockseal.site.read import read_site, site_from
from tests.sites import ROOT, SITES, problems, site

HOST = "hosts:\n  - name: aa\n"


def test_every_site_of_the_project_is_valid() -> None:
    for path in SITES:
        assert read_site(path).hosts


def test_the_default_site_has_one_host_and_one_client_on_this_machine() -> None:
    found = read_site(ROOT / "site.yaml")
    assert [host.listen for host in found.hosts] == ["127.0.0.1:2376"]
    assert [client.name for client in found.clients] == ["client"]


def test_a_minimal_site_has_the_documented_defaults() -> None:
    found = site(HOST)
    host = found.hosts[0]
    assert (found.ca.key, host.key, host.days) == ("rsa:4096", "rsa:4096", 365)
    assert (host.listen, host.names, host.target) == ("0.0.0.0:2376", ("aa",), "aa")
    assert (host.tls_directory, host.drop_in) == (
        "/etc/docker/tls",
        "/etc/systemd/system/docker.service.d/override.conf",
    )
    assert found.files.server_extensions == "extfile.cnf"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo\n", "site.yaml: expected a mapping of keys, found text, 'foo'"),
        ("ca: {}\n", "site.yaml: hosts: this key is missing; add it"),
        ("hosts: []\n", "site.yaml:1: hosts: the list is empty; add at least one"),
        ("hosts:\n", "site.yaml:1: hosts: expected a list, found nothing; write a value or remove the key"),
        (
            "hosts: aa\n",
            "site.yaml:1: hosts: expected a list, found text, 'aa'; write one entry a line, each after '- '",
        ),
        ("hosts:\n  - aa\n", "site.yaml:2: hosts[0]: expected a mapping of keys, found text, 'aa'"),
        ("hosts:\n  - listen: 127.0.0.1:1\n", "site.yaml:2: hosts[0].name: this key is missing; add it"),
        (HOST + "host: 1\n", "site.yaml:3: host: unknown key; did you mean hosts?"),
        (HOST + "    lisen: 1\n", "site.yaml:3: hosts[0].lisen: unknown key; did you mean listen?"),
        (HOST + "ca:\n  zzz: 1\n", "site.yaml:4: ca.zzz: unknown key; known keys: common_name, key, days"),
        (
            "hosts:\n  - name: no\n",
            'site.yaml:2: hosts[0].name: expected text, found a boolean, no; put it in quotes: "no"',
        ),
        (
            "hosts:\n  - name: 12\n",
            "site.yaml:2: hosts[0].name: expected text, found the number 12; name '12' is not an RFC 1123 name; use "
            "lower-case letters, digits and '-' in labels of at most 63 characters joined by '.', with a letter in the "
            "last",
        ),
        (
            HOST + "    mode: off\n",
            "site.yaml:3: hosts[0].mode: expected text, found a boolean, off; unknown mode 'off'; choose one of "
            "mutual, server-only, plain",
        ),
        (
            HOST + "    dns_names: [aa, 0x10]\n",
            "site.yaml:3: hosts[0].dns_names[1]: expected text, found a number that is not plain decimal, 0x10; put it "
            'in quotes: "0x10"',
        ),
        (
            HOST + "    ip_addresses: [12]\n",
            "site.yaml:3: hosts[0].ip_addresses[0]: expected text, found the number 12; '12' is not an IP address; "
            "write it like 192.168.0.1 or fe80::1",
        ),
        (
            HOST + '    days: "365"\n',
            "site.yaml:3: hosts[0].days: expected a whole number, found text, '365'; write it in plain decimal digits "
            "without quotes",
        ),
        (
            HOST + "    days: 1_000\n",
            "site.yaml:3: hosts[0].days: expected a whole number, found a number that is not plain decimal, 1_000; "
            "write it in plain decimal digits without quotes",
        ),
        (
            HOST + "    dns_names: aa\n",
            "site.yaml:3: hosts[0].dns_names: expected a list, found text, 'aa'; write one entry a line, each after "
            "'- '",
        ),
        (HOST + "    listen: 0.0.0.0:70000\n", "site.yaml:3: hosts[0].listen: port 70000 is not in 1-65535"),
        (
            HOST + "    key: rsa:1024\n",
            "site.yaml:3: hosts[0].key: unknown key type 'rsa:1024'; choose one of rsa:2048, rsa:3072, rsa:4096, "
            "ec:P-256, ec:P-384, ed25519",
        ),
        (HOST + "clients:\n", "site.yaml:3: clients: expected a list, found nothing; write a value or remove the key"),
    ],
)
def test_a_mistake_is_reported_where_it_stands(text: str, message: str) -> None:
    assert problems(text) == [message]


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = (
        "ca:\n  days: 0\nhosts:\n  - name: a;b\n    listen: 127.0.0.1:70000\n    days: 1\n    days: 2\n"
        "  - name: good\n    listen: 10.0.0.1:2376\nclients:\n  - name: c1\n    hosts: [godd]\n"
    )
    assert [message.split(": ")[0] + " " + message.split(": ")[1] for message in problems(text)] == [
        "site.yaml:2 ca.days",
        "site.yaml:4 hosts[0].name",
        "site.yaml:5 hosts[0].listen",
        "site.yaml:7 hosts[0].days",
        "site.yaml:9 hosts[1].listen",
        "site.yaml:12 clients[0].hosts[0]",
    ]


def test_the_source_line_stands_below_the_message() -> None:
    with pytest.raises(SiteError) as refused:
        site_from(parse(b"hosts:\n  - name: aa\n    listen: 127.0.0.1:70000\n", "site.yaml"))
    assert str(refused.value) == (
        "site.yaml:3: hosts[0].listen: port 70000 is not in 1-65535\n    listen: 127.0.0.1:70000"
    )


def test_a_flood_of_problems_is_cut() -> None:
    text = "hosts:\n" + "  - name: A\n" * 150
    with pytest.raises(SiteError) as refused:
        site_from(parse(text.encode(), "site.yaml"))
    assert str(refused.value).endswith("... and 50 more problems; mend these first")
    assert len(refused.value.problems) == 150
