"""setup.sh --exchange: what is carried between machines, and what of a hostile folder is not taken."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pexpect
import pytest

from tests.scripts.machine import Done, Machine, digest, new_machine

SITE = """\
ca: {key: ec:P-256, common_name: Split CA}
hosts:
  - {name: docker1.example, listen: "0.0.0.0:2376", key: ec:P-256}
clients:
  - {name: alice, key: ec:P-256}
  - {name: bob, key: ec:P-256}
"""
STEPS = ("10-request-certificate.sh", "20-configure-client.sh")
REQUEST, CERTIFICATE, AUTHORITY = "client-request.csr", "client-certificate.pem", "ca-public.pem"
HOST = "hosts/docker1.example"


@dataclass(frozen=True)
class Split:
    """The CA's machine and those of two clients, each with a home and a working folder, and one folder to carry."""

    folder: Path
    first: Machine
    stick: Path | None = None

    @property
    def carried(self) -> Path:
        return self.stick or self.folder / "stick"

    def machine(self, name: str) -> Machine:
        """Return the machine of the CA, of alice or of bob."""
        return replace(self.first, work=self.folder / name / "docker-tls")

    def setup(self, name: str, *words: str, check: bool = True) -> Done:
        """Run setup.sh with the folder on a machine; a client's verification is left out, as there is no dockerd."""
        party = "ca" if name == "ca" else f"clients/{name}"
        more = ["--passphrase-file", str(self.first.passphrase)] if name == "ca" else [f"{party}/{s}" for s in STEPS]
        return self.run(name, "setup.sh", "--as", party, "--exchange", str(self.carried), *more, *words, check=check)

    def run(self, name: str, script: str, *words: str, check: bool = True) -> Done:
        """Run a script on a machine."""
        home = self.folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        argv = ["bash", str(self.first.out / script), "--dir", str(self.machine(name).work), "--yes", *words]
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env={"HOME": str(home)}
        )
        assert done.returncode in (0, 5) or not check, done.stderr
        return done

    def setup_undo(self) -> Done:
        """Undo all that setup.sh has done on the CA's machine, keys too."""
        return self.run("ca", "setup.sh", "--as", "ca", "--undo", "--remove-keys", check=False)

    def hand_over(self, *names: str) -> None:
        """Let each client ask, the CA sign and each client take what came of it."""
        for name in (*names, "ca", *names):
            self.setup(name)

    def names(self) -> list[str]:
        """Return what lies in the folder."""
        return sorted(path.name for path in self.carried.iterdir())


