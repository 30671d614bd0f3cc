"""Lint of every rendered script: out/ and the examples."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dockseal.output.manifest import LIBRARY, body_of
from dockseal.output.reading import LOADS
from dockseal.output.render import render_plan
from dockseal.output.write import replace_folder
from dockseal.plan.planner import make_plan
from dockseal.site.read import read_site
from tests.lint.syntax import commands, functions, literal, nodes, statements, tool, tree
from tests.sites import ROOT, SITES, TEMPLATES, render, root_of, scripts, whole

SHFMT = [tool("shfmt"), "-i", "2", "-ci"]
WIDTH = 80

# Findings of shellcheck's optional checks that are meant, each with its reason.
SHELLCHECK_EXCEPTIONS = {
    "SC2034": "the shared option parser sets every option, also those that a script does not accept",
    "SC2310": "predicates are called in conditions: a failure there is the answer, not an error",
    "SC2312": "what a command substitution or a pipe fails with shows in the value that is then checked",
    "SC2329": "functions that only a trap or run_for calls",
}

# util-linux, coreutils, and what the scripts are about. Nothing that downloads, evaluates or decodes.
PROGRAMS = {
    *("/bin/bash", "/usr/bin/realpath", "/usr/bin/env", "cmp", "namei", "nsenter"),
    *(
        "bash",
        "openssl",
        "systemctl",
        "journalctl",
        "docker",
        "dockerd",
        "flock",
        "systemd-run",
        "ssh-keygen",
        "mountpoint",
    ),
    *(
        "cat",
        "chmod",
        "chown",
        "cp",
        "cut",
        "date",
        "dd",
        "env",
        "getent",
        "head",
        "id",
        "install",
        "ln",
        "ls",
        "mkdir",
        "mktemp",
        "mv",
        "readlink",
    ),
    *(
        "realpath",
        "rm",
        "rmdir",
        "sha256sum",
        "sleep",
        "sort",
        "stat",
        "sync",
        "tail",
        "tar",
        "timeout",
        "tr",
        "uniq",
        "wc",
    ),
}
BUILTINS = {
    *(
        ".",
        ":",
        "[",
        "break",
        "cd",
        "command",
        "compgen",
        "continue",
        "exec",
        "exit",
        "kill",
        "mapfile",
        "printf",
        "read",
        "return",
    ),
    *("set", "shift", "shopt", "trap", "true", "type", "ulimit", "umask", "unset", "wait"),
}
# Words that are known only at run time, and the functions whose purpose it is to run them.
RUNNERS = {
    "run(dynamic)",
    "make_key(dynamic)",
    "run_for(dynamic)",
    "run_with_key(dynamic)",
    "run_with_passphrase(dynamic)",
    "run_one(dynamic)",
    "run_step(dynamic)",
    "run_here(dynamic)",
    "wait_for_daemon(dynamic)",
}


# What no site of the project has, and what only such a site loads.
OTHER_SITE = """
hosts: [{name: localhost, mode: server-only, icc: false, userns_remap: default}]
clients: [{name: client}]
"""


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every site of the project, rendered: the folder by the site's name."""
    folder = tmp_path_factory.mktemp("rendered")
    for path in SITES:
        replace_folder(folder / path.stem, render_plan(make_plan(read_site(path)), TEMPLATES))
    render(OTHER_SITE, folder / "other")
    return {name: folder / name for name in (*(path.stem for path in SITES), "other")}


@pytest.fixture(scope="session")
def every_script(rendered: dict[str, Path]) -> list[Path]:
    """Every script of every site, and of one more."""
    return [script for folder in rendered.values() for script in scripts(folder)]


