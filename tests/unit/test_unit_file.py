"""Facts about how the daemon's scripts read a unit, its variables and dockerd's answers: the functions alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sites import library

LOADED = ("common", "daemon_unit", "daemon_change", "daemon_conflicts", "daemon", "listeners", "daemon_mutual")
CONSTANTS = """
set -Eeuo pipefail; shopt -s inherit_errexit; export LC_ALL=C
script=hosts/localhost/20-configure-daemon.sh listen=127.0.0.1:2376 userns_remap='' cursor=''
dockerd_words=(-H unix:///var/run/docker.sock -H tcp://127.0.0.1:2376)
the_unit=$1
"""
UNIT = """
daemon_property() {
  case $1 in
    FragmentPath) printf '%s\\n' "${the_unit}" ;;
    EnvironmentFiles) printf '%s (ignore_errors=yes)\\n' "${the_unit}" ;;
    Environment) printf '%s\\n' "${environment:-}" ;;
    *) return 1 ;;
  esac
}
"""


def call(path: Path, code: str, loaded: tuple[str, ...] = LOADED) -> tuple[int, str, str]:
    """Run bash with files of the library and a unit that lies at a path; return its status and what it says."""
    script = "\n".join((CONSTANTS, library(*loaded), UNIT, code))
    done = subprocess.run(["bash", "-c", script, "bash", str(path)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def read_unit(path: Path, command: str, code: str) -> tuple[int, str, str]:
    """Run bash that has read a unit with this text, in which DOCKERD stands for a file that is there."""
    folder = path / "bin"
    folder.mkdir()
    (folder / "dockerd").write_text("")
    (folder / "dockerd").chmod(0o755)
    unit = path / "docker.service"
    unit.write_text(command.replace("DOCKERD", str(folder / "dockerd")))
    return call(unit, f"read_stock_command; {code}")


def kept(path: Path, command: str) -> tuple[int, list[str], str]:
    """Return what stays of a unit's ExecStart=, beside the status and the error."""
    status, out, error = read_unit(path, command, 'printf \'%s\\n\' "${config_file}" "${kept[@]}"')
    return status, out.splitlines(), error


JSON = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ExecStart=DOCKERD -H fd:// --debug $OPTS\n", [JSON, "--debug", "$OPTS"]),
        ('ExecStart=DOCKERD --label "site=Hall  2"\n', [JSON, "--label", '"site=Hall  2"']),
        ("ExecStart=DOCKERD --label='a \"b\"  c' x\\ y\n", [JSON, "--label='a \"b\"  c'", "x\\ y"]),
        ("ExecStart = DOCKERD \\\n  # why\n ; why\n  --debug \\\n --ipv6\n", [JSON, "--debug", "--ipv6"]),
        ("ExecStart=/bin/other\nExecStart=\nExecStart=DOCKERD --debug\n", [JSON, "--debug"]),
        ("ExecStart=DOCKERD --config-file /srv/a.json\n", ["/srv/a.json", "--config-file", "/srv/a.json"]),
        ("ExecStart=DOCKERD --config-file=/srv/a.json\n", ["/srv/a.json", "--config-file=/srv/a.json"]),
        ('ExecStart=DOCKERD "-H" "fd://" --host=tcp://x --host tcp://y -Htcp://z -D\n', [JSON, "-D"]),
        ("ExecStart=DOCKERD --debug", [JSON, "--debug"]),
    ],
    ids=["words", "quoted", "both quotes", "comments", "last", "file in two", "file in one", "hosts", "no line end"],
)
def test_words_of_the_unit_stay_byte_for_byte(tmp_path: Path, text: str, words: list[str]) -> None:
    assert kept(tmp_path, f"[Service]\n{text}") == (0, words, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ExecStart=/usr/bin/env dockerd --debug\n", "starts /usr/bin/env dockerd, and not dockerd itself"),
        ("ExecStart=-DOCKERD --debug\n", "and not dockerd itself"),
        ("ExecStart=/usr/bin/podman system service\n", "starts /usr/bin/podman system, and not dockerd itself"),
        ('ExecStart=DOCKERD --label "a b\n', "a quote has no end in docker.service"),
        ("ExecStart=DOCKERD --tlsverify\n", "passes --tlsverify itself"),
        ("ExecStart=DOCKERD -DH tcp://0.0.0.0:1\n", "passes -DH itself"),
        ("ExecStart=DOCKERD --debug ; DOCKERD\n", "passes ; itself"),
    ],
    ids=["wrapper", "prefix", "podman", "quote", "own option", "shorthands", "two commands"],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, said: str) -> None:
    status, words, error = kept(tmp_path, f"[Service]\n{text}")
    assert (status, words) == (2, [])
    assert said in error


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('docker_opts1="-H tcp://0.0.0.0:4243"\n', "-H"),
        ('docker_opts1="--dns 192.0.2.53 \\\n  -H tcp://0.0.0.0:4243"\n', "-H"),
        ('docker_opts1="--dns 192.0.2.53\n  -H tcp://0.0.0.0:4243"\n', "-H"),
        ("# docker_opts1 \\\ndocker_opts1=--tlsverify=false\n", "--tlsverify"),
        ("# docker_opts1=-H tcp://0.0.0.0:4243\n", ""),
        ('NO_PROXY="localhost -H,REG-HQ.example.net"\ndocker_opts1=--debug\n', ""),
        ('docker_opts1="--http-proxy=http://PROXY-HA.example.net"\n', ""),
    ],
    ids=["any name", "continued", "in quotes", "after a comment", "comment", "not passed on", "not a word"],
)
def test_only_a_word_of_a_variable_that_is_passed_on_counts(tmp_path: Path, text: str, passes: str) -> None:
    path = tmp_path / "docker"
    path.write_text(text)
    status, _, error = call(path, "kept=('--debug' '$docker_opts1'); check_environment")
    said = f"error: hosts/localhost/20-configure-daemon.sh: {path} passes {passes} to dockerd too; remove it there; "
    assert (status, error) == ((2, f"{said}nothing was changed\n") if passes else (0, ""))


