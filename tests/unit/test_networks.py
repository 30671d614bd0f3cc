"""Facts about the values of a docker network."""

from __future__ import annotations

import pytest

from dockseal.site import networks
from tests.sites import problems, site


@pytest.mark.parametrize("name", ["ab", "A1", "front.example_net-1", "0" * 63])
def test_a_name_that_docker_takes_stays_as_it_is(name: str) -> None:
    assert networks.network_name(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, f"{name} is a network of docker's own") for name in networks.PREDEFINED),
        *((name, "docker refuses the network name") for name in ("", "a", "-ab", ".ab", "a b", "a/b", "a:b", "é1")),
        ("a" * 64, "docker refuses the network name"),
    ],
)
def test_a_name_that_docker_refuses_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        networks.network_name(name)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "172.30.5.0/24", "192.168.1.8/29"])
def test_an_ipv4_subnet_stays_as_it_is(text: str) -> None:
    assert networks.subnet(text) == text


def test_an_ipv6_subnet_is_compressed() -> None:
    assert networks.ipv6_subnet("FD00:5:0:0::/64") == "fd00:5::/64"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10.0.0.1/24", "'10.0.0.1/24' has bits set behind its prefix; write 10.0.0.0/24"),
        ("10.0.0.0", "'10.0.0.0' is not a subnet; write it like 172.30.5.0/24"),
        ("10.0.0.0/33", "'10.0.0.0/33' is not a subnet; write it like 172.30.5.0/24"),
        ("10.0.0.0/255.0.0.0", "'10.0.0.0/255.0.0.0' is not a subnet; write it like 172.30.5.0/24"),
        ("fd00::/64", "'fd00::/64' is an IPv6 subnet; write it like 172.30.5.0/24"),
        ("10.0.0.0/30", "10.0.0.0/30 has no sensible size for containers; choose /8 to /29"),
        ("0.0.0.0/0", "0.0.0.0/0 has no sensible size for containers; choose /8 to /29"),
        ("127.0.0.0/8", "127.0.0.0/8 is no range for containers; choose a private one like 172.30.5.0/24"),
        ("224.0.0.0/8", "224.0.0.0/8 is no range for containers; choose a private one like 172.30.5.0/24"),
        ("169.254.0.0/16", "169.254.0.0/16 is no range for containers; choose a private one like 172.30.5.0/24"),
    ],
)
def test_a_subnet_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        networks.subnet(text)


@pytest.mark.parametrize("text", ["10.0.0.0/24", "fe80::/64", "ff00::/16", "fd00::/126", "fd00::1/64"])
def test_an_ipv6_subnet_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="; (write|choose)"):
        networks.ipv6_subnet(text)


def test_overlaps_name_the_first_subnet_before() -> None:
    assert list(networks.overlaps(["10.0.0.0/24", "", "10.0.1.0/24", "10.0.0.0/23", ""])) == [(3, 0)]


@pytest.mark.parametrize("text", ["::ffff:0:0/96", "::ffff:10.0.0.0/112", "::ffff:a00:0/112"])
def test_an_ipv4_subnet_written_as_ipv6_is_refused_however_python_prints_it(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is an IPv4 subnet written as IPv6; write a private one like"):
        networks.ipv6_subnet(text)


def test_the_defaults_are_docker_s_own() -> None:
    found = site("hosts:\n  - name: aa\n    networks:\n      - name: one\n").hosts[0]
    assert (found.icc, found.userns_remap, found.probe_image) == (True, None, None)
    network = found.networks[0]
    assert (network.icc, network.internal, network.subnet, network.ipv6_subnet) == (True, False, None, None)


OFF = "is no user; leave the key out to have no user namespaces"
ON = "is no user; write 'default' or a user of the host"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("false", f"expected text, found a boolean, false; 'false' {OFF}"),
        ("off", f"expected text, found a boolean, off; 'off' {OFF}"),
        ("no", f"expected text, found a boolean, no; 'no' {OFF}"),
        ("yes", f"expected text, found a boolean, yes; 'yes' {ON}"),
        ("true", f"expected text, found a boolean, true; 'true' {ON}"),
        ("on", f"expected text, found a boolean, on; 'on' {ON}"),
        ("'yes'", f"'yes' {ON}"),
        ("'off'", f"'off' {OFF}"),
        ("host", "'host' is no user; leave the key out to have no user namespaces"),
        ("root", "remapping to root is none; write 'default' or another user of the host"),
        (
            "1000",
            "expected text, found the number 1000; '1000' is not the name of a user; write 'default' or a user of "
            "the host",
        ),
        ("'1000:1000'", "'1000:1000' is not the name of a user; write 'default' or a user of the host"),
    ],
)
def test_user_namespaces_are_of_a_named_user(value: str, message: str) -> None:
    assert problems(f"hosts:\n  - name: aa\n    userns_remap: {value}\n") == [
        f"site.yaml:3: hosts[0].userns_remap: {message}"
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [("'true'", "text, 'true'; write it without quotes"), ("yes", "a boolean, yes; write one of the two"),
     ("1", "the number 1; write one of the two"), ("[true]", "a list; write one of the two")],
)  # fmt: skip
def test_only_true_and_false_are_true_and_false(value: str, found: str) -> None:
    assert problems(f"hosts:\n  - name: aa\n    icc: {value}\n") == [
        f"site.yaml:3: hosts[0].icc: expected true or false, found {found}"
    ]
    assert problems("hosts:\n  - {name: aa, icc: true}\n  - {name: bb, icc: false}\n") == []


@pytest.mark.parametrize("value", ["busybox", "busybox:1.36", "registry.example.org:5000/tools/busybox@sha256:0a"])
def test_an_image_has_dockers_own_name(value: str) -> None:
    assert problems(f"hosts:\n  - name: aa\n    probe_image: {value}\n") == []


def test_an_option_is_no_image() -> None:
    assert problems("hosts:\n  - name: aa\n    probe_image: --privileged\n") == [
        "site.yaml:3: hosts[0].probe_image: '--privileged' is not the name of an image; write it like busybox:1.36"
    ]


def test_an_unknown_key_of_a_network_is_compared_with_a_networks_keys() -> None:
    assert problems("hosts:\n  - name: aa\n    networks:\n      - {name: one, ipc: true}\n") == [
        "site.yaml:4: hosts[0].networks[0].ipc: unknown key; did you mean icc?"
    ]
