"""What the scripts declare is what they do, what --check prints is what they run, and --undo leaves no trace."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from dockseal.lab import Host
from dockseal.plan.steps import Step
from tests.host.support import NAME, PASSPHRASE_FILE, WORK, install, site
from tests.host.traces import LISTENS, printed, traced
from tests.sites import plan

pytestmark = pytest.mark.one_release

TEXTFILES = "/var/lib/textfiles"
SITE = site(more="    shell_profile: .bashrc\n").replace(
    "clients:",
    f"""\
    userns_remap: default
    textfile_directory: {TEXTFILES}
    networks:
      - {{name: front, icc: false, subnet: 10.201.5.0/24}}
clients:""",
)
# Another site, rendered into the first one's folder: its host has no TLS, and setup.sh does no more than its scripts.
PLAIN_SITE = f'hosts:\n  - {{name: {NAME}, mode: plain, listen: "127.0.0.1:2375"}}\n'
PLAIN_DAEMON, PLAIN_VERIFY, SETUP = (
    f"plain/{path}" for path in (f"hosts/{NAME}/20-configure-daemon.sh", f"hosts/{NAME}/90-verify.sh", "setup.sh")
)


def together(step: Step, others: Iterable[Step]) -> Step:
    """Return a step with its own effects and those of others that it runs."""
    effects = step.effects
    for other in others:
        more = other.effects
        effects = replace(
            effects,
            files=(*effects.files, *more.files),
            units=(*effects.units, *more.units),
            temporary=(*effects.temporary, *more.temporary),
        )
    return replace(step, effects=effects)


def plain_steps() -> dict[str, Step]:
    """Return what is tried of the site without TLS: setup.sh runs both of the others."""
    planned = plan(PLAIN_SITE)
    steps = {f"plain/{step.path}": step for step in planned.steps}
    both = {path: steps[path] for path in (PLAIN_DAEMON, PLAIN_VERIFY)}
    return {**both, SETUP: together(planned.setup, both.values())}


STEPS: dict[str, Step] = {step.path: step for step in plan(SITE).steps} | plain_steps()
CREATE, SERVERS, CLIENTS, ROLL, BACK_UP, LIST = (
    f"ca/{name}.sh"
    for name in (
        "10-create-ca",
        "20-sign-servers",
        "30-sign-clients",
        "60-roll-over-ca",
        "70-back-up-ca",
        "80-list-certificates",
    )
)
REQUEST, DAEMON, NETWORKS, SHOW, WATCH, VERIFY, PROVE = (
    f"hosts/{NAME}/{name}.sh"
    for name in (
        "10-request-certificate",
        "20-configure-daemon",
        "30-create-networks",
        "40-show-namespaces",
        "60-watch-expiry",
        "90-verify",
        "91-prove-isolation",
    )
)
CLIENT_REQUEST, CLIENT, CLIENT_SHOW, CLIENT_EXPIRY, CLIENT_VERIFY = (
    f"clients/client/{name}.sh"
    for name in ("10-request-certificate", "20-configure-client", "50-show-tls-modes", "60-check-expiry", "90-verify")
)
ASKS = (CREATE, SERVERS, CLIENTS, ROLL, BACK_UP)
BACKUP = "/root/ca.backup"
SIGN = [(SERVERS,), (CLIENTS,), (DAEMON,), (CLIENT,)]
# One life of a machine that is CA, host and client: every script, in an order in which an operator may run it.
LIFE: list[tuple[str, ...]] = [
    *((path,) for path in (CREATE, REQUEST, SERVERS, CLIENT_REQUEST, CLIENTS, DAEMON, NETWORKS, CLIENT)),
    *((path,) for path in (SHOW, CLIENT_SHOW, VERIFY, PROVE, CLIENT_VERIFY)),
    *((path,) for path in (WATCH, LIST, CLIENT_EXPIRY)),
    (WATCH, "--now"),
    (BACK_UP, "--to", BACKUP),
    *((path, "--renew", "--new-key") for path in (REQUEST, CLIENT_REQUEST)),
    *SIGN,
    (ROLL, "--begin"),
    *SIGN,
    (ROLL, "--switch"),
    *((path, "--renew") for path in (REQUEST, CLIENT_REQUEST)),
    *SIGN,
    (ROLL, "--finish"),
    *SIGN,
    *((path, "--undo") for path in (WATCH, SHOW, PROVE, CLIENT, NETWORKS, DAEMON)),
    *((path, "--undo", "--remove-keys") for path in (ROLL, CLIENTS, CLIENT_REQUEST, SERVERS, REQUEST, CREATE)),
    ("", "mv", f"{WORK}/ca", "/root/ca-that-was-lost"),
    (BACK_UP, "--restore", BACKUP),
    *((PLAIN_DAEMON,), (PLAIN_VERIFY,), (PLAIN_DAEMON, "--undo")),
    ("", "mv", WORK, "/root/work-of-the-first"),
    *((SETUP, "--as", f"hosts/{NAME}", "--no-containers"), (SETUP, "--undo", "--no-containers")),
]
# Whoever had a file of the name before has it back after --undo: these are the copies of the meantime.
HAD = """
mkdir -p "$1" /root/.docker; chmod 0755 /root/.docker
for name in ca cert key; do echo "mine" >"/root/.docker/$name.pem"; done
"""
STICK = "/media/stick"
# A request must be hostile for the first: test_certificates.py. The second is for another --dir: test_setup.py. The
# third is for a split site: test_exchange.py.
NOT_IN_A_QUIET_LIFE = {f"{WORK}/ca/refused.txt", "/root/docker-tls.link", STICK}
# Its back-up is that of a CA that was never rolled over: tests/scripts/test_ca_back_up.py restores the others.
NOT_RESTORED = {
    f"{WORK}/ca/{name}"
    for name in (
        "authorities.pem",
        *(f"{folder}/{name}" for folder in ("next", "previous") for name in ("ca-private.pem", "ca-public.pem")),
        "retired-SERIAL",
    )
}
STARTED = """
systemctl show --property=Id,InvocationID,NRestarts docker.service docker.socket dockseal-watch-expiry.timer \
  dockseal-watch-expiry.service | paste -sd ' ' | sed 's/  /\\n/g'
