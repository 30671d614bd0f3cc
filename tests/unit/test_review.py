"""Facts about the reviewer's page: what stands on it, where its links lead, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from dockseal.output.review.bundle import Bundle, read_bundle
from dockseal.output.review.checklist import checklist
from dockseal.output.review.commands import FORMS, commands, place
from dockseal.output.review.constants import COLUMNS, read_head
from dockseal.output.review.facts import Site, own_bodies, read_site, shown_files
from dockseal.output.review.highlight import COMMENT, lines, tokens
from dockseal.output.review.listing import Listings
from dockseal.output.review.page import page_octets
from tests.documented import ROWS, Documented, words
from tests.lint.syntax import tree
from tests.pages import FLEET, Page, site
from tests.sites import ONE_HOST, ROOT, SITES, dockseal, render, scripts

DAEMON = "hosts/docker.example.com/20-configure-daemon.sh"
PAGE_SIZE = 5_000_000


@pytest.fixture(scope="module", params=SITES, ids=lambda path: path.stem)
def known(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site(request.param.read_text(), tmp_path_factory.mktemp("review") / "out")


@pytest.fixture(scope="module")
def page(known: Site) -> Page:
    return Page(page_octets(known, None).decode())


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site(FLEET, tmp_path_factory.mktemp("fleet") / "out")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site((ROOT / "examples" / "document.yaml").read_text(), tmp_path_factory.mktemp("document") / "out")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(ONE_HOST, tmp_path_factory.mktemp("one") / "out")


@pytest.fixture
def folder(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "out"))


def forge(folder: Path, path: str, edit: Callable[[str], str]) -> None:
    """Change a script's head, and every digest that tells: what somebody does who sends another folder."""
    file, sums, manifest = (folder / name for name in (path, "SHA256SUMS", "manifest.json"))
    old = sha256(file.read_bytes()).hexdigest()
    file.write_text(edit(file.read_text()))
    new = sha256(file.read_bytes()).hexdigest()
    before = sha256(manifest.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(old, new))
    after = sha256(manifest.read_bytes()).hexdigest()
    sums.write_text(sums.read_text().replace(old, new).replace(before, after))