def carried(party: str, file: str) -> str:
    return f"Split_CA+{party}+{file}".replace("/", "+")


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Machines that have nothing yet."""
    found = Split(tmp_path, new_machine(tmp_path, SITE))
    found.carried.mkdir(mode=0o700)
    return found


def test_each_run_says_what_it_took_and_left_and_what_is_awaited_from_whom(split: Split) -> None:
    key = "; public key sha256: "
    asked = split.setup("alice")
    assert asked.returncode == 5
    assert "setup.sh: left: client-request.csr of clients/alice\n" in asked.stderr
    shown = asked.stderr.rpartition(f"awaited: {CERTIFICATE} of clients/alice, from the CA machine{key}")[2].strip()
    assert split.names() == [carried("clients/alice", REQUEST)]
    signed = split.setup("ca")
    assert signed.returncode == 5
    for line in (
        "setup.sh: taken: client-request.csr of clients/alice",
        f"ca/30-sign-clients.sh: alice asks with public key sha256: {shown}",
        f"setup.sh: left: {CERTIFICATE} of clients/alice",
        f"setup.sh: left: {AUTHORITY} of clients/alice",
        f"setup.sh: awaited: request.csr of {HOST}, from its machine",
        "setup.sh: awaited: client-request.csr of clients/bob, from its machine",
    ):
        assert f"{line}\n" in signed.stderr
    assert split.names() == [carried("clients/alice", file) for file in (AUTHORITY, CERTIFICATE)]
    done = split.setup("alice")
    assert done.returncode == 0
    authority = digest(split.machine("ca"), "ca/ca-public.pem")
    for text in (signed.stderr, done.stderr):
        assert f"CA certificate sha256: {authority}\n" in text
    for file in (CERTIFICATE, AUTHORITY):
        assert f"setup.sh: taken: {file} of clients/alice\n" in done.stderr
    assert (split.folder / "alice/.docker/cert.pem").read_bytes() == (
        split.machine("ca").work / "clients/alice" / CERTIFICATE
    ).read_bytes()


def test_it_can_be_run_in_any_order_and_again(split: Split) -> None:
    split.setup("ca")
    split.hand_over("alice", "bob")
    before = {path: path.read_bytes() for path in split.folder.rglob("*") if path.is_file()}
    for name in ("bob", "ca", "alice", "ca"):
        done = split.setup(name)
        assert "taken:" not in done.stderr
        assert "left:" not in done.stderr
    assert {path: path.read_bytes() for path in split.folder.rglob("*") if path.is_file()} == before


def test_nothing_private_is_written_to_the_folder(split: Split) -> None:
    split.hand_over("alice", "bob")
    for path in split.carried.iterdir():
        assert "PRIVATE" not in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o644
    keys = list(split.folder.glob("*/docker-tls/**/*-key.pem"))
    assert len(keys) == 2


@pytest.mark.parametrize("words", [(), ("--new-key",)], ids=["the same key", "a new key"])
def test_a_renewal_is_carried_too_as_often_as_it_is_wanted(split: Split, words: tuple[str, ...]) -> None:
    split.hand_over("alice")
    digests = [digest(split.machine("alice"), f"clients/alice/{CERTIFICATE}")]
    for _ in range(2):
        split.run("alice", "clients/alice/10-request-certificate.sh", "--renew", *words)
        split.hand_over("alice")
        digests.append(digest(split.machine("alice"), f"clients/alice/{CERTIFICATE}"))
    assert len(set(digests)) == 3
    assert split.setup("alice").returncode == 0
    assert REQUEST not in " ".join(split.names())


def test_a_roll_over_is_carried_and_what_was_carried_before_it_is_not_taken(split: Split) -> None:
    split.hand_over("alice")
    file = split.carried / carried("clients/alice", AUTHORITY)
    first = file.read_bytes()
    roll_over = ("ca/60-roll-over-ca.sh", "--passphrase-file", str(split.first.passphrase))
    split.run("ca", *roll_over, "--begin")
    split.hand_over("alice")
    installed = split.folder / "alice/.docker/ca.pem"
    both = installed.read_bytes()
    assert both.count(b"BEGIN CERTIFICATE") == 3
    file.write_bytes(first)
    assert "taken:" not in split.setup("alice").stderr
    assert installed.read_bytes() == both
    split.run("ca", *roll_over, "--switch")
    split.run("alice", "clients/alice/10-request-certificate.sh", "--renew", "--new-key")
    split.hand_over("alice")
    split.run("ca", *roll_over, "--finish", "--shut-out", "clients/bob", "--shut-out", HOST, check=False)
    split.hand_over("alice")
    assert installed.read_bytes() == (split.machine("ca").work / "ca/ca-public.pem").read_bytes()
    assert installed.read_bytes() != first
    file.write_bytes(both)
    assert "not taken:" in split.setup("alice").stderr
    assert installed.read_bytes() != both


def test_what_went_through_another_system_is_read(split: Split) -> None:
    split.setup("alice")
    for name in (*("ca", "alice"), "ca"):
        for path in split.carried.iterdir():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        assert split.setup(name).returncode in (0, 5)
    assert (split.folder / "alice/.docker/cert.pem").exists()


def other_party(split: Split, file: Path) -> None:
    split.hand_over("bob")
    file.write_bytes((split.carried / carried("clients/bob", CERTIFICATE)).read_bytes())


NOT_TAKEN: dict[str, tuple[Callable[[Split, Path], object], str]] = {
    "another party's": (other_party, "it is for another key"),
    "no certificate": (lambda _, file: file.write_text("x\n"), "it is no certificate"),
    "a private key": (
        lambda split, file: file.write_text(split.machine("alice").read("clients/alice/client-key.pem")),
        "it is no certificate",
    ),
    "without an end": (lambda _, file: file.write_text(file.read_text()[:200]), "it is no certificate"),
}


@pytest.mark.parametrize("case", NOT_TAKEN)
def test_what_is_no_answer_for_this_machine_is_not_taken(split: Split, case: str) -> None:
    change, reason = NOT_TAKEN[case]
    split.setup("alice")
    split.setup("ca")
    file = split.carried / carried("clients/alice", CERTIFICATE)
    good = file.read_bytes()
    change(split, file)
    done = split.setup("alice")
    assert done.returncode == 5
    assert f"setup.sh: not taken: {file}: {reason}\n" in done.stderr
    assert not (split.machine("alice").work / "clients/alice" / CERTIFICATE).exists()
    file.write_bytes(good)
    assert split.setup("alice").returncode == 0


def test_a_certificate_of_an_earlier_round_is_not_taken(split: Split) -> None:
    split.hand_over("alice")
    file = split.carried / carried("clients/alice", CERTIFICATE)
    first = file.read_bytes()
    split.run("alice", "clients/alice/10-request-certificate.sh", "--renew", "--new-key")
    split.setup("alice")
    (split.carried / carried("clients/alice", f"renewal/{CERTIFICATE}")).write_bytes(first)
    assert split.setup("alice").returncode == 5
    assert not (split.machine("alice").work / "clients/alice/renewal" / CERTIFICATE).exists()
    split.hand_over("alice")
    assert split.setup("alice").returncode == 0


def test_another_ca_is_not_taken_by_who_trusts_one(split: Split, tmp_path: Path) -> None:
    split.hand_over("alice")
    other = Split(tmp_path / "other", replace(new_machine(tmp_path / "other", SITE)))
    other.carried.mkdir()
    other.setup("ca")
    file = split.carried / carried("clients/alice", AUTHORITY)
    good = file.read_bytes()
    file.write_bytes((other.machine("ca").work / "ca/ca-public.pem").read_bytes())
    done = split.setup("alice")
    assert done.returncode == 0
    assert f"not taken: {file}: it holds another CA than the one that is trusted here" in done.stderr
    assert (split.folder / "alice/.docker/ca.pem").read_bytes() == good
    assert not list(split.folder.rglob("*.carried"))


@pytest.mark.parametrize("first", [True, False], ids=["before the certificate", "with it"])
def test_another_ca_is_not_taken_by_who_trusts_none_yet(split: Split, tmp_path: Path, first: bool) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = Split(folder, new_machine(folder, SITE))
    other.carried.mkdir()
    other.setup("ca")
    split.setup("alice")
    split.setup("ca")
    theirs = (other.machine("ca").work / "ca/ca-public.pem").read_bytes()
    authority, certificate = (split.carried / carried("clients/alice", file) for file in (AUTHORITY, CERTIFICATE))
    good = {path: path.read_bytes() for path in (authority, certificate)}
    authority.write_bytes(theirs)
    if first:
        certificate.unlink()
    done = split.setup("alice")
    assert done.returncode == 5
    assert not (split.machine("alice").work / "clients/alice" / AUTHORITY).exists()
    assert first or f"not taken: {authority}: " in done.stderr
    for path, octets in good.items():
        path.write_bytes(octets)
    assert split.setup("alice").returncode == 0


def test_what_a_link_in_the_working_folder_leads_to_is_not_left(split: Split) -> None:
    split.hand_over("alice")
    answer = split.machine("ca").work / "clients/alice" / AUTHORITY
    answer.unlink()
    answer.symlink_to("../../ca/ca-private.pem")
    split.setup("ca", check=False)
    assert not [path for path in split.carried.iterdir() if b"PRIVATE" in path.read_bytes()]


def test_a_hostile_request_is_refused_as_if_it_had_been_brought_by_hand(split: Split) -> None:
    for name in ("ca", "alice", "bob"):
        split.setup(name)
    mine, theirs = (split.carried / carried(f"clients/{name}", REQUEST) for name in ("alice", "bob"))
    good = mine.read_bytes()
    mine.write_bytes(theirs.read_bytes())
    done = split.setup("ca", check=False)
    assert done.returncode == 6
    assert "it asks for CN=bob, and this CA certifies CN=alice here" in done.stderr
    assert not list(split.machine("ca").work.rglob("*.csr"))
    mine.unlink()
    assert f"taken: {REQUEST} of clients/bob\n" in split.setup("ca").stderr
    mine.write_bytes(good)
    assert split.setup("ca").returncode == 5
    assert split.setup("alice").returncode == 0


def test_a_refused_request_leaves_the_one_that_was_brought_by_hand(split: Split) -> None:
    split.hand_over("alice")
    split.run("alice", "clients/alice/10-request-certificate.sh", "--renew")
    asked, brought = (split.machine(name).work / f"clients/alice/renewal/{REQUEST}" for name in ("alice", "ca"))
    brought.parent.mkdir(mode=0o700, exist_ok=True)
    brought.write_bytes(asked.read_bytes())
    hostile = split.carried / carried("clients/alice", f"renewal/{REQUEST}")
    Eve(split).ask(hostile, "nobody")
    assert split.setup("ca", check=False).returncode == 6
    assert brought.read_bytes() == asked.read_bytes()
    hostile.unlink()
    assert f"left: renewal/{CERTIFICATE} of clients/alice\n" in split.setup("ca").stderr


# ---- Whoever holds the folder -----------------------------------------------


@dataclass(frozen=True)
class Eve:
    """Somebody with a CA and a key of her own, who holds the folder for a while."""

    split: Split

    def openssl(self, *words: str | Path) -> None:
        """Run openssl in her own folder."""
        folder = self.split.folder / "eve"
        folder.mkdir(exist_ok=True)
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

    def ask(self, request: Path, name: str) -> None:
        """Put a request for a name, with a key of hers, into the folder."""
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "eve.key")
        self.openssl("req", "-new", *key, "-subj", f"/CN={name}", "-out", request)

    def answer(self, certificate: Path, party: str) -> None:
        """Sign a certificate for a party's key with a CA of hers."""
        self.ask(self.split.folder / "eve/x.csr", "x")
        key = self.split.machine(party.partition("/")[2]).work / party / "client-key.pem"
        self.openssl("pkey", "-in", key, "-pubout", "-out", "party.pub")
        words = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key")
        self.openssl("req", "-x509", *words, "-subj", "/CN=eve", "-out", "ca.pem")
        signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-force_pubkey", "party.pub")
        self.openssl("x509", "-req", "-in", "x.csr", *signer, "-out", certificate)


