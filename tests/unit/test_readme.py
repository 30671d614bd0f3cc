"""What the README shows is what there is."""

from __future__ import annotations

import re

import pytest

from dockseal.plan.planner import make_plan
from dockseal.site.read import read_site
from tests.documented import readme_table
from tests.sites import ROOT


def test_the_table_of_documented_commands_is_the_one_of_the_docs() -> None:
    assert "\n".join(readme_table()) in (ROOT / "README.md").read_text()


def limits() -> str:
    """Return the README's section about limits, as one line."""
    return " ".join((ROOT / "README.md").read_text().partition("\n## Limits\n")[2].partition("\n## ")[0].split())


def test_the_limits_name_who_refuses_a_key_of_type_ed25519() -> None:
    (item,) = [item for item in limits().split("- ") if "ed25519" in item]
    for name in ("NSS", "Firefox", "cryptography", "certvalidator"):
        assert re.search(rf"\b{name}\b", item), name


def test_the_limits_name_the_benchmark_s_items_that_are_left_as_they_are_found() -> None:
    (item,) = [item for item in limits().split("- ") if "docker-bench" in item]
    assert set(re.findall(r"(?<![\w.])2\.[0-9]+\b", item)) == {"2.8", "2.12", "2.13", "2.14", "2.15", "2.16"}


@pytest.mark.parametrize("readme", ["README.md", "out/README.md"])
def test_a_machine_of_a_split_site_is_told_to_say_which_one_it_is(readme: str) -> None:
    assert "setup.sh --as ca`" in (ROOT / readme).read_text()


def test_each_machine_of_the_hand_over_says_which_one_it_is() -> None:
    text = (ROOT / "README.md").read_text().partition("\n## An air-gapped hand-over\n")[2].partition("\n## ")[0]
    parties = {step.party for step in make_plan(read_site(ROOT / "examples/split.yaml")).steps}
    assert set(re.findall(r"setup\.sh --as (\S+)`", text)) == parties - {"clients/build-agent"}
