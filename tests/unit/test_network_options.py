"""Facts about what dockerd is told of its filters and about the routes of a machine: the functions alone, in bash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sites import library

FAKE = """
docker() { printf '%s\\n' "${given_version}"; }
timeout() { shift 2; "$@"; }
systemctl() { echo 1; }
running_arguments() { tr ' ' '\\n' <<<"${given_words}"; }
"""


def option(code: str, words: str, text: str, tmp_path: Path, version: str = "28.0.0") -> str:
    """Run bash with a dockerd of these words, this file and this version; return what it prints."""
    file = tmp_path / "daemon.json"
    file.write_text(text)
    start = "set -Eeuo pipefail; networks=(); given_version=$1; given_words=$2"
    script = "\n".join((start, library("daemon", "networks"), FAKE, code))
    words = f"{words} --config-file={file}"
    done = subprocess.run(["bash", "-c", script, "bash", version, words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.replace(str(file), "FILE")


@pytest.mark.parametrize(
    ("words", "text", "where"),
    [
        ("dockerd --iptables=false -H fd://", "{}", "--iptables=false on dockerd's command line\n"),
        ("dockerd --iptables=0", "{}", "--iptables=false on dockerd's command line\n"),
        ("dockerd --iptables=F", "{}", "--iptables=false on dockerd's command line\n"),
        ("dockerd", '{"iptables" :\n  false}', '"iptables": false in FILE\n'),
        ("dockerd --iptables", '{"ip6tables": false}', ""),
        ("dockerd --iptables=true", '{"iptables-more": false, "iptables": true}', ""),
    ],
)
def test_where_an_option_is_off(words: str, text: str, where: str, tmp_path: Path) -> None:
    assert option("where_option_is iptables false", words, text, tmp_path) == where


@pytest.mark.parametrize(("words", "text"), [("--ip6tables", "{}"), ("--ip6tables=1", ""), ("", '{"ip6tables":true}')])
def test_where_an_option_is_on(words: str, text: str, tmp_path: Path) -> None:
    assert option("where_option_is ip6tables true", f"dockerd {words}", text, tmp_path) != ""


OFF = 'dockerd has "ip6tables": false in FILE; take it out and restart docker\n'
UNTOLD = (
    'this dockerd does not filter IPv6; set "ip6tables": true and "experimental": true in FILE and restart docker\n'
)


@pytest.mark.parametrize(
    ("version", "text", "problem"),
    [
        ("26.1.5", "{}", UNTOLD),
        ("26.1.5", '{"ip6tables": false}', UNTOLD),
        ("26.1.5", '{"ip6tables": true, "experimental": true}', ""),
        ("27.0.0", "{}", ""),
        ("29.7.2", '{"ip6tables": false}', OFF),
    ],
)
def test_what_filters_ipv6(version: str, text: str, problem: str, tmp_path: Path) -> None:
    assert option("filter_problem ip6tables", "dockerd", text, tmp_path, version) == problem


ROUTES = """
ipv4_routes() { printf '%s\\n' 'eth0 00000000 0 0003' 'tun0 80000000 1 0003' 'eth0 C0A80000 16 0001' \
  'wg0 0A000000 9 0003' '* 0A800000 16 0201' 'eth1 AC1E0540 32 0005'; }
ipv6_routes() { printf '%s\\n' 'eth0 20000000000000000000000000000000 3 00000003' \
  'eth0 fd000005000000000000000000000008 125 00000001' 'lo fd090000000000000000000000000000 16 00200200' \
  'lo 00000000000000000000000000000001 128 80200001'; }
"""


@pytest.mark.parametrize("subnet", ["10.0.0.0/24", "fd00::/64"])
def test_a_machine_without_routes_reaches_nothing(subnet: str) -> None:
    none = "ipv4_routes() { :; }; ipv6_routes() { :; }"
    script = f"set -Eeuo pipefail\n{library('routes')}\n{none}; interface_into {subnet}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("subnet", "interface"),
    [
        ("192.168.7.0/24", "eth0"),
        ("192.0.0.0/8", "eth0"),
        ("192.169.0.0/16", ""),
        ("10.127.0.0/16", "wg0"),
        ("10.128.0.0/16", ""),
        ("172.30.5.0/26", ""),
        ("172.30.5.64/29", "eth1"),
        ("172.30.5.0/24", "eth1"),
        ("fd00:5::/64", "eth0"),
        ("fd00:5::8/125", "eth0"),
        ("fd00:5::10/125", ""),
        ("fd00:5:0:1::/64", ""),
        ("fd09:1::/64", ""),
        ("2001:db8::/32", ""),
    ],
)
def test_the_interface_of_a_subnet_is_that_of_a_route_of_its_own(subnet: str, interface: str) -> None:
    script = f'set -Eeuo pipefail\n{library("routes")}\n{ROUTES}\ninterface_into "$1"'
    done = subprocess.run(["bash", "-c", script, "bash", subnet], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, interface, "")