def spawn(split: Split, name: str, *words: str) -> pexpect.spawn[str]:
    """Run setup.sh on a terminal, without --yes."""
    party = "ca" if name == "ca" else f"clients/{name}"
    steps = [] if name == "ca" else [f"{party}/{step}" for step in STEPS]
    (split.folder / name).mkdir(mode=0o700, exist_ok=True)
    argv = [str(split.first.out / "setup.sh"), "--dir", str(split.machine(name).work), "--as", party]
    return pexpect.spawn(
        "bash",
        [*argv, "--exchange", str(split.carried), *steps, *words],
        env={"HOME": str(split.folder / name), "PATH": os.environ["PATH"]},
        encoding="utf-8",
        timeout=120,
    )


def test_the_ca_signs_what_was_compared_and_nothing_before(split: Split) -> None:
    split.setup("ca")
    split.setup("alice")
    for answer in "ny":
        terminal = spawn(split, "ca", "--passphrase-file", str(split.first.passphrase))
        terminal.expect_exact("asks: clients/alice, with public key sha256: ")
        terminal.expect_exact("show the same sha256? [y/N] ")
        assert not list(split.machine("ca").work.rglob("*.csr"))
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == {"n": 2, "y": 5}[answer]
        signed = carried("clients/alice", CERTIFICATE) in split.names()
        assert signed == (answer == "y")


