"""Facts about what the environment, files and folders of others can do to a script: nothing, or they are refused."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sites import render

PASSPHRASE = "correct horse battery staple"
SITE = """\
ca: {key: ec:P-256}
hosts:
  - {name: docker.example.com, key: ec:P-256}
clients:
  - {name: admin, key: ec:P-256}
"""
CREATE = "ca/10-create-ca.sh"
SIGN = "ca/20-sign-servers.sh"
REQUEST = "hosts/docker.example.com/10-request-certificate.sh"
LIST = "ca/80-list-certificates.sh"
REQUEST_CLIENT = "clients/admin/10-request-certificate.sh"
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a site of one host."""
    return render(SITE, tmp_path_factory.mktemp("rendered") / "out")


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    """A file with the passphrase that only its owner can read."""
    return secret(tmp_path / "passphrase", f"{PASSPHRASE}\n".encode())


def secret(path: Path, octets: bytes) -> Path:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(octets)
    return path


def run(
    script: Path, *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script without a terminal."""
    argv = ["bash", str(script), *map(str, words)]
    variables = {**os.environ, **(env or {})}
    return subprocess.run(
        argv, env=variables, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def create(out: Path, work: Path, passphrase: Path, env: Mapping[str, str] | None = None) -> None:
    """Make a CA; it must work."""
    done = run(out / CREATE, "--dir", work, "--passphrase-file", passphrase, env=env)
    assert done.returncode == 0, done.stderr


def opens(key: Path, passphrase: str) -> bool:
    """Tell whether a passphrase opens a key."""
    argv = ["openssl", "pkey", "-in", str(key), "-passin", "stdin", "-noout"]
    return subprocess.run(argv, input=f"{passphrase}\n", text=True, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"OPENSSL_CONF": "/nowhere/openssl.cnf"}, id="OPENSSL_CONF"),
        pytest.param({"OPENSSL_MODULES": "/nowhere", "OPENSSL_ENGINES": "/nowhere"}, id="OPENSSL_MODULES"),
        pytest.param({"POSIXLY_CORRECT": "1"}, id="POSIXLY_CORRECT"),
        pytest.param({"TMPDIR": "/nowhere"}, id="TMPDIR"),
        pytest.param({"SHELLOPTS": "keyword:nounset:noglob"}, id="SHELLOPTS"),
        pytest.param({"BASHOPTS": "nocasematch:failglob"}, id="BASHOPTS"),
        pytest.param({"passphrase": "exported before", "verb": "undo", "dir": "/nowhere"}, id="variables"),
        pytest.param({"IFS": "e", "CDPATH": "/", "GLOBIGNORE": "*"}, id="IFS"),
        pytest.param({"LC_ALL": "tr_TR.UTF-8", "PATH": "/usr/bin:/bin"}, id="locale"),
    ],
)
def test_a_variable_of_the_caller_has_no_say(
    out: Path, tmp_path: Path, passphrase: Path, env: Mapping[str, str]
) -> None:
    work = tmp_path / "work"
    create(out, work, passphrase, env)
    assert opens(work / "ca/ca-private.pem", PASSPHRASE)
    done = run(out / REQUEST, "--dir", work, env=env)
    assert done.returncode == 0, done.stderr
    done = run(out / SIGN, "--dir", work, "--passphrase-file", passphrase, env=env)
    assert done.returncode == 0, done.stderr
    assert (work / "hosts/docker.example.com/certificate.pem").exists()


NAMES = ["printf", "exec", "read", "openssl", "set", "unset", "[", ".", "source", "/usr/bin/realpath", "realpath"]


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_function_is_not_called(out: Path, tmp_path: Path, passphrase: Path, name: str) -> None:
    spy = tmp_path / "called"
    create(out, tmp_path / "work", passphrase, {f"BASH_FUNC_{name}%%": f'() {{ command echo "$*" >>{spy}; }}'})
    assert opens(tmp_path / "work/ca/ca-private.pem", PASSPHRASE)
    assert not spy.exists()


def test_what_bash_env_defines_is_gone(out: Path, tmp_path: Path, passphrase: Path) -> None:
    spy, startup = tmp_path / "called", tmp_path / "startup"
    startup.write_text(f"openssl() {{ command echo called >>{spy}; }}; shopt -s nocasematch\n")
    create(out, tmp_path / "work", passphrase, {"BASH_ENV": str(startup)})
    assert not spy.exists()


# ---- What a script starts with ----------------------------------------------

EVERYTHING = """\
ca: {key: ec:P-256}
hosts:
  - {name: docker.example.com, key: ec:P-256, userns_remap: default, networks: [{name: apart, icc: false}]}
  - {name: plain.example.com, mode: plain, listen: "127.0.0.1:2375"}
clients:
  - {name: admin, key: ec:P-256}
"""
BEGIN = re.compile(r'^\. "\$\{lib%[/*]+\}/lib/begin\.sh"$', re.MULTILINE)
# All that decides what the words below it mean.
SHOW = '/usr/bin/env | /usr/bin/sort; declare -F; set -o; shopt; alias; printf \'%q %s\\n\' "$IFS" "${GLOBIGNORE-none}"'
CALLED = ("docker", "openssl", "cp", "systemctl", "cd", "env", "bash", "umask", "command", "ulimit", "shopt")
HOSTILE = {
    "functions": {
        f"BASH_FUNC_{name}%%": '() { builtin printf x >>"$SPY"; }' for name in (*NAMES, *CALLED) if "/" not in name
    },
    "BASH_ENV": {"BASH_ENV": "STARTUP"},
    "SHELLOPTS": {"SHELLOPTS": "keyword:nounset:noglob:physical"},
    "BASHOPTS": {"BASHOPTS": "nocasematch:failglob:extglob"},
    "ENV": {"ENV": "STARTUP", "POSIXLY_CORRECT": "1"},
    "CDPATH": {"CDPATH": "/", "GLOBIGNORE": "*", "IFS": "e"},
}


@pytest.fixture(scope="module")
def showing(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every script that there is, made to show what it starts with."""
    out = render(EVERYTHING, tmp_path_factory.mktemp("showing") / "out")
    scripts = [path for path in sorted(out.rglob("*.sh")) if path.parent.name != "lib"]
    for script in scripts:
        text, count = BEGIN.subn(lambda match: f"{match[0]}\n{SHOW}\nexit", script.read_text())
        assert count == 1, script
        script.write_text(text)
    return scripts


@pytest.mark.parametrize("name", HOSTILE)
def test_every_script_starts_the_same_whatever_the_caller_has(showing: list[Path], tmp_path: Path, name: str) -> None:
    """The control: the very same reaches a bare bash."""
    spy, startup = tmp_path / "called", tmp_path / "startup"
    startup.write_text("docker() { :; }; shopt -s nocasematch; alias cp=rm; set -o physical\n")
    plain = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "SPY": str(spy)}
    hostile = plain | {key: str(startup) if value == "STARTUP" else value for key, value in HOSTILE[name].items()}

    def shown(env: dict[str, str], *argv: str | Path) -> str:
        done = subprocess.run(["/bin/bash", *argv], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), argv
        return done.stdout

    for script in showing:
        assert shown(hostile, script) == shown(plain, script), script
    assert not spy.exists()
    names = {f"{script.parent.parent.name}/{script.name[:2]}" for script in showing}
    assert names >= {f"hosts/{number}" for number in (10, 20, 30, 40, 60, 90, 91)}
    assert shown(hostile, "-c", SHOW) != shown(plain, "-c", SHOW)
    assert spy.exists() == (name == "functions")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder of somebody else's, with a library wherever a script that is taken for $0 would have its own."""
    folder = tmp_path / "somebody" / "else"
    for place in (folder / "lib", folder.parent / "lib", tmp_path / "lib"):
        place.mkdir(parents=True)
        (place / "begin.sh").write_text("printf planted; exit 0\n")
    for name in ("bash", "sh", "10-create-ca.sh", "setup.sh"):
        (folder / name).write_text("printf planted; exit 0\n")
    return folder


