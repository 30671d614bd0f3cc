"""Mark comments, strings and variables of bash as HTML, line by line.

A few kinds of tokens, not a parser: what it marks as a comment is held against shfmt's syntax tree by a test. In doubt
a comment is shown as code: a `#` behind anything but white space starts none here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from markupsafe import Markup

COMMENT, STRING, VARIABLE, KEYWORD, PLAIN = "c", "s", "v", "k", ""
Token = tuple[str, str]

_KEYWORDS = (
    "if|then|elif|else|fi|for|in|do|done|while|until|case|esac|select|function|local|readonly|declare|return|exit|shift"
)
# In commands, in double quotes and in ${...}; the first that matches at a place is taken.
_COMMANDS = re.compile(
    r"(?P<comment>(?:(?<=\s)|\A)#[^\n]*)|(?P<escape>\\.)|(?P<string>\$'(?:[^'\\]|\\.)*'|'[^']*')"
    r'|(?P<quote>")|(?P<arithmetic>\$?\(\()|(?P<open>\$\(|\()|(?P<close>\))|(?P<brace>\$\{)'
    r"|(?P<variable>\$(?:\w+|[#?@*$!-]))|(?P<here><<-?'(?P<word>\w+)')"
    rf"|(?P<keyword>(?:(?<=[\s;|&()])|\A)(?:{_KEYWORDS})(?=[\s;)]|\Z))|(?P<plain>[\w./:=-]+|\s+|.)",
    re.DOTALL,
)
_QUOTED = re.compile(
    r'(?P<end>")|(?P<escape>\\.)|(?P<open>\$\()|(?P<brace>\$\{)|(?P<variable>\$(?:\w+|[#?@*$!-]))|(?P<plain>[^"\\$]+|.)',
    re.DOTALL,
)
_BRACES = re.compile(
    r"""(?P<end>\})|(?P<escape>\\.)|(?P<quote>")|(?P<string>'[^']*')|(?P<open>\$\()|(?P<brace>\$\{)|(?P<plain>[^}"'\\$]+|.)""",
    re.DOTALL,
)
_MODES = {"(": _COMMANDS, '"': _QUOTED, "{": _BRACES, "((": _COMMANDS}
_PUSHES = {"quote": '"', "open": "(", "brace": "{", "arithmetic": "(("}
_CLASSES = {"comment": COMMENT, "string": STRING, "variable": VARIABLE, "keyword": KEYWORD}


def tokens(text: str) -> Iterator[Token]:
    """Yield the classes and texts of a script's tokens; put together they are the script."""
    stack = ["("]
    place, here = 0, ""
    while place < len(text):
        if here and text[place - 1] == "\n":
            end = re.compile(rf"^{here}$", re.MULTILINE).search(text, place)
            stop = end.start() if end else len(text)
            yield STRING, text[place:stop]
            place, here = stop, ""
            continue
        match = _MODES[stack[-1]].match(text, place)
        if match is None:  # every mode ends with `.`
            break
        kind = match.lastgroup or "plain"
        kind = "here" if kind == "word" else kind
        here = match["word"] if kind == "here" else here
        yield _class(kind, stack), match[0]
        _step(kind, stack)
        place = match.end()


def _class(kind: str, stack: list[str]) -> str:
    """Return how a token is shown: what stands in quotes is a string, what stands in ${...} a variable."""
    if kind in _CLASSES:
        return _CLASSES[kind]
    if kind == "brace" or stack[-1] == "{":
        return VARIABLE
    return STRING if kind == "quote" or stack[-1] == '"' else PLAIN


def _step(kind: str, stack: list[str]) -> None:
    """Enter or leave quotes, braces and parentheses; the last `)` of a case pattern leaves nothing."""
    if kind in _PUSHES:
        stack.append(_PUSHES[kind])
    elif kind == "end" or (kind == "close" and stack[-1] == "(" and len(stack) > 1):
        stack.pop()
    elif kind == "close" and stack[-1] == "((":
        stack[-1] = "("


def lines(text: str) -> list[Markup]:
    """Return the lines of a script as HTML."""
    parts: list[str] = []
    last, run = PLAIN, ""
    for kind, found in [*tokens(text.removesuffix("\n")), ("end", "")]:
        if kind == last:
            run += found
            continue
        parts.append(_marked(last, run))
        last, run = kind, found
    return [Markup(line) for line in "".join(parts).split("\n")]  # noqa: S704 - each part is escaped


def _marked(kind: str, text: str) -> str:
    """Return a run of one class; a tag never spans two lines."""
    found = html.escape(text, quote=False)  # it stands in elements alone, never in an attribute
    if kind == PLAIN:
        return found
    return "\n".join(f"<b class={kind}>{line}</b>" if line.strip() else line for line in found.split("\n"))
