"""Facts about how the scripts read what docker prints: the functions alone, on recorded output.

20.10 is docker 20.10.24 with its own dockerd, 26 is 26.1.5 with its own, 28 and 29 are 28.2.2 and 29.7.2 with dockerd
26.1.5. It is the command's version that makes the output. Recorded with the templates of the library; where a test
fails because a template was changed, record anew.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.sites import TEMPLATES, library

VERSIONS = ("20.10", "26", "28", "29")

# A network without an IPv6 subnet and without a range, then one with both; the same on all four.
PLAIN = """\
driver "bridge"
internal false
ipv6 false
script ""
subnet "172.19.0.0/16"
ip-range ""
com.docker.network.bridge.enable_icc "false"

"""
BOTH = """\
driver "bridge"
internal true
ipv6 true
script "hosts/localhost/30-create-networks.sh"
subnet "172.30.5.0/24"
ip-range "172.30.5.128/25"
subnet "fd00:5::/64"
ip-range ""
com.docker.network.bridge.enable_icc "true"

"""
ADDRESSES = {'"172.19.0.2" ""\n': ("172.19.0.2", ""), '"172.30.5.129" "fd00:5::2"\n': ("172.30.5.129", "fd00:5::2")}

# What docker 29 prints without json; on the others it is empty.
STRUCTS = {"29": ("invalid Prefix", "invalid IP")}
IMAGE = "sha256:e0e5424f4d281d358d413870efea6c7fe1cd2ece47b1e09523c8a1b9a72205b0"

# A docker that prints what was recorded for a template, and what 29 prints for an address without json.
FAKE = """
docker() {
  local text=" $* "
  case ${text} in
    *' network inspect '*'{{json .IPRange}}'*) printf '%s' "${recorded}" ;;
    *' inspect '*'{{json .IPAddress}} {{json .GlobalIPv6Address}}'*) printf '%s' "${recorded}" ;;
    *' image ls --all '*) printf '%s' "${recorded}" ;;
    *' image ls '*) [[ ${version} == 29 ]] || printf '%s' "${recorded}" ;;
    *' version '*) printf '%s' "${recorded}" ;;
    *' network ls '*) printf '%s' "${recorded}" ;;
    *) printf 'not recorded: %s\\n' "${text}" >&2; return 1 ;;
  esac
}
timeout() { shift; "$@"; }
ask_dockerd() { docker -H unix:///var/run/docker.sock "$@"; }
systemctl() { echo 0; }
"""


def run(code: str, loaded: tuple[str, ...], recorded: str, version: str = "29") -> str:
    """Run bash with some files of the library and a docker that prints what was recorded; return what it prints."""
    script = "\n".join(
        (
            "set -Eeuo pipefail; shopt -s inherit_errexit; export LC_ALL=C; verb=apply; networks=(); icc=true",
            "version=$1; recorded=$2",
            library(*loaded),
            FAKE,
            code,
        )
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", version, recorded], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def compared(recorded: str, version: str, *row: str) -> str:
    """Return how a network differs from a row: name, icc, internal, subnet, IPv6 subnet."""
    words = " ".join(f"'{word}'" for word in row)
    code = (
        f"networks=({words}); read_row 0; row_id=1; differences=''; compare_network; printf '%s' \"${{differences}}\""
    )
    return run(code, ("networks",), recorded, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_network_as_the_site_says_has_no_differences(version: str) -> None:
    assert compared(PLAIN, version, "one", "false", "false", "", "") == ""
    ours = BOTH.replace('"172.30.5.128/25"', '""')
    assert compared(ours, version, "two", "true", "true", "172.30.5.0/24", "fd00:5::/64") == ""


def test_what_differs_is_named() -> None:
    foreign = BOTH.replace("hosts/localhost/30-create-networks.sh", "")
    assert compared(foreign, "29", "two", "false", "false", "172.30.6.0/24", "").splitlines() == [
        "two: icc: found true, expected false",
        "two: internal: found true, expected false",
        "two: ipv6: found true, expected false",
        "two: subnet: found 172.30.5.0/24, expected 172.30.6.0/24",
        "two: ipv6_subnet: found fd00:5::/64, expected none",
        "two: ip-range: found 172.30.5.128/25, expected none",
    ]


def test_default_options_of_a_network_that_a_script_made_are_none_of_the_sites() -> None:
    more = BOTH.rstrip("\n") + '\ncom.docker.network.driver.mtu "1400"\n\n'
    row = ("two", "true", "true", "172.30.5.0/24", "fd00:5::/64")
    assert compared(more, "29", *row) == ""
    foreign = more.replace("hosts/localhost/30-create-networks.sh", "")
    assert "two: com.docker.network.driver.mtu: found 1400, expected none\n" in compared(foreign, "29", *row)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("recorded", ADDRESSES)
def test_an_address_that_is_not_there_is_empty(version: str, recorded: str) -> None:
    ipv4, ipv6 = ADDRESSES[recorded]
    code = 'text=$(container_addresses 1); printf \'%s,%s\' "${text% *}" "${text#* }"'
    assert run(code, ("networks", "probe", "isolation"), recorded, version) == f"{ipv4},{ipv6}"


@pytest.mark.parametrize("version", VERSIONS)
def test_images_without_a_name_are_listed(version: str) -> None:
    assert run("list_labelled image dockseal.probe=1", ("probe",), f"{IMAGE}\n", version) == f"{IMAGE}\n"


def test_no_template_prints_an_address_as_it_is() -> None:
    """A struct is never empty for a template, and prints words of its own."""
    fields = ("IPAddress", "GlobalIPv6Address", "IPRange", "Subnet", "Gateway")
    for path in sorted(TEMPLATES.rglob("*.sh")):
        text = path.read_text()
        for field in fields:
            for action in ("{{.", "{{with .", "{{if ."):
                assert f"{action}{field}" not in text, path


@pytest.mark.parametrize(
    ("version", "is_from"),
    [
        ("20.10.5+dfsg1", "no no no"),
        ("26.1.5+dfsg1", "no no no"),
        ("27.0.0-rc.1", "yes no no"),
        ("27.3.0", "yes no no"),
        ("27.3.1", "yes yes no"),
        ("28.0.0", "yes yes yes"),
        ("29.7.2", "yes yes yes"),
        ("dev", "no no no"),
    ],
)
def test_versions_are_compared_as_numbers(version: str, is_from: str) -> None:
    code = "for v in '27 0 0' '27 3 1' '28 0 0'; do if is_dockerd_from ${v}; then echo yes; else echo no; fi; done"
    assert run(code, ("networks",), f"{version}\n").split() == is_from.split()
