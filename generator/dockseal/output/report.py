"""Sum up results of verifications, and write them as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from dockseal.output.results import RESULTS, Control

# XML 1.0, section 2.2: these cannot stand in a document, not even as references.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _runs(controls: Iterable[Control]) -> list[list[Control]]:
    """Return the controls by machine and script, in their order."""
    found: dict[tuple[str, str], list[Control]] = {}
    for control in controls:
        found.setdefault((control.machine, control.script), []).append(control)
    return [*found.values()]


def junit_octets(controls: Iterable[Control]) -> bytes:
    """Return JUnit XML as Jenkins and GitLab read it: a suite for each script of a machine, a case for each control.

    A case is named by its control's id alone, so that its history goes on when days or addresses change.
    """
    root = ElementTree.Element("testsuites")
    root.extend(_suite(run) for run in _runs(controls))
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(controls: list[Control]) -> ElementTree.Element:
    failures, skipped = (sum(control.result == result for control in controls) for result in ("FAIL", "SKIP"))
    counts = {"tests": str(len(controls)), "failures": str(failures), "skipped": str(skipped)}
    first = controls[0]
    names = {"name": _text(first.script), "hostname": _text(first.machine)}
    suite = ElementTree.Element("testsuite", {**names, **counts})
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
    """Yield a line for each script of a machine: how many controls hold, fail and are skipped; then what does not."""
    for run in _runs(controls):
        counts = ", ".join(f"{sum(one.result == result for one in run)} {result}" for result in RESULTS)
        yield f"{run[0].machine}: {run[0].script}: {counts}".replace("\n", " ")
        for one in run:
            if one.result != "PASS":
                yield f"  {one.id} {one.result}: {one.what}".replace("\n", " ")
