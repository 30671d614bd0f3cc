"""Facts about how the words that dockerd runs with are held against the site's, the drop-in's and systemd's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sites import library

SITE = "-H unix:///var/run/docker.sock -H tcp://127.0.0.1:2376 --tlsverify --tlskey=/etc/docker/tls/server-key.pem"
KEPT = "--containerd=/run/containerd/containerd.sock"
FAKES = """
set -Eeuo pipefail; shopt -s inherit_errexit; export LC_ALL=C
listen=127.0.0.1:2376 facts='' drop_in=$1 fake_systemd=$2 fake_running=$3
read -r -a dockerd_words <<<"$4"
daemon_property() {
  printf '{ path=/usr/sbin/dockerd ; argv[]=%s ; ignore_errors=no ; start_time=[n/a] ; pid=0 ; code=(null) }\\n' \
    "${fake_systemd}"
}
running_arguments() { if [[ -n ${fake_running} ]]; then printf '%b\\n' "${fake_running}"; fi; }
"""


def call(path: Path, code: str, told: str, systemd: str, running: str) -> tuple[int, str, str]:
    """Run bash with what the drop-in's last lines tell, what systemd says of it, and what dockerd runs with.

    Words of `running` are parted by two blanks: one may stand in a word.
    """
    drop_in = path / "override.conf"
    drop_in.write_text(f"# Written by dockseal\n[Service]\nExecStart=\nExecStart={told}\n")
    script = "\n".join((FAKES, library("daemon_unit", "judge_words"), code))
    words = (str(drop_in), systemd, running.replace("  ", "\\n"), SITE)
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def problem(path: Path, told: str, systemd: str, running: str) -> str:
    """Return what verification says of the words, without its end."""
    status, out, error = call(path, "words_difference", told, systemd, running)
    assert (status, error) == (0, "")
    return out.removesuffix("; ")


def lines(words: str) -> str:
    """Return a command as the drop-in has it: one word a line, but for the sockets."""
    return " \\\n  ".join(words.replace(" -", "\n-").replace(" $", "\n$").split("\n"))


def one_each(words: str) -> str:
    return words.replace(" ", "  ")


DOCKERD = "/usr/sbin/dockerd"
PLAIN = f"{DOCKERD} {SITE} {KEPT}"
WITH_VARIABLE = f"{PLAIN} $DOCKER_OPTS"
LABEL = f'{PLAIN} --label "site=Hall  2"'


@pytest.mark.parametrize(
    ("told", "systemd", "running"),
    [
        (PLAIN, PLAIN, one_each(PLAIN)),
        (WITH_VARIABLE, WITH_VARIABLE, one_each(PLAIN)),
        (WITH_VARIABLE, WITH_VARIABLE, one_each(f"{PLAIN} --debug --label=a")),
        (f"{PLAIN} $A --debug ${{B}}", f"{PLAIN} $A --debug ${{B}}", one_each(f"{PLAIN} x y --debug z")),
        (f"{PLAIN} $A --debug", f"{PLAIN} $A --debug", one_each(f"{PLAIN} --debug")),
        (LABEL, LABEL.replace('"', ""), f"{one_each(PLAIN)}  --label  site=Hall 2"),
        (f"{PLAIN} --label=%p", f"{PLAIN} --label=docker", one_each(f"{PLAIN} --label=docker")),
        (f"{PLAIN} a\\ b", f"{PLAIN} a b", f"{one_each(PLAIN)}  a b"),
    ],
    ids=["no more", "empty variable", "variable", "two variables", "none of it", "quotes", "specifier", "blank"],
)
def test_words_that_are_as_they_should_be(tmp_path: Path, told: str, systemd: str, running: str) -> None:
    assert problem(tmp_path, lines(told), systemd, running) == ""


SWAPPED = PLAIN.replace(
    "--tlsverify --tlskey=/etc/docker/tls/server-key.pem", "--tlskey=/etc/docker/tls/server-key.pem"
)
REMOVED = PLAIN.replace(f" {KEPT}", "")


@pytest.mark.parametrize(
    ("told", "systemd", "running", "said"),
    [
        (
            PLAIN,
            PLAIN,
            one_each(SWAPPED.replace(KEPT, f"--tlsverify {KEPT}")),
            "dockerd runs with --tlskey=/etc/docker/tls/server-key.pem, expected --tlsverify",
        ),
        (PLAIN, PLAIN, one_each(REMOVED), f"dockerd runs with nothing more, expected {KEPT}"),
        (PLAIN, PLAIN, one_each(f"{PLAIN} --debug"), "dockerd runs with --debug, expected nothing more"),
        (PLAIN, PLAIN, "", "dockerd runs with nothing more, expected -H"),
        (
            f"{PLAIN} $A --debug",
            f"{PLAIN} $A --debug",
            one_each(f"{PLAIN} x"),
            "dockerd runs with x, expected --debug",
        ),
        *(
            (
                f"{PLAIN} $A --debug",
                f"{PLAIN} $A --debug",
                one_each(f"{PLAIN} {of_variable}--debug x"),
                "dockerd runs with x, expected nothing more",
            )
            for of_variable in ("", "y ")
        ),
        (f"{PLAIN} a%%b", f"{PLAIN} a%b", one_each(f"{PLAIN} a%c"), "dockerd runs with a%c, expected a%b"),
        # What another drop-in adds, with and without a variable before it.
        (
            PLAIN,
            f"{PLAIN} --debug",
            one_each(f"{PLAIN} --debug"),
            "systemd gives dockerd --debug, expected nothing more",
        ),
        (
            WITH_VARIABLE,
            f"{WITH_VARIABLE} --debug",
            one_each(f"{PLAIN} --debug"),
            "systemd gives dockerd --debug, expected nothing more",
        ),
        (
            WITH_VARIABLE,
            f"{PLAIN} --debug",
            one_each(f"{PLAIN} --debug"),
            "systemd gives dockerd --debug, expected $DOCKER_OPTS",
        ),
        # A drop-in that is not the site's, whatever systemd and dockerd make of it.
        (
            SWAPPED,
            SWAPPED,
            one_each(SWAPPED),
            "systemd gives dockerd --tlskey=/etc/docker/tls/server-key.pem, expected --tlsverify",
        ),
        (
            PLAIN.replace("2376", "2377"),
            PLAIN.replace("2376", "2377"),
            one_each(PLAIN.replace("2376", "2377")),
            "systemd gives dockerd tcp://127.0.0.1:2377, expected tcp://127.0.0.1:2376",
        ),
        (PLAIN, REMOVED, one_each(REMOVED), f"systemd gives dockerd nothing more, expected {KEPT}"),
        (f"{PLAIN} a%%b", PLAIN, one_each(PLAIN), "systemd gives dockerd nothing more, expected a%%b"),
    ],
    ids=[
        *("swapped", "removed", "added", "no dockerd", "behind a variable"),
        *("added after an empty variable", "added after a variable", "behind a %"),
        *("added by a file", "added behind a variable", "in place of a variable", "not the site's", "another port"),
        *("removed by a file", "specifier"),
    ],
)
def test_the_first_word_that_differs_is_named(tmp_path: Path, told: str, systemd: str, running: str, said: str) -> None:
    assert problem(tmp_path, lines(told), systemd, running) == said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", ""),
        ("--debug", ""),
        ("--host-gateway-ip=192.0.2.1", ""),
        ("-H  tcp://[::1]:1", " too; it was told to listen on tcp://[::1]:1"),
        ("--host=fd://", " too; it was told to listen on fd://"),
        ("-Hfd://  --host  unix:///a", " too; it was told to listen on fd:// too; it was told to listen on unix:///a"),
    ],
)
def test_each_other_place_to_listen_is_named(tmp_path: Path, more: str, said: str) -> None:
    running = one_each(PLAIN) + f"  {more}" * bool(more)
    status, out, error = call(tmp_path, "other_listeners", PLAIN, PLAIN, running)
    assert (status, error) == (0, "")
    assert out == f"{said.removeprefix(' too; ')} too; " * bool(said)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", []),
        ("--debug  --tlskey-of-others=x", []),
        ("--label  --icc=false", []),
        ("--tlscacert=/srv/ca.pem  --tlskey  /srv/key.pem", ["--tlscacert=/srv/ca.pem", "--tlskey"]),
        ("--tls=false", ["--tls=false"]),
        ("--userns-remap=", ["--userns-remap="]),
    ],
    ids=["no more", "others", "what the site leaves open", "files", "no TLS", "no user namespaces"],
)
def test_what_the_site_decides_is_told_once(tmp_path: Path, more: str, said: list[str]) -> None:
    running = one_each(f"{DOCKERD} {SITE} --userns-remap=default {KEPT}") + f"  {more}" * bool(more)
    code = "dockerd_words+=(--userns-remap=default)\ntold_again"
    status, out, error = call(tmp_path, code, PLAIN, PLAIN, running)
    assert (status, error) == (0, "")
    assert out == "".join(f"it was told {word} too; " for word in said)


@pytest.mark.parametrize("last", [20000, 31999], ids=["nearly all are free", "none is"])
def test_a_free_port_is_not_looked_for_without_end(last: int) -> None:
    code = f"""
    set -Eeuo pipefail
    probe_address=127.0.0.1 facts='' used=$(printf ':%04X \\n' {{20000..{last}}})
    journalctl() {{ :; }}
    cat() {{ printf '%s\\n' "${{used}}"; }}
    for ((tries = 0; tries < 20; tries++)); do mark_log; done
    [[ ${{from_own_port[*]}} =~ ^-bind\\ 127.0.0.1:([23][0-9]+)$ ]]
    """
    words = ["timeout", "60", "bash", "-c", "\n".join((library("daemon"), code))]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("running", "said"),
    [
        (PLAIN, ""),
        (f"{PLAIN} --debug", ""),
        (f"{PLAIN} -H tcp://[::1]:1", "dockerd was told more: -H tcp://[::1]:1"),
        (f"{PLAIN} --host=fd://", "dockerd was told more: --host=fd://"),
        (f"{PLAIN} -Hfd://", "dockerd was told more: -Hfd://"),
        (f"{PLAIN} --host-gateway-ip=192.0.2.1", ""),
        (f"{PLAIN} --tlscacert=/srv/ca.pem", "dockerd was told more: --tlscacert=/srv/ca.pem"),
        (f"{PLAIN} --tls=false", "dockerd was told more: --tls=false"),
        (SWAPPED, "dockerd does not run with the new flags"),
        (PLAIN.replace("server-key.pem", "server-key.pem2"), "dockerd does not run with the new flags"),
        (PLAIN.replace("-H unix", "--debug -H unix"), "dockerd does not run with the new flags"),
        ("", "dockerd does not run with the new flags"),
    ],
    ids=[
        "no more",
        "more",
        "-H",
        "--host",
        "-H in one",
        "of another name",
        "another CA",
        "no TLS",
        "removed",
        "longer",
        "not first",
        "none",
    ],
)
def test_after_the_restart_the_site_s_words_must_come_first(tmp_path: Path, running: str, said: str) -> None:
    status, out, error = call(tmp_path, "words_problem", PLAIN, PLAIN, one_each(running))
    assert (status, out.strip(), error) == (0, said, "")
