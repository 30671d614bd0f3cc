"""Read a site file into the model; report every problem at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dockseal.errors import KeyPath, Problem, SiteError
from dockseal.site import checks
from dockseal.site.load import Document, Odd, load
from dockseal.site.model import Authority, Client, Files, Host, Network, Site
from dockseal.site.values import shown

# Keys that checks of addresses, and of folders, look at together.
ADDRESS_KEYS = {"mode", "dns_names", "ip_addresses", "listen", "connect"}
MODE_KEYS = {"mode", "listen", "plain_tcp_accepts_root_for_everyone_who_reaches_it"}
FOLDER_KEYS = {"tls_directory", "drop_in"}

# pydantic's word for a default that depends on a value with a mistake of its own.
UNKNOWN_DEFAULT = "default_factory_not_called"

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", Host, Client)

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
}
_MODELS: dict[str, type[BaseModel]] = {"ca": Authority, "hosts": Host, "clients": Client, "files": Files}


def read_site(path: Path, name: str | None = None) -> Site:
    """Read the site file at `path`; `name` is what messages call it.

    Raises UsageError when the file cannot be read, and SiteError with all problems when it is no valid site.
    """
    return site_from(load(path, name))


def site_from(document: Document) -> Site:
    """Check a loaded document against the model; raise SiteError with all problems."""
    problems = list(document.problems)
    site: Site | None = None
    try:
        site = Site.model_validate(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems += [_problem(document, details) for details in found if details["type"] != UNKNOWN_DEFAULT]
    problems += [document.problem(path, message) for path, message in _findings(document.data, site)]
    if problems or site is None:
        raise SiteError(problems)
    return site


def _findings(data: Any, site: Site | None) -> Iterator[checks.Finding]:
    """Check between values; those that are wrong by themselves are left out."""
    hosts = _parties(Host, data, "hosts", site)
    clients = _parties(Client, data, "clients", site)
    yield from checks.check_hosts([(index, host) for index, host, _ in hosts])
    yield from checks.check_addresses([(index, host) for index, host, bad in hosts if not bad & ADDRESS_KEYS])
    yield from checks.check_modes([(index, host) for index, host, bad in hosts if not bad & MODE_KEYS])
    yield from checks.check_networks([(index, host) for index, host, _ in hosts])
    yield from checks.check_folders([(index, host) for index, host, bad in hosts if not bad & FOLDER_KEYS])
    plain = {host.name for _, host, _ in hosts if host.mode == "plain"}
    yield from checks.check_clients([(index, client) for index, client, _ in clients], _names(data), plain)
    authority = _single(Authority, data, "ca")
    if authority:
        for section, parties in (("hosts", hosts), ("clients", clients)):
            for index, party, bad in parties:
                if "days" not in bad:
                    yield from checks.check_days((section, index), party, authority)
    files = _single(Files, data, "files")
    if files:
        yield from checks.check_files(files)


def _parties(model: type[P], data: Any, section: str, site: Site | None) -> list[tuple[int, P, set[Any]]]:
    """Return each party with its index and the keys that are wrong by themselves, which have their defaults."""
    if site is not None:
        return [(index, party, set()) for index, party in enumerate(getattr(site, section))]
    items = data.get(section) if isinstance(data, dict) else None
    found: list[tuple[int, P, set[Any]]] = []
    for index, item in enumerate(items if isinstance(items, tuple) else ()):
        bad = _bad_keys(model, item)
        if isinstance(item, dict) and "name" not in bad:
            party = model.model_validate({key: value for key, value in item.items() if key not in bad})
            found.append((index, party, bad))
    return found


def _bad_keys(model: type[P], item: Any) -> set[Any]:
    try:
        model.model_validate(item)
    except ValidationError as error:
        return {details["loc"][0] for details in error.errors(include_url=False) if details["loc"]}
    return set()


def _single(model: type[M], data: Any, section: str) -> M | None:
    if not isinstance(data, dict):
        return None
    try:
        return model.model_validate(data.get(section, {}))
    except ValidationError:
        return None


def _names(data: Any) -> list[str]:
    """Return the names of all hosts, also of those that have mistakes."""
    hosts = data.get("hosts", ()) if isinstance(data, dict) else ()
    items = hosts if isinstance(hosts, tuple) else ()
    return [item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]


def _problem(document: Document, details: Any) -> Problem:
    path: KeyPath = tuple(details["loc"])
    return document.problem(path, _message(details["type"], path, details))


def _message(kind: str, path: KeyPath, details: Any) -> str:
    if kind == "missing":
        return "this key is missing; add it"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "extra_forbidden":
        return _unknown_key(path)
    value = details["input"]
    return f"expected {_EXPECTED.get(kind, 'another value')}, found {_described(value)}{_advice(kind, value, path)}"


def _model_at(path: KeyPath) -> type[BaseModel]:
    """Return the model whose field a key path ends in."""
    if "networks" in path[:-1]:
        return Network
    return _MODELS.get(str(path[0]), Site) if len(path) > 1 else Site


def _unknown_key(path: KeyPath) -> str:
    known = list(_model_at(path).model_fields)
    close = get_close_matches(str(path[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
    return f"unknown key; {hint}"


def _why_refused(text: str, path: KeyPath) -> str:
    """Return why a text would be refused at a key path, or nothing: then quotes are all that it lacks."""
    name = next(key for key in reversed(path) if isinstance(key, str))
    try:
        _model_at(path).model_validate({name: (text,) if isinstance(path[-1], int) else text})
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] == "value_error" and details["loc"][0] == name:
                return str(details["ctx"]["error"])
    return ""


def _described(value: Any) -> str:
    if isinstance(value, Odd):
        return f"{value.kind}, {value.raw}" if value.raw else value.kind
    if isinstance(value, str):
        return f"text, {shown(value)}"
    if isinstance(value, bool):
        return f"a boolean, {_raw(value)}"
    if isinstance(value, int):
        return f"the number {value}"
    return "a list" if isinstance(value, tuple) else "a mapping of keys"


def _raw(value: Odd | int) -> str:
    """Return a value as it stands in the file."""
    if isinstance(value, Odd):
        return value.raw
    return str(value).lower()


def _advice(kind: str, value: Any, path: KeyPath) -> str:
    nothing = isinstance(value, Odd) and value.kind == "nothing"
    if nothing:
        return "; write a value or remove the key"
    if kind == "string_type" and isinstance(value, Odd | int):
        refused = _why_refused(_raw(value), path)
        return f"; {refused}" if refused else f'; put it in quotes: "{_raw(value)}"'
    if kind == "bool_type":
        return "; write it without quotes" if isinstance(value, str) else "; write one of the two"
    if kind == "int_type":
        return "; write it in plain decimal digits without quotes"
    if kind == "tuple_type":
        return "; write one entry a line, each after '- '"
    return ""
