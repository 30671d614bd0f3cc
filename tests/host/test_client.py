"""A client's files, contexts and shell profile: put there, kept up to date, and taken away again."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from dockseal.lab import Host, Result
from tests.host.authority import new_authority
from tests.host.support import (
    CERTIFICATE_STEPS,
    CLIENT,
    DAEMON,
    KEYS,
    PASSPHRASE_FILE,
    UNATTENDED,
    VERIFY_CLIENT,
    WORK,
    changed,
    digest,
    install,
    refuses,
    setup,
    site,
    verify,
)

pytestmark = pytest.mark.no_probe_image
ERROR = f"error: {CLIENT}:"
CLIENT_REQUEST = "clients/client/10-request-certificate.sh"
CHECK_EXPIRY = "clients/client/60-check-expiry.sh"
ALICE = "clients/alice/20-configure-client.sh"
FOLDER = f"{WORK}/clients/client"
INSTALLED = {"key.pem": "client-key.pem", "cert.pem": "client-certificate.pem", "ca.pem": "ca-public.pem"}
# Somebody's profile: no line end at its end, trailing blanks, an empty line, octets that are no UTF-8.
PROFILE = b"# mine\nexport A='b'  \n\n\tumask 022 # \xe9"
BLOCK = (
    b"# >>> dockseal clients/client/20-configure-client.sh >>>\n"
    b"export DOCKER_HOST=tcp://localhost:2376\n"
    b"export DOCKER_TLS_VERIFY=1\n"
    b"# <<< dockseal clients/client/20-configure-client.sh <<<\n"
)
_homes = itertools.count(1)


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A Docker host of the site, and the client's certificate on the same machine."""
    scratch = tmp_path_factory.mktemp("site")
    install(host, scratch)
    alice = "  - {name: alice, key: ec:P-256}\n"
    install(host, scratch, site(more=f"    shell_profile: .profile\n{alice}"), "/root/with-profile")
    setup(host, *CERTIFICATE_STEPS, DAEMON, *UNATTENDED)
    for step in ("clients/alice/10-request-certificate.sh", "ca/30-sign-clients.sh"):
        host.run(["bash", f"/root/with-profile/{step}", *UNATTENDED[: 1 if "10-" in step else None]])
    return host


class Home:
    """A home folder on a host, and the client's scripts run in it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.path = f"/root/home-{next(_homes)}"
        host.run(["mkdir", self.path])

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": self.path}

    def run(self, step: str, *words: str, out: str = "/root/out", **env: str) -> Result:
        argv = ["bash", f"{out}/{step}", "--dir", WORK, *words]
        return self.host.run(argv, check=False, env=self.env | env)

    def refuses(
        self, said: str, *words: str, out: str = "/root/out", step: str = CLIENT, status: int = 2, **env: str
    ) -> None:
        """Run a step that must stop with these words and change nothing here."""
        before = self.files()
        result = self.run(step, *words, out=out, **env)
        assert (result.status, result.stderr) == (status, f"error: {step}: {said}; nothing was changed\n")
        assert self.files() == before

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        self.host.write(f"{self.path}/{path}", content, mode)

    def bash(self, script: str) -> str:
        """Run a piece of bash in the home folder."""
        return self.host.bash(f'cd "$1"; {script}', self.path).stdout

    def verify(self, *words: str) -> Result:
        return verify(self.host, VERIFY_CLIENT, "--dir", WORK, *words, env=self.env)

    def configure(self, *words: str, out: str = "/root/out") -> Result:
        result = self.run(CLIENT, *words, out=out)
        assert result.status == 0, result.stderr
        return result

    def docker(self, *words: str, **env: str) -> Result:
        return self.host.run(["docker", *words], check=False, env=self.env | env)

    def files(self) -> dict[str, str]:
        """Return all that is in the home folder, with its type, mode, owner and content."""
        listing = 'cd "$1"; find . -printf "%p %y %m %u:%g %l\\n"; find . -type f -exec sha256sum {} +'
        lines = self.host.bash(listing, self.path).stdout.splitlines()
        return dict.fromkeys(sorted(lines), "")


@pytest.fixture
def home(ready: Host) -> Home:
    return Home(ready)


# ---- The files --------------------------------------------------------------


def test_the_files_are_what_docker_reads_and_nobody_else_can(home: Home) -> None:
    home.configure()
    modes = home.host.bash('cd "$1"; stat --format "%a %n" . *.pem', f"{home.path}/.docker").stdout
    assert modes.splitlines() == ["700 .", "644 ca.pem", "644 cert.pem", "600 key.pem"]
    for name, source in INSTALLED.items():
        assert home.host.read(f"{home.path}/.docker/{name}") == home.host.read(f"{FOLDER}/{source}")
    said = home.docker("-H", "tcp://localhost:2376", "--tlsverify", "version", "--format", "{{.Server.Version}}")
    assert said.stdout.strip(), said.stderr


def test_a_second_run_has_nothing_to_do(home: Home) -> None:
    home.configure()
    before = home.files()
    assert home.configure().stderr == f"{CLIENT}: nothing to do\n"
    assert home.run(CLIENT, "--check").status == 0
    assert home.files() == before


@pytest.mark.one_release("bullseye")
def test_modes_that_became_too_wide_are_narrowed(home: Home) -> None:
    home.configure()
    home.host.run(["chmod", "755", f"{home.path}/.docker"])
    home.host.run(["chmod", "644", f"{home.path}/.docker/key.pem"])
    assert home.run(CLIENT, "--check").status == 3
    home.configure()
    modes = home.host.bash('stat --format %a "$1" "$1/key.pem"', f"{home.path}/.docker").stdout
    assert modes.split() == ["700", "600"]


def test_check_changes_nothing_and_undo_takes_everything_away(home: Home) -> None:
    before = home.files()
    assert home.run(CLIENT, "--check").status == 3
    assert home.files() == before
    home.configure()
    home.configure("--undo")
    assert home.files() == before


def test_somebody_elses_files_are_kept_and_put_back(home: Home) -> None:
    for name, mode in (("ca.pem", 0o644), ("cert.pem", 0o640), ("key.pem", 0o400), ("config.json", 0o600)):
        home.host.write(f"{home.path}/.docker/{name}", "{}" if name == "config.json" else f"their {name}\n", mode)
    home.host.run(["chmod", "700", f"{home.path}/.docker"])
    before = home.files()
    home.configure()
    home.configure()  # and not written over by a second run
    assert home.host.read(f"{home.path}/.docker/cert.pem") == home.host.read(f"{FOLDER}/client-certificate.pem")
    home.configure("--undo")
    assert home.files() == before


@pytest.mark.one_release
def test_what_docker_trusted_before_has_no_say_after_a_killed_run(home: Home) -> None:
    """The file of somebody's own CA is kept and in place still when the first run is killed."""
    home.write(".docker/ca.pem", new_authority("their CA").certificate_pem)
    before = home.files()
    killed = changed(home.host, f"/root/out/{CLIENT}", ("  record_digests\n  if", "  kill -KILL $$\n  if"))
    assert home.run(killed.removeprefix("/root/out/")).status == 137
    home.configure()
    home.configure("--undo")
    assert home.files() == before


