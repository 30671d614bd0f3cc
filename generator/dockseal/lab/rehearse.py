"""Run a site's scripts on throwaway hosts as an operator would, and compare the hosts before and after."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dockseal.lab.engine import Progress
from dockseal.lab.host import Host
from dockseal.lab.machines import Machine, machines_of, names_from_afar
from dockseal.lab.process import Result
from dockseal.lab.results import Control, Rehearsal, Stage, controls_from
from dockseal.lab.session import Lab
from dockseal.lab.snapshot import Change, Snapshot, difference
from dockseal.lab.terminal import HIDDEN, Terminal, plain
from dockseal.output.render import render_plan, template_folder
from dockseal.output.write import replace_folder
from dockseal.plan.planner import Plan, make_plan
from dockseal.site.model import Site
from dockseal.site.read import read_site

HOME = "/root"
SCRIPTS = f"{HOME}/out"
WORK = f"{HOME}/docker-tls"
# The prompts of the scripts, as regular expressions.
PASSPHRASE = r"Passphrase for the CA key: "  # noqa: S105 - the prompt
AGAIN = r"The same passphrase again: "
CONFIRM = r"\[y/N\] "
MAX_PROMPTS = 20
STEP_TIMEOUT = 300
# Where a user is (useradd(8)). A user that dockerd has made for user namespaces outlives --undo: its ids own files.
USER_FILES = tuple(
    f"/etc/{name}{copy}" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid") for copy in ("", "-")
)
NOTHING_TO_DO, CHANGES_TO_MAKE, CONTROL_FAILS, WAITS = 0, 3, 4, 5


def rehearse(site_file: Path, release: str, progress: Progress) -> tuple[Rehearsal, str]:
    """Rehearse a site on one Debian release; return what was found and the transcript.

    Raises SiteError for a bad site, LabUnavailable where the lab cannot work.
    """
    site = read_site(site_file)
    plan = make_plan(site)
    machines = machines_of(site)
    with tempfile.TemporaryDirectory(prefix="dockseal-") as name, Lab.open(progress) as lab:
        out = Path(name) / "out"
        replace_folder(out, render_plan(plan, template_folder()))
        found = Rehearsal(str(site_file), release, f"{lab.engine.address} {lab.engine.version}")
        players = _boot(lab, site, machines, release, out, found, progress)
        play = Play(site, plan, players, found)
        play.run()
    return found, play.transcript()


class Player:
    """One machine with its host, what it looked like at first, and what its terminal showed."""

    def __init__(self, machine: Machine, host: Host, found: Rehearsal, progress: Progress, passphrase: str) -> None:
        """Take the snapshot that everything is compared with."""
        self.machine = machine
        self.host = host
        self.found = found
        self.progress = progress
        self.passphrase = passphrase
        self.shown: list[str] = []
        self.first = self.last = host.snapshot()

    @property
    def name(self) -> str:
        """Return the machine's name."""
        return self.machine.name

    def setup(self, name: str, *options: str, expected: int = NOTHING_TO_DO) -> None:
        """Run setup.sh on a terminal and answer its questions."""
        words = ["bash", "out/setup.sh", *self.machine.options, *options]
        self._tell(name)
        started = time.monotonic()
        terminal = self.host.spawn(words, timeout=STEP_TIMEOUT, watch=self._watch)
        status = converse(terminal, self.passphrase)
        seconds = time.monotonic() - started
        self._show(words, terminal.transcript.text, status)
        problem = "" if status == expected else f"exit status {status}, expected {expected}"
        if terminal.transcript.leaked:
            problem = "the passphrase was shown on the terminal"
        self._note(name, words, status, seconds, problem, self._changes())

    def command(self, name: str, words: Sequence[str], expected: int) -> Result:
        """Run a script without a terminal and note what it changed."""
        self._tell(name)
        started = time.monotonic()
        result = self.host.run(words, check=False, timeout=STEP_TIMEOUT)
        seconds = time.monotonic() - started
        self._show(words, result.output, result.status)
        problem = "" if result.status == expected else f"exit status {result.status}, expected {expected}"
        self._note(name, words, result.status, seconds, problem, self._changes())
        return result

    def expect_nothing(self, words: str) -> None:
        """Make the last stage a problem when it changed or restarted something."""
        changes = difference(self.before, self.last, strict=True)
        if changes:
            self._blame(f"{words} changed something", changes)

    def expect_restored(self, kept: Iterable[str]) -> None:
        """Make the last stage a problem when the machine is not as it was at first, but for what is kept."""
        changes = difference(self.first, self.last, without=(WORK, *kept))
        if changes:
            self._blame("the machine is not as it was before", changes)

    def verify(self, plan: Plan) -> None:
        """Run this machine's verify scripts and keep their controls."""
        for step in plan.steps:
            wanted = not self.machine.parties or step.party in self.machine.parties
            if not wanted or not step.path.endswith(("/90-verify.sh", "/91-prove-isolation.sh")):
                continue
            words = ["bash", f"out/{step.path}", "--json"]
            result = self.command(f"verify {step.party}", words, NOTHING_TO_DO)
            self.found.controls += self._controls(result, step.path)
            self.expect_nothing("verifying")

    def _controls(self, result: Result, step: str) -> list[Control]:
        try:
            return controls_from(result.stdout, self.name, step)
        except ValueError as error:
            return [Control(self.name, step, "JSON", "FAIL", "its output is JSON lines", evidence=str(error))]

    def _changes(self) -> list[Change]:
        self.before: Snapshot = self.last
        self.last = self.host.snapshot()
        return difference(self.before, self.last)

    def _note(
        self, name: str, words: Sequence[str], status: int, seconds: float, problem: str, changes: Iterable[Change]
    ) -> None:
        lines = tuple(str(change) for change in changes)
        stage = Stage(self.name, name, " ".join(words), status, round(seconds, 2), problem, lines)
        self.found.stages.append(stage)
        if problem:
            self.progress(f"{self.name}: {name}: {problem}")

    def _blame(self, words: str, changes: Iterable[Change]) -> None:
        old = self.found.stages.pop()
        said = f"{words}: {'; '.join(str(change) for change in changes)}"
        problem = f"{old.problem}; {said}" if old.problem else said
        stage = Stage(old.machine, old.name, old.command, old.status, old.seconds, problem, old.changes)
        self.found.stages.append(stage)
        self.progress(f"{self.name}: {old.name}: {problem}")

    def _show(self, words: Sequence[str], text: str, status: int) -> None:
        clean = plain(text).replace(self.passphrase, HIDDEN)
        self.shown.append(f"{self.name}# {' '.join(words)}\n{clean.rstrip()}\n[exit status {status}]\n")

    def _tell(self, name: str) -> None:
        self.progress(f"{self.name}: {name}")

    def _watch(self, line: str) -> None:
        if line.startswith("[") and line.endswith(")"):
            self.progress(f"{self.name}:   {line}")