"""
MADE = 'docker events --since "$1" --until "$(date +%s.%N)" --format "{{.Type}} {{.Action}}" | sort --unique'


@dataclass(frozen=True)
class Run:
    """One run of a script: what --check printed before it and changed, and what came of it."""

    argv: tuple[str, ...]
    status: int
    said: str
    would: list[str] | None
    checked: set[str]
    did: list[str]
    changed: set[str]
    units: set[str]
    made: set[str]


def invocations(host: Host) -> dict[str, str]:
    return dict(re.findall(r"Id=(\S+).*?InvocationID=(\S*)", host.bash(STARTED).stdout))


def states(host: Host, step: Step) -> dict[str, str]:
    """Return inode and time of change of each file that a step declares, for those that dockerd or systemd write."""
    paths = [absolute(path) for path in step.writes]
    lines = host.run(["stat", "--format=%n %i %Z", "--", *paths], check=False).stdout.splitlines()
    return dict(line.split(" ", 1) for line in lines)


def run_one(host: Host, argv: tuple[str, ...]) -> Run:
    """Run a script with --check where it can be, then without; both are traced."""
    path, *words = argv
    step = STEPS[path]
    base = ["bash", f"/root/out/{path}", *words, *(("--passphrase-file", PASSPHRASE_FILE) if path in ASKS else ())]
    would, checked = None, set[str]()
    if not {"--undo", "--now"} & set(words):
        found = traced(host, [*base, "--check"])
        assert found.status in (0, 3), found.said
        would, checked = printed(found.output, ""), found.changed
    before, files, since = invocations(host), states(host, step), host.run(["date", "+%s.%N"]).stdout.strip()
    found = traced(host, [*base, "--yes"])
    after = invocations(host)
    written = {name for name, state in states(host, step).items() if files.get(name) != state}
    units = {unit for unit in before.keys() | after.keys() if before.get(unit) != after.get(unit)}
    made = set(host.bash(MADE, since, check=False).stdout.splitlines())
    did = printed(found.said, "+ ")
    return Run(argv, found.status, found.said, would, checked, did, found.changed | written, units, made)


@pytest.fixture(scope="module")
def life(host: Host, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Run every script of a site, each traced."""
    install(host, tmp_path_factory.mktemp("effects"), SITE)
    install(host, tmp_path_factory.mktemp("plain"), PLAIN_SITE, "/root/out/plain")
    host.bash(HAD, TEXTFILES)
    runs = []
    for argv in LIFE:
        if argv[0]:
            runs.append(run_one(host, argv))
            assert runs[-1].status == 0, f"{argv}\n{runs[-1].said}"
        else:
            host.bash('[[ ! -e $2 ]] || "$@"', *argv[1:])
    return runs


def absolute(path: str) -> str:
    """Return a declared path on the machine of this test."""
    if path.startswith("FILE"):
        return {"FILE (--to)": BACKUP, "FILE (--restore)": BACKUP, "FILE (--exchange)": STICK}[path]
    path = re.sub("^~", "/root", path)
    return path if path.startswith("/") else f"{WORK}/{path}"


