"""Facts about the page for an auditor, as a parser of HTML sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from dockseal.cli import main
from dockseal.output.page import page_octets
from dockseal.output.results import read_results
from tests.unit.test_results import line

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)> \" ' &amp; {{ 7 * 7 }} \x1b[2J\u202e"


class Page(HTMLParser):
    """The elements of a page: each with its attributes and the text within, in the order in which they begin."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[int] = []
        self.declared = ""
        self.feed(octets.decode())
        self.close()
        assert self.open == []

    def handle_decl(self, decl: str) -> None:
        self.declared = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for number in self.open:
            self.elements[number][2].append(data)

    def all(self, *tags: str, **having: str) -> Iterator[tuple[str, dict[str, str | None], str]]:
        """Yield the elements of some kinds, with attributes that have these values, and with their text."""
        for tag, attributes, texts in self.elements:
            if tag in tags and having.items() <= attributes.items():
                yield tag, attributes, " ".join(" ".join(texts).split())

    def texts(self, *tags: str, **having: str) -> list[str]:
        return [text for _, _, text in self.all(*tags, **having)]


def page(*texts: str, name: str = "f") -> Page:
    return Page(page_octets(read_results((f"{name}{at}", text.encode()) for at, text in enumerate(texts, 1))))


FAIL = line(
    machine="docker10",
    id="FILE-3",
    result="FAIL",
    what="the key is root's",
    asked="stat server-key.pem",
    evidence="root:docker 640\nand more",
    remedy="chmod 400 server-key.pem",
    benchmark="CIS Docker Benchmark v1.6.0, 3.13 and 3.14",
)
SKIP = line(id="USERNS-1", result="SKIP", what="user namespaces", evidence="the site has none")
MANY = (
    line(machine="docker2") + SKIP.replace("docker1", "docker2"),
    FAIL + line(machine="docker10"),
    line(benchmark="CIS Docker Benchmark v1.6.0, 2.7") + SKIP,
)


@pytest.fixture(scope="module")
def many() -> Page:
    return page(*MANY)


def test_each_control_that_fails_stands_first_and_in_full(many: Page) -> None:
    assert many.texts("article") == [
        "FAIL FILE-3 on docker10 the key is root's Script hosts/one/90-verify.sh Asked stat server-key.pem "
        "Found root:docker 640 and more Do chmod 400 server-key.pem Item CIS Docker Benchmark v1.6.0, 3.13 and 3.14"
    ]
    order = [tag for tag, _, _ in many.elements if tag in ("article", "table", "details")]
    assert order[0] == "article"
    assert many.texts("p", **{"class": "verdict bad"}) == [
        "1 of 6 controls does not hold. 3 hold, 2 were not tested, on 3 machines."
    ]


def test_the_table_of_machines_counts_the_results_of_each(many: Page) -> None:
    rows = many.texts("tr")
    assert rows[:5] == [
        "Machine Script PASS FAIL SKIP",
        "docker1 hosts/one/90-verify.sh 1 0 1",
        "docker2 hosts/one/90-verify.sh 1 0 1",
        "docker10 hosts/one/90-verify.sh 1 1 0",
        "3 machines, 3 runs 3 1 2",
    ]


def test_items_of_the_benchmark_have_their_results_and_where_they_fail(many: Page) -> None:
    assert [row for row in many.texts("tr") if row.startswith("CIS")] == [
        "CIS Docker Benchmark v1.6.0, 2.7 TLS-1 1 0 0 no machine",
        "CIS Docker Benchmark v1.6.0, 3.13 and 3.14 FILE-3 0 1 0 docker10",
    ]


def test_what_was_not_tested_has_its_reason_and_its_machines(many: Page) -> None:
    assert "USERNS-1 user namespaces the site has none docker1, docker2" in many.texts("tr")


def test_evidence_is_there_on_demand(many: Page) -> None:
    found = many.texts("details")
    assert len(found) == 6
    assert found[0] == "TLS-1 PASS it holds Found seen Item CIS Docker Benchmark v1.6.0, 2.7"
    assert [attributes for _, attributes, _ in many.all("details")] == [{}] * 6


def test_each_file_has_its_sha256_and_what_it_holds(many: Page) -> None:
    for number, text in enumerate(MANY, 1):
        digest = sha256(text.encode()).hexdigest()
        (row,) = [row for row in many.texts("tr") if row.startswith(f"f{number}")]
        assert row.endswith(f": hosts/one/90-verify.sh, 2 controls, dockseal 0.1.0 {digest}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (line(), "Every control that was tested holds. 1 holds, 0 were not tested, on 1 machine."),
        (SKIP, "No control was tested. 0 hold, 1 was not tested, on 1 machine."),
        (FAIL, "1 of 1 control does not hold. 0 hold, 0 were not tested, on 1 machine."),
    ],
    ids=["PASS", "SKIP", "FAIL"],
)
def test_the_first_line_says_what_came_of_it(text: str, said: str) -> None:
    assert page(text).texts("p")[0] == said


