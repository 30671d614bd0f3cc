"""Facts about single values."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dockseal.site import values


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (values.party_name, "a1"),
        (values.party_name, "docker-1.example.com"),
        (values.party_name, "x" * 63),
        (values.dns_name, "1.2.3.example"),
        (values.san_address, "192.168.0.1"),
        (values.listen_address, "0.0.0.0:1"),
        (values.listen_address, "[::]:65535"),
        (values.key_type, "ed25519"),
        (values.absolute_path, "/a.b/c_d+e@f-g"),
        (values.drop_in, "/run/systemd/system/docker.service.d/10-x.conf"),
        (values.shell_profile, ".config/profile"),
        (values.file_name, "ca.pem"),
        (values.common_name, "Example CA 2"),
    ],
)
def test_a_good_value_stays_as_it_is(check: Callable[[str], str], value: str) -> None:
    assert check(value) == value


@pytest.mark.parametrize(
    ("check", "value", "canonical"),
    [
        (values.san_address, "FE80:0:0:0:0:0:0:1", "fe80::1"),
        (values.listen_address, "[2001:DB8::0001]:2376", "[2001:db8::1]:2376"),
        (values.connect_target, "2001:DB8::0001", "2001:db8::1"),
    ],
)
def test_an_address_gets_its_one_spelling(check: Callable[[str], str], value: str, canonical: str) -> None:
    assert check(value) == canonical


RFC1123 = (
    "is not an RFC 1123 name; use lower-case letters, digits and '-' in labels of at most 63 characters joined by '.', "
    "with a letter in the last"
)
PATH = "is not allowed; use only A-Z a-z 0-9 . _ + @ / -"


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (values.party_name, "a'b", f'name "a\'b" {RFC1123}'),
        (values.party_name, 'a"b', f"name 'a\"b' {RFC1123}"),
        (values.party_name, "$(id)", f"name '$(id)' {RFC1123}"),
        (values.party_name, "a\nb", f"name 'a\\nb' {RFC1123}"),
        (values.party_name, "ab\n", f"name 'ab\\n' {RFC1123}"),
        (values.party_name, "-a", f"name '-a' {RFC1123}"),
        (values.party_name, "a%b", f"name 'a%b' {RFC1123}"),
        (values.party_name, "a,b", f"name 'a,b' {RFC1123}"),
        (values.party_name, "a/b", f"name 'a/b' {RFC1123}"),
        (values.party_name, "..", f"name '..' {RFC1123}"),
        (values.party_name, "caf\xe9", f"name 'caf\\xe9' {RFC1123}"),
        (values.party_name, "a_b", f"name 'a_b' {RFC1123}"),
        (values.party_name, "x" * 64, f"name '{'x' * 64}' {RFC1123}"),
        (values.party_name, "host.1", f"name 'host.1' {RFC1123}"),
        (values.party_name, "", "the name is empty; write one or remove the entry"),
        (values.party_name, "a", "name 'a' has 1 characters; give 2 to 64"),
        (values.party_name, "Host", "name 'Host' has upper-case letters; write host"),
        (values.party_name, "10.0.0.1", "'10.0.0.1' is an IP address, not a name; list it under ip_addresses"),
        (values.host_name, "default", "name 'default' belongs to docker's own context; choose another"),
        (values.dns_name, "IP=10.0.0.1", "'IP=10.0.0.1' starts with 'IP='; write the bare name"),
        (values.dns_name, "IP:10.0.0.1", "'IP:10.0.0.1' starts with 'IP:'; write the bare name"),
        (values.dns_name, "DNS:aa", "'DNS:aa' starts with 'DNS:'; write the bare name"),
        (values.dns_name, "aa;bb", "'aa;bb' holds more than one name; give each its own list entry"),
        (values.dns_name, "10.0.0.1", "'10.0.0.1' is an IP address, not a DNS name; list it under ip_addresses"),
        (values.dns_name, "0.0.0.0", "'0.0.0.0' is an IP address, not a DNS name; list it under ip_addresses"),
        (values.dns_name, " ", "the name is empty; write one or remove the entry"),
        (values.dns_name, "*.aa", "'*.aa' is a wildcard; list each name that clients use"),
        (values.san_address, "", "the address is empty; write one or remove the entry"),
        (values.san_address, "IP:10.0.0.1", "'IP:10.0.0.1' starts with 'IP:'; write the bare address"),
        (values.san_address, "host", "'host' is a name; list it under dns_names"),
        (
            values.san_address,
            "0.0.0.0",
            "0.0.0.0 means every address and is none to connect to; list the machine's own addresses",
        ),
        (
            values.san_address,
            "::",
            ":: means every address and is none to connect to; list the machine's own addresses",
        ),
        (
            values.san_address,
            "10.0.0.0/8",
            "'10.0.0.0/8' is not an IP address; write it like 192.168.0.1 or fe80::1",
        ),
        (
            values.san_address,
            "10.0.0.01",
            "'10.0.0.01' is not an IP address; write it like 192.168.0.1 or fe80::1",
        ),
        (values.san_address, "224.0.0.1", "224.0.0.1 is not the address of one machine; write the machine's own"),
        (values.san_address, "fe80::1%eth0", "'fe80::1%eth0' has a zone; write the address alone"),
        (
            values.san_address,
            "::ffff:10.0.0.1",
            "10.0.0.1 stands here as an IPv6 address; write 10.0.0.1",
        ),
        (values.san_address, "::ffff:a00:1", "10.0.0.1 stands here as an IPv6 address; write 10.0.0.1"),
        (values.listen_address, "[::ffff:a00:1]:2376", "10.0.0.1 stands here as an IPv6 address; write 10.0.0.1"),
        (
            values.listen_address,
            "localhost:2376",
            "'localhost:2376' does not start with a literal IP address; write it like 127.0.0.1:2376",
        ),
        (
            values.listen_address,
            "2376",
            "'2376' is not ADDRESS:PORT; write it like 0.0.0.0:2376, 127.0.0.1:2376 or [::1]:2376",
        ),
        (
            values.listen_address,
            "::1:2376",
            "'::1:2376' is not ADDRESS:PORT; write it like 0.0.0.0:2376, 127.0.0.1:2376 or [::1]:2376",
        ),
        (values.listen_address, "127.0.0.1:70000", "port 70000 is not in 1-65535"),
        (values.listen_address, "127.0.0.1:0", "port 0 is not in 1-65535"),
        (values.listen_address, "127.0.0.1:02376", "port '02376' has leading zeros; write 2376"),
        (values.listen_address, "127.0.0.1:-1", "port '-1' is not a number; write it like 2376"),
        (
            values.key_type,
            "dsa:1024",
            "unknown key type 'dsa:1024'; choose one of rsa:2048, rsa:3072, rsa:4096, ec:P-256, ec:P-384, ed25519",
        ),
        (values.absolute_path, "etc/x", "path 'etc/x' is not absolute; let it start with '/'"),
        (values.absolute_path, "/a b", f"path '/a b' {PATH}"),
        (values.absolute_path, "/a\x7f", f"path '/a\\x7f' {PATH}"),
        (values.absolute_path, "/a/../b", "path '/a/../b' has an empty, '.' or '..' part; write it without"),
        (values.absolute_path, "/a//b", "path '/a//b' has an empty, '.' or '..' part; write it without"),
        (values.absolute_path, "/a/", "path '/a/' has an empty, '.' or '..' part; write it without"),
        (values.tls_directory, "/etc", "'/etc' is a folder of the system; name a new one like /etc/docker/tls"),
        (
            values.drop_in,
            "/etc/systemd/system/docker.service.d/x",
            "drop-in '/etc/systemd/system/docker.service.d/x' does not end in a name like override.conf; systemd reads "
            "only *.conf",
        ),
        (
            values.drop_in,
            "/etc/x.conf",
            "systemd does not read '/etc/x.conf'; put it under /etc/systemd/system/docker.service.d",
        ),
        (
            values.shell_profile,
            "/root/.profile",
            "shell profile '/root/.profile' must be relative to the home folder, like .profile",
        ),
        (values.shell_profile, "../x", "path '../x' has an empty, '.' or '..' part; write it without"),
        (
            values.file_name,
            "../x",
            "file name '../x' is not allowed; start with a letter or digit and use only A-Z a-z 0-9 . _ -, at most 100 "
            "characters",
        ),
        (
            values.common_name,
            "-CA",
            "common name '-CA' is not allowed; use letters, digits, blanks, '.', '_' and '-', with no blank at either "
            "end and no '-' in front",
        ),
        (values.common_name, "", "common name has 0 characters; give 1 to 64"),
        (values.common_name, "x" * 65, "common name has 65 characters; give 1 to 64"),
    ],
)
def test_a_bad_value_is_refused_with_what_to_write(check: Callable[[str], str], value: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        check(value)
    assert str(refused.value) == message


@pytest.mark.parametrize("number", [0, -1, 7301])
def test_days_have_bounds(number: int) -> None:
    with pytest.raises(ValueError, match=f"^{number} days is not in 1-7300$"):
        values.days(number)
