"""Facts about templates and values that stand in them."""

from __future__ import annotations

from pathlib import Path

import jinja2
import jinja2.meta
import pytest

from dockseal.errors import TemplateError
from dockseal.output.manifest import LIBRARY
from dockseal.output.reading import LOADS
from dockseal.output.render import MANUAL, Comment, Renderer, bash_word, plain_text, render_plan
from dockseal.plan.planner import make_plan
from dockseal.plan.steps import Context, Step, Words
from dockseal.site.read import read_site
from tests.sites import ONE_HOST, ROOT, TEMPLATES, plan, render


def rendered(tmp_path: Path, text: str, **context: object) -> str:
    (tmp_path / "x.sh").write_text(text)
    step = Step("x.sh", "ca", "x.sh", "test", context)  # type: ignore[arg-type]
    return Renderer(tmp_path).script(step).decode()


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", "'it'\\''s'"),
        ("$(id)`id`\\", "'$(id)`id`\\'"),
        (0, "0"),
        (2376, "2376"),
        (
            Words("openssl", "-out", "a b", "", "it's", "--x=/y:1", "[::1]", "~", "$x"),
            "openssl -out 'a b' '' 'it'\\''s' --x=/y:1 '[::1]' '~' '$x'",
        ),
    ],
)
def test_a_value_is_one_bash_word(value: object, word: str) -> None:
    assert bash_word(value) == word


@pytest.mark.parametrize(
    "value", [None, True, [], (), {}, 1.5, b"x", "a\nb", "a\tb", "a\x00", "\x7f", "caf\xe9", Words("a\nb")]
)
def test_what_is_no_plain_text_or_number_is_refused(value: object) -> None:
    with pytest.raises(TemplateError):
        bash_word(value)
    with pytest.raises(TemplateError):
        plain_text(value)


@pytest.mark.parametrize("text", ["Reads: a\nid", "a\x07", "a\n# caf\xe9", "a\r# b"])
def test_a_comment_that_could_end_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        Comment(text)


def test_bash_that_looks_like_a_template_stays(tmp_path: Path) -> None:
    text = 'printf "%s" "${#a[@]}" "${@}" "{{.ID}}" "{% x %}" "{# y #}" # % z\n\n'
    assert rendered(tmp_path, text) == text


def test_a_loop_takes_whole_lines_and_no_blank_line_is_lost(tmp_path: Path) -> None:
    text = "a=(\n#% for x in xs\n  @{x}\n#% endfor\n)\n\n#% for x in xs\n@{x}\n#% endfor\n\nb\n"
    assert rendered(tmp_path, text, xs=["1", "2"]) == "a=(\n  '1'\n  '2'\n)\n\n'1'\n'2'\n\nb\n"


def test_an_unknown_variable_names_itself(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="^x.sh: 'port' is undefined$"):
        rendered(tmp_path, "@{port}\n")


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"^x\.sh:3: "):
        rendered(tmp_path, "a\n\n#% for\n")


def library(folder: Path) -> None:
    """Put a library of one file beside templates."""
    (folder / LIBRARY).mkdir()
    (folder / LIBRARY / "begin.sh").write_text("true\n")


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=": there is no lib; install dockseal again$"):
        list(render_plan(plan(ONE_HOST), tmp_path))
    library(tmp_path)
    with pytest.raises(TemplateError, match=": there is no template setup.sh; install dockseal again$"):
        list(render_plan(plan(ONE_HOST), tmp_path))


def test_a_template_that_is_not_ascii_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="is not ASCII"):
        rendered(tmp_path, "# caf\xe9\n")


def test_a_script_without_the_line_above_its_body_is_refused(tmp_path: Path) -> None:
    (tmp_path / "setup.sh").write_text("true\n")
    library(tmp_path)
    with pytest.raises(TemplateError, match="^setup.sh: not exactly one line starts with '# ==== Below this line'"):
        list(render_plan(plan(ONE_HOST), tmp_path))


def contexts() -> dict[str, Context]:
    plans = [make_plan(read_site(ROOT / "examples" / f"{name}.yaml")) for name in ("document", "fleet")]
    return {step.template: step.context for found in plans for step in (found.setup, *found.steps)}


def undeclared(environment: jinja2.Environment, template: str) -> set[str]:
    assert environment.loader is not None
    tree = environment.parse(environment.loader.get_source(environment, template)[0])
    return set(jinja2.meta.find_undeclared_variables(tree))


@pytest.mark.parametrize("template", sorted(contexts()))
def test_a_template_uses_exactly_the_constants_that_the_plan_gives(template: str) -> None:
    environment = Renderer(TEMPLATES).scripts
    assert undeclared(environment, template) == {*contexts()[template], MANUAL}


def test_every_template_is_used() -> None:
    assert {path.name for path in TEMPLATES.glob("*.sh")} == set(contexts())


def test_every_file_of_the_library_is_loaded() -> None:
    """By a script or, for one option alone, by another file of it."""
    files = [*contexts(), *(f"{LIBRARY}/{path.name}" for path in (TEMPLATES / LIBRARY).glob("*.sh"))]
    found = {name for file in files for name in LOADS.findall((TEMPLATES / file).read_text())}
    assert found == {path.name for path in (TEMPLATES / LIBRARY).glob("*.sh")}


def test_the_library_is_the_same_for_every_site(tmp_path: Path) -> None:
    for path in (render(ONE_HOST, tmp_path / "out") / LIBRARY).iterdir():
        assert path.read_bytes() == (TEMPLATES / LIBRARY / path.name).read_bytes()
