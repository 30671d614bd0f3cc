"""The values of a docker network, and what keeps two of them apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from dockseal.site.values import shown

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{1,62}"
# docker's own (docker-network-create(1)), and those of Swarm.
PREDEFINED = ("bridge", "host", "none", "default", "ingress", "docker_gwbridge")
# Room for the gateway and the two containers of the proof.
LONGEST_PREFIX = {4: 29, 6: 125}
SHORTEST_PREFIX = {4: 8, 6: 16}


def network_name(value: str) -> str:
    """Check a network's name: as docker names things, and none of docker's own."""
    if value in PREDEFINED:
        raise ValueError(f"{value} is a network of docker's own; choose another name")
    if not re.fullmatch(NAME_PATTERN, value):
        raise ValueError(
            f"docker refuses the network name {shown(value)}; use 2 to 63 letters, digits, '_', '.' and '-', "
            "with a letter or digit in front"
        )
    return value


def subnet(value: str) -> str:
    """Check an IPv4 subnet in CIDR form; its host bits are zero."""
    return _subnet(value, 4, "172.30.5.0/24")


def ipv6_subnet(value: str) -> str:
    """Check an IPv6 subnet in CIDR form and return its compressed form."""
    return _subnet(value, 6, "fd00:5::/64")


def overlaps(subnets: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the indices of each subnet and the first before it that has addresses in common; "" is none."""
    for index, text in enumerate(subnets):
        for other in range(index):
            if text and subnets[other] and _overlap(text, subnets[other]):
                yield index, other
                break


def is_within(address: str, text: str) -> bool:
    """Tell whether an address belongs to a subnet; "" is none."""
    return bool(text) and ip_address(address) in ip_network(text)


def _overlap(one: str, other: str) -> bool:
    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and (first[0] in second or second[0] in first)


def _subnet(value: str, version: int, example: str) -> str:
    found = _parsed(value, example)
    if found.version != version:
        raise ValueError(f"{shown(value)} is an IPv{found.version} subnet; write it like {example}")
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped:
        raise ValueError(f"{shown(value)} is an IPv4 subnet written as IPv6; write a private one like {example}")
    if not SHORTEST_PREFIX[version] <= found.prefixlen <= LONGEST_PREFIX[version]:
        limits = f"/{SHORTEST_PREFIX[version]} to /{LONGEST_PREFIX[version]}"
        raise ValueError(f"{found} has no sensible size for containers; choose {limits}")
    if found.is_loopback or found.is_multicast or found.is_link_local or found.is_unspecified:
        raise ValueError(f"{found} is no range for containers; choose a private one like {example}")
    return str(found)


def _parsed(value: str, example: str) -> IPv4Network | IPv6Network:
    if not re.fullmatch(r"[0-9A-Fa-f.:]+/[0-9]{1,3}", value):
        raise ValueError(f"{shown(value)} is not a subnet; write it like {example}")
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        loose = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{shown(value)} is not a subnet; write it like {example}") from None
    raise ValueError(f"{shown(value)} has bits set behind its prefix; write {loose}")
