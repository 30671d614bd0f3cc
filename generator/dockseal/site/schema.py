"""Describe a site file for editors."""

from __future__ import annotations

import json

from dockseal.site.model import Site

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """Return the JSON Schema (draft 2020-12) of a site file, with a final newline."""
    schema = {"$schema": DRAFT, **Site.model_json_schema(), "title": "dockseal site"}
    return f"{json.dumps(schema, indent=2, sort_keys=True)}\n"
