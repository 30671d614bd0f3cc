"""Facts about values of a site that do not fit together."""

from __future__ import annotations

import pytest

from tests.sites import problems


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "hosts:\n  - name: aa\n  - name: aa\n    listen: 0.0.0.0:1\n",
            ["site.yaml:3: hosts[1].name: aa is already hosts[0]; choose another name"],
        ),
        (
            "hosts:\n  - name: aa\nclients:\n  - name: cc\n  - name: cc\n",
            ["site.yaml:5: clients[1].name: cc is already clients[0]; choose another name"],
        ),
        (
            "hosts:\n  - name: alpha\nclients:\n  - name: cc\n    hosts: [alpa]\n",
            ["site.yaml:5: clients[0].hosts[0]: unknown host alpa; did you mean alpha?"],
        ),
        (
            "hosts:\n  - name: alpha\nclients:\n  - name: cc\n    hosts: [zz]\n",
            ["site.yaml:5: clients[0].hosts[0]: unknown host zz; known hosts: alpha"],
        ),
        (
            "hosts:\n  - name: alpha\nclients:\n  - name: cc\n    hosts: []\n",
            ["site.yaml:5: clients[0].hosts: the list is empty; name a host, or remove the key for every host"],
        ),
        (
            "hosts:\n  - name: aa\n    dns_names: [aa, bb, aa]\n",
            ["site.yaml:3: hosts[0].dns_names[2]: aa is listed twice; remove one"],
        ),
        (
            "hosts:\n  - name: aa\n    ip_addresses: ['fe80::1', 'FE80:0::1']\n",
            ["site.yaml:3: hosts[0].ip_addresses[1]: fe80::1 is listed twice; remove one"],
        ),
        (
            "hosts:\n  - name: aa\n    listen: 10.0.0.1:2376\n",
            ["site.yaml:3: hosts[0].listen: no name of the certificate points to 10.0.0.1; add it to ip_addresses"],
        ),
        (
            "hosts:\n  - name: aa\n    connect: bb\n",
            [
                "site.yaml:3: hosts[0].connect: bb is not in dns_names or ip_addresses, so no client could verify it; "
                "add it there"
            ],
        ),
        (
            "ca: {days: 100}\nhosts:\n  - name: aa\n    days: 100\n",
            ["site.yaml:4: hosts[0].days: 100 days is not shorter than the CA's 100 days; shorten it or raise ca.days"],
        ),
        (
            "ca: {days: 100}\nhosts:\n  - name: aa\n    days: 9\nclients:\n  - name: cc\n",
            [
                "site.yaml:6: clients[0].days: 365 days is not shorter than the CA's 100 days; "
                "shorten it or raise ca.days"
            ],
        ),
        (
            "hosts:\n  - name: aa\nfiles:\n  server_key: request.csr\n",
            [
                "site.yaml:4: files.server_key: request.csr is the name of server_request too, in the same folder "
                "hosts/NAME; choose another"
            ],
        ),
        (
            "hosts:\n  - name: aa\nfiles:\n  ca_key: ca-public.srl\n",
            ["site.yaml:4: files.ca_key: ca-public.srl is a file that the scripts make beside it; choose another name"],
        ),
        (
            "hosts:\n  - name: aa\n    tls_directory: /etc/systemd/system\n",
            ["site.yaml:3: hosts[0].tls_directory: the drop-in would stand inside this folder; name another"],
        ),
    ],
)
def test_a_contradiction_is_reported_where_it_stands(text: str, messages: list[str]) -> None:
    assert problems(text) == messages


@pytest.mark.parametrize(
    ("host", "messages"),
    [
        ("mode: open", ["hosts[0].mode: unknown mode 'open'; choose one of mutual, server-only, plain"]),
        (
            "mode: plain, listen: '0.0.0.0:2375'",
            [
                "hosts[0].listen: plain text on 0.0.0.0 makes everyone who reaches it root on this host; listen on "
                "127.0.0.1:2375, or add plain_tcp_accepts_root_for_everyone_who_reaches_it: true"
            ],
        ),
        (
            "mode: plain, listen: '[::]:2375', plain_tcp_accepts_root_for_everyone_who_reaches_it: false",
            [
                "hosts[0].listen: plain text on :: makes everyone who reaches it root on this host; listen on "
                "127.0.0.1:2375, or add plain_tcp_accepts_root_for_everyone_who_reaches_it: true"
            ],
        ),
        ("mode: plain, listen: '0.0.0.0:2375', plain_tcp_accepts_root_for_everyone_who_reaches_it: true", []),
        ("mode: plain", []),
        ("mode: plain, listen: '[::1]:2375'", []),
        (
            "mode: plain, listen: '127.0.0.1:2376'",
            ["hosts[0].listen: port 2376 is docker's port for TLS; choose another, like 2375"],
        ),
        (
            "mode: plain, key: rsa:4096",
            ["hosts[0].key: a plain host has no certificate; remove this key, or choose another mode"],
        ),
        ("mode: server-only", []),
        (
            "listen: '0.0.0.0:2375'",
            ["hosts[0].listen: port 2375 is docker's port for plain text; choose another, like 2376"],
        ),
        (
            "plain_tcp_accepts_root_for_everyone_who_reaches_it: true",
            [
                "hosts[0].plain_tcp_accepts_root_for_everyone_who_reaches_it: this host has mode mutual, not plain; "
                "remove this key"
            ],
        ),
    ],
)
def test_plain_text_is_only_where_the_site_says_so(host: str, messages: list[str]) -> None:
    assert problems(f"hosts:\n  - {{name: aa, {host}}}\n") == [f"site.yaml:2: {message}" for message in messages]