def test_every_link_leads_to_one_id_of_the_page(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    assert {link.partition("#")[2] for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)


def test_headings_are_in_order(page: Page) -> None:
    levels = [int(heading[1]) for heading in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(second <= first + 1 for first, second in pairwise(levels))


def test_nothing_is_loaded(known: Site) -> None:
    text = page_octets(known, None).decode()
    found = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in found.tags}
    attributes = [(name, value) for _, own in found.tags for name, value in own.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "style", "srcset", "action")]
    assert not re.search(r"@import|url\((?!#)", text)
    policy = next(own["content"] for own in found.all("meta") if own.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_the_page_can_be_read_aloud(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    (picture,) = page.all("svg")
    assert picture["role"] == "img"
    assert set((picture["aria-labelledby"] or "").split()) <= set(page.ids)
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    for part in (*page.all("section"), *page.all("article")):
        assert part["aria-labelledby"] in page.ids


def test_each_line_of_each_script_stands_on_the_page(known: Site) -> None:
    text = Page(page_octets(known, None).decode()).text
    for path in shown_files(known):
        for line in known.bundle.texts[path].splitlines():
            assert line.strip() in text, path


def test_the_same_folder_gives_the_same_octets(known: Site, tmp_path: Path) -> None:
    first = page_octets(known, None)
    assert page_octets(read_site(known.bundle), None) == first
    assert not re.search(rb"20[0-9]{2}-[0-9]{2}-[0-9]{2}", first)
    assert str(ROOT).encode() not in first


def test_a_thousand_hosts_of_one_shape_are_shown_once(fleet: Site) -> None:
    octets = page_octets(fleet, None)
    assert len(octets) <= PAGE_SIZE
    assert [len(shape.parties) for shape in fleet.shapes] == [1, 1, 1000, 2]
    page = Page(octets.decode())
    assert {link.partition("#")[2] for link in page.links} <= set(page.ids)
    assert len(page.all("article")) == 1 + 6 + 6 + 5
    for number in (0, 1, 499, 999):
        assert f"10.0.{number // 250}.{number % 250 + 1}:2376" in page.text


@pytest.mark.parametrize(
    ("host", "shapes"),
    [
        ("", 3),
        ("    days: 30\n", 3),
        ("    icc: false\n", 4),
        ("    mode: server-only\n", 4),
        ("    tls_directory: /etc/other/tls\n", 4),
    ],
    ids=["the same", "days", "icc", "mode", "folder"],
)
def test_hosts_are_of_one_shape_where_only_values_differ(host: str, shapes: int, tmp_path: Path) -> None:
    first = "  - name: a.example\n    ip_addresses: [10.0.0.1]\n    listen: 10.0.0.1:2376\n"
    second = f"  - name: b.example\n    ip_addresses: [10.0.0.2]\n    listen: 10.0.0.2:2376\n{host}"
    assert len(site(f"hosts:\n{first}{second}", tmp_path / "out").shapes) == shapes


def test_a_value_in_which_hosts_differ_is_in_their_table(tmp_path: Path) -> None:
    text = "hosts:\n" + "".join(
        f"  - name: {name}.example\n    ip_addresses: [{address}]\n    listen: {address}:{port}\n"
        for name, address, port in (("a", "10.0.0.1", 2376), ("b", "10.0.0.2", 2377))
    )
    shape = site(text, tmp_path / "out").shapes[2]
    columns = {name: column.texts for column in shape.columns for name in column.names}
    assert columns["listen"] == ("10.0.0.1:2376", "10.0.0.2:2377")
    assert columns["listen_port"] == ("2376", "2377")
    assert columns["dockerd_words[3] behind tcp://"] == columns["listen"]


def test_rows_are_folded_only_where_they_differ_in_the_name_alone() -> None:
    rows = [f"  'hosts/h{number} key.pem'\n" for number in range(9)]
    rows[6] = "  'hosts/h6 other.pem'\n"
    words = [f"  'word{number}'\n" for number in range(9)]
    text = "".join([*rows, *words, "# ==== Below this line\n", *rows])
    listing = Listings([("x.sh", text)], [f"hosts/h{number}" for number in range(9)]).by_path["x.sh"]
    shown = [line.number for line in listing.lines if not line.folded]
    assert shown == [1, 2, 3, *range(7, 29)]
    assert [line.folded for line in listing.lines if line.folded] == [3]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_commands_are_those_of_the_table(row: Documented, document: Site) -> None:
    """With the values of the document, which other tests hold against what the scripts print."""
    found: list[str] = []
    for path in row.where:
        script = next(one for one in document.bundle.scripts if one.path == path)
        own = commands(document.bundle, path, script.template, document.heads[path])
        texts = [line for one in own if row.id in one.ids for line in one.text.splitlines()]
        assert texts, path
        found += texts
    for line in row.lines:
        assert any(_is_the_same(line, other) for other in found), (line, found)


def _is_the_same(documented: str, command: str) -> bool:
    """Tell whether a command has a documented one's words; a drop-in has those of all its rows on one line."""
    if command.startswith("ExecStart=DOCKERD"):
        wanted = words(documented.removesuffix("\\").removeprefix("ExecStart="))
        return set(wanted) <= set(words(command.replace("ExecStart=DOCKERD", "/usr/sbin/dockerd")))
    installed = re.sub(r"(/etc/docker/tls|~/\.docker)/(?=\S+$)", "", command)
    return words(documented) in (words(command), words(installed)) if "\\" not in documented else False


def test_each_command_leads_to_a_line_of_code(document: Site) -> None:
    for script in document.bundle.scripts:
        for form in FORMS.get(script.template, ()):
            path, line = place(document.bundle, script.path, form.code)
            if form.when and not document.heads[script.path].text(form.when):
                continue
            assert form.code in document.bundle.texts[path].splitlines()[line - 1]


def test_every_form_is_of_a_template() -> None:
    assert set(FORMS) <= set(own_bodies())


def test_every_constant_of_every_script_is_read(known: Site) -> None:
    for script in known.bundle.scripts:
        head = known.bundle.texts[script.path].partition("# ==== Below")[0]
        assert list(known.heads[script.path].constants) == re.findall(r"^readonly (?:-a )?(\w+)=", head, re.MULTILINE)
    assert known.strange == ()


def test_a_table_has_as_many_columns_as_its_rows_have_words(known: Site) -> None:
    for head in known.heads.values():
        for constant in head.constants.values():
            if constant.is_array and constant.name in COLUMNS:
                assert constant.columns
                assert all(len({word.line for word in row}) <= 2 for row in constant.rows)


@pytest.mark.parametrize("text", ["readonly x=$(id)", "  $(id)", "x=1", "readonly x='a' 'b'", "id"])
def test_a_line_in_another_form_is_no_constant(text: str) -> None:
    found = read_head(f"readonly good='it'\\''s'\n{text}\n)\n# ==== Below this line\nreadonly z=1\n")
    assert found.text("good") == "it's"
    assert "z" not in found.constants
    assert found.others


def test_a_line_that_no_template_has_is_shown_first(folder: Path) -> None:
    forge(folder, DAEMON, lambda text: text.replace("readonly listen_port", "rm -rf /\nreadonly listen_port"))
    found = read_site(read_bundle(folder))
    assert [(path, text) for path, _, text in found.strange] == [(DAEMON, "rm -rf /")]
    text = Page(page_octets(found, None).decode()).text
    assert text.index("rm -rf /") < text.index("Who is there")
    assert f"{DAEMON}:{found.strange[0][1]}" in checklist(found, None)


def test_what_comes_from_a_file_is_text(folder: Path) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    forge(
        folder,
        DAEMON,
        lambda text: text.replace("readonly listen_port", f"# {evil}\nreadonly evil='{evil}'\nreadonly listen_port"),
    )
    octets = page_octets(read_site(read_bundle(folder)), None)
    assert b"<script" not in octets
    assert b"<img" not in octets
    assert Page(octets.decode()).text.count(evil) >= 3


def test_a_body_of_another_version_gets_no_commands_of_this_one(folder: Path) -> None:
    bundle = read_bundle(folder)
    scripts = tuple(replace(one, body_sha256="0" * 64) for one in bundle.scripts)
    other = read_site(Bundle(bundle.digest, bundle.library, scripts, bundle.texts, bundle.digests))
    text = Page(page_octets(other, None).decode()).text
    assert "is not that of this version: back-up-ca.sh, " in text
    assert "-iter 600000 -in ca-private" not in text
    assert "-iter 600000 -in ca-private" in Page(page_octets(read_site(bundle), None).decode()).text


def test_comments_are_those_of_the_syntax_tree(fresh: Path) -> None:
    for path in [*scripts(fresh), *sorted((fresh / "lib").glob("*.sh"))]:
        text = path.read_text()
        found, number = set(), 1
        for kind, token in tokens(text):
            if kind == COMMENT:
                found.add((number, token))
            number += token.count("\n")
        assert found == set(_comments(tree(text))), path


def _comments(node: object) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    if isinstance(node, dict):
        if "Hash" in node:
            found.append((node["Hash"]["Line"], f"#{node.get('Text', '')}"))
        node = list(node.values())
    if isinstance(node, list):
        found += [one for item in node for one in _comments(item)]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "echo 'a\n# no comment'\n",
        'echo "$(x "y" # z\n)"\n',
        "cat <<'E'\n# text\nE\n",
        "x=${y#z} # w\n",
        "'",
        '"',
        "${",
        "$((",
    ],
)
def test_highlighting_changes_no_text(text: str) -> None:
    assert "".join(token for _, token in tokens(text)) == text
    plain = "\n".join(re.sub("<[^>]*>", "", line) for line in lines(text))
    assert plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text.removesuffix("\n")


