"""Facts about how much there is to read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.render import site
from dockseal.errors import UsageError
from dockseal.output.reading import LOADS as LOADED
from dockseal.output.reading import MAY, MUST, NOT_USED, ON_THE_DAY, WHEN, Reading, reading, reading_table
from tests.sites import ROOT, render

LOADS = '. "${lib}/%s.sh"\n'
BLOCK = "".join(f"echo {word}\n" for word in ("one", "two", "three", "four", "five"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "setup.sh": LOADS % "common",
        "ca/10-create-ca.sh": "# Creates the CA.\n" + LOADS % "change",
        "ca/60-roll-over-ca.sh": LOADS % "late",
        "clients/one/50-show-tls-modes.sh": LOADS % "table",
        "hosts/one/90-verify.sh": LOADS % "report",
        **{f"lib/{name}.sh": "true\n" for name in ("common", "change", "late", "table", "report", "unused")},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_a_first_step_loads_must_be_read(folder: Path) -> None:
    assert {entry.path: entry.when for entry in reading(folder)} == {
        "setup.sh": MUST,
        "ca/10-create-ca.sh": MUST,
        "ca/60-roll-over-ca.sh": ON_THE_DAY,
        "clients/one/50-show-tls-modes.sh": MAY,
        "hosts/one/90-verify.sh": MAY,
        "lib/common.sh": MUST,
        "lib/change.sh": MUST,
        "lib/late.sh": MAY,
        "lib/table.sh": MAY,
        "lib/report.sh": MAY,
        "lib/unused.sh": NOT_USED,
    }


def test_what_is_loaded_in_the_sandbox_may_be_read(folder: Path) -> None:
    path = folder / "ca/10-create-ca.sh"
    path.write_text(path.read_text() + "if is_confined; then\n  " + LOADS % "late" + "fi\n" + LOADS % "report")
    assert {entry.path: entry.when for entry in reading(folder) if entry.path.startswith("lib/")} == {
        "lib/common.sh": MUST,
        "lib/change.sh": MUST,
        "lib/late.sh": MAY,
        "lib/table.sh": MAY,
        "lib/report.sh": MUST,
        "lib/unused.sh": NOT_USED,
    }


def test_blank_lines_and_comments_are_lines(folder: Path) -> None:
    (folder / "setup.sh").write_text("# why\n\ntrue\n")
    assert next(entry.lines for entry in reading(folder) if entry.path == "setup.sh") == 3


def test_five_lines_that_stand_in_two_files_are_counted_in_both(folder: Path) -> None:
    (folder / "setup.sh").write_text(f"true\n{BLOCK}")
    (folder / "lib/late.sh").write_text(BLOCK.replace("\n", "\n\n# why\n"))
    (folder / "lib/report.sh").write_text(BLOCK.replace("five", "six"))
    assert {entry.path: entry.repeated for entry in reading(folder) if entry.repeated} == {
        "setup.sh": 5,
        "lib/late.sh": 5,
    }


def test_the_table_ends_with_the_sums() -> None:
    entries = [Reading("setup.sh", 1200, 3, MUST), Reading("lib/common.sh", 30, 0, MUST), Reading("x.sh", 4, 1, MAY)]
    assert list(reading_table(entries))[-6:] == [
        "| **must read** | 1,230 | 3 |  |",
        "| **may read** | 4 | 1 |  |",
        "| **on the day** | 0 | 0 |  |",
        "| **not used** | 0 | 0 |  |",
        "| of what must be read, the steps' own text | 1,200 | 3 |  |",
        "| **all** | 1,234 | 4 |  |",
    ]


def test_a_folder_that_was_not_rendered_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=": there is no setup.sh; name a rendered folder$"):
        reading(tmp_path)


def test_the_default_site_does_not_grow() -> None:
    """These numbers only go down, but where a hole was closed: each change of them says why."""
    entries = reading(ROOT / "out")
    must = [entry for entry in entries if entry.when == MUST]
    assert sum(entry.lines for entry in must) <= 5_545
    assert sum(entry.lines for entry in must if not entry.path.startswith("lib/")) <= 475
    assert sum(entry.lines for entry in entries) <= 12_010
    assert sum(entry.repeated for entry in entries) <= 99


OPTIONAL = {"daemon_mutual", "daemon_server_only", "userns_on"}


@pytest.mark.parametrize(
    ("host", "loaded"),
    [
        ("mode: mutual", {"daemon_mutual"}),
        ("mode: server-only", {"daemon_server_only"}),
        ("mode: plain", set()),
        ("mode: mutual, userns_remap: default", {"daemon_mutual", "userns_on"}),
    ],
)
def test_what_a_site_does_not_have_is_not_loaded(tmp_path: Path, host: str, loaded: set[str]) -> None:
    """What takes user namespaces away is loaded always: a site may have had them before."""
    folder = render(f"hosts:\n  - {{name: h1, {host}}}\n", tmp_path / "out")
    found = re.findall(
        r'^\. "\$\{lib\}/([a-z_]+)\.sh"$', (folder / "hosts/h1/20-configure-daemon.sh").read_text(), re.M
    )
    assert {*found} & OPTIONAL == loaded
    assert "userns" in found
    unused = {entry.path for entry in reading(folder) if entry.when == NOT_USED}
    assert {f"lib/{name}.sh" for name in OPTIONAL - loaded} <= unused


def test_the_table_of_modes_and_the_verification_share_the_measuring_alone() -> None:
    show, verify = (
        set(LOADED.findall((ROOT / "out/clients/client" / name).read_text()))
        for name in ("50-show-tls-modes.sh", "90-verify.sh")
    )
    everywhere = {"begin.sh", "common.sh", "caller.sh", "report.sh"}
    assert (show & verify) - everywhere == {"impostor.sh", "measure_docker.sh"}
    assert show - verify == {"modes_table.sh"}


def test_a_thousand_hosts_are_25_mb_at_most(tmp_path: Path) -> None:
    """What one host more adds, measured on small fleets."""
    small, large = (sizes(site(hosts), tmp_path / str(hosts)) for hosts in (20, 40))
    assert small + (large - small) / 20 * (1000 - 20) <= 25_000_000


def sizes(text: str, to: Path) -> int:
    """Render a site; return the sum of its files' sizes in octets."""
    return sum(path.stat().st_size for path in render(text, to).rglob("*") if path.is_file())


def test_the_readmes_say_how_much_there_is_to_read() -> None:
    entries = reading(ROOT / "out")
    lines = {when: sum(entry.lines for entry in entries if entry.when == when) for when in WHEN}
    rows = re.findall(r"^\| ([0-9,]+) \| ", (ROOT / "out" / "README.md").read_text(), re.MULTILINE)
    assert rows == [f"{count:,}" for count in lines.values()]
    said = (
        f"of the default site's {sum(lines.values()):,} lines of bash {lines[MUST]:,} before the first privileged run"
    )
    assert said in " ".join((ROOT / "README.md").read_text().split())
