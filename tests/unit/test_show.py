"""Facts about the table of a plan."""

from __future__ import annotations

from dockseal.plan.show import plan_table
from tests.sites import plan


def test_columns_start_at_the_same_place_in_every_line() -> None:
    lines = list(plan_table(plan("hosts:\n  - name: aa\nclients:\n  - name: bb\n").steps))
    place = lines[0].index("reads")
    assert all(line[place - 2 : place].strip() == "" for line in lines if len(line) > place)


def test_what_a_step_removes_is_shown() -> None:
    lines = list(plan_table(plan("hosts:\n  - name: aa\n").steps))
    assert any(line.endswith("removes hosts/aa/request.csr") for line in lines)


def test_a_restart_is_shown() -> None:
    (line,) = [line for line in plan_table(plan("hosts:\n  - name: aa\n").steps) if line.endswith("docker.service")]
    assert line.startswith("4   hosts/aa/20-configure-daemon.sh")
    assert "  yes  " in line
