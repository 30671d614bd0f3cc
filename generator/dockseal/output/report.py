"""Read what verifications print with --json, and write it as JUnit XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from xml.etree import ElementTree

from dockseal.errors import UsageError

RESULTS = ("PASS", "FAIL", "SKIP")
# XML 1.0, section 2.2: these cannot stand in a document, not even as references.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Control:
    """One control as a script reported it; `result` is one of RESULTS, each other field is text."""

    script: str
    id: str
    result: str
    what: str
    asked: str
    evidence: str
    remedy: str
    benchmark: str


def read_controls(name: str, text: str) -> list[Control]:
    """Return the controls of JSON lines; raise UsageError with `name` and the line's number for anything else."""
    controls = [_control(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    if not controls:
        raise UsageError(f"{name}: holds no results; give what 90-verify.sh --json printed")
    return controls


def _control(place: str, line: str) -> Control:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    names = {field.name for field in fields(Control)}
    if not isinstance(data, dict) or not names <= data.keys():
        raise UsageError(f"{place}: is no result of a verification; give what 90-verify.sh --json printed")
    control = Control(**{key: data[key] for key in names})
    if control.result not in RESULTS or not all(isinstance(data[key], str) for key in names):
        raise UsageError(f"{place}: its result is {control.result!r}; expected is one of {', '.join(RESULTS)}")
    return control


def junit_octets(controls: Iterable[Control]) -> bytes:
    """Return JUnit XML as Jenkins and GitLab read it: a suite for each script, a case for each control.

    A case is named by its control's id alone, so that its history goes on when days or addresses change.
    """
    root = ElementTree.Element("testsuites")
    found = list(controls)
    for script in dict.fromkeys(control.script for control in found):
        root.append(_suite(script, [control for control in found if control.script == script]))
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(script: str, controls: list[Control]) -> ElementTree.Element:
    failures, skipped = (sum(control.result == result for control in controls) for result in ("FAIL", "SKIP"))
    counts = {"tests": str(len(controls)), "failures": str(failures), "skipped": str(skipped)}
    suite = ElementTree.Element("testsuite", {"name": _text(script), **counts})
    suite.extend(_case(control) for control in controls)
    return suite


def _case(control: Control) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_text(control.script), name=_text(control.id))
    if control.result == "FAIL":
        ElementTree.SubElement(case, "failure", message=_text(control.evidence)).text = _text(control.remedy)
    elif control.result == "SKIP":
        ElementTree.SubElement(case, "skipped", message=_text(control.evidence))
    lines = (control.what, control.benchmark, control.asked, control.evidence)
    ElementTree.SubElement(case, "system-out").text = _text("\n".join(line for line in lines if line))
    return case


def _text(text: str) -> str:
    return _NO_CHARACTER.sub(" ", text)


def summary(controls: Iterable[Control]) -> Iterator[str]:
    """Yield a line for each script: how many controls hold, fail and are skipped; then each that does not hold."""
    found = list(controls)
    for script in dict.fromkeys(control.script for control in found):
        own = [control for control in found if control.script == script]
        yield f"{script}: " + ", ".join(f"{sum(one.result == result for one in own)} {result}" for result in RESULTS)
        yield from (f"  {one.id} {one.result}: {one.what}" for one in own if one.result != "PASS")
