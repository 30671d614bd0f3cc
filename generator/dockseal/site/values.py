"""The strict types of single values in a site file.

Each function takes what stands in the file and returns it in its one canonical spelling, or raises ValueError with a
message that says what to write instead.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

MODES = ("mutual", "server-only", "plain")
KEY_TYPES = ("rsa:2048", "rsa:3072", "rsa:4096", "ec:P-256", "ec:P-384", "ed25519")
MAX_DAYS = 7300
MAX_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A.1
MAX_DNS_NAME = 253  # RFC 1035 section 2.3.4, without the root's dot
MAX_FILE_NAME = 100  # leaves room for a temporary suffix below NAME_MAX (255)
MAX_PATH = 255

# systemd.unit(5), "System Unit Search Path": where drop-ins are read.
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)

LABEL_PATTERN = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME_PATTERN = rf"{LABEL_PATTERN}(?:\.{LABEL_PATTERN})*"
FILE_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
PATH_PATTERN = r"/[A-Za-z0-9._+@/-]+"
PROFILE_PATTERN = r"[A-Za-z0-9._+@][A-Za-z0-9._+@/-]*"
USER_PATTERN = r"[a-z_][a-z0-9_-]{0,31}"
IMAGE_PATTERN = r"[a-z0-9][A-Za-z0-9._/:@-]*"
COMMON_NAME_PATTERN = r"[A-Za-z0-9._](?:[A-Za-z0-9 ._-]*[A-Za-z0-9._-])?"

_SAN_PREFIX = re.compile(r"\s*(DNS|IP|IP Address|URI|email)\s*[:=]", re.IGNORECASE)


def shown(value: object) -> str:
    """Return `value` quoted, in ASCII and cut to a length that fits in a message."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:76]}...'"


def common_name(value: str) -> str:
    """Check the CA's common name (RFC 5280 appendix A.1: at most 64 characters)."""
    if not 1 <= len(value) <= MAX_COMMON_NAME:
        raise ValueError(f"common name has {len(value)} characters; give 1 to {MAX_COMMON_NAME}")
    if not re.fullmatch(COMMON_NAME_PATTERN, value):
        raise ValueError(
            f"common name {shown(value)} is not allowed; use letters, digits, blanks, '.', '_' and '-', "
            "with no blank at either end and no '-' in front"
        )
    return value


def party_name(value: str) -> str:
    """Check a host's or client's name: it is a folder, a common name and a docker context."""
    name = _rfc1123(value, "name")
    if not 2 <= len(name) <= MAX_COMMON_NAME:
        raise ValueError(f"name {shown(name)} has {len(name)} characters; give 2 to {MAX_COMMON_NAME}")
    return name


def host_name(value: str) -> str:
    """Check a Docker host's name; `default` is docker's own context (docker context create)."""
    if value == "default":
        raise ValueError("name 'default' belongs to docker's own context; choose another")
    return party_name(value)


def dns_name(value: str) -> str:
    """Check one DNS entry of a subject alternative name (RFC 1123 section 2.1, RFC 5280 section 4.2.1.6)."""
    _refuse_san_spelling(value, "name")
    if "*" in value:
        raise ValueError(f"{shown(value)} is a wildcard; list each name that clients use")
    return _rfc1123(value, "DNS name")


def san_address(value: str) -> str:
    """Check one IP entry of a subject alternative name and return its compressed form."""
    _refuse_san_spelling(value, "address")
    address = _address(value)
    if address is None:
        if re.fullmatch(NAME_PATTERN, value) and re.search("[g-z]", value):
            raise ValueError(f"{shown(value)} is a name; list it under dns_names")
        raise ValueError(f"{shown(value)} is not an IP address; write it like 192.168.0.1 or fe80::1")
    if address.is_unspecified:
        raise ValueError(f"{address} means every address and is none to connect to; list the machine's own addresses")
    return str(_unicast(address))


def connect_target(value: str) -> str:
    """Check the name or address that clients connect to."""
    return san_address(value) if _address(value) else dns_name(value)


