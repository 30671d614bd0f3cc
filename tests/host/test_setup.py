"""setup.sh on a machine of its own: at the prompts, unattended, twice, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dockseal.lab import Host, Result, Snapshot, difference
from tests.host.support import (
    CERTIFICATE_STEPS,
    CLIENT,
    CONFIRM,
    DAEMON,
    OF_PACKETS,
    OF_USER_NAMESPACES,
    PASSPHRASE,
    PASSPHRASE_FILE,
    PROMPT,
    SHOW,
    UNATTENDED,
    WORK,
    answer,
    arguments,
    controls,
    dockerd,
    install,
    main_pid,
    run_container,
    setup,
    site,
)
from tests.sites import ROOT

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
# Where --dir was, for the next run without it.
LINK = "/root/docker-tls.link"
# What --undo keeps: every key and certificate.
KEPT = {
    "ca/ca-private.pem",
    "ca/ca-public.pem",
    "ca/ca-public.srl",
    "ca/ledger.txt",
    "hosts/localhost/server-key.pem",
    "hosts/localhost/certificate.pem",
    "hosts/localhost/ca-public.pem",
    "clients/client/client-key.pem",
    "clients/client/client-certificate.pem",
    "clients/client/ca-public.pem",
}
# Where something could have been left; what is no file cannot keep anything.
PLACES = ("/root", "/etc", "/tmp", "/run", "/var/log", "/var/tmp", "/dev/shm", "/home")


@dataclass(frozen=True)
class Story:
    """One machine from before its setup until nothing of it is left, and what it looked like at each stage."""

    first: Snapshot
    check_before: Result
    after_check: Snapshot
    shown: str
    status: int
    leaked: bool
    found_passphrase: str
    finished: Snapshot
    second: Result
    after_second: Snapshot
    check_after: Result
    after_check_after: Snapshot
    undo: Result
    undone: Snapshot
    undo_keys: Result
    gone: Snapshot


@pytest.fixture(scope="module")
def story(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Story:
    install(host, tmp_path_factory.mktemp("story"))
    host.run(["rm", PASSPHRASE_FILE])
    run_container(host)
    first = host.snapshot()
    check_before = setup(host, "--check", check=False)
    after_check = host.snapshot()
    terminal = host.spawn(["bash", "out/setup.sh"])
    answer(terminal, PASSPHRASE, PASSPHRASE)
    assert terminal.expect(CONFIRM) == 0
    terminal.answer("y")
    status = terminal.wait()
    found = where_is_passphrase(host)
    finished = host.snapshot()
    second = setup(host, check=False)
    after_second = host.snapshot()
    check_after = setup(host, "--check", check=False)
    after_check_after = host.snapshot()
    undo = setup(host, "--undo", "--yes", check=False)
    undone = host.snapshot()
    undo_keys = setup(host, "--undo", "--yes", "--remove-keys", check=False)
    return Story(
        first,
        check_before,
        after_check,
        terminal.transcript.text,
        status,
        terminal.transcript.leaked,
        found,
        finished,
        second,
        after_second,
        check_after,
        after_check_after,
        undo,
        undone,
        undo_keys,
        host.snapshot(),
    )


def where_is_passphrase(host: Host) -> str:
    """Return the files in which the passphrase stands."""
    words = ["grep", "--recursive", "--files-with-matches", "--text", "--fixed-strings", "--devices=skip", "-e"]
    return host.run([*words, PASSPHRASE, *PLACES], check=False).stdout


def test_the_whole_setup_at_the_prompts_ends_well(story: Story) -> None:
    assert story.status == 0, story.shown
    assert story.shown.rstrip().endswith("setup.sh: done")


def test_it_asks_before_the_restart_with_the_number_of_containers(story: Story) -> None:
    assert "Restart dockerd now? It interrupts 1 running container(s). [y/N] y" in story.shown
    assert story.finished.runs["docker.service MainPID"] != story.first.runs["docker.service MainPID"]


def test_every_control_passes(host: Host, story: Story) -> None:
    everything_holds(host, controls(story.shown))


def everything_holds(host: Host, found: list[tuple[str, str]]) -> None:
    """Every control passes, but for those that need a container, or user namespaces."""
    assert {outcome for _, outcome in found} == {"PASS", "SKIP"}
    skipped = {name for name, outcome in found if outcome == "SKIP"}
    assert skipped == OF_PACKETS | OF_USER_NAMESPACES | {"FILE-10"} | {"PLAIN-2"}
    assert {"TLS-1", "TLS-9", "CLIENT-1", "CLIENT-4"} <= {name for name, outcome in found if outcome == "PASS"}


def test_the_daemon_listens_as_documented(story: Story) -> None:
    assert (
        "-H unix:///var/run/docker.sock -H tcp://127.0.0.1:2376 --tlsverify --tlscacert=/etc/docker/tls/ca-public.pem "
        "--tlscert=/etc/docker/tls/certificate.pem --tlskey=/etc/docker/tls/server-key.pem"
    ) in story.finished.daemon


def test_each_step_is_announced_and_told_how_it_ended(story: Story) -> None:
    ended = re.findall(r"^\[(\d+)/12\] (\S+) \.\.\. ok \(\d+\.\d s\)$", story.shown, re.MULTILINE)
    assert [number for number, _ in ended] == [str(number) for number in range(1, 13) if number != 8]
    assert [step for _, step in ended][:5] == list(CERTIFICATE_STEPS)


def test_a_demonstration_without_an_image_is_left_out_with_the_reason(story: Story) -> None:
    assert f"error: {SHOW}: there is no image for the throwaway containers: install" in story.shown
    assert re.search(rf"^   8\. {SHOW} +left out, for the reason above$", story.shown, re.MULTILINE)


def test_nobody_but_the_operator_sees_the_passphrase(story: Story) -> None:
    assert not story.leaked
    assert story.found_passphrase == ""


def test_the_search_for_the_passphrase_finds_it(host: Host, story: Story) -> None:
    host.write("/var/log/note", f"\0it is {PASSPHRASE}\n")
    assert where_is_passphrase(host) == "/var/log/note\n"
    host.run(["rm", "/var/log/note"])


def test_check_before_prints_every_command_and_changes_nothing(story: Story) -> None:
    assert story.check_before.status == 3
    assert difference(story.first, story.after_check, strict=True) == []
    assert WORK not in story.after_check.files
    # What has run since was announced, word for word: keys, requests, certificates, files, restarts.
    digest = re.compile(r"tls-[0-9a-f]{16}")
    ran = {digest.sub("tls-DIGEST", line[2:]) for line in story.shown.splitlines() if line.startswith("+ ")}
    # These clean up after a success, or make what --check found missing for every step.
    added = f"cat >>{WORK}/ca/ledger.txt <<'END'"
    # And what a file's digest is, once it is there.
    digests = "cat >/root/.docker/before-dockseal/digests <<'END'"
    expected = {line for line in ran if not line.startswith("rm ")} - {added, digests}
    lines = story.check_before.stdout.splitlines()
    assert expected - set(lines) == set()
    # What the ledger will say of a certificate is known once there is one.
    to_ledger = [line for line in lines if line.endswith(f" is added to {WORK}/ca/ledger.txt")]
    assert len(to_ledger) == story.shown.count(f"+ {added}") == 3
    assert len(expected) > 40


def test_a_second_run_changes_and_restarts_nothing(story: Story) -> None:
    assert story.second.status == 0
    assert difference(story.finished, story.after_second, strict=True) == []
    assert [line for line in story.second.stderr.splitlines() if line.startswith("+ ")] == []


def test_check_after_finds_nothing_to_do(story: Story) -> None:
    assert story.check_after.status == 0
    assert [line for line in story.check_after.stdout.splitlines() if not line.startswith("# ")] == []
    assert difference(story.finished, story.after_check_after, strict=True) == []


def test_undo_brings_the_machine_back(story: Story) -> None:
    assert story.undo.status == 0
    assert difference(story.first, story.undone, without=(WORK,)) == []
    assert difference(story.first, story.finished, without=(WORK,)) != []


def test_undo_keeps_and_lists_keys_and_certificates(story: Story) -> None:
    listed = re.findall(r"kept: (\S+) \(--undo --remove-keys removes it\)$", story.undo.stderr, re.MULTILINE)
    assert {path.removeprefix(f"{WORK}/") for path in listed} == KEPT
    below = {path for path, entry in story.undone.files.items() if path.startswith(f"{WORK}/") and entry.kind == "f"}
    left = {path for path in below if not path.endswith("/.lock")}
    assert {path.removeprefix(f"{WORK}/") for path in left} == KEPT
    assert {path: story.undone.files[path] for path in left} == {path: story.finished.files[path] for path in left}


def test_undo_remove_keys_leaves_nothing(story: Story) -> None:
    assert story.undo_keys.status == 0, story.undo_keys.stderr
    assert difference(story.first, story.gone) == []


@pytest.mark.one_release
def test_declining_the_restart_leaves_dockerd_alone_and_the_next_run_finishes(
    boot: Callable[..., Host], tmp_path: Path
) -> None:
    host = boot()
    install(host, tmp_path)
    before = host.snapshot()
    terminal = host.spawn(["bash", "out/setup.sh", "--passphrase-file", PASSPHRASE_FILE])
    assert terminal.expect(CONFIRM) == 0
    terminal.answer("n")
    assert terminal.wait() == 2
    assert f"error: {DAEMON}: not confirmed; nothing was changed\n" in terminal.transcript.text
    assert difference(before, host.snapshot(), strict=True, without=(WORK,)) == []
    terminal = host.spawn(["bash", "out/setup.sh"])
    assert terminal.expect(PROMPT, CONFIRM) == 1
    terminal.answer("yes")
    assert terminal.wait() == 0
    everything_holds(host, controls(terminal.transcript.text))
    assert "--tlsverify" in arguments(host)


@pytest.mark.parametrize("prompt", ["first", "second"])
def test_ctrl_c_at_the_passphrase_leaves_nothing(host: Host, story: Story, prompt: str) -> None:
    before = host.snapshot()
    terminal = host.spawn(["bash", "out/setup.sh"])
    assert terminal.expect(PROMPT) == 0
    if prompt == "second":
        terminal.answer_secretly(PASSPHRASE)
        assert terminal.expect("The same passphrase again: ") == 0
    terminal.interrupt()
    assert terminal.wait() == 130
    assert difference(before, host.snapshot(), strict=True) == []


def test_no_process_gets_the_passphrase_and_no_file_even_for_a_moment(host: Host, story: Story) -> None:
    """Every program that starts is listed with its arguments and environment, and every write with its target."""
    work, trace = "/run/traced", "/run/trace"
    strace = ["strace", "-f", "-y", "-v", "-s", "100000", "-e", "trace=execve,write,writev,pwrite64", "-o", trace]
    terminal = host.spawn([*strace, "bash", "out/setup.sh", "--dir", work, *CERTIFICATE_STEPS])
    answer(terminal, PASSPHRASE, PASSPHRASE)
    assert terminal.wait() == 0
    lines = host.read(trace).splitlines()
    host.run(["rm", "-r", work, trace])
    started = [line for line in lines if " execve(" in line and "ENOENT" not in line]
    assert sum("/openssl" in line for line in started) > 10
    assert all("LC_ALL=C" in line for line in started if '"openssl"' in line)  # the environment is listed
    with_it = [line for line in lines if PASSPHRASE in line]
    assert [line for line in with_it if not re.search(r" write\(\d+<pipe:\[\d+\]>, ", line)] == []
    assert len(with_it) >= 6  # the CA's key and certificate, two signatures, and the hand-over to three scripts


def test_certificates_are_made_without_a_network(host: Host, story: Story) -> None:
    work = "/run/isolated"
    words = ["unshare", "-n", "bash", "out/setup.sh", "--dir", work, *CERTIFICATE_STEPS, *UNATTENDED]
    host.write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)
    host.run(words)
    certificate = f"{work}/hosts/localhost/certificate.pem"
    verified = host.run(["openssl", "verify", "-x509_strict", "-CAfile", f"{work}/ca/ca-public.pem", certificate])
    assert verified.stdout == f"{certificate}: OK\n"
    host.run(["rm", "-r", work, PASSPHRASE_FILE])


KEY_TYPES = {
    "ed25519": "ED25519 Public-Key:",
    "ec:P-384": "ASN1 OID: secp384r1",
    "rsa:2048": "Public-Key: (2048 bit)",
}


@pytest.mark.parametrize(
    ("release", "key"),
    [
        ("bullseye", "ed25519"),
        ("bookworm", "ed25519"),
        ("trixie", "ed25519"),
        ("bullseye", "ec:P-384"),
        ("bookworm", "rsa:2048"),
    ],
    indirect=["release"],
)
def test_unattended_it_needs_no_terminal_and_each_key_type_gives_a_working_handshake(
    boot: Callable[..., Host], tmp_path: Path, key: str
) -> None:
    host = boot()
    install(host, tmp_path, site(key=key))
    before = main_pid(host)
    result = setup(host, *UNATTENDED, check=False)
    assert result.status == 0, result.output
    everything_holds(host, controls(result.stdout))
    assert main_pid(host) not in (0, before)
    assert PASSPHRASE not in result.output
    assert where_is_passphrase(host) == f"{PASSPHRASE_FILE}\n"
    for name in ("ca/ca-public.pem", "hosts/localhost/certificate.pem", "clients/client/client-certificate.pem"):
        text = host.run(["openssl", "x509", "-in", f"{WORK}/{name}", "-noout", "-text"]).stdout
        assert KEY_TYPES[key] in text


# ---- What stops it before the first change ----------------------------------


def refused(host: Host, words: list[str], said: str, status: int = 2) -> None:
    """Run setup.sh, which must end with these words and this status, and change nothing."""
    before = host.snapshot()
    result = host.run(["bash", *words], check=False)
    assert (result.status, said in result.stderr) == (status, True), result.output
    assert "\nsetup.sh: done" not in result.stderr
    assert difference(before, host.snapshot(), strict=True) == []


DAMAGES = {
    "a line is removed": ("sed -i /10-create-ca/d", "SHA256SUMS has no line for ca/10-create-ca.sh: it was cut off"),
    "that of the library": (
        "sed -i /lib.change/d",
        "SHA256SUMS has no line for lib/change.sh: it was cut off",
    ),
    "that of setup.sh": ("sed -i /setup.sh/d", "SHA256SUMS has no line for setup.sh: it was cut off or changed"),
    "that of README.md": ("sed -i /README.md/d", "SHA256SUMS has no line for README.md: it was cut off or changed"),
    "a line is damaged": (
        "sed -i /10-create-ca/s/^../zz/",
        "these files are not what was rendered:\nsha256sum: WARNING",
    ),
    "a line is commented out": ("sed -i /10-create-ca/s/^/#/", "SHA256SUMS has no line for ca/10-create-ca.sh"),
    "the end is cut off": ("truncate -s -20", "these files are not what was rendered:\nsha256sum: WARNING"),
    "the second half is cut off": ("sed -i 5,$d", "SHA256SUMS has no line for "),
    "it is empty": ("truncate -s 0", "these files are not what was rendered:"),
    "it is gone": ("rm", "these files are not what was rendered:"),
}


@pytest.mark.one_release
@pytest.mark.parametrize("damage", DAMAGES)
def test_sums_that_are_not_whole_let_no_changed_script_through(host: Host, story: Story, damage: str) -> None:
    how, said = DAMAGES[damage]
    host.bash('rm -rf /root/changed; cp -r out changed; $1 "$2"', how, "changed/SHA256SUMS")
    host.bash("echo 'touch /root/ran' >>changed/ca/10-create-ca.sh")
    if "no line for ca/10" not in said:
        host.run(["cp", "out/ca/10-create-ca.sh", "changed/ca/"])
    refused(host, ["changed/setup.sh", "--as", "ca", "--yes", "--passphrase-file", PASSPHRASE_FILE], said)
    host.run(["rm", "-r", "/root/changed"])


@pytest.mark.one_release
@pytest.mark.parametrize(
    "word", ["README.md", "ca/10-create-ca.sh ca passphrase always hosts/localhost/x.sh", "SHA256SUMS"]
)
def test_nothing_but_a_script_of_the_site_is_run(host: Host, story: Story, word: str) -> None:
    refused(host, ["out/setup.sh", word], f"error: setup.sh: there is no script {word} in this site\n")


@pytest.mark.one_release
@pytest.mark.parametrize("words", [["--as", "hosts/localhost"], []], ids=["named", "not named"])
def test_a_docker_host_without_a_dockerd_of_systemd_is_not_done(host: Host, story: Story, words: list[str]) -> None:
    path = dockerd(host)
    host.run(["mv", path, "/opt/dockerd"])
    refused(
        host,
        ["out/setup.sh", "--yes", *words],
        "error: setup.sh: this machine is to be hosts/localhost, and there is no dockerd in /usr/local/sbin:"
        "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin. These scripts configure a dockerd that systemd runs, and no "
        "snap or rootless one. If the Docker host is another machine, say with --as which party this one is: ca "
        "hosts/localhost clients/client\n",
    )
    host.run(["mv", "/opt/dockerd", path])


# ---- Parties that come one by one -------------------------------------------

MACHINE = "/run/machine"
AS_CA = ("--as", "ca", "--dir", MACHINE, "--yes", "--passphrase-file", PASSPHRASE_FILE)


@pytest.fixture
def machine(host: Host, story: Story) -> Iterator[Host]:
    """A host whose working folder, which is not the default one, has a request and nothing else."""
    host.write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)
    setup(host, CERTIFICATE_STEPS[1], "--dir", MACHINE)
    yield host
    host.run(["rm", "-rf", MACHINE, PASSPHRASE_FILE])


@pytest.mark.one_release
@pytest.mark.parametrize("ledger", ["no CA", "a CA without a ledger"])
def test_a_request_that_is_there_before_the_ca_is_signed(machine: Host, ledger: str) -> None:
    if ledger != "no CA":
        setup(machine, CERTIFICATE_STEPS[0], "--dir", MACHINE, "--passphrase-file", PASSPHRASE_FILE)
        machine.run(["rm", f"{MACHINE}/ca/ledger.txt"])
    result = setup(machine, *AS_CA, check=False)
    assert result.stderr.endswith(
        f"\nsetup.sh: waiting for {MACHINE}/clients/client/client-request.csr: carry here what the machines of these "
        "parties made, and run this again\n"
    )
    assert (result.status, "line " in result.stderr) == (5, False)
    assert machine.exists(f"{MACHINE}/hosts/localhost/certificate.pem")
    assert len(machine.read(f"{MACHINE}/ca/ledger.txt").splitlines()) == 3


PRESENT = {
    "nothing": "",
    "requests": "hosts clients",
    "a CA": "ca",
    "a CA and requests": "ca hosts clients",
}


@pytest.mark.one_release
@pytest.mark.parametrize("what", PRESENT)
def test_no_check_assumes_what_an_earlier_script_would_make(host: Host, story: Story, what: str) -> None:
    """And an operator may have files in ~/.docker before."""
    host.write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)
    setup(host, *CERTIFICATE_STEPS[:2], CERTIFICATE_STEPS[3], "--dir", "/run/all", "--passphrase-file", PASSPHRASE_FILE)
    host.run(["mkdir", "-m", "0700", MACHINE])
    host.bash('for part in $2; do cp -r "/run/all/$part" "$1"; done; rm -f "$1/ca/ledger.txt"', MACHINE, PRESENT[what])
    host.bash("mkdir -p -m 0700 .docker; for file in ca cert key; do echo mine >.docker/$file.pem; done")
    failed = []
    for step in host.bash("cd out; printf '%s\\n' ca/*.sh */*/*.sh").stdout.split():
        more = {"ca/60-roll-over-ca.sh": ["--begin"], "ca/70-back-up-ca.sh": ["--to", "/root/copy"]}.get(step, [])
        result = host.run(["bash", f"out/{step}", "--check", "--dir", MACHINE, *more], check=False)
        if result.status == 1 or re.search(r"\bline [0-9]+", result.stderr):
            failed.append(result.stderr)
    host.run(["rm", "-r", MACHINE, "/run/all", "/root/.docker", PASSPHRASE_FILE])
    assert failed == []


@pytest.mark.one_release
def test_a_certificate_whose_key_is_here_is_not_signed_over(machine: Host) -> None:
    assert setup(machine, *AS_CA, check=False).status == 5
    certificate = machine.read(f"{MACHINE}/hosts/localhost/certificate.pem")
    request, key = f"{MACHINE}/hosts/localhost/request.csr", f"{MACHINE}/hosts/localhost/server-key.pem"
    machine.bash(
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve "
        '-out /run/k.pem && openssl req -new -subj /CN=localhost -key /run/k.pem -out "$1" && rm /run/k.pem && '
        'chmod 600 "$1"',
        request,
    )
    result = setup(machine, *AS_CA, check=False)
    assert result.status == 6
    said = f"refused {request}: the key of this party is here, {key}, and the request is for another one"
    assert said in result.stderr
    assert said.removeprefix("refused ").replace(":", "", 1) in machine.read(f"{MACHINE}/ca/refused.txt")
    machine.run(["rm", request])
    assert setup(machine, *AS_CA, check=False).status == 5
    assert machine.read(f"{MACHINE}/hosts/localhost/certificate.pem") == certificate


@pytest.mark.one_release
def test_no_program_but_the_script_gets_the_descriptor_of_the_passphrase(host: Host, story: Story) -> None:
    """Programs of the fixed PATH's first folder stand in for those that scripts run, and look for open pipes."""
    names = ("realpath", "stat", "mkdir", "flock", "chmod", "sync", "mv", "id", "namei", "date", "sha256sum")
    for name in names:
        host.write(
            f"/usr/local/bin/{name}",
            "#!/bin/bash\nfor file in /proc/self/fd/*; do\n  number=${file##*/}\n"
            '  if ((number > 2)) && [[ -p $file ]]; then echo "${0##*/} $number" >>/run/inherited; fi\ndone\n'
            f'exec /usr/bin/{name} "$@"\n',
            0o755,
        )
    work = "/run/inherits"
    host.write(PASSPHRASE_FILE, f"{PASSPHRASE}\n", 0o600)
    setup(host, "--dir", work, *CERTIFICATE_STEPS, "--passphrase-file", PASSPHRASE_FILE)
    host.bash("exec 7< <(:); stat / >/dev/null")  # what would be found is found
    found = host.read("/run/inherited").split()
    host.run(["rm", "-r", work, PASSPHRASE_FILE, "/run/inherited", *(f"/usr/local/bin/{name}" for name in names)])
    assert found == ["stat", "7"]