def test_bash_parses_every_script(every_script: list[Path]) -> None:
    check = 'for script; do bash -n -- "$script" || exit; done'
    done = subprocess.run(["bash", "-c", check, "bash", *every_script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_shfmt_has_nothing_to_change(every_script: list[Path]) -> None:
    done = subprocess.run([*SHFMT, "-d", *every_script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def findings_of(script: Path) -> list[dict[str, str]]:
    """Return what shellcheck with all optional checks says of a script and of the library's files that it loads."""
    argv = [tool("shellcheck"), "--norc", "--enable=all", "--format=json", "--shell=bash"]
    follow = ["--external-sources", "--check-sourced", f"--source-path={root_of(script) / LIBRARY}:{root_of(script)}"]
    done = subprocess.run([*argv, *follow, script], capture_output=True, text=True, check=False)
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def one_of_each_template(rendered: dict[str, Path]) -> Iterable[Path]:
    """Return one script of each template, and of each choice of the library's files that it loads."""
    found: dict[tuple[str, ...], Path] = {}
    for folder in rendered.values():
        for script in json.loads((folder / "manifest.json").read_text())["scripts"]:
            path = folder / script["path"]
            found[script["template"], *LOADS.findall(path.read_text())] = path
    return found.values()


@pytest.fixture(scope="session")
def findings(rendered: dict[str, Path]) -> list[tuple[str, str]]:
    """What shellcheck says: each finding's code and text.

    A function of the library may use a constant that only some scripts have, those that call it: what is found in each
    script that loads its file is a finding.
    """
    of_scripts = list(one_of_each_template(rendered))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(findings_of, of_scripts))
    loaders: Counter[str] = Counter(name for path in of_scripts for name in set(LOADS.findall(path.read_text())))
    places = [{(Path(f["file"]).name, f"SC{f['code']}", f["line"], f["message"]) for f in each} for each in found]
    times = Counter(place for each in places for place in each)
    return [
        (code, f"{name}:{line}: {code}: {message}")
        for (name, code, line, message), count in times.items()
        if code != "SC2154" or count >= loaders[name]
    ]


def test_shellcheck_finds_nothing_with_all_checks_on(findings: list[tuple[str, str]]) -> None:
    assert [text for code, text in findings if code not in SHELLCHECK_EXCEPTIONS] == []


def test_every_exception_for_shellcheck_is_used(findings: list[tuple[str, str]]) -> None:
    assert set(SHELLCHECK_EXCEPTIONS) - {code for code, _ in findings} == set()


def test_shellcheck_is_not_switched_off_in_the_scripts() -> None:
    assert [path for path in TEMPLATES.rglob("*.sh") if "shellcheck disable" in path.read_text()] == []


def test_text_is_printable_ascii_without_tabs_or_trailing_blanks(rendered: dict[str, Path]) -> None:
    for folder in rendered.values():
        for path in folder.rglob("*"):
            if path.is_file():
                octets = path.read_bytes()
                bad = re.search(rb"[^\x20-\x7e\n]| \n|\n\n\Z", octets)
                assert not bad, f"{path}: {bad and octets[max(0, bad.start() - 40) : bad.end()]!r}"
                assert octets.endswith(b"\n"), path


def test_no_two_blank_lines_follow_each_other(every_script: list[Path]) -> None:
    assert [path for path in every_script if "\n\n\n" in path.read_text()] == []


def test_lines_have_80_columns_at_most(every_script: list[Path]) -> None:
    """Excepted: values of a site, URLs, and openssl lines that cannot break."""
    long = [
        f"{path}: {line}"
        for path in every_script
        for line in path.read_text().splitlines()
        if len(line) > WIDTH and not re.search(r"https?://|^ *(run )?openssl |^readonly [a-z_]+='|^  '", line)
    ]
    assert long == []


def test_headers_are_the_manual_in_25_lines(every_script: list[Path]) -> None:
    for path in every_script:
        lines = path.read_text().splitlines()
        header = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
        assert header[0] == "#!/usr/bin/env bash"
        assert len(header[1:]) <= 25, path
        for word in ("Reads:", "Writes:", "Restarts:", "Needs root:", "Undo:"):
            assert any(line.startswith(f"# {word} ") for line in header), f"{path}: {word}"


def test_scripts_start_strict_and_end_with_main(every_script: list[Path]) -> None:
    for path in every_script:
        text = whole(path)
        head = text[: text.index("\nreadonly script=")]
        for line in ("set -Eeuo pipefail", "shopt -s inherit_errexit", "umask 077"):
            assert f"\n{line}\n" in head, f"{path}: {line}"
        assert re.search(r"^export .*\bLC_ALL=C\b", head, re.MULTILINE), path
        assert re.search(r'\n[a-z_]+ "\$@"\n\Z', text), path


def test_no_local_variable_has_the_name_of_a_constant(every_script: list[Path]) -> None:
    # bash says so only once it comes to the line: "local: names: readonly variable".
    for path in every_script:
        text = whole(path)
        constants = set(re.findall(r"^readonly (?:-\w+ )*([a-z_]+)", text, re.MULTILINE))
        for words in re.findall(r"^ +local (.+)$", text, re.MULTILINE):
            local = set(re.findall(r"(?:^|\s)([a-z_]+)(?==|\s|$)", words))
            assert not local & constants, f"{path}: local {words}"


def test_only_known_commands_are_run(rendered: dict[str, Path]) -> None:
    """Every command is a function of the script, a builtin, or a program of the list.

    What a site does not use is not loaded for it: the files that its template names have these functions.
    """
    unknown: dict[str, list[str]] = defaultdict(list)
    templates = {
        script["path"]: script["template"]
        for script in json.loads((rendered["split"] / "manifest.json").read_text())["scripts"]
    }
    for path in scripts(rendered["split"]):
        root = tree(whole(path))
        loads = LOADS.findall((TEMPLATES / templates[str(path.relative_to(rendered["split"]))]).read_text())
        library = (functions(tree((TEMPLATES / LIBRARY / name).read_text())) for name in loads)
        allowed = PROGRAMS | BUILTINS | RUNNERS | functions(root).union(*library)
        for name, line in commands(root):
            if name not in allowed:
                unknown[name].append(f"{path.relative_to(rendered['split'])}:{line}")
    assert unknown == {}


def stderr_of(redirection: Any) -> bool:
    """Tell whether a redirection takes standard error."""
    descriptor = redirection.get("N") or {}
    return descriptor.get("Value") == "2" or redirection["Op"] in ("&>", "&>>")


def silenced(text: str) -> list[str]:
    """Return the functions of a script whose whole standard error goes elsewhere."""
    found = nodes(tree(text), "FuncDecl")
    return [node["Name"]["Value"] for node in found if any(map(stderr_of, node["Body"].get("Redirs") or []))]


@pytest.mark.parametrize("redirection", ["2>/dev/null", "2>&1", "&>/dev/null", ">x 2>>y"])
def test_a_function_without_standard_error_is_found(redirection: str) -> None:
    """The control: its standard output may go elsewhere, and so may what one command in it says."""
    for body in ("{ die 1; }", "(\n  die 1\n)"):
        assert silenced(f"f() {body} {redirection}\n") == ["f"]
    assert silenced("f() {\n  ls 2>/dev/null\n  { ls; } &>x\n} >y\ng() { ls; }\n") == []


def test_no_function_loses_all_that_it_says_of_its_failure() -> None:
    """What die says in it, or in what it calls, would be lost."""
    assert [path for path in TEMPLATES.rglob("*.sh") if silenced(path.read_text())] == []


def silenced_calls(text: str, longer: set[str]) -> list[str]:
    """Return the calls of functions whose standard error is thrown away, also where another function runs them."""
    calls = [
        one["Cmd"]["Args"]
        for one in statements(tree(text))
        if "Args" in one.get("Cmd", {}) and throws_away(one["Redirs"])
    ]
    return [name for words in calls for name in map(literal, words) if name in longer]


def throws_away(redirections: list[Any]) -> bool:
    """Tell whether standard error goes to /dev/null."""
    output = ""
    for one in redirections:
        target = literal(one["Word"])
        if stderr_of(one) and "/dev/null" in (target, output if target == "1" else ""):
            return True
        output = target or ""
    return False


def is_longer(function: Any) -> bool:
    """Tell whether a function is more than another name for one command, whose own words may be thrown away."""
    body = function["Body"]["Cmd"].get("Stmts") or []
    return len(body) > 1 or body[0]["Cmd"]["Type"] != "CallExpr"


def test_a_call_without_standard_error_is_found() -> None:
    text = "f 2>/dev/null\ng &>/dev/null\nrun_for 5 f >/dev/null 2>&1\nf >x\nls 2>/dev/null\nx=$(f 2>/dev/null)\n"
    assert silenced_calls(text, {"f", "g"}) == ["f", "g", "f", "f"]
    assert silenced_calls("f 2>&1\nf >/dev/null\nf 2>&1 >/dev/null\n", {"f"}) == []


def test_no_call_of_a_function_loses_what_it_says_of_its_failure() -> None:
    declared = [one for path in TEMPLATES.rglob("*.sh") for one in nodes(tree(path.read_text()), "FuncDecl")]
    longer = {one["Name"]["Value"] for one in declared if is_longer(one)}
    found = {path.name: silenced_calls(path.read_text(), longer) for path in TEMPLATES.rglob("*.sh")}
    assert {name: calls for name, calls in found.items() if calls} == {}


GUARD = re.compile(r"^ *(?:\[\[ .* \]\]|\(\(.*\)\)) (?:\|\||&&) (?:return|continue|break)\b", re.MULTILINE)


def test_guards_are_positive_sentences() -> None:
    """`if [[ ... ]]; then return; fi` says when; `[[ ... ]] || return` says when not."""
    assert [(path.name, line) for path in TEMPLATES.rglob("*.sh") for line in GUARD.findall(path.read_text())] == []


def test_no_function_is_longer_than_30_lines() -> None:
    found = {
        f"{path.name}: {node['Name']['Value']}": node["End"]["Line"] - node["Pos"]["Line"] + 1
        for path in TEMPLATES.rglob("*.sh")
        for node in nodes(tree(path.read_text()), "FuncDecl")
    }
    assert {name: lines for name, lines in found.items() if lines > 30} == {}


def substitutions(node: Any) -> int:
    """Count the command substitutions that the shell of a command waits for, not those within them."""
    if isinstance(node, list):
        return sum(map(substitutions, node))
    if not isinstance(node, dict):
        return 0
    return node.get("Type") == "CmdSubst" or sum(map(substitutions, node.values()))


def twice_waiting(text: str) -> list[int]:
    """Return the lines of the commands in which the shell waits for more than one substitution."""
    root = tree(text)
    found = [node for kind in ("CallExpr", "DeclClause", "TestClause") for node in nodes(root, kind)]
    return [node["Pos"]["Line"] for node in found if substitutions(node) > 1]


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ('judge "$(a)" "$(b)"', 1),
        ("x=$(a)$(b)", 1),
        ("[[ $(a) == $(b) ]]", 1),
        ("local x=$(a) y=$(b)", 1),
        ('x=$(a "$(b)")', 0),
        ("x=$(a)\ny=$(b)", 0),
        ("$(a) <(b)", 0),
    ],
)
def test_two_substitutions_in_one_command_are_found(line: str, count: int) -> None:
    assert len(twice_waiting(f"f() {{\n{line}\n}}\n")) == count


def test_ctrl_c_finds_its_trap_whole() -> None:
    """bash 5.2 runs the trap of a signal that came during a substitution while it parses the command's next one.

    It takes the trap's text for a part of that one: a syntax error, and status 2.
    """
    catches = "trap 'exit 130' INT"
    found: dict[str, list[int]] = {}
    for path in TEMPLATES.glob("*.sh"):
        loaded = [TEMPLATES / LIBRARY / name for name in LOADS.findall(path.read_text())]
        if any(catches in file.read_text() for file in loaded if file.name != "confine.sh"):
            found |= {file.name: twice_waiting(file.read_text()) for file in (path, *loaded)}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_nothing_is_evaluated_or_downloaded(every_script: list[Path]) -> None:
    for path in every_script:
        code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
        assert not re.search(r"\b(eval|curl|wget|base64|source)\b", code), path


def test_bodies_of_one_kind_are_the_same_in_every_site(rendered: dict[str, Path]) -> None:
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for folder in rendered.values():
        for script in json.loads((folder / "manifest.json").read_text())["scripts"]:
            path = folder / script["path"]
            bodies[script["template"]].add(body_of(script["path"], path.read_bytes()))
    assert {template: len(found) for template, found in bodies.items()} == dict.fromkeys(bodies, 1)


def test_a_function_s_name_means_the_same_everywhere(rendered: dict[str, Path]) -> None:
    """In the library; steps have functions of their own, and none that the library has too."""
    library = [name for path in (TEMPLATES / LIBRARY).glob("*.sh") for name in functions(tree(path.read_text()))]
    assert sorted(library) == sorted(set(library))
    for path in scripts(rendered["split"]):
        assert not functions(tree(path.read_text())) & set(library), path


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.sh")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_an_unrendered_template_is_bash(path: Path) -> None:
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.sh")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_only_loops_and_leaves_out(path: Path) -> None:
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#%"):
            assert re.fullmatch(r" *#% (for [a-z]+ in [a-z_]+|endfor|if [a-z_]+|endif)", line), line


def test_values_stand_only_in_the_constants() -> None:
    for path in TEMPLATES.glob("*.sh"):
        text = path.read_text()
        assert not re.search(r"@\{", text[text.index("# ==== Below this line") :]), path
    for path in (TEMPLATES / "lib").iterdir():
        assert "@{" not in path.read_text(), path


def test_every_project_script_of_the_default_site_is_linted(every_script: list[Path]) -> None:
    names = {str(path) for path in every_script}
    for script in scripts(ROOT / "out"):
        assert any(name.endswith(f"/site/{script.relative_to(ROOT / 'out')}") for name in names)