def test_headings_are_in_order_and_tables_have_headers(many: Page) -> None:
    levels = [int(tag[1]) for tag, _, _ in many.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tags = [tag for tag, _, _ in many.elements]
    assert tags.count("table") == tags.count("thead") == 4
    assert {attributes.get("scope") for _, attributes, _ in many.all("th")} == {"col", "row", "rowgroup"}


def test_links_lead_to_places_of_the_page(many: Page) -> None:
    places = [attributes["id"] for _, attributes, _ in many.elements if "id" in attributes]
    targets = [attributes["href"] for _, attributes, _ in many.all("a")]
    assert len(places) == len(set(places))
    assert {f"#{place}" for place in places} == {*targets}


def test_the_page_needs_nothing_but_itself(many: Page) -> None:
    tags = {tag for tag, _, _ in many.elements}
    assert tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg"} == set()
    assert {name for _, attributes, _ in many.elements for name in attributes} <= {
        *("aria-label", "aria-labelledby", "charset", "class", "colspan", "content", "data-is", "href"),
        *("http-equiv", "id", "lang", "name", "rowspan", "scope"),
    }
    octets = page_octets(read_results([("f", line().encode())]))
    assert re.search(rb"url\(|@import|https?:|//[a-z]", octets) is None
    (policy,) = [one for _, one, _ in many.all("meta") if "http-equiv" in one]
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert (many.declared, next(many.all("html"))[1]) == ("DOCTYPE html", {"lang": "en"})
    assert [one["content"] for _, one, _ in many.all("meta", name="viewport")] == [
        "width=device-width, initial-scale=1"
    ]


@pytest.mark.parametrize("field", ["machine", "script", "version", "id", "what", "asked", "evidence", "remedy"])
@pytest.mark.parametrize("result", ["PASS", "FAIL", "SKIP"])
def test_what_a_machine_said_is_text_and_nothing_else(field: str, result: str) -> None:
    """The control: an ordinary value gives the same elements, in the same order."""
    plain, hostile = (
        page(line(**{"remedy": "do", "asked": "it", "result": result, field: value})) for value in ("plain", HOSTILE)
    )
    assert [one[:2] for one in hostile.elements] == [one[:2] for one in plain.elements]
    assert " ".join(HOSTILE.replace("\x1b", " ").replace("\u202e", " ").split()) in hostile.texts("body")[0]


def test_the_name_of_a_file_and_an_item_are_text_too() -> None:
    plain = page(line(benchmark="x"), name="plain")
    hostile = page(line(benchmark=HOSTILE), name=f"{HOSTILE}\udcff")
    assert [one[:2] for one in hostile.elements] == [one[:2] for one in plain.elements]
    assert "<script>alert(1)</script>" in hostile.texts("body")[0]


def test_the_same_results_give_the_same_octets_in_whatever_order() -> None:
    files = [(f"f{at}", text.encode()) for at, text in enumerate(MANY)]
    assert page_octets(read_results(files)) == page_octets(read_results(files[::-1]))


def test_the_command_writes_the_page_and_says_with_its_status_what_it_holds(tmp_path: Path) -> None:
    for text, status in ((FAIL, 4), (SKIP, 0)):
        result = CliRunner().invoke(main, ["report", "-", "--html", str(tmp_path / "page.html")], input=text)
        assert result.exit_code == status
        assert (tmp_path / "page.html").read_bytes() == page_octets(read_results([("-", text.encode())]))


def test_a_thousand_files_of_a_machine_each_are_one_page(tmp_path: Path) -> None:
    names = []
    for number in range(1000):
        (tmp_path / f"{number}").write_text("".join(line(machine=f"m{number}", id=f"TLS-{at}") for at in range(9)))
        names.append(str(tmp_path / f"{number}"))
    result = CliRunner().invoke(main, ["report", *names, "--html", str(tmp_path / "page.html")])
    assert result.exit_code == 0
    found = Page((tmp_path / "page.html").read_bytes())
    assert found.texts("tfoot") == ["1,000 machines, 1,000 runs 9,000 0 0"]
    assert [text for _, attributes, text in found.all("h3") if attributes.get("id") == "machine-1000"] == ["m999"]