@pytest.mark.one_release("bullseye")
def test_undo_keeps_the_only_copy_of_a_key(home: Home) -> None:
    home.configure()
    home.host.run(["mv", f"{FOLDER}/client-key.pem", "/run/client-key.pem"])
    said = home.configure("--undo").stderr
    assert f"{CLIENT}: kept: {home.path}/.docker/key.pem, the only copy of this key\n" in said
    assert home.host.exists(f"{home.path}/.docker/key.pem")
    home.host.run(["mv", "/run/client-key.pem", f"{FOLDER}/client-key.pem"])


@pytest.mark.one_release
@pytest.mark.parametrize("had", [False, True], ids=["no file before", "a file before"])
def test_the_only_copy_of_a_key_is_not_replaced(home: Home, had: bool) -> None:
    """DIR was lost and made anew: it has another key of the same name."""
    if had:
        home.write(".docker/key.pem", "their key\n", 0o600)
        home.bash("chmod 700 .docker")
    home.configure()
    key = home.bash("sha256sum .docker/key.pem")
    home.bash(f"mkdir kept; cp -p {FOLDER}/*.pem kept")
    try:
        home.host.run(["rm", f"{FOLDER}/client-key.pem", f"{FOLDER}/client-certificate.pem"])
        home.host.run(["bash", f"/root/out/{CLIENT_REQUEST}", "--dir", WORK])
        home.host.run(["bash", "/root/out/ca/30-sign-clients.sh", *UNATTENDED[1:], "--dir", WORK])
        said = home.run(CLIENT)
        undone = home.run(CLIENT, "--undo")
    finally:
        home.bash(f"cp -p kept/*.pem {FOLDER}")
    assert (said.status, undone.status) == (2, 2 if had else 0)
    assert f"{home.path}/.docker/key.pem is the only copy of its key" in said.stderr
    assert f"{home.path}/.docker/key.pem" in undone.stderr
    assert home.bash("sha256sum .docker/key.pem") == key


@pytest.mark.one_release
@pytest.mark.parametrize("docker", [True, False], ids=["with docker", "without docker"])
def test_undo_without_what_was_kept_takes_away_what_is_its_own(home: Home, docker: bool) -> None:
    home.write(".docker/config.json", "{}", 0o600)
    home.configure(out="/root/with-profile")
    home.bash("echo theirs >.docker/cert.pem; rm -r .docker/before-dockseal")
    if not docker:
        home.bash("mv /usr/bin/docker /usr/bin/docker.away")
    try:
        said = home.configure("--undo", out="/root/with-profile").stderr
    finally:
        if not docker:
            home.bash("mv /usr/bin/docker.away /usr/bin/docker")
    assert f"{CLIENT}: {home.path}/.docker/before-dockseal is gone: " in said
    assert f"{CLIENT}: kept: {home.path}/.docker/cert.pem, " in said
    assert home.bash("find . -type f | sort").split() == ["./.docker/cert.pem", "./.docker/config.json"]
    assert home.bash("cat .docker/cert.pem") == "theirs\n"
    assert home.configure("--undo", out="/root/with-profile").stderr == f"{CLIENT}: nothing to do\n"


