"""What docker's flags and variables really do, measured by the client's scripts, and each way into plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dockseal.lab import Host, Lab, Result
from dockseal.lab.image import base
from tests.host.authority import SERVER, issue, new_authority
from tests.host.support import (
    DROP_IN,
    PASSPHRASE_FILE,
    RESTART,
    UNATTENDED,
    WORK,
    assert_interrupted,
    changed,
    install,
    refuses,
    setup,
    site,
    whole,
)

SCRIPT = "/root/out/clients/client/90-verify.sh"
SHOW = "clients/client/50-show-tls-modes.sh"
TABLE_SCRIPT = f"/root/out/{SHOW}"
# The same without what it asks of each host, where only the user's own settings matter.
SHORT = SCRIPT.replace(".sh", "-changed.sh")
HOME = "/root/.docker"
TCP = "tcp://localhost:2376"
# Of the verification, which asks the real daemon otherwise, and of the table.
OWN_CELLS = ("server authenticated", "client certificate sent", "plain text")
CELLS = (*OWN_CELLS, "the real daemon answers")
STOPS = "-  -  -  no"
PLAIN = "no no yes no"
UNVERIFIED = "no yes no yes"
SOUND = "yes yes no yes"
WITHOUT_KEY = "yes no no no"
ABSENT = ", without the files in ~/.docker"

# The columns: the impostor was refused, a client certificate was sent, in plain text, the real daemon answered.
TABLE = {
    "--tls": UNVERIFIED,
    f"--tls{ABSENT}": STOPS,
    "--tls --tlscert --tlskey": UNVERIFIED,
    f"--tls --tlscert --tlskey{ABSENT}": STOPS,
    f"--tlsverify --tlscacert{ABSENT}": WITHOUT_KEY,
    "--tlsverify --tlscacert": SOUND,
    "--tlsverify --tlscacert --tlscert --tlskey": SOUND,
    "--tlsverify=false --tlscert --tlskey": UNVERIFIED,
    f"--tlsverify --tlscacert --tlscert{ABSENT}": WITHOUT_KEY,
    f"--tlsverify --tlscacert={ABSENT}": PLAIN,
    f"--tlsverify --tlscacert=''{ABSENT}": PLAIN,
    "--tlsverify --tlscacert='' --tlscert --tlskey": "yes yes no no",
    "DOCKER_TLS_VERIFY=1": SOUND,
    "DOCKER_TLS_VERIFY=0": SOUND,
    "DOCKER_TLS=1": UNVERIFIED,
    "DOCKER_CERT_PATH=~/.docker": PLAIN,
    "--context localhost": SOUND,
}
MODES = [f"DMODE-{number}" for number in range(1, len(TABLE) + 1)]
# The client of 20.10 crashes on an option without a value.
EMPTY_VALUE = f"--tlsverify --tlscacert={ABSENT}"
CLAIMS = [
    ("DMODE-1", "document", "will authenticate the server using the default CA pool", "false"),
    ("DMODE-1", "manual", "Authenticate server based on public/default CA pool", "false"),
    ("DMODE-1", "manual", "If found, the client sends its client certificate", "true"),
    ("DMODE-3", "document", "will verify the client's certificate without authenticating the server's CA", "true"),
    (
        "DMODE-3",
        "manual",
        "Authenticate with client certificate, do not authenticate server based on given CA",
        "true",
    ),
    ("DMODE-5", "document", "will enforce the server uses the given CA without any other checks", "true"),
    ("DMODE-5", "manual", "Authenticate server based on given CA", "true"),
    ("DMODE-6", "document", "will enforce the server uses the given CA without any other checks", "false"),
    ("DMODE-6", "manual", "If found, the client sends its client certificate", "true"),
    ("DMODE-7", "manual", "Authenticate with client certificate and authenticate server based on given CA", "true"),
]
OWN = ("MODE-7", "MODE-13", "MODE-17")
OWN_SOUND = "yes yes no"

Found = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up, which is its own client."""
    install(host, tmp_path_factory.mktemp("site"), site(more="    shell_profile: .config/docker-shell\n"))
    host.run(["mkdir", "/root/.config"])
    host.bash("cp -a /root/.profile /run/profile; cp -a /root/.bashrc /run/bashrc || true")
    setup(host, *UNATTENDED, "--no-containers")
    assert changed(host, SCRIPT, ('    verify_host "${hosts[@]:row:4}"\n', "    :\n")) == SHORT
    host.bash("cp -a /root/.docker /run/dot-docker; cp -a /root/.config /run/dot-config")
    return host


@pytest.fixture
def mended(ready: Host) -> Iterator[Host]:
    """The same, put back after the test."""
    yield ready
    ready.bash(
        "rm -rf /root/.docker /root/.config /root/.bashrc /root/.bash_login /root/.z*; "
        "cp -a /run/dot-docker /root/.docker; "
        "cp -a /run/dot-config /root/.config; cp -a /run/profile /root/.profile; "
        "if [ -e /run/bashrc ]; then cp -a /run/bashrc /root/.bashrc; fi"
    )


def run(host: Host, *words: str, script: str = SCRIPT, env: Mapping[str, str] | None = None) -> Result:
    return host.run(["bash", script, *words], check=False, env=env)


def verify(host: Host, script: str = SCRIPT, env: Mapping[str, str] | None = None) -> tuple[int, Found]:
    """Run a script; return its exit status and its controls by id."""
    result = run(host, "--json", script=script, env=env)
    assert result.stderr == ""
    return result.status, {line["id"]: line for line in map(json.loads, result.stdout.splitlines())}


