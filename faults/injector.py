"""A Docker host on which cases are tried, and what each class of faults does with a case."""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dockseal.lab import Host, Lab
from dockseal.lab.errors import LabError
from dockseal.output.render import render_plan, template_folder
from dockseal.output.write import replace_folder
from dockseal.plan.planner import make_plan
from dockseal.site.load import parse
from dockseal.site.read import site_from
from faults import terminal
from faults.cases import OUT, PASSPHRASE_FILE, SIGN, SITE, Case
from faults.hostile import REQUESTS
from faults.results import Attempt, Row, attempts_of

DRIVER = "/opt/faults/driver.sh"
CASE = "/opt/faults/case"
PASSPHRASE = "correct horse battery staple"
# bash.sh takes the place of bash, and runs the real one. The file itself stays as it is: it may be in use.
REPLACE_BASH = """
if [[ ! -e /opt/faults/real/bash ]]; then
  install -D /usr/bin/bash /opt/faults/real/bash
  install /opt/faults/bash.sh /usr/bin/bash.new
  mv /usr/bin/bash.new /usr/bin/bash
fi
"""
# How long one script of the driver may take, in seconds.
PATIENCE = 3600.0
# How many attempts are made before a line tells how far it is.
AT_ONCE = 50


class Injector:
    """A host with the scripts of `SITE`, or with others, and the driver."""

    def __init__(self, host: Host, scripts: Path, say: Callable[[str], None] = lambda text: None) -> None:
        """Copy the folder `scripts`, the passphrase and the driver to the host; `say` is told how far it is."""
        self.host = host
        self.say = say
        self.case: Case | None = None
        self.commands = 0
        self.places: list[int] = []
        host.copy_in(scripts, OUT)
        host.copy_in(Path(__file__).parent / "host", "/opt/faults")
        host.bash(REPLACE_BASH)
        host.write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)

    def take(self, case: Case) -> None:
        """Lead the host to the case's beginning, and see how its script ends without a fault.

        Raises LabError where it does not end well, or not twice in the same way.
        """
        if case == self.case:
            return
        self.case = None
        self.host.write(CASE, case.text())
        result = self.host.run(["bash", DRIVER, CASE, "measure"], check=False, timeout=PATIENCE)
        if result.status != 0:
            raise LabError(f"{case}: {result.stderr.strip()[-600:]}")
        *self.places, self.commands = map(int, result.stdout.split())
        self.case = case

    def drive(self, verb: str, *words: str | int) -> list[Attempt]:
        """Run one verb of the driver, and return its attempts."""
        argv = ["bash", DRIVER, CASE, verb, *map(str, words)]
        result = self.host.run(argv, check=False, timeout=PATIENCE)
        if result.status != 0:
            raise LabError(f"{self.case}: {verb}: {result.stderr.strip()[-600:]}")
        return attempts_of(result.stdout)

    def drive_each(self, verb: str, places: Sequence[tuple[str | int, ...]]) -> list[Attempt]:
        """Run a verb of the driver that takes many places, the words of some at once."""
        found: list[Attempt] = []
        while len(found) < len(places):
            some = places[len(found) : len(found) + AT_ONCE]
            told = self.drive(verb, *itertools.chain.from_iterable(some))
            # An engine that is overloaded can let go of a driver that still works.
            if len(told) != len(some):
                raise LabError(f"{self.case}: {verb}: {len(told)} of {len(some)} places were told of")
            found += told
            if len(places) > AT_ONCE:
                self.say(f"    {verb}: {self.case}: {len(found)} of {len(places)}")
        return found

    def calls(self) -> list[float]:
        """Return how long each call of openssl, docker, systemctl and mv takes, in seconds."""
        argv = ["bash", DRIVER, CASE, "measure_calls"]
        return [int(line) / 1e6 for line in self.host.run(argv, timeout=PATIENCE).stdout.split()]


@dataclass(frozen=True)
class Part:
    """Part number `first` of the `of` parts of a case; at every `sample`-th possible place."""

    first: int = 0
    of: int = 1
    sample: int = 1

    def choose(self, places: Sequence[int], stride: int = 1) -> list[int]:
        """Return the places of this part: every `of`-th."""
        return list(places[:: self.sample * stride][self.first :: self.of])

    def of_faults(self, faults: Sequence[Fault], case: Case) -> list[Fault]:
        """Return the classes that this part tries; those without places to choose from fall to one part each."""
        return [
            fault
            for number, fault in enumerate(faults)
            if fault.concerns(case) and (fault.has_places or number % self.of == self.first)
        ]


Found = tuple[list[Attempt], int]


def killed(injector: Injector, case: Case, part: Part) -> Found:
    """Kill the script before each of its commands; of those between which nothing changes once, and every 100th."""
    points = part.choose(sorted({*injector.places, *range(1, injector.commands + 1, 100)}), case.stride)
    return injector.drive_each("kill_before", [(point,) for point in points]), injector.commands


