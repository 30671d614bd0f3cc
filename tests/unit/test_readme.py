"""What the README shows is what there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dockseal.plan.planner import make_plan
from dockseal.site.read import read_site
from tests.documented import readme_table
from tests.signers import WHO, key, signers
from tests.sites import ROOT, render


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


def commands_of(section: str) -> list[str]:
    """Return the commands of a section of the README, without what is said beside them."""
    text = (ROOT / "README.md").read_text().partition(f"\n### {section}\n")[2].partition("\n#")[0]
    return [line.partition("    # ")[0].strip() for line in text.splitlines() if line.startswith("    ")]


def test_the_commands_about_packs_and_signatures_do_what_is_said(tmp_path: Path) -> None:
    """At one end and, with a folder of its own, at the other one."""
    here, there = tmp_path / "here", tmp_path / "there"
    (there / "home").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/dockseal"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dockseal "$@"\n')
    program.chmod(0o755)
    render((ROOT / "examples/split.yaml").read_text(), here / "out")
    words = {"KEY": str(key(tmp_path)), "SIGNERS": str(signers(tmp_path)), "WHO": WHO}
    path = f"{program.parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": str(ROOT / "generator"), "HOME": str(there / "home")}
    commands = commands_of("One file for each machine, signed")
    assert len(commands) == 8
    for command in commands:
        line = re.sub(r"\b(KEY|SIGNERS|WHO)\b", lambda match: words[match[1]], command)
        own = command.startswith("dockseal ")
        if not own and not (there / "ca.tar").exists():
            for name in ("ca.tar", "ca.tar.sig"):
                shutil.copy(here / "packs" / name, there)
        argv = ["bash", "-c", line]
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, cwd=here if own else there, env=environment
        )
        assert done.returncode == (3 if "--check" in command else 0), f"{command}: {done.stderr}"
    assert (here / "docker1.tar").is_file()
    assert (here / "out/SHA256SUMS.sig").is_file()