def failed(found: Found) -> set[str]:
    return {name for name, control in found.items() if control["result"] == "FAIL"}


def cells(control: dict[str, str]) -> str:
    """Return the cells of a mode: four, as in the table above, or three of the verification."""
    facts = dict(part.split(": ", 1) for part in control["evidence"].split("; ")[: len(CELLS)])
    return " ".join(facts[name] for name in (CELLS if control["id"].startswith("D") else OWN_CELLS))


@pytest.fixture(scope="module")
def found(ready: Host) -> Found:
    """What the verification finds on the host as it was set up."""
    status, controls = verify(ready)
    assert status == 0, failed(controls)
    return controls


@pytest.fixture(scope="module")
def shown(ready: Host) -> Found:
    """What the table shows on the host as it was set up."""
    status, controls = verify(ready, TABLE_SCRIPT)
    assert status == 0
    return controls


# ---- The truth table --------------------------------------------------------


def test_the_table_is_right_in_each_cell(release: str, shown: Found) -> None:
    wanted = {f"docker {mode}": " ".join(row.split()) for mode, row in TABLE.items()}
    if base(release) != "trixie":
        wanted[f"docker {EMPTY_VALUE}"] = " ".join(STOPS.split())
    assert {control["what"]: cells(control) for control in shown.values()} == wanted
    assert [*shown] == MODES
    assert {control["result"] for control in shown.values()} == {"PASS"}


@pytest.mark.one_release("trixie")
def test_each_claim_stands_beside_its_mode(shown: Found) -> None:
    claims = [
        (name, *match)
        for name, control in shown.items()
        for match in re.findall(r'^the (document|manual): "(.*)": (true|false)$', control["evidence"], re.MULTILINE)
    ]
    assert claims == CLAIMS


def test_a_reader_gets_the_same_as_a_table(ready: Host, shown: Found) -> None:
    text = run(ready, script=TABLE_SCRIPT).stdout
    rows = dict(re.findall(r"^(DMODE-\d+) +PASS  .*?  *((?:(?:yes|no|-) +){3}(?:yes|no|-))$", text, re.MULTILINE))
    assert {name: " ".join(row.split()) for name, row in rows.items()} == {
        name: cells(control) for name, control in shown.items()
    }
    for _, who, words, truth in CLAIMS:
        assert f'\n              the {who}: "{words}": {truth}\n' in text


def test_a_command_can_be_typed_as_it_is_shown(ready: Host, shown: Found) -> None:
    assert shown["DMODE-13"]["asked"].startswith(f"DOCKER_TLS_VERIFY=1 DOCKER_HOST={TCP} docker ps --quiet, and at ")
    for name in ("DMODE-5", "DMODE-7", "DMODE-15", "DMODE-16", "DMODE-17"):
        asked = shown[name]["asked"].partition(", and at ")[0].replace("/none", "/none-here")
        answered = ready.bash(asked, check=False).status == 0
        assert cells(shown[name]).split()[3] == ("yes" if answered else "no"), asked


def test_the_verification_has_the_clients_own_modes_alone(found: Found, shown: Found) -> None:
    assert [name for name in found if "MODE" in name] == [*OWN]
    for name in OWN:
        assert cells(found[name]) == OWN_SOUND
        assert cells(shown[f"D{name}"]) == SOUND
        asked = re.sub(r"127\.0\.0\.1:\d+", "IMPOSTOR", found[name]["asked"])
        assert asked.endswith(" ps --quiet, at tcp://IMPOSTOR"), asked
    assert found["MODE-13"]["asked"].startswith("DOCKER_TLS_VERIFY=1 DOCKER_HOST=tcp://127.0.0.1:")
    assert found["MODE-17"]["what"] == "docker with --context localhost refuses a server of another CA"


def test_where_the_daemon_does_not_want_client_certificates_a_client_without_one_is_answered(mended: Host) -> None:
    mended.bash(f"cp -a {DROP_IN} /run/drop-in; sed -i '$s|$| --tlsverify=false|' {DROP_IN}; {RESTART}")
    try:
        controls = verify(mended, TABLE_SCRIPT)[1]
    finally:
        mended.bash(f"cp -a /run/drop-in {DROP_IN}; {RESTART}")
    assert [cells(controls[f"DMODE-{number}"]) for number in (5, 6, 9)] == ["yes no no yes", SOUND, "yes no no yes"]


# The log of the server before this one has that one's port in it.
SERVE = """
rm -f /run/server.log; : >/run/server.log
openssl s_server -accept 127.0.0.1:0 -rev -verify 1 -cert "$1" -key "$2" </dev/null >>/run/server.log 2>&1 &
until port=$(grep -o -m1 'ACCEPT 127.0.0.1:[0-9]*' /run/server.log); do :; done
docker -H "tcp://${port#ACCEPT }" "${@:3}" ps || true
# It serves one after the other: once it has hung up on this one, it has written down the last one.
(exec 3<>"/dev/tcp/127.0.0.1/${port##*:}"; echo no handshake >&3; read -r -u 3) || true
kill $!
cat /run/server.log
"""