@pytest.mark.one_release
def test_from_another_folder_no_second_ca_is_made(boot: Callable[..., Host], tmp_path: Path) -> None:
    host = boot()
    install(host, tmp_path)
    host.run(["mkdir", "/srv/stand"])
    planned = setup(host, CERTIFICATE_STEPS[0], "--check", "--dir", "docker-tls", check=False, cwd="/srv/stand")
    assert f"ln -sfnT -- /srv/stand/docker-tls {LINK}\n" in planned.stdout
    assert not host.exists(LINK)
    setup(host, CERTIFICATE_STEPS[0], *UNATTENDED, "--dir", "docker-tls", cwd="/srv/stand")
    assert host.run(["readlink", LINK]).stdout == "/srv/stand/docker-tls\n"
    for options in ((), ("--check",)):
        again = setup(host, *UNATTENDED, *options, check=False, cwd="/srv")
        assert (again.status, host.exists(WORK)) == (2, False)
        assert again.stderr == (
            f"error: setup.sh: there is a CA in /srv/stand/docker-tls, and none in {WORK}: give that folder with --dir "
            f"or, for another site, --dir {WORK}\n"
        )
    host.run(["mv", "/srv/stand/docker-tls", "/srv/stand/moved"])
    gone = setup(host, *UNATTENDED, check=False)
    assert (gone.status, host.exists(WORK)) == (2, False)
    assert "the CA of an earlier run was in /srv/stand/docker-tls, and is not there now" in gone.stderr
    setup(host, *UNATTENDED, "--dir", "/srv/stand/moved", cwd="/srv")
    assert host.run(["readlink", LINK]).stdout == "/srv/stand/moved\n"
    setup(host, "--undo", "--yes", "--dir", "/srv/stand/moved")
    assert host.exists(LINK)  # the keys are kept
    setup(host, "--undo", "--remove-keys", "--yes", "--dir", "/srv/stand/moved")
    assert (host.run(["ls", "/srv/stand"]).stdout, host.bash('ls -d "$1" || true', LINK).stdout) == ("", "")