def test_a_client_trusts_what_was_compared_and_nothing_before(split: Split) -> None:
    split.setup("alice")
    split.setup("ca")
    for answer in "ny":
        terminal = spawn(split, "alice")
        terminal.expect_exact("CA certificate sha256: ")
        terminal.expect_exact("Does the CA machine show the same sha256? [y/N] ")
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == {"n": 2, "y": 0}[answer]
        assert (split.machine("alice").work / "clients/alice" / AUTHORITY).exists() == (answer == "y")
    terminal = spawn(split, "alice")
    assert terminal.expect_exact(["same sha256?", pexpect.EOF]) == 1


@pytest.mark.parametrize("first", [True, False], ids=["before the first answer", "later"])
def test_a_certificate_that_the_ca_has_not_signed_is_not_taken(split: Split, first: bool) -> None:
    split.setup("alice")
    split.setup("ca")
    if not first:
        split.setup("alice")
    file = split.carried / carried("clients/alice", CERTIFICATE)
    good = file.read_bytes()
    Eve(split).answer(file, "clients/alice")
    done = split.setup("alice")
    assert done.returncode == (5 if first else 0)
    assert f"not taken: {file}: no CA that is trusted here has signed it\n" in done.stderr
    assert first == ("awaited: client-certificate.pem of clients/alice" in done.stderr)
    file.write_bytes(good)
    assert split.setup("alice").returncode == 0