@pytest.mark.parametrize(
    ("environment", "status"),
    [("HTTPS_PROXY=http://PROXY-HA.example.net NO_PROXY=a", 0), ('A=b "OPTS=--debug -H tcp://x"', 2)],
    ids=["proxy", "passed on"],
)
def test_environment_lines_are_read_as_words(tmp_path: Path, environment: str, status: int) -> None:
    (tmp_path / "docker").write_text("")
    code = f"environment='{environment}' kept=('${{OPTS}}'); check_environment"
    assert call(tmp_path / "docker", code)[0] == status


@pytest.mark.parametrize(
    ("alert", "client", "log", "is_refusal"),
    [
        ("alert bad certificate", "", None, True),
        ("alert certificate required", "", None, True),
        ("alert handshake failure", "client", "client didn't provide a certificate", True),
        ("alert handshake failure", "", "client didn't provide a certificate", True),
        ("alert handshake failure", "client", None, True),
        ("alert handshake failure", "", None, False),
        ("alert handshake failure", "client", "no cipher suite supported by both", False),
        ("alert internal error", "client", "client didn't provide a certificate", False),
        ("errno=104", "client", None, False),
    ],
)
def test_what_counts_as_a_refusal(tmp_path: Path, alert: str, client: str, log: str | None, is_refusal: bool) -> None:
    """dockerd of Go 1.26 calls a missing certificate a handshake failure over TLS 1.2."""
    cursor = "" if log is None else "cursor"
    code = f"""
    cursor='{cursor}'; refusal_in_log() {{ printf '%s' "{log or ""}"; }}
    if is_refusal 'ssl3_read_bytes:{alert}:SSL {alert} number' '{client}'; then printf yes; else printf no; fi
    """
    assert call(tmp_path, code)[1] == ("yes" if is_refusal else "no")


@pytest.mark.parametrize(
    ("port", "log", "said"),
    [
        ("20001", "", ""),
        ("20001", "127.0.0.1:40000: EOF", ""),
        ("20001", "127.0.0.1:20001: EOF", "127.0.0.1:20001: EOF"),
        ("20001", "[::1]:20001: EOF", "[::1]:20001: EOF"),
        ("20001", "127.0.0.1:120001: EOF", ""),
        ("20001", "127.0.0.1:40000: no :20001: here", ""),
        ("20001", "127.0.0.1:40000: EOF\nnothing\n127.0.0.1:20001: tls: no", "127.0.0.1:20001: tls: no"),
    ],
)
def test_only_our_own_connection_counts_in_the_log(tmp_path: Path, port: str, log: str, said: str) -> None:
    lines = "\n".join(f"http: TLS handshake error from {line}" for line in log.splitlines())
    code = f"cursor=cursor own_port={port}; journalctl() {{ printf '%s\\n' '{lines}'; }}; sleep() {{ SECONDS=9; }}"
    assert call(tmp_path, f"{code}; refusal_in_log") == (0, f"{said}\n" * bool(said), "")


@pytest.mark.parametrize(
    ("words", "settings", "group"),
    [
        ("", "", "docker"),
        ("--group ops", "", "ops"),
        ("-G ops", "", "ops"),
        ("--group=ops", "", "ops"),
        ("--debug", '{"group" : "ops"}', "ops"),
        ("--debug", '{"group": ""}', "root"),
    ],
)
def test_the_group_that_dockerd_gives_its_socket(tmp_path: Path, words: str, settings: str, group: str) -> None:
    code = f"kept=({words}); settings='{settings}'; group_of_dockerd"
    assert call(tmp_path, code) == (0, f"{group}\n", "")


def test_all_that_keeps_icc_from_working_is_named_at_once(tmp_path: Path) -> None:
    code = """
    kept=(--bridge=none); config_file=/etc/docker/daemon.json; settings='{"iptables" : false, "bridge": "none"}'
    dockerd_words+=(--icc=false); check_settings
    """
    status, _, error = call(tmp_path, code)
    assert status == 2
    assert (
        '"iptables": false in /etc/docker/daemon.json, --bridge=none in the unit of docker.service, "bridge": "none" in'
        in error
    )