@pytest.mark.parametrize(
    ("flags", "accepted"), [(["--tls"], True), (["--tlsverify"], False), (["--tlsverify=false"], True)]
)
def test_somebody_elses_server_is_accepted_as_the_table_says(ready: Host, flags: list[str], accepted: bool) -> None:
    """Seen without the script, at a server of the test's own CA."""
    pair = issue(new_authority("another CA"), "localhost", SERVER, names=("localhost", "127.0.0.1"))
    seen = ready.bash(SERVE, *pair.install(ready, "/run/other"), *flags).stdout
    assert ("CONNECTION ESTABLISHED" in seen) == accepted
    assert (" alert " in seen) == (not accepted)
    assert ("Peer certificate: " in seen) == accepted


@pytest.mark.one_release("trixie")
def test_without_an_answer_the_host_is_not_asked_again_and_again(mended: Host) -> None:
    mended.bash("systemctl stop docker.socket docker.service")
    try:
        status, controls = verify(mended)
        seen, shown = verify(mended, TABLE_SCRIPT)
    finally:
        mended.bash(RESTART)
    assert (status, failed(controls)) == (4, {"CLIENT-1", "CLIENT-2", "CLIENT-3", "CLIENT-4"})
    assert {cells(controls[name]) for name in OWN} == {OWN_SOUND}
    assert (seen, failed(shown), len(shown)) == (0, set(), len(TABLE))
    assert {cells(control).split()[3] for control in shown.values()} == {"-"}
    assert {cells(shown[f"D{name}"]) for name in OWN} == {f"{OWN_SOUND} -"}
    assert controls["CLIENT-1"]["evidence"].startswith("server: nothing listens on this address and port: ")
    assert controls["CLIENT-3"]["evidence"].startswith(f"server: nothing listens at {TCP}, or its name has no ")


# ---- Ways into plain text ---------------------------------------------------

SAFE = {"DOCKER_HOST": TCP, "DOCKER_TLS_VERIFY": "1"}
ENVIRONMENTS: dict[str, tuple[dict[str, str], str]] = {
    "a host and no TLS": ({"DOCKER_HOST": TCP}, f"DOCKER_HOST={TCP} .*: docker sends plain text"),
    "an empty variable": (
        {"DOCKER_HOST": TCP, "DOCKER_TLS_VERIFY": ""},
        f"DOCKER_HOST={TCP} and no DOCKER_TLS_VERIFY: docker sends plain text",
    ),
    "a host without its scheme": ({"DOCKER_HOST": "localhost:2376"}, "DOCKER_HOST=localhost:2376 .*sends plain text"),
    "certificates alone": ({"DOCKER_CERT_PATH": HOME}, f"DOCKER_CERT_PATH={HOME} .*: docker sends plain text"),
    "certificates and a host": (
        {"DOCKER_CERT_PATH": HOME, "DOCKER_HOST": TCP},
        f"DOCKER_HOST={TCP} DOCKER_CERT_PATH={HOME} .*: docker sends plain text",
    ),
    "TLS without a check": ({"DOCKER_TLS": "1", "DOCKER_HOST": TCP}, ".* DOCKER_TLS=1 .*: docker accepts any server"),
    "as documented": (SAFE, ""),
    "as documented, with the folder": ({**SAFE, "DOCKER_CERT_PATH": HOME}, ""),
    "any value": ({**SAFE, "DOCKER_TLS_VERIFY": "0"}, ""),
    "a socket": ({"DOCKER_HOST": "unix:///var/run/docker.sock"}, ""),
    "a context": ({"DOCKER_CONTEXT": "localhost"}, ""),
    "variables that choose no server": ({"DOCKER_API_VERSION": "1.99", "https_proxy": "http://192.0.2.1"}, ""),
}


@pytest.mark.one_release
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_callers_environment_is_judged(ready: Host, name: str) -> None:
    env, evidence = ENVIRONMENTS[name]
    status, controls = verify(ready, SHORT, env)
    assert (status, failed(controls)) == ((4, {"PLAIN-1"}) if evidence else (0, set()))
    if evidence:
        assert re.search(f"^the environment sets {evidence}$", controls["PLAIN-1"]["evidence"])
        assert "DOCKER_TLS_VERIFY=1" in controls["PLAIN-1"]["remedy"]


PROFILES: dict[str, tuple[str, str, str]] = {
    "a host alone": (".profile", f"export DOCKER_HOST={TCP}  # mine\n", f"DOCKER_HOST={TCP} and no "),
    "quoted": (".bashrc", f'export DOCKER_HOST="{TCP}"\n', f"DOCKER_HOST={TCP} and no "),
    "of a login shell": (".bash_login", f"export DOCKER_HOST={TCP}\n", f"DOCKER_HOST={TCP} and no "),
    "of another shell": (".zshenv", f"export DOCKER_HOST={TCP}\n", f"DOCKER_HOST={TCP} and no "),
    "the folder alone": (".bashrc", "export DOCKER_CERT_PATH=$HOME/.docker", f"DOCKER_CERT_PATH={HOME} and no "),
    "two in a line": (
        ".bashrc",
        f'  export DOCKER_HOST={TCP} DOCKER_CERT_PATH="${{HOME}}/.docker"\n',
        f"DOCKER_HOST={TCP} DOCKER_CERT_PATH={HOME} and no ",
    ),
    "a comment": (".bashrc", f"# export DOCKER_HOST={TCP}\n", ""),
    "as documented, with comments": (
        ".bashrc",
        f"export DOCKER_HOST={TCP}\n# with TLS\n\nexport DOCKER_TLS_VERIFY=1\n",
        "",
    ),
    "as documented": (".bashrc", f"export DOCKER_HOST={TCP}\nexport DOCKER_TLS_VERIFY=1\n", ""),
}