def converse(terminal: Terminal, passphrase: str) -> int:
    """Answer the questions of setup.sh until it ends; return its exit status."""
    for _ in range(MAX_PROMPTS):
        place = terminal.expect(PASSPHRASE, AGAIN, CONFIRM)
        if place < 0:
            break
        if place == 2:
            terminal.answer("y")
        else:
            terminal.answer_secretly(passphrase)
    return terminal.wait()


class Play:
    """The whole rehearsal: one machine, or one for each party with files carried between them."""

    def __init__(self, site: Site, plan: Plan, players: Sequence[Player], found: Rehearsal) -> None:
        """Take the players in the order ca, hosts, clients."""
        self.site = site
        self.plan = plan
        self.players = players
        self.found = found

    def run(self) -> None:
        """Run every stage on every machine; without a finished setup only --undo is left to try."""
        for player in self.players:
            player.command("check before", self._setup(player, "--check"), CHANGES_TO_MAKE)
            player.expect_nothing("--check")
        self._set_up()
        if all(stage.status in (NOTHING_TO_DO, CHANGES_TO_MAKE, CONTROL_FAILS, WAITS) for stage in self.found.stages):
            for player in self.players:
                player.verify(self.plan)
            for player in self.players:
                # What those show is seen; that they leave nothing too.
                player.setup("setup again", "--no-containers")
                player.expect_nothing("the second run")
                player.command("check after", self._setup(player, "--check"), NOTHING_TO_DO)
                player.expect_nothing("--check")
        for player in reversed(self.players):
            player.command("undo", self._setup(player, "--undo", "--yes"), NOTHING_TO_DO)
            player.expect_restored(self._kept(player))

    def _kept(self, player: Player) -> tuple[str, ...]:
        """Return what --undo leaves behind as it says."""
        parties = player.machine.parties
        makes_user = any(step.effects.users for step in self.plan.steps if not parties or step.party in parties)
        return USER_FILES if makes_user else ()

    def _setup(self, player: Player, *options: str) -> list[str]:
        return ["bash", "out/setup.sh", *player.machine.options, *options]

    def _set_up(self) -> None:
        authority, *others = self.players
        if authority.machine.parties[:1] != ("ca",):
            for player in self.players:
                player.setup("setup")
            return
        plain = {f"hosts/{host.name}" for host in self.site.hosts if not host.has_tls}
        certified = [player for player in others if player.machine.parties[0] not in plain]
        authority.setup("make the CA", expected=WAITS)
        for player in certified:
            player.setup("request a certificate", expected=WAITS)
            self._carry(player, authority, player.machine.parties[0], self._requests(player))
        authority.setup("sign the requests")
        for player in others:
            if player in certified:
                self._carry(authority, player, player.machine.parties[0], self._answers(player))
            player.setup("setup")

    def _requests(self, player: Player) -> tuple[str, ...]:
        files = self.site.files
        return (files.client_request if self._is_client(player) else files.server_request,)

    def _answers(self, player: Player) -> tuple[str, ...]:
        files = self.site.files
        certificate = files.client_certificate if self._is_client(player) else files.server_certificate
        return (certificate, files.ca_certificate)

    def _is_client(self, player: Player) -> bool:
        return player.machine.parties[0].startswith("clients/")

    def _carry(self, source: Player, target: Player, folder: str, names: Iterable[str]) -> None:
        """Carry files of one party to the same place on another machine; never a private key."""
        target.host.run(["mkdir", "-p", "-m", "0700", "--", WORK, f"{WORK}/{folder.split('/')[0]}", f"{WORK}/{folder}"])
        for name in names:
            path = f"{WORK}/{folder}/{name}"
            if source.host.exists(path):
                target.host.write(path, source.host.read_bytes(path))
        target.last = target.host.snapshot()

    def transcript(self) -> str:
        """Return what every terminal showed, machine by machine."""
        text = "\n".join(part for player in self.players for part in player.shown)
        return text.replace(self.players[0].passphrase, HIDDEN)