# ---- Whose a drop-in is -----------------------------------------------------

MARKER = "# Written by dockseal hosts/localhost/20-configure-daemon.sh; --undo removes it.\n"
COMMAND = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd \\\n  -H unix:///var/run/docker.sock \\\n  -H tcp://a:1\n"
PROXY = "Environment=HTTPS_PROXY=http://proxy:3128\n"
SAID = "has lines that this script did not write: {}; move them to another file of that folder and run this again;"
DROP_INS = {
    "of this script": (MARKER + COMMAND, "ours", ""),
    "with folders": (f"{MARKER}# Made with it: /srv/a\n# Made with it: /srv\n{COMMAND}", "ours", ""),
    "with other flags": (
        MARKER + COMMAND.replace("tcp://a:1", 'tcp://b:2 \\\n  --label \\\n  "a  b" $OPTS'),
        "ours",
        "",
    ),
    "with blank lines": (f"{MARKER}\n{COMMAND}\n\n", "ours", ""),
    "without a last line end": ((MARKER + COMMAND).rstrip(), "ours", ""),
    "somebody's": (f"[Service]\n{PROXY}", "", ""),
    "a line above": (f"# proxy\n{MARKER}{COMMAND}", "", SAID.format("# proxy")),
    "a section above": (f"[Service]\n{PROXY}{MARKER}{COMMAND}", "", SAID.format(PROXY.strip())),
    "a line below": (MARKER + COMMAND + PROXY, "", SAID.format(PROXY.strip())),
    "a line that ends with a colon": (f"# proxy:\n{MARKER}{COMMAND}", "", SAID.format("# proxy:")),
    "a line between": (MARKER + COMMAND.replace("Start=\n", f"Start=\n{PROXY}"), "", SAID.format(PROXY.strip())),
    "a command below": (f"{MARKER}{COMMAND}ExecStart=\n", "", SAID.format("ExecStart=")),
    "another command": (MARKER + COMMAND.replace("dockerd", "nice"), "", SAID.format("ExecStart=/usr/sbin/nice \\")),
    "of another host": (
        MARKER.replace("localhost", "other") + COMMAND,
        "",
        "was made by hosts/other/20-configure-daemon.sh, perhaps under this host's earlier name; run that script's "
        "--undo first, as it was rendered then;",
    ),
}


@pytest.mark.parametrize("name", DROP_INS)
def test_a_drop_in_is_ours_when_every_line_is(tmp_path: Path, name: str) -> None:
    text, ours, said = DROP_INS[name]
    path = tmp_path / "override.conf"
    path.write_text(text)
    code = "drop_in=$1; if is_drop_in_ours; then printf ours; fi; check_writer"
    status, out, error = call(path, code)
    start = f"error: hosts/localhost/20-configure-daemon.sh: {path} "
    assert (status, out, error) == (2 if said else 0, ours, f"{start}{said} nothing was changed\n" if said else "")


def test_what_a_script_writes_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "override.conf"
    code = """
    drop_in=$1 dockerd=/usr/sbin/dockerd made=(/srv/a /srv) kept=('"a  b"' '$OPTS')
    dockerd_words+=(--tlsverify --icc=false)
    drop_in_text >"${drop_in}"
    if is_drop_in_ours; then printf ours; fi
    """
    assert call(path, code) == (0, "ours", "")
    assert path.read_text() == (
        f"{MARKER}# Made with it: /srv/a\n# Made with it: /srv\n[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd \\\n"
        "  -H unix:///var/run/docker.sock \\\n  -H tcp://127.0.0.1:2376 \\\n  --tlsverify \\\n  --icc=false \\\n"
        '  "a  b" \\\n  $OPTS\n'
    )


def test_a_drop_in_without_more_words_ends_after_the_sockets(tmp_path: Path) -> None:
    path = tmp_path / "override.conf"
    assert call(path, "dockerd=/usr/sbin/dockerd made=() kept=(); drop_in_text >$1") == (0, "", "")
    assert path.read_text().endswith("\n  -H unix:///var/run/docker.sock \\\n  -H tcp://127.0.0.1:2376\n")


# ---- What is taken over from the unit ---------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS", ""),
        ("-H fd://", ""),
        ("-H fd:// --containerd=/srv/containerd.sock", "--containerd=/srv/containerd.sock"),
        ('$DOCKER_OPTS --label "a  b"', '$DOCKER_OPTS --label "a  b"'),
        ("-H fd:// $MORE", "$MORE"),
    ],
    ids=["Debian's", "none", "another socket", "a label", "a variable"],
)
def test_words_that_are_taken_over_are_named_where_they_are_not_the_usual_ones(
    tmp_path: Path, words: str, said: str
) -> None:
    status, out, error = read_unit(tmp_path, f"[Service]\nExecStart=DOCKERD {words}\n", "note_kept")
    found = f"taken over from {tmp_path}/docker.service, after the site's own words: {said}\n"
    assert (status, out, error) == (0, "", f"hosts/localhost/20-configure-daemon.sh: {found}" * bool(said))