# What Debian's own files say is not understood: a test that wants a PASS takes it away.
SYSTEM = "/etc/profile /etc/bash.bashrc /etc/profile.d"


@pytest.fixture
def bare(mended: Host) -> Iterator[Host]:
    """The same without any profile but the one that the site names."""
    mended.bash(f"rm -f /root/.bashrc /root/.profile; tar -cf /run/system.tar {SYSTEM} 2>/dev/null; rm -rf {SYSTEM}")
    yield mended
    mended.bash(f"rm -rf {SYSTEM} /root/.pam_environment; tar -xf /run/system.tar -C /")


@pytest.mark.one_release
@pytest.mark.parametrize("name", PROFILES)
def test_a_shell_profile_is_judged(bare: Host, name: str) -> None:
    file, content, evidence = PROFILES[name]
    bare.run(["rm", "/root/.config/docker-shell"])
    bare.write(f"/root/{file}", content)
    status, controls = verify(bare, SHORT)
    assert (status, controls["PLAIN-2"]["result"]) == ((4, "FAIL") if evidence else (0, "PASS"))
    if evidence:
        wanted = f"/root/{file} sets {evidence}DOCKER_TLS_VERIFY: docker sends plain text"
        assert controls["PLAIN-2"]["evidence"] == wanted


@pytest.mark.one_release
def test_tls_in_the_profile_of_another_shell_does_not_help(bare: Host) -> None:
    bare.write("/root/.zshrc", "export DOCKER_TLS_VERIFY=1\n")
    bare.write("/root/.zlogin", f"export DOCKER_HOST={TCP}\n")
    controls = verify(bare, SHORT)[1]
    assert controls["PLAIN-2"]["evidence"] == (
        f"/root/.zlogin sets DOCKER_HOST={TCP} and no DOCKER_TLS_VERIFY: docker sends plain text"
    )


# A profile, and which of its lines are named.
UNCLEAR: dict[str, tuple[str, tuple[int, ...]]] = {
    "declare": (f"declare -x DOCKER_HOST={TCP}", (1,)),
    "typeset": (f"typeset -x DOCKER_HOST={TCP}", (1,)),
    "later": (f"DOCKER_HOST={TCP}; export DOCKER_HOST", (1,)),
    "condition": (f"[ -n x ] && export DOCKER_HOST={TCP}", (1,)),
    "command": ("export DOCKER_HOST=$(cat /root/host)", (1,)),
    "unset": ("# TLS\nunset DOCKER_TLS_VERIFY", (2,)),
    "an alias": (f"alias docker='docker -H {TCP}'", (1,)),
    "a function": ('docker() {\n  command docker --tls "$@"\n}', (1, 2)),
    "another file": (". /root/settings", (1,)),
    "another docker": ("export PATH=/root/bin:/usr/bin", (1,)),
    "another folder of zsh": ("export ZDOTDIR=/root/zsh", (1,)),
    "an open quote": (f'export DOCKER_HOST="{TCP}\nexport DOCKER_TLS_VERIFY="', (1, 2)),
    "a comment that is none": (f"export DOCKER_TLS_VERIFY=1 DOCKER_HOST={TCP}#x", (1,)),
    "a line between": (f"export DOCKER_HOST={TCP}\numask 022\nexport DOCKER_TLS_VERIFY=1", (2, 1, 3)),
    "TLS that is not exported": (f"export DOCKER_HOST={TCP}\nDOCKER_TLS_VERIFY=1", (2, 1)),
    "TLS in a condition": (
        f"export DOCKER_HOST={TCP}\nif false; then\n  export DOCKER_TLS_VERIFY=1\nfi",
        (2, 1, 3),
    ),
    "TLS after the end": (f"export DOCKER_HOST={TCP}\nreturn\nexport DOCKER_TLS_VERIFY=1", (2, 1, 3)),
    "TLS after a condition": (f"export DOCKER_HOST={TCP}\nfalse && \\\n  export DOCKER_TLS_VERIFY=1", (2, 1, 3)),
}


def not_judged(file: str, text: str, numbers: tuple[int, ...]) -> str:
    """Return how the evidence of a SKIP ends."""
    lines = text.split("\n")
    return "".join(f"\n{file}:{number}: {lines[number - 1]}" for number in numbers)


@pytest.mark.one_release
@pytest.mark.parametrize("name", UNCLEAR)
def test_a_line_that_is_not_understood_is_neither_right_nor_wrong(bare: Host, name: str) -> None:
    text, numbers = UNCLEAR[name]
    bare.write("/root/.zprofile", f"{text}\n")
    status, controls = verify(bare, SHORT)
    assert (status, controls["PLAIN-2"]["result"]) == (0, "SKIP")
    assert controls["PLAIN-2"]["evidence"].endswith(f", and env:{not_judged('/root/.zprofile', text, numbers)}")


READ = ("/etc/profile", "/etc/bash.bashrc", "/etc/profile.d/docker.sh", "/etc/environment", "/etc/zshenv")