def listen_address(value: str) -> str:
    """Check `ADDRESS:PORT` with a literal IP address; IPv6 stands in brackets (dockerd(8), --host)."""
    match = re.fullmatch(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<four>[^:\[\]]*)):(?P<port>[^:]*)", value)
    if not match:
        raise ValueError(
            f"{shown(value)} is not ADDRESS:PORT; write it like 0.0.0.0:2376, 127.0.0.1:2376 or [::1]:2376"
        )
    six = match["six"] is not None
    address = _address(match["six"] if six else match["four"])
    if address is None or (address.version == 6) != six:
        raise ValueError(f"{shown(value)} does not start with a literal IP address; write it like 127.0.0.1:2376")
    if not address.is_unspecified:
        _unicast(address)
    number = _port(match["port"])
    return f"[{address}]:{number}" if six else f"{address}:{number}"


def key_type(value: str) -> str:
    """Check a key type against those that OpenSSL 1.1.1 to 3.5 and Go's TLS all handle."""
    if value not in KEY_TYPES:
        raise ValueError(f"unknown key type {shown(value)}; choose one of {', '.join(KEY_TYPES)}")
    return value


def mode(value: str) -> str:
    """Check how dockerd's TCP socket is guarded (docs.docker.com/engine/security/protect-access)."""
    if value not in MODES:
        raise ValueError(f"unknown mode {shown(value)}; choose one of {', '.join(MODES)}")
    return value


def userns_remap(value: str) -> str:
    """Check whose subordinate ids containers get: `default`, or a user of the host (useradd(8), dockerd(8))."""
    if value in ("", "none", "off", "no", "n", "false", "host"):
        raise ValueError(f"{shown(value)} is no user; leave the key out to have no user namespaces")
    if value in ("on", "yes", "y", "true"):
        raise ValueError(f"{shown(value)} is no user; write 'default' or a user of the host")
    if value == "root":
        raise ValueError("remapping to root is none; write 'default' or another user of the host")
    if not re.fullmatch(USER_PATTERN, value):
        raise ValueError(f"{shown(value)} is not the name of a user; write 'default' or a user of the host")
    return value


def image_name(value: str) -> str:
    """Check the name of an image, with its registry and tag where it has them (docker-tag(1))."""
    if not re.fullmatch(IMAGE_PATTERN, value) or len(value) > MAX_PATH:
        raise ValueError(f"{shown(value)} is not the name of an image; write it like busybox:1.36")
    return value


def days(value: int) -> int:
    """Check a lifetime in days, 1 to 7300 (twenty years)."""
    if not 1 <= value <= MAX_DAYS:
        raise ValueError(f"{value} days is not in 1-{MAX_DAYS}")
    return value


def absolute_path(value: str) -> str:
    """Check a path that is installed to: absolute, in plain characters, in its one spelling."""
    if not value.startswith("/"):
        raise ValueError(f"path {shown(value)} is not absolute; let it start with '/'")
    if not re.fullmatch(PATH_PATTERN, value):
        raise ValueError(f"path {shown(value)} is not allowed; use only A-Z a-z 0-9 . _ + @ / -")
    return _plain_parts(value, value[1:])


def tls_directory(value: str) -> str:
    """Check the folder that dockerd reads its certificate from: one of its own, two levels deep or more."""
    path = absolute_path(value)
    if path.count("/") < 2 or path in ("/etc/docker", "/etc/systemd"):
        raise ValueError(f"{shown(path)} is a folder of the system; name a new one like /etc/docker/tls")
    return path


def drop_in(value: str) -> str:
    """Check a systemd drop-in for docker.service (systemd.unit(5): only *.conf in docker.service.d is read)."""
    path = absolute_path(value)
    folder, _, name = path.rpartition("/")
    if not name.endswith(".conf") or name.startswith("."):
        raise ValueError(f"drop-in {shown(path)} does not end in a name like override.conf; systemd reads only *.conf")
    if folder.removesuffix("/docker.service.d") not in UNIT_FOLDERS or not folder.endswith("/docker.service.d"):
        raise ValueError(f"systemd does not read {shown(path)}; put it under /etc/systemd/system/docker.service.d")
    return path


