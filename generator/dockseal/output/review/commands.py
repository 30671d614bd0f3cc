"""What each script runs or writes, in order, with its own values; and the rows of the documented commands beside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dockseal.output.review.bundle import Bundle
from dockseal.output.review.constants import Head

TABLE = "documented-commands.yaml"
_VALUE = re.compile(r"\{([a-z_ ]+)\}")


@dataclass(frozen=True, slots=True)
class Form:
    """A command or a line that is written: ids of documented commands, and its text with {constant} for each value.

    `code` is a part of the line of code that does it. With `table` there is one for each row of that constant, whose
    columns have values too; where the constant `when` is empty there is none.
    """

    ids: tuple[str, ...]
    text: str
    code: str
    table: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True)
class Documented:
    """A command of the guide: as it stands there, and why what runs here differs; empty where it does not."""

    id: str
    documented: str
    why: str


@dataclass(frozen=True, slots=True)
class Command:
    """What one script runs or writes; `path` and `line` are the place of the code that does it."""

    ids: tuple[str, ...]
    text: str
    path: str
    line: int


def _install(mode: str, variable: str, target: str) -> Form:
    owner = "-o root -g root " if mode.startswith("0") else ""
    source = {"ca": "ca_certificate_file", "certificate": "certificate_file", "key": "key_file"}[variable]
    words = f"install {owner}-m {mode} -T --"
    return Form(("D15",), f"{words} {{{source}}} {target}", f'{words} "${{{variable}}}"')


def _sign(use: str, ids: tuple[str, str, str]) -> tuple[Form, ...]:
    signs = (
        "openssl x509 -req -days {days} -sha256 -in {request_file} -CA {ca_certificate_file} -CAkey /dev/fd/3 "
        "-CAcreateserial -extfile {extensions_file} -out {certificate_file}"
    )
    return (
        Form(ids[:1], "subjectAltName = {alternative names}", "subjectAltName = ", "table"),
        Form(ids[1:2], f"extendedKeyUsage = {use}", "extendedKeyUsage = "),
        Form(ids[2:], signs, "openssl x509 -req", "table"),
    )


_RESTART = tuple(
    Form(("D03",), f"systemctl {words}", f"run systemctl {words}")
    for words in ("daemon-reload", "restart docker.socket", "start docker.service")
)
_KEY = "readonly -a key_command=("
_REQUEST = "openssl req -subj /CN={name} -sha256 -new -key {key_file} -config openssl.cnf -out {request_file}"
_ENCRYPT = "openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 600000"
_SELF_SIGN = "openssl req -new -x509 -days {ca_days} -subj {ca_subject} -key {ca_key_file} -sha256"
_DROP_IN = "[Service]\nExecStart=\nExecStart=DOCKERD {dockerd_words}"
_WORDS = "readonly -a dockerd_words=("
_REMOVE = Form(("D15",), "rm -f -- {request_file} {extensions_file}", 'run rm -f -- "${file}"')
_NETWORK = "docker network create --driver bridge -o com.docker.network.bridge.enable_icc={icc}{more} {name}"
_PROFILE = "export DOCKER_HOST={first_address}\nexport DOCKER_TLS_VERIFY=1"
_CONTAINER = "docker run --detach --rm {} IMAGE sleep SECONDS"
_PAGES = "GET / HTTP/1.0 to port 80 of each container"
_OTHER_PAGE = "docker run --network=host; httpd -p 127.0.0.1:80; GET / of 127.0.0.1"
_ASK = 'ask_real_daemon "$2" "${words[@]}"'
_CLIENT = "--tlscacert=ca.pem --tlscert=cert.pem --tlskey=key.pem"

# By template, in the order in which a run has them. A test holds them against docs/documented-commands.yaml, whose
# texts other tests hold against what the scripts print and write.
FORMS: dict[str, tuple[Form, ...]] = {
    "create-ca.sh": (
        Form(("D04",), "{key_command}", _KEY),
        Form(
            ("D04",), f"{_ENCRYPT} -in {{ca_key_file}}.first -passin fd:3 -passout fd:4 -out {{ca_key_file}}", "pkcs8"
        ),
        Form(
            ("D05",),
            f"{_SELF_SIGN} -config openssl.cnf -extensions ca -passin fd:3 -out {{ca_certificate_file}}",
            "openssl req -new -x509",
        ),
    ),
    "request-server.sh": (Form(("D06",), "{key_command}", _KEY), Form(("D07",), _REQUEST, "openssl req -subj")),
    "request-client.sh": (Form(("D11",), "{key_command}", _KEY), Form(("D12",), _REQUEST, "openssl req -subj")),
    "sign-servers.sh": _sign("serverAuth", ("D08", "D09", "D10")),
    "sign-clients.sh": _sign("clientAuth", ("D13", "D13", "D14")),
    "configure-plain-daemon.sh": (Form(("D01", "D02"), _DROP_IN, _WORDS), *_RESTART),
    "configure-daemon.sh": (
        _install("0444", "ca", "{tls_directory}/{ca_certificate_file}"),
        _install("0444", "certificate", "{tls_directory}/{certificate_file}"),
        _install("0400", "key", "{tls_directory}/{key_file}"),
        Form(("D02", "D16"), _DROP_IN, _WORDS),
        Form(("D22",), "--userns-remap={userns_remap}", "  --userns-remap=", when="userns_remap"),
        *_RESTART,
        _REMOVE,
    ),
    "create-networks.sh": (Form(("D27",), _NETWORK, "network create --driver bridge", "networks"),),
    "configure-client.sh": (
        _install("600", "key", "~/.docker/key.pem"),
        _install("644", "certificate", "~/.docker/cert.pem"),
        _install("644", "ca", "~/.docker/ca.pem"),
        Form(("D18",), _PROFILE, "export DOCKER_HOST=", when="shell_profile"),
        _REMOVE,
    ),
    "show-namespaces.sh": (
        Form(("D20",), _CONTAINER.format("--pid=container:container1 --name container3"), "--pid=${one}"),
        Form(("D23",), _CONTAINER.format("--hostname=customhost --name container4"), "container4 --hostname="),
        Form(("D21",), "docker run --volume FOLDER:/there; touch /there/NAME", 'touch "/there/$1"'),
        Form(("D24",), "docker exec container1 touch /dev/mqueue/MARK", 'touch "/dev/mqueue/'),
        Form(("D25",), "docker run --tmpfs /mounted; touch /mounted/MARK /MARK", "--tmpfs /mounted"),
        Form(("D26",), _PAGES, "printf 'GET / HTTP/1.0"),
        Form(("D26",), _OTHER_PAGE, "127.0.0.1:80"),
    ),
    "show-tls-modes.sh": tuple(
        Form(("D19",), f"docker {words} --host={{address}} ps --quiet", _ASK, "hosts")
        for words in ("--tls", "--tlsverify --tlscacert=ca.pem", "--tls --tlscert=cert.pem --tlskey=key.pem")
    ),
    "verify-client.sh": (
        Form(("D17",), f"docker -H {{address}} --tlsverify {_CLIENT} ps", '-H "$2" --tlsverify', "hosts"),
    ),
    "prove-isolation.sh": (Form(("D28",), "docker run --network {name} IMAGE", '--network "$1" --', "networks"),),
}


def commands(bundle: Bundle, path: str, template: str, head: Head) -> Iterator[Command]:
    """Yield what a script runs or writes, in order; what has the same text for several rows stands once."""
    seen: set[tuple[tuple[str, ...], str]] = set()
    for form in FORMS.get(template, ()):
        if form.when and not head.text(form.when):
            continue
        where = place(bundle, path, form.code)
        for text in _texts(form, head):
            if (form.ids, text) not in seen:
                seen.add((form.ids, text))
                yield Command(form.ids, text, *where)


def _texts(form: Form, head: Head) -> Iterator[str]:
    values = _values(head)
    found = head.constants.get(form.table)
    rows = [dict(zip(found.columns, (word.text for word in row), strict=False)) for row in found.rows] if found else []
    for row in rows if form.table else [{}]:
        more = {**values, **row, "more": _network_options(row)}
        yield _VALUE.sub(lambda match, more=more: more.get(match[1], match[0]), form.text)  # type: ignore[misc]


def _values(head: Head) -> Mapping[str, str]:
    """Return the values of constants as they stand in a command, where FILE is the name of the key."""
    values = {name: constant.texts[0] for name, constant in head.constants.items() if len(constant.texts) == 1}
    key = f"{head.text('ca_key_file')}.first" if head.text("ca_key_file") else head.text("key_file")
    values["key_command"] = " ".join(key if word == "FILE" else word for word in head.texts("key_command"))
    values["dockerd_words"] = " ".join(head.texts("dockerd_words"))
    values["ca_subject"] = shlex.quote(f"/CN={head.text('ca_common_name')}")
    values["first_address"] = next(iter(head.texts("contexts")[1:]), "")
    return values


def _network_options(row: Mapping[str, str]) -> str:
    """Return what else docker network create is told (lib/create_networks.sh)."""
    options = " --internal" if row.get("internal") == "true" else ""
    if row.get("subnet"):
        options += f" --subnet {row['subnet']}"
    if row.get("IPv6 subnet"):
        options += f" --ipv6 --subnet {row['IPv6 subnet']}"
    return options


def place(bundle: Bundle, path: str, code: str) -> tuple[str, int]:
    """Return the first line of code with a text, in a script or in what it loads; else the script's first line."""
    for file in (path, *bundle.loads(path)):
        for number, line in enumerate(bundle.texts[file].split("\n"), 1):
            if code in line and not line.lstrip().startswith("#"):
                return file, number
    return path, 1


@cache
def documented() -> dict[str, Documented]:
    """Return the documented commands by their ids."""
    rows: list[dict[str, Any]] = yaml.safe_load(_table().read_text("utf-8"))
    return {row["id"]: Documented(row["id"], row["documented"], " ".join(row["why"].split())) for row in rows}


def _table() -> Path:
    """Return the table: inside an installed package, or in docs/ of a checkout."""
    package = Path(__file__).resolve().parent.parent.parent
    installed = package / TABLE
    return installed if installed.is_file() else package.parent.parent / "docs" / TABLE