@pytest.mark.one_release
@pytest.mark.parametrize("file", [*READ, "/root/.pam_environment", "/root/.bash_aliases"])
def test_each_file_that_a_shell_reads_is_looked_at(bare: Host, file: str) -> None:
    bare.bash('if [ -e "$1" ]; then cp -a "$1" /run/kept; fi; mkdir -p "${1%/*}"', file)
    results = []
    try:
        for text in ("# nothing", "docker() { :; }", f"export DOCKER_HOST={TCP}"):
            bare.write(file, f"{text}\n")
            results.append(verify(bare, SHORT)[1]["PLAIN-2"]["result"])
    finally:
        bare.bash('rm -f "$1"; if [ -e /run/kept ]; then mv /run/kept "$1"; fi', file)
    assert results == ["PASS", "SKIP", "FAIL"]


@pytest.mark.one_release
def test_a_profile_that_cannot_be_read_is_no_pass(bare: Host) -> None:
    bare.run(["mkfifo", "/root/.zshrc"])
    control = verify(bare, SHORT)[1]["PLAIN-2"]
    assert (control["result"], control["evidence"].split("\n")[1:]) == ("SKIP", ["/root/.zshrc: it cannot be read"])


@pytest.mark.one_release("trixie")
def test_what_debian_brings_is_named_and_not_judged(mended: Host, found: Found) -> None:
    assert found["PLAIN-2"]["result"] == "SKIP"
    assert "\n/etc/profile:4: " in found["PLAIN-2"]["evidence"]


@pytest.mark.one_release("trixie")
def test_the_profile_that_the_site_names_is_judged_too(bare: Host) -> None:
    control = verify(bare, SHORT)[1]["PLAIN-2"]
    assert (control["result"], "docker said: " in control["evidence"]) == ("PASS", True)
    bare.run(["sed", "-i", "/DOCKER_TLS_VERIFY/d", "/root/.config/docker-shell"])
    status, controls = verify(bare, SHORT)
    assert (status, failed(controls)) == (4, {"PLAIN-2"})
    assert controls["PLAIN-2"]["evidence"].startswith(f"/root/.config/docker-shell sets DOCKER_HOST={TCP} and no ")


FILES = f"ca={HOME}/ca.pem,cert={HOME}/cert.pem,key={HOME}/key.pem"
CONTEXTS: dict[str, tuple[str, str]] = {
    "no TLS": ("host=tcp://192.0.2.1:2375", "has no CA: docker sends plain text"),
    "no check": (
        f"host=tcp://192.0.2.1:2376,{FILES},skip-tls-verify=true",
        "skips the check: docker accepts any server",
    ),
    "sound": (f"host=tcp://192.0.2.1:2376,{FILES}", ""),
    "a socket": ("host=unix:///var/run/docker.sock", ""),
    "ssh": ("host=ssh://ann@192.0.2.1", ""),
}


@pytest.mark.one_release
@pytest.mark.parametrize("name", CONTEXTS)
def test_somebodys_docker_context_is_judged(mended: Host, name: str) -> None:
    options, evidence = CONTEXTS[name]
    mended.run(["docker", "context", "create", "theirs", "--docker", options])
    status, controls = verify(mended, SHORT)
    assert (status, failed(controls)) == ((4, {"PLAIN-3"}) if evidence else (0, set()))
    if evidence:
        address = options.partition("=")[2].partition(",")[0]
        assert controls["PLAIN-3"]["evidence"] == f"the context theirs ({address}) {evidence}"


@pytest.mark.one_release
def test_a_context_that_docker_cannot_read_is_no_pass(mended: Host) -> None:
    mended.bash("mkdir /root/.docker/contexts/meta/broken; : >/root/.docker/contexts/meta/broken/meta.json")
    status, controls = verify(mended, SHORT)
    assert (status, failed(controls)) == (4, {"PLAIN-3"})
    assert controls["PLAIN-3"]["evidence"] == "docker context ls fails: run it, and mend what it names"


@pytest.mark.one_release
@pytest.mark.parametrize("form", ['"Host": "', '"Host"\n:\t"'], ids=["blank", "other blanks"])
def test_a_context_that_another_program_wrote_is_judged_too(mended: Host, form: str) -> None:
    """Where its host is not found in docker's file, docker must not be sent to that host."""
    mended.run(["docker", "context", "create", "theirs", "--docker", "host=tcp://192.0.2.1:2375"])
    path = mended.bash("grep -l theirs /root/.docker/contexts/meta/*/meta.json").stdout.strip()
    mended.write(path, mended.read(path).replace('"Host":"', form))
    evidence = verify(mended, SHORT)[1]["PLAIN-3"]["evidence"]
    wanted = (
        "has no CA: docker sends plain text" if form == '"Host": "' else "cannot be read: its file has another form"
    )
    assert evidence == f"the context theirs (tcp://192.0.2.1:2375) {wanted}"


@pytest.mark.one_release("trixie")
def test_what_else_is_in_the_environment_has_no_say(ready: Host) -> None:
    env = {"DOCKER_API_VERSION": "1.99", "TMPDIR": "/gone", "POSIXLY_CORRECT": "1", "OPENSSL_CONF": "/gone"}
    status, controls = verify(ready, env=env)
    assert (status, failed(controls)) == (0, set())


@pytest.mark.one_release("trixie")
def test_the_whole_script_judges_all_of_it_too(mended: Host) -> None:
    mended.run(["docker", "context", "create", "theirs", "--docker", "host=tcp://192.0.2.1:2375"])
    mended.bash('printf "\\nexport DOCKER_TLS_VERIFY=\\n" >>/root/.config/docker-shell')
    status, controls = verify(mended, env={"DOCKER_HOST": TCP})
    assert (status, failed(controls)) == (4, {"PLAIN-1", "PLAIN-2", "PLAIN-3"})