@pytest.mark.one_release
def test_a_folder_that_a_file_system_is_mounted_on_is_undone_but_for_itself(
    boot: Callable[..., Host], tmp_path: Path
) -> None:
    host = boot()
    install(host, tmp_path)
    host.bash("mkdir /srv/mounted; mount -t tmpfs -o mode=700 tmpfs /srv/mounted")
    setup(host, CERTIFICATE_STEPS[0], *UNATTENDED, "--dir", "/srv/mounted")
    for _ in range(2):
        undone = setup(host, "--undo", "--remove-keys", "--yes", "--dir", "/srv/mounted")
        assert undone.stderr.endswith("setup.sh: undone\n")
    assert host.run(["ls", "-A", "/srv/mounted"]).stdout == ""


@pytest.mark.one_release
def test_where_dockerd_trusts_a_ca_of_this_site_no_second_one_is_made(
    boot: Callable[..., Host], tmp_path: Path
) -> None:
    host = boot()
    install(host, tmp_path)
    setup(host, *UNATTENDED, "--dir", "/srv/tls")
    host.run(["rm", LINK])
    refusal = setup(host, *UNATTENDED, check=False)
    assert (refusal.status, host.exists(f"{WORK}/ca")) == (2, False)
    assert "dockerd here trusts a CA of this name already (/etc/docker/tls/ca-public.pem)" in refusal.stderr
    host.run(["mv", "/srv/tls", WORK])
    found = setup(host, *UNATTENDED, cwd="/srv")
    assert f"Working folder: {WORK}\n" in found.stderr
    assert "\n+ " not in found.stderr
    host.run(["ln", "-sT", WORK, LINK])
    setup(host, "--undo", "--remove-keys", *UNATTENDED)
    assert (host.exists(LINK), host.exists(WORK)) == (False, False)