def test_the_checklist_has_every_script_and_both_digests(known: Site) -> None:
    text = checklist(known, None)
    assert known.bundle.digest in text
    assert known.bundle.library in text
    for shape in known.shapes:
        for script in shape.scripts:
            assert (script.sha256 if len(shape.parties) == 1 else script.body_sha256) in text
    assert text.isascii()


def test_the_command_writes_page_and_checklist(folder: Path, tmp_path: Path) -> None:
    done = dockseal("review", folder, "--output", tmp_path / "page.html", "--checklist", tmp_path / "list.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "page.html").read_bytes() == page_octets(read_site(read_bundle(folder)), None)
    assert (tmp_path / "list.txt").read_text() == checklist(read_site(read_bundle(folder)), None)


def test_json_has_the_facts(folder: Path) -> None:
    done = dockseal("review", folder, "--json")
    data = json.loads(done.stdout)
    assert data["library_is_this_version"] is True
    assert data["since"] is None
    assert [host["party"] for host in data["hosts"]] == ["hosts/docker.example.com"]


def _edit(folder: Path) -> None:
    with (folder / "setup.sh").open("a") as file:
        file.write("true\n")


def _strip(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("change", "output", "status", "said"),
    [
        (_edit, "page.html", 4, "setup.sh: was changed"),
        (_strip, "page.html", 2, "name a rendered folder"),
        (lambda _: None, "out/page.html", 2, "lies in"),
        (lambda _: None, "nowhere/page.html", 1, "cannot be written"),
    ],
    ids=["edited", "no rendering", "into the folder", "no such folder"],
)
def test_a_refusal_writes_nothing(
    change: Callable[[Path], None], output: str, status: int, said: str, folder: Path, tmp_path: Path
) -> None:
    change(folder)
    before = sorted(tmp_path.rglob("*"))
    done = dockseal("review", folder, "--output", tmp_path / output)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_older_folder_is_verified_too(folder: Path, fresh: Path, tmp_path: Path) -> None:
    _edit(folder)
    done = dockseal("review", fresh, "--since", folder, "--output", tmp_path / "page.html")
    assert done.returncode == 4
    assert not (tmp_path / "page.html").exists()


def test_without_anything_to_write_the_options_are_named(folder: Path) -> None:
    done = dockseal("review", folder)
    assert done.returncode == 2
    assert "--output review.html, --checklist FILE or --json" in done.stderr
