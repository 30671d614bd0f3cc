"""Put the constants of a plan into the templates; no decision is made here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import Extension

from dockseal.errors import TemplateError
from dockseal.output.manifest import LIBRARY, README, Entry, entry_of, library_digest, manifest_octets, sums_octets
from dockseal.output.manual import manual
from dockseal.output.reading import Lengths
from dockseal.plan.planner import Plan
from dockseal.plan.steps import Context, Step, Words

SCRIPT_MODE = 0o755
TEXT_MODE = 0o644
MANUAL = "manual"

_LINE_STATEMENT = re.compile(r"^[ \t]*#%(?!\{)[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_BARE_WORD = re.compile(r"[A-Za-z0-9_%+=:,./@-]+")
_CONTROL = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One file of the output: path relative to it, octets, and POSIX mode."""

    path: str
    octets: bytes
    mode: int


def template_folder() -> Path:
    """Return the folder of the templates: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent.parent / "templates"


class Comment(str):
    """Lines of a comment that the generator wraps; the first one stands behind the template's own `# `."""

    __slots__ = ()

    def __new__(cls, text: str) -> Comment:
        """Refuse what would end the comment."""
        for number, line in enumerate(text.split("\n")):
            if number and not line.startswith("#"):
                raise TemplateError(f"{line!a} is no line of a comment")
            plain_text(line)
        return super().__new__(cls, text)


def bash_word(value: object) -> str:
    """Return a value as one bash word: text in single quotes, numbers as digits (bash(1), QUOTING); a comment as it is.

    Of the words of a command each is quoted where it must be, as one would type it. Raises TemplateError for everything
    else, and for text outside printable ASCII.
    """
    if isinstance(value, Comment):
        return value
    if isinstance(value, Words):
        return " ".join(word if _BARE_WORD.fullmatch(word) else bash_word(word) for word in value)
    text = plain_text(value)
    if isinstance(value, int):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def plain_text(value: object) -> str:
    """Return a value as it is, for Markdown; raise TemplateError for all but plain text and numbers."""
    if isinstance(value, jinja2.Undefined):
        return str(value)  # StrictUndefined raises here and names the variable
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TemplateError(f"a value of type {type(value).__name__} cannot stand in a script")
    if isinstance(value, str) and _CONTROL.search(value):
        raise TemplateError(f"{value!a} has characters outside printable ASCII")
    return str(value)


class Renderer:
    """Templates of one folder; StrictUndefined, and delimiters that bash does not have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts = _environment(folder, bash_word)
        self.texts = _environment(folder, plain_text)

    def script(self, step: Step) -> bytes:
        """Return the octets of a step's script."""
        return self._render(self.scripts, step.template, {**step.context, MANUAL: Comment(manual(step))})

    def library(self) -> Iterator[Rendered]:
        """Yield the files of the library, which are the same for every site."""
        paths = sorted((self.folder / LIBRARY).glob("*"))
        if not paths:
            raise TemplateError(f"{self.folder}: there is no {LIBRARY}; install dockseal again")
        for path in paths:
            yield Rendered(f"{LIBRARY}/{path.name}", path.read_bytes(), TEXT_MODE)

    def text(self, template: str, context: Context) -> bytes:
        """Return the octets of a Markdown file."""
        return self._render(self.texts, template, context)

    def _render(self, environment: jinja2.Environment, template: str, context: Context) -> bytes:
        try:
            return environment.get_template(template).render(context).encode("ascii")
        except jinja2.TemplateNotFound as error:
            raise TemplateError(f"{self.folder}: there is no template {error.name}; install dockseal again") from None
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"{error.name}:{error.lineno}: {error.message}") from None
        except jinja2.TemplateError as error:
            raise TemplateError(f"{template}: {error.message}") from None
        except UnicodeError as error:
            raise TemplateError(f"{template}: is not ASCII: {error}") from None


class _LineStatements(Extension):
    """Read `#% for` lines as block tags: jinja's own line statements swallow the blank lines that follow them."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the source with each line statement as a block tag; lines keep their numbers."""
        return _LINE_STATEMENT.sub(r"#%{ \1 }%#", source)


def _environment(folder: Path, finalize: Any) -> jinja2.Environment:
    return jinja2.Environment(
        extensions=[_LineStatements],
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        autoescape=False,  # noqa: S701 - no HTML here; bash_word quotes
        auto_reload=False,
        keep_trailing_newline=True,
        variable_start_string="@{",
        variable_end_string="}",
        trim_blocks=True,
        block_start_string="#%{",
        block_end_string="}%#",
        comment_start_string="#%#",
        comment_end_string="#%#",
    )


def library_of(folder: Path) -> str:
    """Return the digest of the library that lies beside templates (sha256, hexadecimal)."""
    return library_digest(library_entries(folder))


def library_entries(folder: Path) -> list[Entry]:
    """Return path and digest of each file of the library that lies beside templates, in their order in the C locale."""
    return sorted((entry_of(file.path, file.octets) for file in Renderer(folder).library()), key=lambda one: one.path)


def render_plan(plan: Plan, folder: Path) -> Iterator[Rendered]:
    """Yield every file of the output one by one, SHA256SUMS last; `folder` has the templates.

    Only digests are kept, so that the memory for a thousand hosts is that of one script and a list.
    """
    renderer = Renderer(folder)
    entries: list[Entry] = []
    lengths = Lengths()
    for file in renderer.library():
        entries.append(entry_of(file.path, file.octets))
        lengths.add(file.path, file.octets.decode("ascii"))
        yield file
    for step in (plan.setup, *plan.steps):
        octets = renderer.script(step)
        entries.append(entry_of(step.path, octets, step))
        lengths.add(step.path, octets.decode("ascii"))
        yield Rendered(step.path, octets, SCRIPT_MODE)
    lines = {when.replace(" ", "_"): f"{count:,}" for when, count in lengths.sums().items()}
    octets = renderer.text(README, {**plan.readme, **lines})
    entries.append(entry_of(README, octets))
    yield Rendered(README, octets, TEXT_MODE)
    octets = manifest_octets(entries)
    entries.append(entry_of("manifest.json", octets))
    yield Rendered("manifest.json", octets, TEXT_MODE)
    yield Rendered("SHA256SUMS", sums_octets(entries), TEXT_MODE)