@pytest.mark.one_release
def test_without_what_was_kept_the_only_copy_of_a_key_stays(home: Home) -> None:
    home.configure()
    home.bash(f"rm -r .docker/before-dockseal; mv {FOLDER}/client-key.pem /run/client-key.pem")
    try:
        said = home.configure("--undo").stderr
    finally:
        home.host.run(["mv", "/run/client-key.pem", f"{FOLDER}/client-key.pem"])
    assert f"{CLIENT}: kept: {home.path}/.docker/key.pem, the only copy of this key\n" in said
    assert home.bash("find . -type f") == "./.docker/key.pem\n"


@pytest.mark.one_release
def test_undo_leaves_files_that_somebody_copied_himself(home: Home) -> None:
    home.bash(f"mkdir -m 700 .docker; cp -p {FOLDER}/client-key.pem .docker/key.pem; cp {FOLDER}/*.pem .docker/")
    before = home.files()
    assert home.configure("--undo").stderr == f"{CLIENT}: nothing to do\n"
    assert home.files() == before


@pytest.mark.one_release("bullseye")
def test_without_a_certificate_nothing_is_changed(home: Home) -> None:
    certificate = f"{FOLDER}/client-certificate.pem"
    home.host.run(["mv", certificate, "/run/kept"])
    try:
        home.refuses(
            f"{certificate} is not here: carry {FOLDER}/client-request.csr to the CA, run ca/30-sign-clients.sh there, "
            "and bring client-certificate.pem and ca-public.pem back",
            status=5,
        )
    finally:
        home.host.run(["mv", "/run/kept", certificate])


# What is in a home folder before.
BEFORE = {
    "nothing": ":",
    "an empty folder that others can look into": "mkdir -m 755 .docker",
    "folders of contexts": "mkdir -m 750 -p .docker/contexts/meta .docker/contexts/tls",
    "a context and a current one": "docker context create theirs --docker host=tcp://192.0.2.1:2376 >/dev/null; "
    "docker context use theirs",
    "links": "mkdir -m 700 .docker; echo theirs >their; ln -s ../their .docker/key.pem; ln -s no .docker/ca.pem",
    "the folder is a link": "mkdir -m 711 dotfiles; ln -s dotfiles .docker; echo theirs >dotfiles/cert.pem",
    "files of others' modes": "mkdir -m 755 .docker; echo a >.docker/ca.pem; echo b >.docker/key.pem; "
    "chmod 444 .docker/ca.pem; chmod 640 .docker/key.pem; chgrp nogroup .docker/key.pem",
}


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("name", BEFORE)
def test_undo_puts_back_all_that_was_there(home: Home, name: str) -> None:
    home.bash(f'export HOME="$1"; {BEFORE[name]}')
    before = home.files()
    home.configure(out="/root/with-profile")
    home.configure(out="/root/with-profile")
    assert home.docker("--context", "localhost", "ps").status == 0
    home.configure("--undo", out="/root/with-profile")
    assert home.files() == before
    assert home.configure("--undo", out="/root/with-profile").stderr == f"{CLIENT}: nothing to do\n"
    assert home.files() == before


COMMANDS = ["mkdir", "chmod", "cp", "install", "mv", "rm", "rmdir", "sync", "docker", "env"]


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("name", "out"), [*((name, "/root/out") for name in BEFORE), ("nothing", "/root/with-profile")]
)
def test_check_prints_every_command_that_apply_runs(home: Home, name: str, out: str) -> None:
    """What the kernel sees is the judge: programs that change something, with their arguments."""
    home.bash(f'export HOME="$1"; {BEFORE[name]}')
    planned = home.run(CLIENT, "--check", out=out).stdout
    trace = f"{home.path}.trace"
    argv = ["strace", "-f", "-qq", "-s", "1000", "-e", "trace=execve", "-o", trace]
    done = home.host.run([*argv, "bash", f"{out}/{CLIENT}", "--dir", WORK], env=home.env)
    # What write_file does is printed as one cat, in both.
    ran = {
        " ".join(json.loads(f"[{words}]"))
        for words in re.findall(r"execve\(\"[^\"]*\", \[(.*?)\], .*\) = 0", home.host.read(trace))
    }
    changing = {
        line
        for line in ran
        if line.split()[0] in COMMANDS and not re.search(r"(record|digests|/\.profile)\.new|/\.lock$", line)
    }
    printed = {" ".join(shlex.split(line)) for line in planned.splitlines() if line.split()[0] in COMMANDS}
    assert changing - printed == set()
    assert printed - changing == set()
    assert printed_commands(planned) == printed_commands(done.stderr)


