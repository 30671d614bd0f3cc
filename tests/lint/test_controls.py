"""Ids of controls: each stands for one thing in the whole product."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from dockseal.plan.planner import make_plan
from dockseal.site.read import read_site
from tests.sites import SITES, TEMPLATES, library, whole

# An id, or a word whose number is counted at run time; the encoding of XML looks like one.
CONTROL = re.compile(r"(?<![\w-])(?!UTF-)([A-Z]{2,})-([0-9]+|\$)")
# It reports several controls: its first word is what their ids begin with.
PAIR = re.compile(r"^ *report_pair ([A-Z]+) ", re.MULTILINE)
COMMENT = re.compile(r"^ *#.*$", re.MULTILINE)


def controls(text: str) -> set[tuple[str, str]]:
    """Return the ids in a script's text as a word and a number, * for any number."""
    code = COMMENT.sub("", text)
    found = {(word, "*" if number == "$" else number) for word, number in CONTROL.findall(code)}
    return found | {(word, "*") for word in PAIR.findall(code)}


def test_no_id_of_a_control_is_reported_by_two_scripts() -> None:
    """Scripts of one name are the same script of several hosts or clients."""
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in SITES:
        for step in make_plan(read_site(path)).steps:
            place = PurePosixPath(step.path)
            for control in controls(whole(TEMPLATES / step.template)):
                places[control].add(f"{place.parts[0]}/{place.name}")
    assert len(places) > 20
    for (word, number), found in places.items():
        same = found | places.get((word, "*"), set())
        assert len(same) == 1, f"{word}-{number} is reported by {', '.join(sorted(same))}"


def test_ids_are_found_in_the_text_of_a_script() -> None:
    """Without this, the test above would show nothing."""
    text = (
        '  # FILE-9 is a comment\n  judge FILE-1 "$2"\n  report "MODE-$1" PASS\n  report_pair CERT "${key}"\n  UTF-8\n'
    )
    assert controls(text) == {("FILE", "1"), ("MODE", "*"), ("CERT", "*")}
    assert controls(library("plain_text")) == {("PLAIN", str(n)) for n in (1, 2, 3)}