def plain(path: str) -> str:
    """Return a changed path as it is declared, with words for what only the run knows; "" for what is not whole."""
    if path.endswith(".new"):
        return ""
    path = path.replace(".dockseal.new/", "/").replace(".new/", "/")
    path = re.sub(r"^/tmp/tmp\.\w+(/.*)?$", "/tmp/RANDOM", path)
    path = re.sub(r"^(/run/dockseal-(?:probe|confined))\.\w+(/.*)?$", r"\1.RANDOM", path)
    path = re.sub(r"-[0-9a-f]{16}(?=/|$)", "-DIGEST", path)
    path = re.sub(r"/[0-9a-f]{64}(?=/|$)", "/DIGEST", path)
    return re.sub(r"/retired-[0-9A-F]{16}(?=/|$)", "/retired-SERIAL", path)


def declared(step: Step) -> set[str]:
    effects = step.effects
    return {
        absolute(path).rstrip("/") for path in (*step.writes, *effects.removes, *effects.temporary, *effects.undoes)
    }


def of(life: list[Run], path: str) -> list[Run]:
    return [run for run in life if run.argv[0] == path]


@pytest.mark.parametrize("path", STEPS)
def test_a_script_changes_nothing_that_it_does_not_declare(life: list[Run], path: str) -> None:
    named = declared(STEPS[path])
    inside = tuple(f"{absolute(name)}" for name in STEPS[path].effects.temporary)
    changed = {plain(name) for run in of(life, path) for name in run.changed} - {LISTENS, ""}
    # Folders that lead to a file are made and removed with it.
    assert {
        name
        for name in changed - named
        if not any(one.startswith(f"{name}/") for one in named) and not name.startswith(inside)
    } == set()


@pytest.mark.parametrize("path", STEPS)
def test_what_a_script_declares_it_does(life: list[Run], path: str) -> None:
    changed = {plain(name) for run in of(life, path) for name in run.changed}
    files = {absolute(name).rstrip("/") for name in (*STEPS[path].writes, *STEPS[path].effects.temporary)}
    assert files - changed - NOT_IN_A_QUIET_LIFE - (NOT_RESTORED if path == BACK_UP else set()) == set()


def test_what_is_declared_to_be_removed_is_removed_by_a_script(life: list[Run]) -> None:
    """An extension file in a party's folder is an earlier version's."""
    changed = {plain(name) for run in life for name in run.changed}
    removed = {absolute(name) for step in STEPS.values() for name in step.effects.removes if "extfile" not in name}
    assert removed - changed == set()


@pytest.mark.parametrize("path", STEPS)
def test_a_script_starts_what_it_declares_and_nothing_else(life: list[Run], path: str) -> None:
    effects = STEPS[path].effects
    assert {unit for run in of(life, path) for unit in run.units} == set(effects.units)
    made = {what for run in of(life, path) for what in run.made}
    started = " ".join(effects.starts)
    assert ("container create" in made, "image import" in made) == ("containers" in started, "image" in started)
    assert ("network create" in made) == (bool(effects.networks) or "networks" in started)
    listens = any(LISTENS in run.changed for run in of(life, path))
    assert listens == ("a TLS server" in started)


@pytest.mark.parametrize("path", STEPS)
def test_check_changes_nothing(life: list[Run], path: str) -> None:
    """A back-up is read into a folder for the purpose, and so is what the sandbox is to know: both are removed."""
    temporary = {"/tmp/RANDOM", "/run/dockseal-confined.RANDOM"}
    assert {plain(name) for run in of(life, path) for name in run.checked} <= {*temporary, ""}


def comparable(commands: list[str]) -> list[str]:
    """Return commands without what is random: digests, and the line of a certificate that is not there yet.

    setup.sh says whose they are.
    """
    text = "\0".join(line for line in commands if not re.fullmatch(r"# \S+\.sh", line))
    for pattern, word in (
        (r"-[0-9a-f]{16}\b", "-DIGEST"),
        (r"retired-[0-9A-F]{16}\b", "retired-SERIAL"),
        (r"# a line for (\S+) is added to ([^\0]+)", r"line \1 \2"),
        (r"cat >>(\S+) <<'END'\n[0-9A-F]+ (\S+) [^\0]*\nEND", r"line \2 \1"),
    ):
        text = re.sub(pattern, word, text)
    return text.split("\0")


# test_namespaces.py and test_networks.py follow the throwaway containers, whose names come from docker.
CHECKED = sorted({argv[0] for argv in LIFE if argv[0]} - {SHOW, PROVE})


@pytest.mark.parametrize("path", CHECKED)
def test_apply_runs_the_commands_that_check_printed(life: list[Run], path: str) -> None:
    for run in of(life, path):
        if run.would is not None:
            assert comparable(run.did) == comparable(run.would), run.argv