def test_a_client_cannot_use_a_plain_host() -> None:
    hosts = "hosts:\n  - {name: aa, mode: plain}\n"
    assert problems(f"{hosts}clients:\n  - {{name: cc, hosts: [aa]}}\n") == [
        "site.yaml:4: clients[0].hosts[0]: host aa is plain and asks for no certificate; remove it here"
    ]
    assert problems(f"{hosts}clients:\n  - name: cc\n") == [
        "site.yaml:4: clients[0]: no host has TLS, so there is none for a client; remove this client"
    ]
    assert problems(f"{hosts}  - name: bb\nclients:\n  - name: cc\n") == []


def test_plain_hosts_on_loopback_do_not_share_a_port() -> None:
    assert problems("hosts:\n  - {name: aa, mode: plain}\n  - {name: bb, mode: plain}\n") == []


@pytest.mark.parametrize(
    ("one", "other", "messages"),
    [
        ("name: one", "name: one", ["name: one is already networks[0] of this host; choose another name"]),
        ("name: one", "name: One", []),
        (
            "name: one, subnet: 10.0.0.0/24",
            "name: two, subnet: 10.0.0.128/25",
            ["subnet: 10.0.0.128/25 overlaps 10.0.0.0/24 of network one; choose another"],
        ),
        (
            "name: one, subnet: 10.0.0.128/25",
            "name: two, subnet: 10.0.0.0/24",
            ["subnet: 10.0.0.0/24 overlaps 10.0.0.128/25 of network one; choose another"],
        ),
        ("name: one, subnet: 10.0.0.0/24", "name: two, subnet: 10.0.1.0/24", []),
        (
            "name: one, ipv6_subnet: 'fd00::/64'",
            "name: two, ipv6_subnet: 'fd00::/60'",
            ["ipv6_subnet: fd00::/60 overlaps fd00::/64 of network one; choose another"],
        ),
        (
            "name: one",
            "name: two, subnet: 192.168.0.0/24",
            ["subnet: 192.168.0.0/24 has the host's own address 192.168.0.1 in it; choose another"],
        ),
    ],
)
def test_networks_of_a_host_have_names_and_addresses_of_their_own(one: str, other: str, messages: list[str]) -> None:
    text = (
        "hosts:\n  - name: aa\n    ip_addresses: [192.168.0.1]\n    networks:\n"
        f"      - {{{one}}}\n      - {{{other}}}\n  - name: bb\n    networks:\n      - {{{one}}}\n"
    )
    assert problems(text) == [f"site.yaml:6: hosts[0].networks[1].{message}" for message in messages]


def in_use(line: int, port: int, place: str, host: str) -> list[str]:
    return [
        f"site.yaml:{line}: hosts[1].listen: port {port} at {place} is in use by host {host}; choose another port or "
        "address"
    ]


@pytest.mark.parametrize(
    ("first", "second", "messages"),
    [
        (
            "ip_addresses: [10.0.0.1], listen: '10.0.0.1:2376'",
            "ip_addresses: [10.0.0.1], listen: '10.0.0.1:2376'",
            in_use(3, 2376, "10.0.0.1", "aa"),
        ),
        ("ip_addresses: [10.0.0.1]", "ip_addresses: [10.0.0.1]", in_use(3, 2376, "10.0.0.1", "aa")),
        (
            "ip_addresses: [10.0.0.1]",
            "ip_addresses: [10.0.0.1], listen: '10.0.0.1:2376'",
            in_use(3, 2376, "10.0.0.1", "aa"),
        ),
        ("dns_names: [shared]", "dns_names: [shared]", in_use(3, 2376, "shared", "aa")),
        ("ip_addresses: [10.0.0.1]", "ip_addresses: [10.0.0.1], listen: '0.0.0.0:2377'", []),
        ("ip_addresses: [10.0.0.1]", "ip_addresses: [10.0.0.2]", []),
        ("dns_names: [aa, localhost]", "dns_names: [bb, localhost]", []),
    ],
)
def test_two_hosts_cannot_share_an_address_and_port(first: str, second: str, messages: list[str]) -> None:
    text = f"hosts:\n  - {{name: aa, {first}}}\n  - {{name: bb, {second}}}\n"
    assert problems(text) == messages


@pytest.mark.parametrize("address", ["127.0.0.1:2376", "[::1]:2376"])
def test_localhost_points_to_both_loopback_addresses(address: str) -> None:
    assert problems(f"hosts:\n  - name: localhost\n    listen: '{address}'\n") == []


def test_a_mistake_in_a_host_does_not_make_its_name_unknown() -> None:
    text = "hosts:\n  - name: alpha\n    days: 0\nclients:\n  - name: cc\n    hosts: [alpha]\n"
    assert problems(text) == ["site.yaml:3: hosts[0].days: 0 days is not in 1-7300"]