def cut_off(injector: Injector, case: Case, part: Part) -> Found:
    """Cut the power after each change: files that were not synced until then are empty."""
    points = part.choose(injector.places, case.stride)
    return injector.drive_each("cut_power", [(point,) for point in points]), injector.commands


def killed_inside(injector: Injector, case: Case, part: Part) -> Found:
    """Kill script and program together while openssl, docker, systemctl or mv runs, at a random time of each call."""
    calls = injector.calls()
    numbers = part.choose(range(1, len(calls) + 1), case.stride)
    moments = random.Random(f"{case} {part}")  # noqa: S311 - the same moments in every run
    places = [(call, f"{moments.random() * calls[call - 1]:.6f}") for call in numbers]
    return injector.drive_each("kill_inside", places), len(calls)


def left(injector: Injector, case: Case, part: Part) -> Found:
    """Press Ctrl-C, or close the terminal, at each prompt."""
    return terminal.leave_everywhere(injector, case, PASSPHRASE)


def full(injector: Injector, case: Case, part: Part) -> Found:
    """Run the script on a small file system that grows page by page, and inode by inode, until all fits."""
    found = []
    for folder in case.writes:
        for unit in ("pages", "inodes"):
            found += injector.drive("fill_up", folder, unit, part.sample)
    return found, len(found)


def forbidden(injector: Injector, case: Case, part: Part) -> Found:
    """Run the script with a folder read-only that it writes to; /etc too."""
    folders = [*case.writes, *(["/etc"] if case.daemon else [])]
    return injector.drive("forbid", *folders), len(folders)


def together(injector: Injector, case: Case, part: Part) -> Found:
    """Run the script 20 times at once."""
    return injector.drive("run_together", case.together), 1


def taken_over(injector: Injector, case: Case, part: Part) -> Found:
    """Kill the run that holds the lock while another waits for it."""
    return injector.drive("kill_holder", injector.commands - 5), 1


def deceived(injector: Injector, case: Case, part: Part) -> Found:
    """Give the CA requests that it must refuse."""
    found = []
    for number, hostile in enumerate(REQUESTS, 1):
        words = (hostile.change, hostile.reason, int(hostile.logged), hostile.status)
        found += injector.drive("refuse", number, *words)
    return found, len(REQUESTS)


@dataclass(frozen=True)
class Fault:
    """One class: its name in tables, what it does, the cases that it is for, and whether a part tries some places."""

    name: str
    inject: Callable[[Injector, Case, Part], Found]
    concerns: Callable[[Case], bool]
    has_places: bool = False

    @property
    def what(self) -> str:
        """Return in a sentence what it does."""
        return (self.inject.__doc__ or "").strip()


FAULTS = (
    Fault("killed", killed, lambda case: True, has_places=True),
    Fault("killed inside", killed_inside, lambda case: True, has_places=True),
    Fault("power cut", cut_off, lambda case: bool(case.writes), has_places=True),
    Fault("left", left, lambda case: case.questions),
    Fault("full", full, lambda case: bool(case.writes)),
    Fault("read-only", forbidden, lambda case: bool(case.writes)),
    Fault("together", together, lambda case: case.together > 0),
    Fault("taken over", taken_over, lambda case: case.together > 0 and locks(case)),
    Fault("deceived", deceived, lambda case: case.step == SIGN[0] and case.before[-1] == SIGN[1]),
)


def locks(case: Case) -> bool:
    """Tell whether the script takes a lock; one that only reads does not."""
    return "80-list" not in case.step.script


def inject(injector: Injector, fault: Fault, case: Case, part: Part) -> Row:
    """Try one class of faults with one case, or a part of it."""
    start = time.monotonic()
    injector.take(case)
    attempts, possible = fault.inject(injector, case, part)
    lost = [attempt for attempt in attempts if attempt.problems]
    return Row(
        fault.name,
        str(case),
        injector.host.release,
        tried=len(attempts),
        of=possible,
        lost=len(lost),
        seconds=time.monotonic() - start,
        problems=tuple(f"{attempt.number}: {problem}" for attempt in lost for problem in attempt.problems),
    )


def render_site(folder: Path) -> Path:
    """Render the scripts of `SITE` into a folder."""
    plan = make_plan(site_from(parse(SITE.encode(), "site.yaml")))
    replace_folder(folder, render_plan(plan, template_folder()))
    return folder


def hosts_of(lab: Lab, release: str, count: int, say: Callable[[str], None]) -> Iterator[Injector]:
    """Boot hosts, each with the scripts."""
    with tempfile.TemporaryDirectory(prefix="dockseal-") as name:
        scripts = render_site(Path(name) / "out")
        for _ in range(count):
            yield Injector(lab.boot(release), scripts, say)