REFUSED = [
    pytest.param('bash <"$FILE"', id="standard-input"),
    pytest.param('bash -s -- --help <"$FILE"', id="standard-input-and-words"),
    pytest.param('cat "$FILE" | bash', id="pipe"),
    pytest.param('bash -c "$(cat "$FILE")"', id="command-string"),
    pytest.param('bash -c "$(cat "$FILE")" setup.sh', id="command-string-with-a-name"),
    pytest.param('bash <(cat "$FILE")', id="process-substitution"),
    pytest.param("bash -c '. \"$FILE\"'", id="sourced"),
    pytest.param('printf \'. "$FILE"\' >"$TMPDIR/sources"; bash "$TMPDIR/sources"', id="sourced-by-a-script"),
    pytest.param('rm -f ./*.sh; PATH=${FILE%/*}:$PATH bash "${FILE##*/}"', id="bash-on-PATH"),
    pytest.param('dash "$FILE"', id="dash"),
    pytest.param('dash <"$FILE"', id="dash-standard-input"),
    pytest.param('dash -c "$(cat "$FILE")"', id="dash-command-string"),
]
RUN = [
    pytest.param('bash "$FILE" --help', id="path"),
    pytest.param('"$FILE" --help', id="itself"),
    pytest.param('cd "${FILE%/*}"; bash "${FILE##*/}" --help', id="name"),
    pytest.param('cd "${FILE%/*}"; "./${FILE##*/}" --help', id="itself-from-its-folder"),
    pytest.param('ln -s "$FILE" link; bash link --help', id="link"),
    pytest.param('rm ./*.sh; PATH=${FILE%/*}:$PATH; "${FILE##*/}" --help', id="itself-on-PATH"),
    pytest.param('bash /dev/stdin --help <"$FILE"', id="dev-stdin"),
    pytest.param('bash --posix "$FILE" --help', id="posix"),
]