def printed_commands(text: str) -> list[str]:
    """Return the commands that a script prints, in order: with --check what it would run, or what it ran."""
    return re.findall(rf"^(?:\+ )?((?:{'|'.join(COMMANDS)}|cat) .*)$", text, re.MULTILINE)


@pytest.mark.one_release
@pytest.mark.parametrize("words", [[], ["--new-key"]], ids=["the same key", "a new key"])
def test_check_prints_every_command_of_a_renewal(home: Home, words: list[str]) -> None:
    home.configure()
    for _ in range(2):  # the second one finds a previous pair
        home.run("clients/client/10-request-certificate.sh", "--renew", *words, HOME="/root")
        setup(home.host, "ca/30-sign-clients.sh", *UNATTENDED)
        planned = printed_commands(home.run(CLIENT, "--check").stdout)
        assert printed_commands(home.configure().stderr) == planned
        assert f"rmdir -- {FOLDER}/renewal" in planned
        assert home.configure().stderr == f"{CLIENT}: nothing to do\n"


@pytest.mark.one_release("bullseye")
def test_files_of_the_operators_own_are_no_obstacle_before_there_is_a_certificate(home: Home) -> None:
    for name in ("ca.pem", "key.pem"):
        home.write(f".docker/{name}", "theirs\n")
    home.bash("chmod 700 .docker")
    before = home.files()
    result = home.run(CLIENT, "--check", "--dir", f"{home.path}/none")
    assert result.status == 3, result.stderr
    assert home.files() == before


@pytest.mark.one_release
@pytest.mark.parametrize("name", ["key.pem", "cert.pem", "ca.pem"])
def test_a_file_that_was_changed_since_is_somebody_elses(home: Home, name: str) -> None:
    home.configure()
    path = f"{home.path}/.docker/{name}"
    home.host.write(path, "theirs\n")
    said = f"{path} is not what this script installed: somebody has changed it. Move it away and run this again"
    home.refuses(said)
    home.refuses(said, "--undo")
    home.bash(f"mv .docker/{name} theirs")
    home.configure()
    home.bash(f"rm -f .docker/{name}")
    home.configure("--undo")
    assert sorted(home.files())[0:2] == [". d 755 root:root ", "./theirs f 644 root:root "]
    assert not home.host.exists(f"{home.path}/.docker")


@pytest.mark.one_release
def test_a_link_under_a_temporary_name_is_not_written_through(home: Home) -> None:
    home.write("victim", "kept\n", 0o600)
    home.bash("mkdir -m 700 .docker; for n in key ca cert; do ln -s ../victim .docker/$n.pem.new; done")
    home.bash("ln -s ../victim .docker/before-dockseal.new; ln -s victim .profile.new")
    home.configure(out="/root/with-profile")
    home.bash("for n in key ca cert; do ln -s ../victim .docker/$n.pem.new; done")
    home.bash("ln -s ../../victim .docker/before-dockseal/digests.new")
    home.configure("--undo", out="/root/with-profile")
    assert home.host.read(f"{home.path}/victim") == "kept\n"
    assert home.bash("find . -type l -o -name '*.pem*'; stat -c %a victim") == "600\n"
    home.bash("rmdir .docker; ln -s victim .docker.new")
    home.refuses(f"{home.path}/.docker.new is somebody's; move it away")


@pytest.mark.one_release
def test_what_a_killed_run_left_goes_with_undo(home: Home) -> None:
    before = home.files()
    home.configure(out="/root/with-profile")
    home.bash("cp -p .docker/key.pem .docker/key.pem.new; cp -a .docker .docker.new")
    home.bash(
        "rm -rf .docker.new/[^b]* .docker.new/contexts; cp -a .docker/before-dockseal .docker/before-dockseal.new"
    )
    home.bash("cp .profile .profile.new")
    home.configure("--undo", out="/root/with-profile")
    assert home.files() == before


@pytest.mark.one_release
def test_a_folder_that_others_can_change_is_refused(home: Home) -> None:
    path = f"{home.path}/.docker"
    home.bash("mkdir -m 777 .docker")
    for words in ([], ["--undo"]):
        result = home.run(CLIENT, *words)
        assert (result.status, path in result.stderr, "chmod go-w" in result.stderr) == (2, True, True)
    home.bash("chmod 755 .docker; chown nobody .docker")
    home.refuses(f"{path} belongs to nobody, and root runs this; run as nobody: chown -R root {path}")
    home.bash("rmdir .docker; touch .docker")
    home.refuses(f"{path} is no folder; move it away")
    work = f"{home.path}/work"
    home.bash(f"rm .docker; cp -a {WORK} work; chmod 777 work/clients/client")
    result = home.run(CLIENT, "--dir", work)
    assert (result.status, f"others can write to {work}/clients/client" in result.stderr) == (2, True)