@pytest.mark.one_release("trixie")
def test_the_current_context_is_named_with_its_file(mended: Host) -> None:
    mended.run(["docker", "context", "create", "theirs", "--docker", "host=tcp://192.0.2.1:2375"])
    mended.run(["docker", "context", "use", "theirs"])
    assert verify(mended, SHORT)[1]["PLAIN-3"]["evidence"] == (
        f"the context theirs (tcp://192.0.2.1:2375), the current one in {HOME}/config.json, "
        "has no CA: docker sends plain text"
    )


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize(
    ("options", "fails", "evidence"),
    [
        (f"host={TCP},{FILES},skip-tls-verify=true", {"MODE-17", "PLAIN-3"}, "docker accepts a server of another CA"),
        (f"host={TCP}", {"CLIENT-4", "MODE-17", "PLAIN-3"}, "docker sends plain text"),
    ],
    ids=["it skips the check", "it has no CA"],
)
def test_the_clients_own_context_must_check_the_server(
    mended: Host, options: str, fails: set[str], evidence: str
) -> None:
    mended.run(["docker", "context", "rm", "--force", "localhost"])
    mended.run(["docker", "context", "create", "localhost", "--docker", options])
    status, controls = verify(mended)
    assert (status, failed(controls)) == (4, fails)
    assert controls["MODE-17"]["evidence"] == evidence
    assert "20-configure-client.sh" in controls["MODE-17"]["remedy"]


# A docker that does not check what it is told to check.
CARELESS = """#!/bin/bash
unset DOCKER_TLS_VERIFY
exec /usr/bin/docker "${@/#--tlsverify/--tls}"
"""


@pytest.mark.one_release
def test_a_docker_that_checks_no_server_fails_each_way_of_the_client(mended: Host) -> None:
    mended.write("/usr/local/sbin/docker", CARELESS, 0o755)
    try:
        status, controls = verify(mended)
    finally:
        mended.run(["rm", "/usr/local/sbin/docker"])
    assert (status, failed(controls)) == (4, {"MODE-7", "MODE-13", "PLAIN-2"})
    assert controls["MODE-7"]["evidence"] == "docker accepts a server of another CA"
    assert controls["MODE-13"]["evidence"] == "docker sends plain text"


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (f"host=tcp://other.example:2376,{FILES}", f"it leads to tcp://other.example:2376, and the site says {TCP}"),
        (f"host={TCP},ca=/run/other.pem,cert={HOME}/cert.pem,key={HOME}/key.pem", f"its ca.pem is not {HOME}/ca.pem"),
        (
            f"host={TCP},ca={HOME}/ca.pem,cert=/run/other-cert.pem,key={HOME}/key.pem",
            f"its cert.pem is not {HOME}/cert.pem",
        ),
    ],
    ids=["another host", "another CA", "another certificate"],
)
def test_a_context_that_is_not_the_site_s_is_not_followed(mended: Host, options: str, said: str) -> None:
    mended.run(["cp", f"{HOME}/cert.pem", "/run/other.pem"])
    # Of the same key: docker takes no other one.
    words = ["-x509", "-days", "9", "-subj", "/CN=client", "-key", f"{HOME}/key.pem", "-out", "/run/other-cert.pem"]
    mended.run(["openssl", "req", *words])
    mended.run(["docker", "context", "rm", "--force", "localhost"])
    mended.run(["docker", "context", "create", "localhost", "--docker", options])
    controls = verify(mended)[1]
    assert (controls["CLIENT-4"]["result"], controls["CLIENT-4"]["evidence"]) == ("FAIL", said)


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("script", "ended", "outcome", "silent"),
    [(SCRIPT, 4, "FAIL", {"PLAIN-2", "PLAIN-3", *OWN}), (TABLE_SCRIPT, 0, "SKIP", {*MODES})],
    ids=["verification", "table"],
)
def test_an_impostor_that_somebody_else_holds_shows_nothing(
    bare: Host, script: str, ended: int, outcome: str, silent: set[str]
) -> None:
    """Any user can connect to it, and it serves one connection at a time."""
    held, line = "/root/out/clients/client/held.sh", "      impostor=127.0.0.1:${BASH_REMATCH[1]}\n"
    bare.run(["rm", "-f", "/tmp/held"])
    text = whole(bare, script)
    assert text.count(line) == 1
    wait = "      bash /run/hold.sh &\n      until [[ -e /tmp/held ]]; do :; done\n"
    bare.write(held, text.replace(line, f"{line}      export impostor\n{wait}"))
    hold = "exec 9<>/dev/tcp/${impostor/:/\\/}; touch /tmp/held; sleep 300"
    bare.write("/run/hold.sh", f"exec setpriv --reuid nobody --clear-groups bash -c '{hold}' >/dev/null 2>&1\n")
    status, found = verify(bare, held)
    bare.run(["pkill", "-u", "nobody", "sleep"])
    assert (status, {name for name, one in found.items() if one["result"] == outcome}) == (ended, silent)
    for name in silent:
        assert "somebody else has it: this shows nothing" in found[name]["evidence"]
    bare.write("/run/hold.sh", "exit\n")
    status, found = verify(bare, held)
    assert (status, failed(found)) == (0, set())
    assert {found[name]["result"] for name in silent} == {"PASS"}


