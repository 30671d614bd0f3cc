"""Facts about the JSON Schema for editors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from dockseal.site.schema import schema_text
from tests.sites import SITES

SCHEMA: dict[str, Any] = json.loads(schema_text())


def errors(text: str) -> list[str]:
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_every_site_of_the_project_fits(path: Any) -> None:
    assert errors(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hosts: []", "$.hosts"),
        ("ca: {}", "$"),
        ("hosts: [{name: aa, lisen: 1}]", "$.hosts[0]"),
        ("hosts: [{name: AA}]", "$.hosts[0].name"),
        ("hosts: [{name: aa, key: rsa:1024}]", "$.hosts[0].key"),
        ("hosts: [{name: aa, days: 0}]", "$.hosts[0].days"),
        ("hosts: [{name: aa, drop_in: /etc/x}]", "$.hosts[0].drop_in"),
    ],
)
def test_an_editor_marks_a_mistake(text: str, place: str) -> None:
    assert errors(text) == [place]


def test_every_setting_is_described() -> None:
    for name in ("Authority", "Host", "Client"):
        for setting in SCHEMA["$defs"][name]["properties"].values():
            assert setting["description"].endswith(".")
