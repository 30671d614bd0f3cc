"""A reviewer's page as its tests read it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from dockseal.output.review.bundle import read_bundle
from dockseal.output.review.facts import Site, read_site
from tests.sites import render

# A thousand hosts of one shape but for their names and addresses, and two clients.
FLEET = "".join(
    f"  - name: host{number}.example.org\n"
    f"    ip_addresses: [10.0.{number // 250}.{number % 250 + 1}]\n"
    f"    listen: 10.0.{number // 250}.{number % 250 + 1}:2376\n"
    "    key: ec:P-256\n"
    for number in range(1000)
)
FLEET = f"hosts:\n{FLEET}clients:\n  - name: operator\n  - name: auditor\n"


def site(text: str, folder: Path) -> Site:
    """Return what a review says of the site of a site file's text, rendered into a folder."""
    return read_site(read_bundle(render(text, folder)))


class Page(HTMLParser):
    """The elements of a page, with what is around them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        """The ids of all elements, in their order."""
        return [found for _, attributes in self.tags if (found := attributes.get("id"))]

    @property
    def links(self) -> list[str]:
        """Where the links lead."""
        return [attributes.get("href") or "" for attributes in self.all("a")]

    @property
    def text(self) -> str:
        """All text."""
        return "".join(self.words)
