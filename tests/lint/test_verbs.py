"""Who changes something without a verb that prints it: a list held against the text, which reviewers read too."""

from __future__ import annotations

import pytest

from dockseal.output.manifest import LIBRARY
from tests.lint.syntax import direct_changes, tree
from tests.sites import TEMPLATES

CHANGERS = frozenset(
    {"chmod", "chown", "cp", "install", "ln", "mkdir", "mktemp", "mv", "rm", "rmdir", "tee", "touch", "truncate"}
)
# The verbs that print what they do, and do nothing with --check.
VERBS = {"change.sh": {"write_file"}}
# out/README.md names these as exceptions.
NAMED = {
    "change.sh": {"lock"},
    "ledger.sh": {"add_to_ledger"},
    "sign.sh": {"refuse", "take_copy"},
    "watch_expiry.sh": {"write_textfile"},
    "roll-over-ca.sh": {"write_authorities"},
    "back-up-ca.sh": {"encrypt", "restore"},
}
# What they make is there only while the script runs.
TEMPORARY = {
    "back-up-ca.sh": {"archive_problem", "copy_authority", "main", "write_back_up"},
    "confine.sh": {"ask_outside", "keep_properties", "close_facts", "open_facts", "remove_stale_facts"},
    "confine_verification.sh": {"ask_as_client", "ask_docker_first", "look_as_daemon"},
    "impostor.sh": {"make_another_ca", "make_impostor", "start_impostor"},
    "measure_docker.sh": {"ask_impostor", "link_context", "link_context_files", "link_own_files"},
    "probe.sh": {"open_probe_folder", "remove_probes", "remove_stale_probes", "run_docker"},
    "verify_host.sh": {"make_strangers", "verify_docker_host"},
    "watch_expiry.sh": {"check_now"},
}


def test_nothing_is_changed_but_by_a_verb_and_what_is_listed_here() -> None:
    found = {path.name: set(direct_changes(tree(path.read_text()), CHANGERS)) for path in TEMPLATES.rglob("*.sh")}
    listed = {
        name: VERBS.get(name, set()) | NAMED.get(name, set()) | TEMPORARY.get(name, set())
        for name in {*VERBS, *NAMED, *TEMPORARY}
    }
    assert {name: functions for name, functions in found.items() if functions} == listed


def test_loading_the_library_changes_nothing() -> None:
    for path in (TEMPLATES / LIBRARY).glob("*.sh"):
        in_functions = direct_changes(tree(path.read_text()), CHANGERS)
        whole = direct_changes(tree(f"whole() {{\n{path.read_text()}\n}}\n"), CHANGERS).get("whole", set())
        assert whole == set().union(*in_functions.values()), path.name


def test_reviewers_are_told_of_each_exception() -> None:
    text = (TEMPLATES / "README.md").read_text()
    assert [name for names in NAMED.values() for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("rm -f -- x", {"rm"}),
        ("ls >x", {">"}),
        ("{ ls; } >>x", {">"}),
        ("run rm -f -- x", set()),
        ("ls >/dev/null 2>&1", set()),
        ("x=$(mktemp)", {"mktemp"}),
    ],
)
def test_the_control_a_change_is_found(line: str, changed: set[str]) -> None:
    assert direct_changes(tree(f"f() {{\n  {line}\n}}\n"), CHANGERS).get("f", set()) == changed