def _boot(
    lab: Lab, site: Site, machines: Sequence[Machine], release: str, out: Path, found: Rehearsal, progress: Progress
) -> list[Player]:
    """Boot all machines, copy the scripts in, and let the machines find each other."""
    lab.ensure_images((release,))
    progress(f"booting {release}: {', '.join(machine.name for machine in machines)}")

    def boot(machine: Machine) -> Host:
        return lab.boot(release, name=machine.name, addresses=machine.addresses, names=machine.names)

    with ThreadPoolExecutor(max_workers=4) as pool:
        hosts = list(pool.map(boot, machines))
    if len(machines) > 1:
        _introduce(site, machines, hosts)
    for host in hosts:
        host.copy_in(out, SCRIPTS)
    versions = "openssl version; dockerd --version; bash --version | head -n 1"
    found.versions = {release: hosts[0].bash(versions).stdout.strip().replace("\n", "; ")}
    passphrase = secrets.token_urlsafe(18)
    return [Player(machine, host, found, progress, passphrase) for machine, host in zip(machines, hosts, strict=True)]


def _introduce(site: Site, machines: Sequence[Machine], hosts: Sequence[Host]) -> None:
    """Tell each machine where the names and addresses of the others are."""
    at = {machine.parties[0]: host for machine, host in zip(machines, hosts, strict=True)}
    for site_host in site.hosts:
        host = at[f"hosts/{site_host.name}"]
        names = names_from_afar(site_host, host.address())
        for other in hosts:
            if other is not host:
                other.reach(host)
                other.know(names)