# ---- The CA -----------------------------------------------------------------


@pytest.mark.one_release("bullseye")
def test_the_digest_of_the_ca_is_shown_when_it_is_installed(home: Home) -> None:
    said = f"{CLIENT}: CA certificate sha256: {digest(home.host, f'{WORK}/ca/ca-public.pem')}\n"
    assert home.configure().stderr.count(said) == 1
    assert said not in home.configure().stderr


@pytest.mark.one_release
def test_a_second_ca_that_nobody_announced_is_refused(home: Home) -> None:
    """Whoever has its key would be each host: at the first installation, and later."""
    bundle = f"{FOLDER}/ca-public.pem"
    good = home.host.read(bundle)
    try:
        for _ in range(2):
            before = home.files()
            for more in (new_authority("dockseal CA").certificate_pem, "text\n", "\0"):
                home.host.write(bundle, good + (more if isinstance(more, str) else more.decode()))
                result = home.run(CLIENT)
                assert (result.status, home.files()) == (2, before)
                assert f"error: {CLIENT}: {bundle} is refused: it holds " in result.stderr
                assert home.run(CLIENT, "--check").status == 5
            home.host.write(bundle, good)
            home.configure()
    finally:
        home.host.write(bundle, good)


@pytest.mark.one_release
@pytest.mark.parametrize("before", ["", "copied", "moved away", "changed"])
def test_another_ca_is_refused_whatever_became_of_the_file(home: Home, before: str) -> None:
    """One with a certificate for the same key; the operator had the files already, or has moved them since."""
    files = ("ca-public.pem", "client-certificate.pem")
    if before == "copied":
        home.bash("mkdir -m 700 .docker")
        for name, source in INSTALLED.items():
            home.bash(f"cp -p {FOLDER}/{source} .docker/{name}")
    home.configure()
    home.bash(f"mkdir kept; cp -p {FOLDER}/*.pem kept; rm -f {FOLDER}/client-certificate.pem")
    try:
        other = ["--dir", "/run/another", "--passphrase-file", PASSPHRASE_FILE]
        home.bash(f"mkdir -p /run/another/clients/client; cp -p {FOLDER}/*.pem /run/another/clients/client/")
        for step in ("ca/10-create-ca.sh", CLIENT_REQUEST, "ca/30-sign-clients.sh"):
            home.host.run(["bash", f"/root/out/{step}", *other[: 2 if step == CLIENT_REQUEST else 4]])
        for name in files:
            home.host.run(["cp", f"/run/another/clients/client/{name}", FOLDER])
        if before in ("moved away", "changed"):
            home.bash("mv .docker/ca.pem away.pem")
        if before == "changed":
            home.bash("mv away.pem .docker/ca.pem; echo >>.docker/ca.pem")
        said = home.run(CLIENT)
    finally:
        home.bash(f"cp -p kept/*.pem {FOLDER}; rm -rf /run/another")
    assert said.status == 2
    words = (
        "somebody has changed it" if before == "changed" else "it holds another CA than the one that is trusted here"
    )
    assert words in said.stderr


