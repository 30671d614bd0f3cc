"""What the README shows is what there is."""

from __future__ import annotations

from tests.documented import readme_table
from tests.sites import ROOT


def test_the_table_of_documented_commands_is_the_one_of_the_docs() -> None:
    assert "\n".join(readme_table()) in (ROOT / "README.md").read_text()