@pytest.mark.one_release
def test_another_user_gets_a_client_of_its_own_with_the_commands_of_the_readme(
    boot: Callable[..., Host], tmp_path: Path
) -> None:
    host = boot()
    text = (ROOT / "README.md").read_text()
    section = text[text.index("### Another user of this machine") : text.index("## What the machines need")]
    commands = re.findall(r"^    (\S.*)$", section, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["bash", *["sudo"] * 4]
    host.run(["useradd", "--create-home", "--shell", "/bin/bash", "bob"])
    install(host, tmp_path / "one", to="/srv/out")
    host.bash(f"cd /srv && bash out/setup.sh --no-containers {' '.join(UNATTENDED)}")
    host.run(["rm", "-r", "/srv/out"])
    install(host, tmp_path / "two", site(more="  - name: bob\n    key: ec:P-256\n"), to="/srv/out")
    host.run(["chmod", "-R", "a+rX", "/srv"])
    statuses = []
    for command in [*commands, "bash out/setup.sh", "docker --context localhost ps"]:
        argv = ["runuser", "--login", "bob", "--command", f"cd /srv && {command}"]
        if command.startswith("sudo "):
            more = f" --no-containers {' '.join(UNATTENDED)}" if command.endswith("setup.sh") else ""
            argv = as_root(command + more)
        statuses.append(host.run(argv, check=False, cwd="/srv").status)
    assert statuses == [5, 0, 0, 0, 0, 0, 0]
    assert not host.exists(f"{WORK}/clients/bob/client-key.pem")
    again = host.bash("cd /srv && bash out/setup.sh --check --no-containers")
    assert "clients/bob" not in again.output
    # What is root's is told to be looked at by root, and nothing is made in bob's name.
    for step in ("ca/80-list-certificates.sh", "hosts/localhost/10-request-certificate.sh --renew", CLIENT):
        words = ["runuser", "--login", "bob", "--command", f"bash /srv/out/{step} --dir {WORK}"]
        refusal = host.run(words, check=False)
        assert (refusal.status, "bob may not look into /root; run this as its owner does" in refusal.stderr) == (
            2,
            True,
        )
    # Nor is a link of bob's followed to what is root's.
    host.write("/root/kept", "kept\n", 0o600)
    for name, command in (("client-request.csr", commands[1]), ("ca-public.pem", commands[4])):
        host.run(
            ["runuser", "--user", "bob", "--", "ln", "-sf", "/root/kept", f"/home/bob/docker-tls/clients/bob/{name}"]
        )
        assert host.run(as_root(command), check=False).status != 0
        assert host.read("/root/kept") == "kept\n"
    assert not host.read(f"{WORK}/clients/bob/client-request.csr")


def as_root(command: str) -> list[str]:
    """Return a command of the README as root runs it on a host without sudo."""
    text = command.replace("sudo -u bob", "runuser --user bob --").replace("sudo ", "")
    return ["bash", "-o", "pipefail", "-c", text]
