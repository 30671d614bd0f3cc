"""Whatever stands in a value: it is refused with its place, or bash reads it back exactly and runs nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockseal.errors import Problem, SiteError, TemplateError
from dockseal.output.reading import LOADS
from dockseal.output.render import Renderer, bash_word
from dockseal.plan.planner import make_plan
from dockseal.plan.steps import Context, Row, Step, Value, Words
from dockseal.site.load import parse
from dockseal.site.read import read_site, site_from
from tests.sites import ROOT, TEMPLATES

RENDERER = Renderer(TEMPLATES)
FLEET = make_plan(read_site(ROOT / "examples" / "fleet.yaml"))
STEPS = {step.template: step for step in (FLEET.setup, *FLEET.steps)}

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
NASTY = st.sampled_from(
    [
        *(
            "$(id)",
            "`id`",
            "';id;'",
            '"',
            "'",
            "\\",
            "\\'",
            "'\\''",
            "${x}",
            "!!",
            "-n",
            "--",
            "*",
            "~",
            "a b",
            " ",
            "#",
            "\n",
        ),
        *(
            "@{script}",
            "#% for x in y",
            "#%{ x }%#",
            "}",
            "%s",
            "a,b",
            "a/b",
            "..",
            "\u00e9",
            "\u202e",
            "\x00",
            "\x1b[31m",
        ),
    ]
)
ANY = st.one_of(NASTY, st.text(max_size=40), PRINTABLE, st.integers(), st.booleans(), st.none(), st.lists(st.text()))

WORD = r"(?:[0-9]+|'[^'\n]*'(?:\\''[^'\n]*')*)"
BARE = r"[A-Za-z0-9_%+=:,./@-]+"
SCALAR = re.compile(rf"readonly ([a-z_]+)={WORD}")
ARRAY = re.compile(r"readonly -a ([a-z_]+)=\(")
ITEMS = re.compile(rf"  (?:{WORD}|{BARE})(?: (?:{WORD}|{BARE}))*")


def constants_block(script: str) -> list[str]:
    """Return the lines of the constants of a script; fail on any line that could run something.

    What a site needs besides is loaded there, and is left out.
    """
    start = script.index("\nreadonly script=") + 1
    lines = script[start : script.index("\n# ==== Below this line")].split("\n")
    inside = False
    for line in lines:
        if inside:
            inside = line != ")"
            assert not inside or ITEMS.fullmatch(line), line
        elif ARRAY.fullmatch(line):
            inside = True
        else:
            assert line == "" or line.startswith("#") or SCALAR.fullmatch(line) or LOADS.fullmatch(f"{line}\n"), line
    return [line for line in lines if not LOADS.fullmatch(f"{line}\n")]


def read_back(scripts: Sequence[str]) -> list[dict[str, list[str]]]:
    """Let bash, with no program in reach, read the constants of several scripts; return each name's words."""
    program: list[str] = []
    for script in scripts:
        block = constants_block(script)
        names = [match[1] for line in block if (match := SCALAR.match(line) or ARRAY.match(line))]
        shown = [f'printf "%s\\0" {name} "${{#{name}[@]}}" "${{{name}[@]}}"' for name in names]
        program += ["(", *block, *shown, ")", 'printf "\\0"']
    done = subprocess.run(
        ["/bin/bash", "--noprofile", "--norc"],
        input="\n".join(program).encode("ascii"),
        env={"PATH": "/nonexistent", "LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    return [decoded(part) for part in split_scripts(done.stdout.decode("ascii").split("\0")[:-1], len(scripts))]


def split_scripts(words: list[str], count: int) -> list[list[str]]:
    """Split what bash printed; an empty word in the place of a name ends a script."""
    found: list[list[str]] = []
    place = 0
    for _ in range(count):
        start = place
        while words[place]:
            place += 2 + int(words[place + 1])
        found.append(words[start:place])
        place += 1
    assert place == len(words)
    return found


def decoded(words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    place = 0
    while place < len(words):
        end = place + 2 + int(words[place + 1])
        found[words[place]] = words[place + 2 : end]
        place = end
    return found


def flat(value: Value) -> list[str]:
    """Return the words of a constant as bash has them: a row after the other."""
    if isinstance(value, str | int):
        return [str(value)]
    return [str(cell) for item in value for cell in cells(item)]


def cells(item: str | Row | Words) -> Iterable[object]:
    """Return what stands on one line of a list."""
    if isinstance(item, Mapping):
        return item.values()
    return item if isinstance(item, Words) else (item,)


def expected(context: Context) -> list[list[str]]:
    """Return the words of each constant; what is true or false says what a template leaves out."""
    return sorted(flat(value) for value in context.values() if not isinstance(value, bool))


def spoiled(value: Value, text: str) -> Value:
    """Return a value of the same shape with `text` in the place of every text."""
    if isinstance(value, str):
        return text
    if isinstance(value, int):
        return value
    return cast("Value", [spoiled_line(item, text) for item in value])


def spoiled_line(item: str | Row | Words, text: str) -> object:
    """Return one line of a list with `text` in the place of every text."""
    if isinstance(item, Mapping):
        return {key: spoiled(cell, text) for key, cell in item.items()}
    return Words(*(text for _ in item)) if isinstance(item, Words) else text


def test_bash_reads_back_the_constants_of_every_script() -> None:
    steps = [FLEET.setup, *FLEET.steps]
    for step, found in zip(steps, read_back([RENDERER.script(step).decode() for step in steps]), strict=True):
        assert sorted(found.values()) == expected(step.context)
        assert all(name in step.context or "rows" in step.context for name in found)


@given(st.lists(PRINTABLE, min_size=1, max_size=20))
def test_bash_reads_back_any_printable_text(texts: list[str]) -> None:
    script = "\nreadonly script=''\nreadonly -a a=(\n" + "".join(f"  {bash_word(t)}\n" for t in texts) + ")\n"
    (found,) = read_back([script + "# ==== Below this line\n"])
    assert found["a"] == texts


@given(st.one_of(NASTY, st.text(max_size=40)))
def test_any_text_in_any_constant_is_refused_or_read_back(text: str) -> None:
    scripts: list[str] = []
    wanted: list[list[list[str]]] = []
    for step in STEPS.values():
        context = {name: spoiled(value, text) for name, value in step.context.items()}
        broken = Step(step.path, step.party, step.template, step.purpose, context)
        if any(not " " <= c <= "~" for c in text):
            with pytest.raises(TemplateError, match="has characters outside printable ASCII$"):
                RENDERER.script(broken)
            continue
        scripts.append(RENDERER.script(broken).decode())
        wanted.append(expected(context))
    if scripts:
        assert [sorted(found.values()) for found in read_back(scripts)] == wanted


BASE: dict[str, Any] = {
    "ca": {"common_name": "CA", "key": "ed25519", "days": 100},
    "hosts": [
        {
            "name": "alpha",
            "dns_names": ["alpha"],
            "ip_addresses": ["10.0.0.1"],
            "listen": "10.0.0.1:2376",
            "connect": "alpha",
            "key": "ed25519",
            "days": 90,
            "tls_directory": "/etc/docker/tls",
            "drop_in": "/etc/systemd/system/docker.service.d/override.conf",
            "mode": "mutual",
            "userns_remap": "default",
            "icc": False,
            "probe_image": "busybox:1.36",
            "networks": [
                {"name": "front", "icc": False, "subnet": "172.30.5.0/24", "ipv6_subnet": "fd00:5::/64"},
                {"name": "back", "internal": True},
            ],
        },
        {"name": "plain", "mode": "plain", "listen": "127.0.0.1:2375", "icc": True},
    ],
    "clients": [{"name": "beta", "hosts": ["alpha"], "key": "ed25519", "days": 90, "shell_profile": ".profile"}],
    "files": {"ca_key": "k", "server_key": "s", "client_request": "r"},
}


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def with_value(path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy: Any = json.loads(json.dumps(BASE))
    here = copy
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return copy


@given(st.sampled_from(places(BASE)), ANY)
def test_any_value_at_any_place_is_refused_there_or_rendered_as_it_is(path: tuple[str | int, ...], value: Any) -> None:
    # JSON is YAML but for a few escapes; indented, so that each value has a line of its own.
    octets = json.dumps(with_value(path, value), indent=1).encode()
    try:
        site = site_from(parse(octets, "site.yaml"))
    except SiteError as error:
        assert error.problems
        assert all(is_located(problem) for problem in error.problems)
        return
    plan = make_plan(site)
    steps = [plan.setup, *plan.steps]
    for step, found in zip(steps, read_back([RENDERER.script(step).decode() for step in steps]), strict=True):
        assert sorted(found.values()) == expected(step.context)


def is_located(problem: Problem) -> bool:
    """Tell whether a problem has a line, or concerns a key that the file does not have, and says what to do."""
    advice = re.search(
        r"; |write|give|choose|is not in|longer than|expected|must be|let it|use only|known|did you mean",
        problem.message,
    )
    return bool(advice) and (problem.line > 0 or problem.path in ((), ("hosts",)) or problem.path[0] == "files")


@given(st.binary(max_size=200))
def test_any_octets_are_refused_or_a_site(octets: bytes) -> None:
    try:
        site_from(parse(octets, "site.yaml"))
    except SiteError as error:
        assert error.problems


@given(st.data())
def test_any_damage_to_the_default_site_is_refused_or_a_site(data: st.DataObject) -> None:
    octets = bytearray((ROOT / "site.yaml").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        site = site_from(parse(bytes(octets), "site.yaml"))
    except SiteError as error:
        assert error.problems
    else:
        assert make_plan(site).steps