def test_nothing_of_the_folder_reaches_the_terminal_or_what_check_prints(split: Split) -> None:
    split.setup("alice")
    split.setup("ca")
    file = split.carried / carried("clients/alice", AUTHORITY)
    good = file.read_text()
    for text in ("\033]0;owned\007\033[2J\n", "x\nEND\ntouch pasted\n: <<END\n", f"{good}END\nreboot\n", "x" * 70_000):
        split.setup("ca")
        file.write_text(text)
        for words in (("--check",), ()):
            done = split.setup("alice", *words, check=False)
            assert "not taken: " in done.stderr
            said = done.stdout + done.stderr
            assert [word for word in ("owned", "touch", "reboot", "\033", "x" * 100) if word in said] == []
    file.write_text(good)
    split.hand_over("alice")
    assert (split.folder / "alice/.docker/ca.pem").read_text() == good


@pytest.mark.parametrize("file", [REQUEST, CERTIFICATE, AUTHORITY])
def test_the_folder_cannot_ask_for_a_pass_phrase(split: Split, file: str) -> None:
    split.setup("alice")
    split.setup("ca")
    eve = Eve(split)
    kind = "CERTIFICATE REQUEST" if file == REQUEST else "CERTIFICATE"
    eve.openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "key.pem")
    eve.openssl("ec", "-in", "key.pem", "-aes256", "-passout", "pass:abcd", "-out", "trad.pem")
    name, party = ("ca", "clients/bob") if file == REQUEST else ("alice", "clients/alice")
    text = (split.folder / "eve/trad.pem").read_text().replace("EC PRIVATE KEY", kind)
    (split.carried / carried(party, file)).write_text(text)
    words = ("--passphrase-file", str(split.first.passphrase)) if name == "ca" else ()
    terminal = spawn(split, name, "--yes", *words)
    assert terminal.expect(["(?i)pass phrase", "not taken: .*, which is no file in PEM", pexpect.EOF]) == 1
    assert terminal.expect(["(?i)pass phrase", pexpect.EOF]) == 1


def test_a_bundle_that_was_cut_down_to_the_next_ca_is_not_taken(split: Split) -> None:
    split.hand_over("alice")
    split.run("ca", "ca/60-roll-over-ca.sh", "--passphrase-file", str(split.first.passphrase), "--begin")
    split.hand_over("alice")
    file = split.carried / carried("clients/alice", AUTHORITY)
    honest = file.read_text()
    installed = (split.folder / "alice/.docker/ca.pem").read_text()
    end = "-----END CERTIFICATE-----\n"
    for part in honest.split(end)[:-1]:
        file.write_text(part + end)
        done = split.setup("alice")
        assert "setup.sh: taken: " not in done.stderr
        assert (split.folder / "alice/.docker/ca.pem").read_text() == installed
    file.write_text(honest)
    assert "not taken" not in split.setup("alice").stderr


def test_a_step_that_is_named_carries_for_its_party(split: Split) -> None:
    done = split.run("bob", "setup.sh", "--exchange", str(split.carried), "clients/bob/10-request-certificate.sh")
    assert done.returncode == 0, done.stderr
    assert split.names() == [carried("clients/bob", REQUEST)]


def test_a_folder_that_was_taken_away_in_the_middle_is_told(split: Split) -> None:
    split.setup("alice")
    split.setup("ca")
    script = split.first.out / "ca/20-sign-servers.sh"
    text = script.read_text()
    away = f"if [[ ${{verb}} == apply ]]; then mv {split.carried}{{,.away}}; mkdir -m 0700 {split.carried}; fi\n"
    changed = text.replace('sign_requests "$@"', f'{away}sign_requests "$@"', 1)
    assert changed != text
    script.write_text(changed)
    sums = split.first.out / "SHA256SUMS"
    old, new = (sha256(octets.encode()).hexdigest() for octets in (text, changed))
    sums.write_text(sums.read_text().replace(old, new))
    split.setup("bob")
    done = split.setup("ca", check=False)
    assert done.returncode == 1
    assert f"{split.carried} was taken away or replaced meanwhile; this machine has done its part" in done.stderr
    assert split.names() == []
    script.write_text(text)
    sums.write_text(sums.read_text().replace(new, old))
    split.setup("bob")
    split.setup("ca")
    assert split.setup("bob").returncode == 0


