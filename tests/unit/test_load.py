"""Facts about reading YAML."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dockseal.errors import UsageError
from dockseal.site.load import Odd, load, parse
from tests.sites import problems


def test_values_are_text_whole_numbers_lists_and_mappings() -> None:
    assert parse(b'a: x\nb: 7\nc: [1, "2"]\nd: {e: f g}\n', "x").data == {
        "a": "x",
        "b": 7,
        "c": (1, "2"),
        "d": {"e": "f g"},
    }


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("no", "a boolean"),
        ("On", "a boolean"),
        ("y", "a boolean"),
        ("~", "nothing"),
        ("", "nothing"),
        ("1_000", "a number that is not plain decimal"),
        ("0755", "a number that is not plain decimal"),
        ("0x1F", "a number that is not plain decimal"),
        ("+5", "a number that is not plain decimal"),
        ("12:30:45", "a number that is not plain decimal"),
        ("1.5", "a number with a fraction"),
        (".nan", "a number with a fraction"),
        ("2026-01-01", "a date"),
    ],
)
def test_what_yaml_would_convert_is_kept_as_written(raw: str, kind: str) -> None:
    assert parse(f"a: {raw}\n".encode(), "x").data == {"a": Odd(raw, kind)}


@pytest.mark.parametrize("text", ["127.0.0.1:2376", "rsa:4096", "[::1]:2376", ".profile", "nobody"])
def test_text_that_only_looks_odd_is_text(text: str) -> None:
    assert parse(f'a: "{text}"\n'.encode(), "x").data == {"a": text}


def test_every_key_path_has_its_line() -> None:
    document = parse(b"a:\n  - b: 1\n    c:\n      - 2\n", "x")
    assert [document.line(path) for path in [("a",), ("a", 0, "c"), ("a", 0, "c", 0)]] == [1, 3, 4]


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert parse(b"\xef\xbb\xbfa: b\r\nc: d\r\n", "x").data == {"a": "b", "c": "d"}


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"", "site.yaml: the file is empty; `dockseal init` writes a commented one"),
        (b"# nothing\n", "site.yaml: the file is empty; `dockseal init` writes a commented one"),
        (b"a:\n\t- b\n", "site.yaml:2: a tab stands in the indentation; use blanks"),
        (b"a: b\n\xff\xfe\n", "site.yaml:2: octet 0xff is not UTF-8; save the file as UTF-8"),
        (b"a: \x1b[31m\n", "site.yaml:1: control character U+001B is not allowed; remove it"),
        (b"a: b\x00\n", "site.yaml:1: control character U+0000 is not allowed; remove it"),
        (b"--- 1\n--- 2\n", "site.yaml:2: a second YAML document starts here; keep one per file"),
        (b"a: &x 1\nb: *x\n", "site.yaml:1: a: &x is a YAML alias; write the value out"),
        (b"a: *x\n", "site.yaml:1: a: *x is a YAML alias; write the value out"),
        (
            b"<<: {a: b}\n",
            "site.yaml:1: a key must be plain text; write the keys out, without anchors, merges, tags or brackets",
        ),
        (
            b"? [a]\n: b\n",
            "site.yaml:1: a key must be plain text; write the keys out, without anchors, merges, tags or brackets",
        ),
        (b"[" * 9 + b"]" * 9, "site.yaml:1: [0][0][0][0][0][0][0][0]: is nested too deeply; no site file needs that"),
    ],
)
def test_a_file_that_is_no_site_is_refused_in_one_line(octets: bytes, message: str) -> None:
    assert problems(octets) == [message]


def test_a_syntax_error_names_its_line() -> None:
    (message,) = problems("ca:\n  days: [1\nhosts:\n")
    assert message.startswith("site.yaml:3: not valid YAML: ")
    assert message.endswith("; look for a missing ':', quote, bracket or indentation here or just above")


def test_a_duplicate_key_names_both_lines() -> None:
    text = "hosts:\n  - name: aa\n    days: 1\n    days: 2\n"
    assert problems(text) == ["site.yaml:4: hosts[0].days: this key is already on line 3; remove one of the two"]


def test_a_tag_is_refused() -> None:
    text = "hosts:\n  - name: !!python/object:os.system aa\n"
    assert problems(text) == [
        "site.yaml:2: hosts[0].name: the tag 'tag:yaml.org,2002:python/object:os.system' is not allowed; "
        "write the value alone"
    ]


@pytest.mark.parametrize(
    "octets", [b"[" * 1_000_000, b"a: &a [x]\n" + b"- *a\n" * 10, b"{" * 100_000, b"- " * 100_000, b"- a\n" * 1_000_000]
)
def test_a_bomb_ends_at_once(octets: bytes) -> None:
    start = time.process_time()
    assert problems(octets)
    assert time.process_time() - start < 5


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="^site.yaml: no such file; `dockseal init` writes a commented one$"):
        load(tmp_path / "site.yaml", "site.yaml")


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="^x: is a folder; name the site file in it$"):
        load(tmp_path, "x")


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(UsageError, match="is larger than 4 MiB; is this the right file"):
        load(Path("/dev/zero"))


def test_a_name_with_a_null_character_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(Path("a\0b"))