@pytest.mark.one_release("trixie")
def test_without_the_context_its_mode_is_skipped_and_says_why(mended: Host) -> None:
    mended.run(["docker", "context", "rm", "--force", "localhost"])
    status, controls = verify(mended)
    assert (status, failed(controls)) == (4, {"CLIENT-4"})
    said = "client: there is no docker context localhost: run 20-configure-client.sh"
    assert (controls["MODE-17"]["result"], controls["MODE-17"]["evidence"]) == ("SKIP", said)
    assert controls["CLIENT-4"]["evidence"].startswith(said)
    status, shown = verify(mended, TABLE_SCRIPT)
    assert (status, cells(shown["DMODE-17"])) == (0, " ".join(STOPS.split()))


# ---- What it leaves, and what it needs --------------------------------------

# A stand-in before docker, which looks for copies of the key and then runs docker.
LOOK = f"""#!/bin/bash
grep -rl -F -e "$(sed -n 2p {HOME}/key.pem)" "/tmp" >>/run/copies
printf '.' >>/run/calls
exec /usr/bin/docker "$@"
"""


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize(("script", "calls"), [(SCRIPT, len(OWN)), (TABLE_SCRIPT, len(TABLE))])
def test_the_private_key_is_never_copied_and_nothing_stays(mended: Host, script: str, calls: int) -> None:
    mended.write("/usr/local/sbin/docker", LOOK, 0o755)
    mended.bash("ls -A /tmp >/run/before; cp /root/.docker/key.pem /tmp/control; docker context ls >/dev/null")
    assert mended.read("/run/copies") == "/tmp/control\n"
    mended.bash("rm /tmp/control /run/copies /run/calls")
    try:
        assert verify(mended, script)[0] == 0
    finally:
        mended.run(["rm", "/usr/local/sbin/docker"])
    assert mended.read("/run/copies") == ""
    assert len(mended.read("/run/calls")) > calls
    assert mended.bash("ls -A /tmp").stdout == mended.read("/run/before")
    assert mended.run(["pgrep", "-f", "s_server"], check=False).stdout == ""


@pytest.mark.parametrize(
    ("script", "point"), [(TABLE_SCRIPT, "DMODE-1 "), (TABLE_SCRIPT, "DMODE-9 "), (SCRIPT, "PLAIN-1 ")]
)
def test_ctrl_c_leaves_no_impostor(ready: Host, script: str, point: str) -> None:
    """The lines that it comes at are printed while the impostor serves."""
    before = ready.bash("ls -A /tmp").stdout
    terminal = ready.spawn(["bash", script])
    assert terminal.expect(point) == 0
    terminal.interrupt()
    assert_interrupted(terminal)
    ready.bash("timeout 10 bash -c 'while pgrep -f \"[o]penssl s_server\" >/dev/null; do sleep 0.05; done'")
    assert ready.bash("ls -A /tmp").stdout == before


@pytest.mark.one_release
@pytest.mark.parametrize("script", [TABLE_SCRIPT, SHORT])
def test_ctrl_c_is_heard_while_something_is_waited_for_that_does_not_hear_it(ready: Host, script: str) -> None:
    """timeout(1) keeps it from what it runs; bash takes it, then, for the business of what it waits for."""
    slow = changed(ready, script, ("  run_for 10 knock_at_impostor\n", "  timeout 9 sleep 2.345\n"))
    terminal = ready.spawn(["bash", slow])
    ready.bash("timeout 60 bash -c 'until pgrep -f \"[s]leep 2.345\" >/dev/null; do sleep 0.05; done'")
    terminal.interrupt()
    assert_interrupted(terminal)


@pytest.fixture
def without_docker(mended: Host) -> Iterator[Host]:
    """A client that has the certificates and no docker command."""
    mended.run(["mv", "/usr/bin/docker", "/usr/bin/docker.away"])
    yield mended
    mended.run(["mv", "/usr/bin/docker.away", "/usr/bin/docker"])


@pytest.mark.one_release("trixie")
def test_without_a_docker_client_modes_are_skipped(without_docker: Host) -> None:
    status, controls = verify(without_docker)
    assert status == 0
    skipped = {name for name, control in controls.items() if control["result"] == "SKIP"}
    assert skipped == {"CLIENT-3", "CLIENT-4", "MODE-7", "PLAIN-1"}


NO_DOCKER = f"error: {SHOW}: there is no docker client here, and this shows what one does"


@pytest.mark.one_release("trixie")
@pytest.mark.parametrize("words", [[], ["--check"], ["--json"]], ids=["run", "check", "json"])
def test_without_a_docker_client_there_is_no_table(without_docker: Host, words: list[str]) -> None:
    refuses(without_docker, ["bash", TABLE_SCRIPT, *words], NO_DOCKER)
    assert run(without_docker, "--undo", script=TABLE_SCRIPT).status == 0


@pytest.mark.one_release
def test_without_a_docker_client_the_table_is_left_out_with_the_reason(without_docker: Host) -> None:
    client = ("--as", "clients/client")
    result = setup(without_docker, *client, check=False)
    checked = setup(without_docker, *client, "--check", check=False)
    named = setup(without_docker, SHOW, check=False)
    without_docker.run(["rm", f"{WORK}/parties.txt"])
    assert (result.status, checked.status, named.status) == (0, 0, 2), result.output
    for said in (result, checked, named):
        assert NO_DOCKER in said.stderr
    assert re.search(rf"^   3\. {SHOW} +left out, for the reason above$", result.stderr, re.MULTILINE)
    assert re.findall(r"^\[(\d)/4\] \S+ \.\.\. ok ", result.stderr, re.MULTILINE) == ["1", "2", "4"]