def test_undo_of_the_ca_takes_away_what_was_carried_to_it(split: Split) -> None:
    split.setup("alice")
    split.setup("ca")
    for name in ("alice", "bob"):
        request = split.machine("ca").work / f"clients/{name}/renewal/{REQUEST}"
        request.parent.mkdir(mode=0o700, parents=True)
        Eve(split).ask(request, name)
    done = split.setup_undo()
    assert done.returncode == 0, done.stderr
    assert not split.machine("ca").work.exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_neither_read_nor_followed(split: Split, kind: str) -> None:
    split.setup("alice")
    name = split.carried / carried("clients/alice", REQUEST)
    good = name.read_bytes()
    name.unlink()
    if kind == "link":
        name.symlink_to(split.first.passphrase)
    elif kind == "pipe":
        os.mkfifo(name)
    else:
        name.mkdir()
    split.setup("bob")
    done = split.setup("ca")
    assert f"not taken: {name}, which is no file in PEM that " in done.stderr
    assert [path.parent.name for path in split.machine("ca").work.glob(f"clients/*/{CERTIFICATE}")] == ["bob"]
    name.rmdir() if kind == "folder" else name.unlink()
    name.write_bytes(good)
    assert "taken: client-request.csr of clients/alice\n" in split.setup("ca").stderr


@pytest.mark.parametrize("suffix", ["", ".new"])
def test_nothing_is_written_through_a_link(split: Split, suffix: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was\n")
    name = split.carried / (carried("clients/alice", REQUEST) + suffix)
    name.symlink_to(victim)
    assert split.setup("alice").returncode == 5
    assert victim.read_text() == "as it was\n"
    assert not (split.carried / carried("clients/alice", REQUEST)).is_symlink()


def test_two_sites_with_parties_of_the_same_names_share_a_folder(split: Split, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = Split(folder, new_machine(folder, SITE.replace("Split CA", "Another CA")), split.carried)
    for site in (split, other):
        site.setup("alice")
    for site in (split, other):
        site.setup("ca")
    for site in (split, other):
        assert site.setup("alice").returncode == 0
        made = site.machine("ca").work / "clients/alice" / CERTIFICATE
        assert (site.folder / "alice/.docker/cert.pem").read_bytes() == made.read_bytes()


def bad_folder(split: Split, case: str) -> tuple[Path, str]:
    """Return a folder that cannot be exchanged with, and why."""
    if case == "missing":
        return split.folder / "none", "is no folder that "
    if case == "a file":
        return split.first.passphrase, "is no folder that "
    if case == "a link":
        (split.folder / "link").symlink_to(split.carried)
        return split.folder / "link", f"a link leads from {split.folder}/link to {split.carried}: give that"
    inside = split.machine("alice").work / "stick"
    inside.mkdir(mode=0o700, parents=True)
    return (inside if case == "inside" else split.folder), "lie one in the other"


@pytest.mark.parametrize("case", ["missing", "a file", "a link", "inside", "around"])
def test_a_folder_that_does_not_fit_is_refused_before_anything_is_changed(split: Split, case: str) -> None:
    folder, reason = bad_folder(split, case)
    before = {*split.folder.rglob("*"), split.folder / "alice"}
    done = split.run("alice", "setup.sh", "--as", "clients/alice", "--exchange", str(folder), check=False)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "; nothing was changed\n" in done.stderr
    assert set(split.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--exchange",), "--exchange needs a value"),
        (("--exchange", "x", "--undo"), "--exchange does not go with --undo"),
    ],
    ids=["no folder", "undo"],
)
def test_wrong_use_is_refused(split: Split, words: tuple[str, ...], reason: str) -> None:
    done = split.run("alice", "setup.sh", "--as", "clients/alice", *words, check=False)
    assert done.returncode == 2
    assert reason in done.stderr


def test_check_changes_nothing_and_prints_what_would_be_taken_and_left(split: Split) -> None:
    split.setup("alice")
    before = sorted(split.folder.rglob("*"))
    done = split.setup("ca", "--check", check=False)
    assert done.returncode == 3
    assert f"cat >{split.machine('ca').work}/clients/alice/client-request.csr" in done.stdout
    assert sorted(path for path in split.folder.rglob("*") if path != split.folder / "ca") == before