def shell_profile(value: str) -> str:
    """Check a shell profile's path, relative to the home folder."""
    if value.startswith(("/", "~")):
        raise ValueError(f"shell profile {shown(value)} must be relative to the home folder, like .profile")
    if not re.fullmatch(PROFILE_PATTERN, value):
        raise ValueError(f"shell profile {shown(value)} is not allowed; use only A-Z a-z 0-9 . _ + @ / -")
    return _plain_parts(value, value)


def file_name(value: str) -> str:
    """Check the name of a working file."""
    if not re.fullmatch(FILE_NAME_PATTERN, value) or len(value) > MAX_FILE_NAME:
        raise ValueError(
            f"file name {shown(value)} is not allowed; start with a letter or digit and use "
            f"only A-Z a-z 0-9 . _ -, at most {MAX_FILE_NAME} characters"
        )
    return value


def _rfc1123(value: str, what: str) -> str:
    if not value:
        raise ValueError(f"the {what} is empty; write one or remove the entry")
    if _address(value):
        raise ValueError(f"{shown(value)} is an IP address, not a {what}; list it under ip_addresses")
    if len(value) > MAX_DNS_NAME:
        raise ValueError(f"{what} {shown(value)} has {len(value)} characters; at most {MAX_DNS_NAME} are allowed")
    if re.fullmatch(NAME_PATTERN, value.lower()) and value != value.lower() and value.isascii():
        raise ValueError(f"{what} {shown(value)} has upper-case letters; write {value.lower()}")
    if not re.fullmatch(NAME_PATTERN, value) or value.rsplit(".", 1)[-1].isdigit():
        raise ValueError(
            f"{what} {shown(value)} is not an RFC 1123 name; use lower-case letters, digits and '-' in labels of at "
            "most 63 characters joined by '.', with a letter in the last"
        )
    return value


def _refuse_san_spelling(value: str, what: str) -> None:
    if not value.strip():
        raise ValueError(f"the {what} is empty; write one or remove the entry")
    prefix = _SAN_PREFIX.match(value)
    if prefix:
        raise ValueError(f"{shown(value)} starts with {shown(prefix[0].strip())}; write the bare {what}")
    if ";" in value or "," in value:
        raise ValueError(f"{shown(value)} holds more than one {what}; give each its own list entry")


def _address(value: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(value) if value.isascii() else None
    except ValueError:
        return None


def _unicast(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if address.version == 6 and "%" in str(address):
        raise ValueError(f"{shown(str(address))} has a zone; write the address alone")
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        # Python 3.13 prints such an address with a dotted end, earlier ones do not: it is not printed.
        raise ValueError(f"{address.ipv4_mapped} stands here as an IPv6 address; write {address.ipv4_mapped}")
    if address.is_multicast or (address.version == 4 and address == IPv4Address("255.255.255.255")):
        raise ValueError(f"{address} is not the address of one machine; write the machine's own")
    return address


def _port(value: str) -> int:
    if not re.fullmatch(r"[0-9]+", value):
        raise ValueError(f"port {shown(value)} is not a number; write it like 2376")
    number = int(value) if len(value) < 20 else 0
    if value != str(number) and number:
        raise ValueError(f"port {shown(value)} has leading zeros; write {number}")
    if not 1 <= number <= 65535:
        raise ValueError(f"port {value[:20]} is not in 1-65535")
    return number


def _plain_parts(value: str, relative: str) -> str:
    if len(value) > MAX_PATH:
        raise ValueError(f"path {shown(value)} has {len(value)} characters; at most {MAX_PATH} are allowed")
    for part in relative.split("/"):
        if part in ("", ".", ".."):
            raise ValueError(f"path {shown(value)} has an empty, '.' or '..' part; write it without")
        if len(part) > MAX_FILE_NAME:
            raise ValueError(f"path {shown(value)} has a part longer than {MAX_FILE_NAME} characters; shorten it")
    return value
