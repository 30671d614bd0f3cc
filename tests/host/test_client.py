"""A client's files, contexts and shell profile: put there, kept up to date, and taken away again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from generator.lab import Host, Result
from tests.host.support import (
    CERTIFICATE_STEPS,
    CLIENT,
    DAEMON,
    KEYS,
    UNATTENDED,
    VERIFY_CLIENT,
    WORK,
    install,
    refuses,
    setup,
    site,
    stops,
    verify,
)

pytestmark = pytest.mark.no_probe_image
ERROR = f"error: {CLIENT}:"
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
    install(host, scratch, site(more="    shell_profile: .profile\n"), "/root/with-profile")
    setup(host, *CERTIFICATE_STEPS, DAEMON, *UNATTENDED)
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

    def run(self, step: str, *words: str, out: str = "/root/out") -> Result:
        return self.host.run(["bash", f"{out}/{step}", *words], check=False, env=self.env)

    def verify(self, *words: str) -> Result:
        return verify(self.host, VERIFY_CLIENT, *words, env=self.env)

    def configure(self, *words: str, out: str = "/root/out") -> Result:
        result = self.run(CLIENT, *words, out=out)
        assert result.status == 0, result.stderr
        return result

    def docker(self, *words: str, **env: str) -> Result:
        return self.host.run(["docker", *words], check=False, env=self.env | env)

    def files(self) -> dict[str, str]:
        """Return all that is in the home folder, with its mode, owner and content."""
        listing = 'cd "$1"; find . -printf "%p %m %u:%g %l\\n"; find . -type f -exec sha256sum {} +'
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


def test_undo_keeps_the_only_copy_of_a_key(home: Home) -> None:
    home.configure()
    home.host.run(["mv", f"{FOLDER}/client-key.pem", "/run/client-key.pem"])
    said = home.configure("--undo").stderr
    assert f"{CLIENT}: kept: {home.path}/.docker/key.pem, the only copy of this key\n" in said
    assert home.host.exists(f"{home.path}/.docker/key.pem")
    home.host.run(["mv", "/run/client-key.pem", f"{FOLDER}/client-key.pem"])


def test_without_a_certificate_nothing_is_changed(home: Home) -> None:
    certificate = f"{FOLDER}/client-certificate.pem"
    home.host.run(["mv", certificate, "/run/kept"])
    refuses(
        home.host,
        ["bash", f"/root/out/{CLIENT}"],
        f"{ERROR} {certificate} is not here: carry {FOLDER}/client-request.csr to the CA, run ca/30-sign-clients.sh "
        "there, and bring client-certificate.pem and ca-public.pem back; nothing was changed",
        env=home.env,
    )
    home.host.run(["mv", "/run/kept", certificate])


# ---- Contexts ---------------------------------------------------------------


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
    home.host.bash('cp -a "$1" /run/client && rm "$1"/client-*.pem', FOLDER)
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
    refuses(
        home.host,
        ["bash", f"/root/out/{CLIENT}"],
        f"{ERROR} there is a docker context localhost that this script did not make; rename or remove it; "
        "nothing was changed",
        env=home.env,
    )
    before = home.files()
    assert home.run(CLIENT, "--undo").status == 0
    assert home.files() == before


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
    assert list(home.files()) == [". 755 root:root "]


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


def test_what_was_written_around_the_block_since_is_kept(home: Home) -> None:
    path = f"{home.path}/.profile"
    home.host.write(path, b"# before\n")
    home.configure(out="/root/with-profile")
    home.host.write(path, b"# first\n" + home.host.read_bytes(path) + b"# last\n")
    home.configure("--undo", out="/root/with-profile")
    assert home.host.read_bytes(path) == b"# first\n# before\n# last\n"


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
    assert "CFILE-1  PASS  /home/ann/.docker is ann:ann 700 or less\n" in result.stdout
    assert "CLIENT-1 PASS" in result.stdout


def test_verify_prints_each_control_as_a_line_of_json(home: Home) -> None:
    home.configure()
    result = home.verify("--json")
    assert result.status == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {line["result"] for line in lines} == {"PASS"}
    assert all([*line] == KEYS for line in lines)
    assert {"CCERT-1", "CCERT-2", "CCERT-3", "CFILE-1", "CFILE-2", "CLIENT-1"} <= {line["id"] for line in lines}


def test_verify_fails_the_control_that_does_not_hold(home: Home) -> None:
    home.configure()
    key = f"{home.path}/.docker/key.pem"
    home.host.run(["chmod", "644", key])
    result = home.verify("--json")
    assert result.status == 4
    failed = [line for line in map(json.loads, result.stdout.splitlines()) if line["result"] != "PASS"]
    assert [(line["id"], line["result"]) for line in failed] == [("CFILE-2", "FAIL")]
    assert failed[0]["evidence"] == f"{key} is root:root 644, expected root:root 600 or less"
    assert failed[0]["remedy"] == f"chown root:root {key}; chmod 600 {key}"


def test_verify_before_the_configuration_says_what_to_run(home: Home) -> None:
    said = f"error: {VERIFY_CLIENT}: {home.path}/.docker/key.pem is not there: run 20-configure-client.sh first"
    refuses(home.host, ["bash", f"/root/out/{VERIFY_CLIENT}"], said, env=home.env)


def test_without_a_home_folder_it_stops(ready: Host) -> None:
    refuses(ready, ["bash", f"/root/out/{CLIENT}"], f"{ERROR} HOME is not set to a folder", env={"HOME": "/nowhere"})
    stops(ready, ["env", "-u", "HOME", "bash", f"/root/out/{CLIENT}"], f"{ERROR} HOME is not set to a folder")
