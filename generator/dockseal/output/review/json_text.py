"""The same as the page for machines: facts, steps, and what has changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from dockseal import __version__
from dockseal.output.review import access
from dockseal.output.review.commands import commands
from dockseal.output.review.facts import Site
from dockseal.output.review.meaning import places
from dockseal.output.review.since import Since

FORMAT = 1


def json_text(site: Site, since: Since | None) -> str:
    """Return one JSON object; `since` is null where no older folder was named."""
    data = {
        "format": FORMAT,
        "dockseal": __version__,
        "sums_sha256": site.bundle.digest,
        "library_sha256": site.bundle.library,
        "library_is_this_version": site.is_library_known,
        "warnings": list(access.warnings(site)),
        "strange_lines": [{"path": path, "line": line, "text": text} for path, line, text in site.strange],
        "accesses": [asdict(one) for one in access.accesses(site)],
        "hosts": [asdict(host) for host in site.hosts],
        "clients": [asdict(client) for client in site.clients],
        "certificates": [asdict(certificate) for certificate in site.certificates],
        "shapes": [
            {"parties": shape.parties, "scripts": [_script(site, script) for script in shape.scripts]}
            for shape in site.shapes
        ],
        "since": _since(since) if since else None,
    }
    return json.dumps(data, indent=1)


def _script(site: Site, script: Any) -> dict[str, Any]:
    head = site.heads[script.path]
    known = site.is_known(script)
    found = commands(site.bundle, script.path, script.template, head) if known else ()
    return {
        **asdict(script),
        "is_this_version": known,
        "constants": [
            {"name": one.name, "line": one.line, "value": list(one.texts) if one.is_array else one.texts[0]}
            for one in head.constants.values()
        ],
        "commands": [asdict(one) for one in found],
    }


def _since(since: Since) -> dict[str, Any]:
    return {
        "sums_sha256": since.old_digest,
        "changes": [
            {
                "subjects": sentence.subjects,
                "text": sentence.text,
                "places": [{"path": path, "line": line, "old": old} for path, line, old in places(sentence)],
            }
            for sentence in since.sentences
        ],
        "values": [asdict(change) for change in since.changes],
        "library": since.library,
        "others": since.others,
        "scripts": since.states,
    }
