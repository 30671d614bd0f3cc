"""Facts about the reviewer's page in a real browser: it loads nothing, fits a phone, and can be printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockseal.output.review.page import page_octets
from dockseal.output.review.since import compare
from tests.browser.chromium import Browser, browser, program
from tests.pages import FLEET, site
from tests.sites import ROOT

pytestmark = pytest.mark.browser
SECONDS = 2.0
WIDTHS = {"desktop": 1200, "phone": 360}
SPLIT = (ROOT / "examples" / "split.yaml").read_text()
# Each page, and the site of the older folder that it is compared with.
PAGES = {
    "default": ((ROOT / "site.yaml").read_text(), ""),
    "split": (SPLIT, SPLIT.replace("192.0.2.10:2376", "192.0.2.10:2377").replace("name: alice", "name: bob")),
    "fleet": (FLEET, ""),
}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if program() is None:
        pytest.skip("no browser here: apt-get install --no-install-recommends chromium")
    with browser(tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    new, old = PAGES[request.param]
    known = site(new, folder / "out")
    since = compare(site(old, folder / "old"), known) if old else None
    file = folder / f"{request.param}.html"
    file.write_bytes(page_octets(known, since))
    return file


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_page_opens_at_once_and_asks_for_nothing(page: Path, width: int, chromium: Browser) -> None:
    chromium.open(page, width)
    chromium.photograph(page.with_suffix(f".{width}.png"))
    assert chromium.worked() <= SECONDS
    assert {one["request"]["url"] for one in chromium.said("Network.requestWillBeSent")} == {page.as_uri()}
    assert chromium.said("Log.entryAdded") == []
    assert chromium.said("Runtime.consoleAPICalled") == []
    assert chromium.said("Runtime.exceptionThrown") == []
    assert page.with_suffix(f".{width}.png").stat().st_size > 10_000


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_is_wider_than_the_window(page: Path, width: int, chromium: Browser) -> None:
    chromium.open(page, width)
    chromium.value("for (const one of document.querySelectorAll('details')) one.open = true")
    assert chromium.value("document.documentElement.scrollWidth") <= width


def test_a_link_opens_what_it_leads_to(page: Path, chromium: Browser) -> None:
    chromium.open(page, WIDTHS["desktop"])
    line = "[...document.querySelectorAll('ol.commands a')].find(a => a.textContent.startsWith('lib/'))"
    assert chromium.value(f"document.querySelector({line}.hash).closest('details').open") is False
    chromium.value(f"{line}.click()")
    assert chromium.value("document.querySelector(':target').closest('details').open") is True


def test_a_page_can_be_printed(page: Path, chromium: Browser) -> None:
    chromium.open(page, WIDTHS["desktop"])
    file = page.with_suffix(".pdf")
    chromium.print(file)
    assert file.read_bytes().startswith(b"%PDF-")


def test_a_request_and_an_error_would_be_seen(chromium: Browser, tmp_path: Path) -> None:
    """Else the tests above would show nothing."""
    file = tmp_path / "bad.html"
    file.write_text(
        "<img src=http://example.com/x.png><p style='width:2000px'>wide<script>console.log(1); none()</script>"
    )
    chromium.open(file, WIDTHS["phone"])
    assert "http://example.com/x.png" in {one["request"]["url"] for one in chromium.said("Network.requestWillBeSent")}
    assert chromium.said("Log.entryAdded")
    assert chromium.said("Runtime.consoleAPICalled")
    assert chromium.said("Runtime.exceptionThrown")
    assert chromium.value("document.documentElement.scrollWidth") > WIDTHS["phone"]