@pytest.mark.one_release
def test_verify_lists_and_judges_every_ca_that_docker_trusts(home: Home) -> None:
    home.configure()
    stranger = new_authority("stranger").certificate_pem
    home.write("stranger.pem", stranger)
    for path, failed in ((".docker/ca.pem", "CLIENT-5"), (".docker/contexts/tls/*/docker/ca.pem", "CLIENT-6")):
        home.bash(f"cp -p {path} kept; cat stranger.pem >>$(echo {path})")
        lines = {line["id"]: line for line in map(json.loads, home.verify("--json").stdout.splitlines())}
        assert lines[failed]["result"] == "FAIL"
        for part in (f"{WORK}/ca/ca-public.pem", f"{home.path}/stranger.pem"):
            assert f"sha256 {digest(home.host, part)}: subject=CN" in lines[failed]["evidence"]
        home.bash(f"cp -p kept $(echo {path})")
    result = home.verify("--json")
    lines = {line["id"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert result.status == 0
    for name in ("CLIENT-5", "CLIENT-6"):
        assert lines[name]["evidence"].startswith(f"sha256 {digest(home.host, f'{WORK}/ca/ca-public.pem')}: subject=")


# ---- One folder, one client -------------------------------------------------


@pytest.mark.one_release("bullseye")
def test_another_folder_of_dockers_is_refused_by_name(home: Home) -> None:
    said = (
        f"DOCKER_CONFIG is /opt/other: there docker looks for certificates and contexts, and this script is about "
        f"{home.path}/.docker; run: unset DOCKER_CONFIG, and take it out of your shell profile"
    )
    home.refuses(said, DOCKER_CONFIG="/opt/other")
    before = home.files()
    assert home.run(CLIENT, DOCKER_CONFIG=f"{home.path}/.docker").status == 0
    assert home.run(VERIFY_CLIENT, DOCKER_CONFIG=f"{home.path}/.docker").status == 0
    home.refuses(said, step=VERIFY_CLIENT, DOCKER_CONFIG="/opt/other")
    assert home.run(CLIENT, "--undo", DOCKER_CONFIG="/opt/other").status == 0
    assert home.files() == before
    assert home.host.bash('[ -e /opt/other ] || find / -xdev -name key.pem -newer "$1"', home.path).stdout == ""


@pytest.mark.one_release("bullseye")
@pytest.mark.parametrize("docker", [True, False], ids=["with docker", "without docker"])
def test_a_second_client_of_the_same_user_is_refused(home: Home, docker: bool) -> None:
    home.bash("mv /usr/bin/docker /usr/bin/docker.away" if not docker else ":")
    try:
        home.configure()
        said = (
            f"root is clients/client already, and docker reads one certificate in {home.path}/.docker. Let the user "
            "who will be clients/alice run setup.sh --as clients/alice, here or on another machine, and run yours with "
            f"--as clients/client (and --as for what else this machine is); or take the first one away: bash {CLIENT} "
            "--undo"
        )
        home.refuses(said, out="/root/with-profile", step=ALICE)
        home.refuses(said, "--check", out="/root/with-profile", step=ALICE)
        before = home.files()
        assert home.run(ALICE, "--undo", out="/root/with-profile").status == 0
        assert home.files() == before
        home.configure("--undo")
        assert home.run(ALICE, out="/root/with-profile").status == 0
    finally:
        home.bash("mv /usr/bin/docker.away /usr/bin/docker" if not docker else ":")


# ---- Contexts ---------------------------------------------------------------


def test_a_current_context_that_is_gone_stops_nothing(home: Home) -> None:
    home.write(".docker/config.json", '{"currentContext": "gone"}')
    home.bash("chmod 700 .docker")
    before = home.files()
    assert home.configure().stderr.count("Current context") == 0
    assert home.docker("--context", "localhost", "ps").status == 0
    home.configure("--undo")
    assert home.files() == before


def test_docker_forgets_a_current_context_that_goes(home: Home) -> None:
    home.configure()
    assert home.docker("context", "use", "localhost").status == 0
    home.configure("--undo")
    assert home.docker("ps").status == 0


@pytest.mark.one_release
def test_undo_leaves_no_copy_of_the_key_in_a_context(home: Home) -> None:
    """Of a host that the site had earlier, of a half-made one, and where docker is gone."""
    home.configure()
    home.bash(
        "cd .docker/contexts; old=$(printf old | sha256sum); old=${old%% *}; new=$(ls meta); "
        "cp -a meta/$new meta/$old; cp -a tls/$new tls/$old; sed -i 's/localhost/old/' meta/$old/meta.json"
    )
    assert home.docker("context", "ls", "--quiet").stdout.split() == ["default", "localhost", "old"]
    home.bash("mv /usr/bin/docker /usr/bin/docker.away")
    try:
        home.configure("--undo")
    finally:
        home.bash("mv /usr/bin/docker.away /usr/bin/docker")
    assert list(home.files()) == [". d 755 root:root "]


def test_a_context_for_the_host_gets_an_answer(home: Home) -> None:
    home.configure()
    (found,) = json.loads(home.docker("context", "inspect", "localhost").stdout)
    assert found["Metadata"]["Description"] == f"dockseal {CLIENT}"
    assert found["Endpoints"]["docker"]["Host"] == "tcp://localhost:2376"
    assert found["Endpoints"]["docker"]["SkipTLSVerify"] is False
    assert home.docker("--context", "localhost", "version", "--format", "{{.Server.Version}}").stdout.strip()
    # It holds what is needed: without it, and without a certificate, there is no answer.
    refused = home.docker("-H", "tcp://localhost:2376", "version", "--format", "{{.Server.Version}}")
    assert refused.status != 0


def test_a_context_follows_a_new_certificate(home: Home) -> None:
    home.configure()
    home.host.bash('cp -a "$1" /run/client && rm "$1"/client-certificate.pem', FOLDER)
    home.host.bash('mkdir -p -m 700 "$1"/previous && mv "$1"/client-key.pem "$1"/previous', FOLDER)
    setup(home.host, *CERTIFICATE_STEPS[3:], *UNATTENDED)
    assert home.host.read(f"{FOLDER}/client-key.pem") != home.host.read("/run/client/client-key.pem")
    said = home.configure().stderr
    assert "\n+ docker context update localhost " in said
    copies = home.host.bash('cat "$1"/.docker/contexts/tls/*/docker/{key,cert}.pem', home.path).stdout
    source = home.host.bash('cat "$1"/client-{key,certificate}.pem', FOLDER).stdout
    assert copies == source
    assert home.docker("--context", "localhost", "version", "--format", "{{.Server.Version}}").stdout.strip()
    assert home.configure().stderr == f"{CLIENT}: nothing to do\n"


def test_somebody_elses_context_of_the_same_name_is_left_alone(home: Home) -> None:
    words = ("context", "create", "localhost", "--docker", "host=tcp://192.0.2.1:2376")
    assert home.docker(*words).status == 0
    home.refuses(
        "there is a docker context localhost that this script did not make. Give it another name: docker context "
        "export localhost - | docker context import OTHER-NAME -; docker context rm localhost"
    )
    before = home.files()
    assert home.run(CLIENT, "--undo").status == 0
    assert home.files() == before


@pytest.mark.one_release("bullseye")
def test_without_a_docker_client_the_contexts_are_left_out(home: Home) -> None:
    home.host.run(["mv", "/usr/bin/docker", "/usr/bin/docker.away"])
    try:
        said = home.configure().stderr
        assert f"{CLIENT}: there is no docker client on this machine: contexts are left out\n" in said
        verified = home.verify()
        assert verified.status == 0, verified.stdout
        assert "SKIP  docker ps on tcp://localhost:2376\n              found: there is no docker client here" in (
            verified.stdout
        )
        assert "PASS  localhost:2376 answers and has a certificate of this CA" in verified.stdout
        home.configure("--undo")
    finally:
        home.host.run(["mv", "/usr/bin/docker.away", "/usr/bin/docker"])
    assert list(home.files()) == [". d 755 root:root "]


# ---- The shell profile ------------------------------------------------------


@pytest.mark.one_release
@pytest.mark.parametrize(
    "content",
    [PROFILE + b"\n", PROFILE, PROFILE + b"\n\n\n", b"", None],
    ids=["text", "no line end", "many line ends", "empty", "none"],
)
def test_the_profile_gets_a_block_once_and_loses_it_again(home: Home, content: bytes | None) -> None:
    path = f"{home.path}/.profile"
    if content is not None:
        home.host.write(path, content, 0o600)
    before = home.files()
    for _ in range(2):
        home.configure(out="/root/with-profile")
        kept = (content or b"").rstrip(b"\n")
        assert home.host.read_bytes(path) == kept + (b"\n" if kept else b"") + BLOCK
    home.configure("--undo", out="/root/with-profile")
    assert home.files() == before


@pytest.mark.one_release("bullseye")
def test_what_was_written_around_the_block_since_is_kept(home: Home) -> None:
    path = f"{home.path}/.profile"
    home.host.write(path, b"# before\n")
    home.configure(out="/root/with-profile")
    home.host.write(path, b"# first\n" + home.host.read_bytes(path) + b"# last\n")
    home.configure("--undo", out="/root/with-profile")
    assert home.host.read_bytes(path) == b"# first\n# before\n# last\n"


@pytest.mark.one_release
def test_below_a_block_without_its_end_nothing_is_lost(home: Home) -> None:
    path = f"{home.path}/.profile"
    cut = BLOCK[: BLOCK.rindex(b"#")]
    below = b"# mine\nexport DOCKER_HOST=tcp://mine.example:2376\n\nalias ll='ls -l'\n"
    home.write(".profile", b"# before\n" + cut + below)
    home.configure(out="/root/with-profile")
    assert home.host.read_bytes(path) == b"# before\n" + below + BLOCK
    home.write(".profile", b"# before\n" + cut + below + cut + below + BLOCK + b"# last\n")
    home.configure("--undo", out="/root/with-profile")
    assert home.host.read_bytes(path) == b"# before\n" + below + below + b"# last\n"


@pytest.mark.one_release
def test_what_is_no_profile_is_left_alone(home: Home) -> None:
    home.write(".profile", b"a\0b\n")
    said = f"{home.path}/.profile holds a NUL byte: it is no shell profile"
    home.refuses(said, out="/root/with-profile")
    home.refuses(said, "--undo", out="/root/with-profile")
    home.bash("rm .profile; mkdir .profile")
    home.refuses(f"{home.path}/.profile is not a file of root's own", out="/root/with-profile")


@pytest.mark.one_release("bullseye")
def test_a_block_of_an_earlier_rendering_is_replaced(home: Home) -> None:
    path = f"{home.path}/.profile"
    old = BLOCK.replace(b"localhost:2376", b"old.example:2376")
    home.host.write(path, b"# before\n" + old + b"# after\n", 0o640)
    home.configure(out="/root/with-profile")
    assert home.host.read_bytes(path) == b"# before\n# after\n" + BLOCK
    assert home.host.run(["stat", "--format", "%a", path]).stdout == "640\n"


def test_a_shell_that_reads_the_profile_reaches_the_daemon(home: Home) -> None:
    home.configure(out="/root/with-profile")
    script = '. "$HOME/.profile"; docker version --format "{{.Server.Version}} $DOCKER_HOST"'
    said = home.host.run(["sh", "-c", script], env=home.env).stdout
    assert said.split()[1:] == ["tcp://localhost:2376"]


@pytest.mark.one_release("bullseye")
def test_without_the_setting_no_profile_is_touched(home: Home) -> None:
    home.host.write(f"{home.path}/.profile", PROFILE)
    home.configure()
    assert home.host.read_bytes(f"{home.path}/.profile") == PROFILE


# ---- Users, and the verify script -------------------------------------------


def test_an_ordinary_user_needs_no_root(boot: Callable[..., Host], ready: Host, tmp_path: Path) -> None:
    host, user = ready, "ann"
    host.run(["useradd", "--create-home", user])
    install(host, tmp_path, to="/home/ann/out")
    # What was carried to her from the CA machine.
    host.bash('mkdir -p "$2/clients" && cp -r "$1" "$2/clients" && chown -R ann: "$2"', FOLDER, "/home/ann/docker-tls")
    for words in (["20-configure-client.sh"], ["20-configure-client.sh"], ["90-verify.sh"]):
        path = f"/home/ann/out/clients/client/{words[0]}"
        result = host.run(["bash", path], check=False, cwd="/home/ann", env={"HOME": "/home/ann"}, user=user)
        assert result.status == 0, result.output
    modes = host.bash('cd /home/ann/.docker; stat --format "%a %U %n" . *.pem').stdout
    assert modes.splitlines() == ["700 ann .", "644 ann ca.pem", "644 ann cert.pem", "600 ann key.pem"]
    assert "CFILE-1  PASS  /home/ann/.docker is ann:ann 700 or less, and nobody can replace it\n" in result.stdout
    assert "CLIENT-1 PASS" in result.stdout


def test_verify_prints_each_control_as_a_line_of_json(home: Home) -> None:
    home.configure()
    result = home.verify("--json")
    assert result.status == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    # What Debian's own shell profiles say is not judged.
    assert [line["id"] for line in lines if line["result"] != "PASS"] == ["PLAIN-2"]
    assert all([*line] == KEYS for line in lines)
    assert {"CCERT-1", "CCERT-2", "CCERT-3", "CFILE-1", "CFILE-2", "CLIENT-1"} <= {line["id"] for line in lines}


def test_verify_fails_the_control_that_does_not_hold(home: Home) -> None:
    home.configure()
    key = f"{home.path}/.docker/key.pem"
    home.host.run(["chmod", "644", key])
    result = home.verify("--json")
    assert result.status == 4
    failed = [line for line in map(json.loads, result.stdout.splitlines()) if line["result"] == "FAIL"]
    assert [line["id"] for line in failed] == ["CFILE-2"]
    assert failed[0]["evidence"] == f"{key} is root:root 644, expected root:root 600 or less"
    assert failed[0]["remedy"] == f"chown root:root {key}; chmod 600 {key}"


@pytest.mark.one_release
def test_verify_judges_who_could_replace_the_folder(home: Home) -> None:
    home.configure()
    home.host.run(["chmod", "777", home.path])
    result = home.verify("--json")
    failed = {line["id"]: line for line in map(json.loads, result.stdout.splitlines()) if line["result"] == "FAIL"}
    assert (result.status, [*failed]) == (4, ["CFILE-1"])
    assert failed["CFILE-1"]["evidence"].startswith(f"others could replace {home.path}/.docker: ")
    assert home.run(CHECK_EXPIRY).status == 2


@pytest.mark.one_release("bullseye")
def test_verify_reads_no_working_folder_that_others_can_change(home: Home) -> None:
    home.configure()
    work = f"{home.path}/work"
    home.bash(f"cp -a {WORK} work; chmod 777 work")
    result = home.verify("--dir", work)
    assert (result.status, f"others can write to {work}" in result.stderr) == (2, True)
    home.bash("chmod 700 work")
    assert home.verify("--dir", work).status == 0


@pytest.mark.one_release("bullseye")
def test_verify_before_the_configuration_says_what_to_run(home: Home) -> None:
    said = f"error: {VERIFY_CLIENT}: {home.path}/.docker/key.pem is not there: run 20-configure-client.sh first"
    refuses(home.host, ["bash", f"/root/out/{VERIFY_CLIENT}"], said, env=home.env)


@pytest.mark.one_release("bullseye")
def test_a_home_folder_that_is_not_there_is_named(ready: Host) -> None:
    said = f"{ERROR} HOME is /nowhere, and there is no such folder; nothing was changed"
    refuses(ready, ["bash", f"/root/out/{CLIENT}"], said, env={"HOME": "/nowhere"})


@pytest.mark.one_release
@pytest.mark.parametrize("step", [CLIENT, VERIFY_CLIENT, CHECK_EXPIRY])
def test_without_home_it_is_that_of_the_user(ready: Host, step: str) -> None:
    with_home = ready.run(["bash", f"/root/out/{step}", "--dir", WORK], check=False)
    without = ready.run(["env", "-u", "HOME", "bash", f"/root/out/{step}", "--dir", WORK], check=False)
    assert without.status == with_home.status == (0 if step == CLIENT else 2), without.stderr
    assert "unbound" not in without.stderr
    ready.run(["bash", f"/root/out/{CLIENT}", "--undo"])