# ---- Three machines ---------------------------------------------------------

THREE = """\
ca: {key: ec:P-256}
hosts:
  - {name: one.example, ip_addresses: [192.0.2.10], listen: "192.0.2.10:2376", key: ec:P-256}
  - {name: two.example, ip_addresses: [192.0.2.20], listen: "192.0.2.20:2376", key: ec:P-256}
clients:
  - {name: alice, key: ec:P-256}
"""
PROXY = "http://127.0.0.1:3128"  # where nothing listens
ADDRESSES = {"one.example": "192.0.2.10", "two.example": "192.0.2.20"}
STEPS = (
    "ca/10-create-ca.sh",
    "hosts/{0}/10-request-certificate.sh",
    "ca/20-sign-servers.sh",
    "clients/alice/10-request-certificate.sh",
    "ca/30-sign-clients.sh",
    "hosts/{0}/20-configure-daemon.sh",
)


def make_host(host: Host, scratch: Path, name: str) -> Host:
    """Let a machine be a Docker host with a CA of its own."""
    install(host, scratch / name, THREE)
    for step in STEPS:
        words = ["--passphrase-file", PASSPHRASE_FILE] if step.startswith("ca/") else []
        argv = ["bash", f"/root/out/{step.format(name)}", "--yes", *words]
        result = host.run(argv, check=False)
        # 5: the CA waits for the other host's request.
        assert result.status in (0, 5), result.output
    return host


def through_proxy(host: Host, env: Mapping[str, str]) -> Found:
    """Return what a client finds of the first host, where docker is told to use a proxy and openssl knows none."""
    result = run(host, "--json", script="/root/out/clients/alice/90-verify.sh", env=env)
    controls = [json.loads(line) for line in result.stdout.splitlines()]
    middle = next(n for n, line in enumerate(controls) if line["id"] == "CLIENT-1" and "two.example" in line["what"])
    return {line["id"]: line for line in controls[:middle]}


def test_a_client_elsewhere_trusts_the_host_of_its_ca_and_refuses_one_of_another(
    lab: Lab, release: str, tmp_path: Path
) -> None:
    options: list[dict[str, Any]] = [
        {"name": name.partition(".")[0], "addresses": [address], "names": {name: address}}
        for name, address in ADDRESSES.items()
    ]
    with ThreadPoolExecutor() as pool:
        one, two, alice = pool.map(lambda words: lab.boot(release, **words), [*options, {"name": "alice"}])
        try:
            list(pool.map(lambda host, name: make_host(host, tmp_path, name), (one, two), ADDRESSES))
            for host in (one, two):
                alice.reach(host)
            alice.know(ADDRESSES)
            install(alice, tmp_path / "alice", THREE)
            for name in ("client-key.pem", "client-certificate.pem", "ca-public.pem"):
                path = f"{WORK}/clients/alice/{name}"
                alice.write(path, one.read_bytes(path), 0o600)
            alice.run(["bash", "/root/out/clients/alice/20-configure-client.sh"])
            result = alice.run(["bash", "/root/out/clients/alice/90-verify.sh", "--json"], check=False)
            words = ["bash", "/root/out/clients/alice/50-show-tls-modes.sh", "--json"]
            table = alice.run(words, env={"https_proxy": PROXY})
            proxied = through_proxy(alice, {"https_proxy": PROXY, "no_proxy": "localhost"})
            bypassed = through_proxy(alice, {"HTTPS_PROXY": PROXY, "NO_PROXY": "one.example"})
        finally:
            for host in (one, two, alice):
                lab.remove(host)
    controls = [json.loads(line) for line in result.stdout.splitlines()]
    middle = next(n for n, line in enumerate(controls) if line["id"] == "CLIENT-1" and "two.example" in line["what"])
    good = {line["id"]: line for line in controls[:middle]}
    assert failed(good) == set(), result.stdout
    assert {cells(good[name]) for name in OWN} == {OWN_SOUND}
    other = {line["id"]: line for line in controls[middle:]}
    assert failed(other) == {"CLIENT-1", "CLIENT-3", "CLIENT-4"}
    for name in failed(other):
        assert other[name]["evidence"].startswith("client: the server's certificate is not of the CA in ca.pem: ")
    assert cells(other["MODE-17"]) == OWN_SOUND
    assert failed(bypassed) == set()
    assert (failed(proxied), {cells(proxied[name]) for name in OWN}) == ({"CLIENT-3", "CLIENT-4"}, {OWN_SOUND})
    rows = [json.loads(line) for line in table.stdout.splitlines()]
    assert [row["id"] for row in rows] == MODES * 2
    seen = {row["asked"].partition(", and at ")[0]: cells(row) for row in rows if row["id"] == "DMODE-17"}
    assert seen == {
        "docker --context=one.example ps --quiet": SOUND,
        "docker --context=two.example ps --quiet": f"{OWN_SOUND} -",
    }
    for name in failed(proxied):
        assert proxied[name]["evidence"] == (
            f"client: docker goes through the proxy of https_proxy={PROXY} no_proxy=localhost and gets no answer "
            "there; without it one.example answers"
        )
        assert proxied[name]["remedy"] == "add one.example to no_proxy, in the environment and in the shell profile"