def spelled(file: Path, planted: Path, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash about a script of out/ in a folder of somebody else's."""
    variables = {**os.environ, "FILE": str(file), "TMPDIR": str(planted), **env}
    return subprocess.run(["bash", "-c", line], cwd=planted, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("step", [CREATE, "setup.sh"])
@pytest.mark.parametrize("line", REFUSED)
def test_what_is_not_run_as_a_file_loads_no_library(out: Path, planted: Path, step: str, line: str) -> None:
    """That of the folder where one stands would be somebody else's."""
    for env in ({}, {"BASH_SOURCE": str(planted / "bash")}):
        done = spelled(out / step, planted, line, **env)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "run: bash FILE" in done.stderr or "realpath: /dev/fd/" in done.stderr


@pytest.mark.parametrize("step", [CREATE, "setup.sh"])
@pytest.mark.parametrize("line", RUN)
def test_the_library_is_that_of_the_script_itself(out: Path, planted: Path, step: str, line: str) -> None:
    """However the file was named."""
    done = spelled(out / step, planted, line)
    assert (done.returncode, "planted" in done.stdout, "--undo" in done.stdout) == (0, False, True), done.stderr


def test_without_home_the_working_folder_is_that_of_passwd(out: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    argv = ["bash", str(out / CREATE), "--check"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert f"{pwd.getpwuid(os.geteuid()).pw_dir}/docker-tls" in done.stdout + done.stderr


def test_the_working_folder_does_not_depend_on_where_one_stands(out: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (tmp_path / "elsewhere").mkdir()
    said = {
        run(out / CREATE, "--check", env={"HOME": str(home)}, cwd=cwd).stdout
        for cwd in (home, tmp_path, tmp_path / "elsewhere")
    }
    assert len(said) == 1
    assert f"mkdir -p -m 0700 -- {home}/docker-tls\n" in said.pop()


@as_root
def test_the_home_folder_of_another_user_is_refused(out: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    assert run(out / CREATE, "--check", env={"HOME": str(home)}).returncode == 3
    os.chown(home, NOBODY, NOBODY)
    done = run(out / CREATE, "--check", env={"HOME": str(home)})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"HOME is {home}, another user's folder" in done.stderr


# ---- Passphrase files -------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        pytest.param(f"{PASSPHRASE}\r\n".encode(), "a carriage return", id="carriage-return"),
        pytest.param(f"\ufeff{PASSPHRASE}\n".encode(), "byte order mark", id="byte-order-mark"),
        pytest.param(f"{PASSPHRASE}\n".encode("utf-16"), "a NUL byte", id="utf-16"),
        pytest.param(PASSPHRASE.replace(" ", "\0").encode(), "a NUL byte", id="nul"),
        pytest.param(f"{PASSPHRASE}\x1b[A\n".encode(), "a control character", id="escape"),
        pytest.param(b"", "is empty", id="empty"),
    ],
)
def test_a_passphrase_that_nobody_can_type_is_refused(out: Path, tmp_path: Path, octets: bytes, reason: str) -> None:
    done = run(out / CREATE, "--dir", tmp_path / "work", "--passphrase-file", secret(tmp_path / "file", octets))
    assert done.returncode == 2
    assert reason in done.stderr
    assert not (tmp_path / "work/ca/ca-private.pem").exists()


def test_a_passphrase_file_that_others_can_read_is_refused(out: Path, tmp_path: Path, passphrase: Path) -> None:
    passphrase.chmod(0o640)
    done = run(out / CREATE, "--dir", tmp_path / "work", "--passphrase-file", passphrase)
    assert done.returncode == 2
    assert f"others can read {passphrase}" in done.stderr


@as_root
def test_a_passphrase_file_of_another_user_is_refused(out: Path, tmp_path: Path, passphrase: Path) -> None:
    os.chown(passphrase, NOBODY, NOBODY)
    done = run(out / CREATE, "--dir", tmp_path / "work", "--passphrase-file", passphrase)
    assert done.returncode == 2
    assert f"{passphrase} belongs to another user" in done.stderr


@as_root
def test_a_passphrase_file_that_others_could_replace_is_refused(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    file = secret(folder / "passphrase", f"{PASSPHRASE}\n".encode())
    folder.chmod(0o777)
    done = run(out / CREATE, "--dir", tmp_path / "work", "--passphrase-file", file)
    assert done.returncode == 2
    assert f"others can write to {folder}/" in done.stderr


def test_a_passphrase_comes_on_a_descriptor_too(out: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    line = '"$@" --passphrase-file <(printf "%s\\n" "$PHRASE")'
    argv = ["bash", "-c", line, "bash", "bash", str(out / CREATE), "--dir", str(work)]
    subprocess.run(argv, env={**os.environ, "PHRASE": PASSPHRASE}, capture_output=True, check=True)
    assert opens(work / "ca/ca-private.pem", PASSPHRASE)


# ---- Folders that somebody else could change --------------------------------


@as_root
@pytest.mark.parametrize("depth", [0, 1, 2], ids=["itself", "parent", "grandparent"])
@pytest.mark.parametrize("how", ["owner", "mode"])
def test_a_folder_that_another_user_could_change_is_refused(
    out: Path, tmp_path: Path, passphrase: Path, depth: int, how: str
) -> None:
    folders = [tmp_path / "a/b/work", tmp_path / "a/b", tmp_path / "a"]
    folders[0].mkdir(parents=True)
    for folder in folders:
        folder.chmod(0o755)
    if how == "owner":
        os.chown(folders[depth], NOBODY, NOBODY)
    else:
        folders[depth].chmod(0o775)
    done = run(out / CREATE, "--dir", folders[0], "--passphrase-file", passphrase)
    assert done.returncode == 2
    assert list(folders[0].iterdir()) == []
    assert [path.name for path in folders[1].iterdir()] == ["work"]


@pytest.fixture(scope="module")
def made(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in a folder of its own, with a CA and the requests of both parties."""
    folder = tmp_path_factory.mktemp("made")
    work = folder / "above/work"
    work.parent.mkdir()
    create(out, work, secret(folder / "passphrase", f"{PASSPHRASE}\n".encode()))
    for script in (REQUEST, REQUEST_CLIENT):
        done = run(out / script, "--dir", work)
        assert done.returncode == 0, done.stderr
    return work


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what is in a folder, and below it."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@as_root
@pytest.mark.parametrize("how", ["owner", "mode"])
@pytest.mark.parametrize("where", ["party", "work", "above"])
@pytest.mark.parametrize(
    ("script", "party", "words"),
    [
        pytest.param(SIGN, "ca", [], id="sign-servers"),
        pytest.param("ca/30-sign-clients.sh", "ca", [], id="sign-clients"),
        pytest.param("ca/60-roll-over-ca.sh", "ca", ["--begin"], id="roll-over"),
        pytest.param("ca/70-back-up-ca.sh", "ca", ["--to"], id="back-up"),
        pytest.param(LIST, "ca", [], id="list"),
        pytest.param(REQUEST, "hosts/docker.example.com", [], id="request-server"),
        pytest.param(REQUEST_CLIENT, "clients/admin", [], id="request-client"),
    ],
)
def test_no_script_works_in_a_folder_that_another_user_could_change(
    out: Path,
    made: Path,
    tmp_path: Path,
    passphrase: Path,
    script: str,
    party: str,
    words: list[str],
    where: str,
    how: str,
) -> None:
    """Nor makes anything in there. The control: once the folder is put right, it goes on."""
    folder = {"party": made / party, "work": made, "above": made.parent}[where]
    argv: list[str | Path] = ["--dir", made, *words]
    if "--to" in words:
        argv.append(tmp_path / "back-up")
    if script.startswith("ca/") and script != LIST:
        argv += ["--passphrase-file", passphrase]
    before, mode = contents(made.parent), folder.stat().st_mode
    if how == "owner":
        os.chown(folder, NOBODY, NOBODY)
    else:
        folder.chmod(0o775)
    done = run(out / script, *argv)
    os.chown(folder, 0, 0)
    folder.chmod(mode)
    assert (done.returncode, done.stdout, str(folder) in done.stderr) == (2, "", True), done.stderr
    assert (contents(made.parent), list(tmp_path.iterdir())) == (before, [passphrase])
    done = run(out / script, *argv, *([] if script == LIST else ["--check"]))
    assert done.returncode in (0, 3), done.stderr


def test_a_link_to_a_folder_that_others_can_change_is_refused(out: Path, tmp_path: Path, passphrase: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o775)
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    done = run(out / CREATE, "--dir", tmp_path / "link/work", "--passphrase-file", passphrase)
    assert done.returncode == 2
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_sticky_folder_above_is_no_fault(out: Path, tmp_path: Path, passphrase: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    create(out, tmp_path / "shared/work", passphrase)


def test_nothing_is_made_above_the_working_folder_or_removed_there(out: Path, tmp_path: Path, passphrase: Path) -> None:
    above = tmp_path / "empty"
    done = run(out / CREATE, "--dir", above / "work", "--passphrase-file", passphrase)
    assert done.returncode == 2
    assert f"there is no folder {above}/" in done.stderr
    above.mkdir()
    create(out, above / "work", passphrase)
    done = run(out / CREATE, "--dir", above / "work", "--undo", "--remove-keys")
    assert done.returncode == 0, done.stderr
    assert list(above.iterdir()) == []


@as_root
@pytest.mark.parametrize(
    ("name", "words", "owners"),
    [
        pytest.param("80-list-certificates", [], 0, id="list"),
        pytest.param("70-back-up-ca", ["--to"], 3, id="back-up"),
        pytest.param("60-roll-over-ca", ["--begin"], 3, id="roll-over"),
    ],
)
def test_what_may_not_be_looked_at_is_not_called_missing(
    tmp_path: Path, passphrase: Path, name: str, words: list[str], owners: int
) -> None:
    """Neither the working folder nor the CA's. The control: its owner looks into it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("/")
        out = render(SITE, tmp_path / "out")
        work = tmp_path / "work"
        create(out, work, passphrase)
        for path in (tmp_path, *tmp_path.parents):
            if path.is_relative_to("/tmp") and path != Path("/tmp"):
                path.chmod(path.stat().st_mode | 0o011)
        argv = ["bash", str(out / f"ca/{name}.sh"), "--dir", str(work), *words]
        if "--to" in words:
            argv.append(str(tmp_path / "back-up"))
        other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "HOME=/nonexistent"]
        for folder in (work, work / "ca"):
            done = subprocess.run([*other, *argv], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (2, "")
            assert f"may not look into {folder};" in done.stderr
            folder.chmod(0o755)
        work.chmod(0o700)
        (work / "ca").chmod(0o700)
        if words:
            argv.append("--check")
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, "may not look" in done.stderr) == (owners, False), done.stderr


# ---- Temporary names --------------------------------------------------------


def test_a_link_that_has_a_temporary_name_is_not_written_through(out: Path, tmp_path: Path, passphrase: Path) -> None:
    ca, victim = tmp_path / "work/ca", tmp_path / "victim"
    ca.mkdir(parents=True, mode=0o700)
    (tmp_path / "work").chmod(0o700)
    victim.write_text("precious\n")
    for name in ("ca-private.pem.first.new", "ca-private.pem.new", "ca-public.pem.new", "ledger.txt.new"):
        (ca / name).symlink_to(victim)
    create(out, tmp_path / "work", passphrase)
    assert victim.read_text() == "precious\n"
    assert victim.stat().st_mode & 0o777 == 0o644


# ---- Folders that were carried here -----------------------------------------


@pytest.mark.parametrize("where", ["hosts", "hosts/docker.example.com", "hosts/docker.example.com/renewal"])
def test_a_link_below_the_working_folder_is_not_followed(
    out: Path, tmp_path: Path, passphrase: Path, where: str
) -> None:
    """Neither to write there nor to remove what is there."""
    work, other = tmp_path / "work", tmp_path / "other"
    create(out, work, passphrase)
    names = ("ca-public.pem", "request.csr", "server-key.pem", "certificate.pem")
    for folder in (other, other / "docker.example.com"):
        folder.mkdir(mode=0o700)
        for name in names:
            secret(folder / name, b"precious\n")
    link = work / where
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in (work / "hosts", work / "hosts/docker.example.com"):
        if folder.is_dir():
            folder.chmod(0o700)
    link.symlink_to(other)
    for words in ((SIGN, "--passphrase-file", passphrase), (SIGN, "--undo", "--remove-keys"), (REQUEST,)):
        run(out / words[0], "--dir", work, *words[1:])
    for script in (SIGN, REQUEST):
        done = run(out / script, "--dir", work, "--undo", "--remove-keys")
        assert done.returncode == 2
        assert f"{link} is a link" in done.stderr
    found = {path.read_text() for path in other.rglob("*.*") if path.is_file()}
    assert found == {"precious\n"}
    assert sum(path.is_file() for path in other.rglob("*")) == 2 * len(names)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_lock_that_is_no_file_is_refused(out: Path, tmp_path: Path, kind: str) -> None:
    folder, victim = tmp_path / "work/hosts/docker.example.com", tmp_path / "victim"
    folder.mkdir(parents=True)
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o700)
    victim.write_text("precious\n")
    victim.chmod(0o644)
    lock = folder / ".lock"
    if kind == "link":
        lock.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    done = run(out / REQUEST, "--dir", tmp_path / "work")
    assert done.returncode == 2
    assert f"{lock} is not a regular file" in done.stderr
    assert victim.stat().st_mode & 0o777 == 0o644


# ---- What a name means ------------------------------------------------------


@pytest.fixture(params=["BASHOPTS", "BASH_ENV"])
def careless(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of a caller whose bash does not tell capital letters from small ones."""
    startup = tmp_path / "startup"
    startup.write_text("shopt -s nocasematch\n")
    env = {"BASHOPTS": "nocasematch"} if request.param == "BASHOPTS" else {"BASH_ENV": str(startup)}
    subprocess.run(["bash", "-c", "[[ A == a ]]"], env={**os.environ, **env}, check=True)
    return env


def test_a_name_in_other_letters_is_another_name_whatever_the_caller_s_bash_thinks(
    out: Path, tmp_path: Path, passphrase: Path, careless: dict[str, str]
) -> None:
    """The control: the name itself is signed."""
    work = tmp_path / "work"
    create(out, work, passphrase, careless)
    assert run(out / REQUEST, "--dir", work, env=careless).returncode == 0
    folder = work / "hosts/docker.example.com"
    for name, status in (("DOCKER.EXAMPLE.COM", 6), ("docker.example.com", 0)):
        new = ["openssl", "req", "-new", "-key", "server-key.pem", "-subj", f"/CN={name}", "-out", "request.csr"]
        subprocess.run(new, cwd=folder, check=True)
        done = run(out / SIGN, "--dir", work, "--passphrase-file", passphrase, env=careless)
        assert (done.returncode, (folder / "certificate.pem").exists()) == (status, status == 0), done.stderr


# ---- The machine's own configuration ----------------------------------------

CONFIGURATION = """\
[req]
distinguished_name = subject
req_extensions = wanted
x509_extensions = wanted
[subject]
[wanted]
subjectAltName = DNS:bank.example
basicConstraints = critical, CA:TRUE
"""


@pytest.fixture
def configured(tmp_path: Path) -> list[str]:
    """What starts a command on a machine whose own openssl.cnf asks for extensions."""
    file = tmp_path / "openssl.cnf"
    file.write_text(CONFIGURATION)
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount --bind {file} "$(realpath /etc/ssl/openssl.cnf)" && unset OPENSSL_CONF && exec "$@"'
    return ["unshare", *own, "--mount", "bash", "-c", mount, "bash"]


def test_the_machine_s_own_openssl_cnf_has_no_say(
    out: Path, tmp_path: Path, passphrase: Path, configured: list[str]
) -> None:
    """The control: a bare openssl makes a request with the extensions of that file."""
    work, bare = tmp_path / "work", tmp_path / "bare.csr"
    request = work / "hosts/docker.example.com/request.csr"

    def there(*argv: str | Path) -> str:
        words = [*configured, *argv]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    there("bash", out / CREATE, "--dir", work, "--passphrase-file", passphrase)
    there("bash", out / REQUEST, "--dir", work)
    key = request.with_name("server-key.pem")
    there("openssl", "req", "-new", "-key", key, "-subj", "/CN=docker.example.com", "-out", bare)
    assert "Extension Request" in there("openssl", "asn1parse", "-in", bare)
    assert "Extension Request" not in there("openssl", "asn1parse", "-in", request)
    there("bash", out / SIGN, "--dir", work, "--passphrase-file", passphrase)
    for name in ("ca/ca-public.pem", "hosts/docker.example.com/certificate.pem"):
        assert "bank.example" not in there("openssl", "x509", "-in", work / name, "-noout", "-text")
