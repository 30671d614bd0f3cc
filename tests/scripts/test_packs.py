"""An unpacked pack by itself, and setup.sh --signers: with bash, openssl and ssh-keygen alone."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from dockseal.output.pack import open_source, write_pack
from tests.scripts.machine import PASSPHRASE, SITE
from tests.signers import NAMESPACE, OTHER, WHO, key, sign, signers
from tests.sites import render

HOST, CLIENT = "hosts/localhost", "clients/client"
TWO_HOSTS = SITE.replace(
    "clients:", "  - {name: other, key: ec:P-256, ip_addresses: [192.0.2.9], listen: '192.0.2.9:2376'}\nclients:"
)
UNCHANGED = "Nothing was changed."


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked, in a home folder of its own."""

    out: Path
    home: Path

    def setup(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run setup.sh without a terminal."""
        argv = ["bash", self.out / "setup.sh", *words]
        environment = {"HOME": str(self.home)}
        return subprocess.run(
            argv, check=False, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL
        )

    def refuses(self, said: str, *words: str | Path) -> None:
        """See that setup.sh says this alone, with status 2, and makes nothing."""
        done = self.setup(*words)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: setup.sh: {said}\n")
        assert list(self.home.iterdir()) == []


def unpacked(folder: Path, site: str, *parties: str) -> Unpacked:
    """Pack some parties of a site, and unpack that with tar(1)."""
    source, _ = open_source(render(site, folder / "rendered"))
    write_pack(source, parties, folder / "one.tar", None)
    (folder / "home").mkdir()
    subprocess.run(["tar", "-xf", folder / "one.tar", "-C", folder], check=True)
    return Unpacked(folder / "out", folder / "home")


@pytest.fixture
def ca(tmp_path: Path) -> Unpacked:
    """The pack of the CA."""
    return unpacked(tmp_path, SITE, "ca")


def test_a_pack_is_checked_with_sha256sum_alone(ca: Unpacked) -> None:
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, check=True, cwd=ca.out)
    assert not (ca.out / "hosts").exists()
    assert not (ca.out / "clients").exists()


@pytest.mark.parametrize("words", [[], ["--as", "ca"]], ids=["unnamed", "named"])
def test_the_pack_of_the_ca_is_planned_by_itself(ca: Unpacked, words: list[str]) -> None:
    done = ca.setup("--check", *words)
    assert done.returncode == 3, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("# ca/")] == [
        "# ca/10-create-ca.sh",
        "# ca/20-sign-servers.sh",
        "# ca/30-sign-clients.sh",
    ]


def test_the_pack_of_the_ca_makes_the_ca_and_waits_for_the_requests_of_parties_that_it_has_no_scripts_of(
    ca: Unpacked, tmp_path: Path
) -> None:
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text(f"{PASSPHRASE}\n")
    done = ca.setup("--yes", "--passphrase-file", file)
    assert done.returncode == 5, done.stderr
    work = ca.home / "docker-tls"
    assert (work / "ca/ca-private.pem").is_file()
    assert done.stderr.splitlines()[-1] == (
        f"setup.sh: waiting for {work}/{HOST}/request.csr, {work}/{CLIENT}/client-request.csr: carry here what the "
        "machines of these parties made, and run this again"
    )


def test_a_pack_of_one_of_two_hosts_needs_no_party_named(tmp_path: Path) -> None:
    """The whole site's folder does: there the machine could be either."""
    pack = unpacked(tmp_path, TWO_HOSTS, CLIENT)
    done = pack.setup("--check")
    assert done.returncode == 3, done.stderr
    assert "\n# hosts/" not in done.stdout
    whole = Unpacked(tmp_path / "rendered", pack.home)
    whole.refuses(
        "this site has 2 Docker hosts: say which party this machine is with --as: ca hosts/localhost hosts/other "
        "clients/client",
        "--check",
    )


def test_a_key_of_a_party_that_is_not_in_the_pack_is_no_reason_to_run_its_scripts(tmp_path: Path) -> None:
    pack = unpacked(tmp_path, SITE, CLIENT)
    (pack.home / "docker-tls/ca").mkdir(parents=True, mode=0o700)
    (pack.home / "docker-tls/ca/ca-private.pem").touch(mode=0o600)
    (pack.home / "docker-tls").chmod(0o700)
    (pack.home / "docker-tls/parties.txt").write_text(f"ca\n{CLIENT}\n")
    done = pack.setup("--check")
    assert done.returncode == 3, done.stderr
    assert "# clients/client/10-request-certificate.sh\n" in done.stdout
    assert "# ca/" not in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as", HOST], f"this is a pack without the scripts of {HOST}; it has: ca"),
        ([f"{HOST}/90-verify.sh"], f"this is a pack without the scripts of {HOST}; it has: ca"),
        (["--as", "hosts/none"], "--as needs one of: ca"),
        (["hosts/none/90-verify.sh"], "there is no script hosts/none/90-verify.sh in this site"),
    ],
)
def test_what_is_not_in_the_pack_is_refused(ca: Unpacked, words: list[str], said: str) -> None:
    ca.refuses(said, "--check", *words)


def test_a_changed_script_of_a_pack_is_not_run(ca: Unpacked) -> None:
    with (ca.out / "ca/10-create-ca.sh").open("a") as file:
        file.write("touch ~/ran\n")
    done = ca.setup("--check")
    assert (done.returncode, list(ca.home.iterdir())) == (2, [])
    assert done.stderr.startswith("error: setup.sh: these files are not what was rendered:\nca/10-create-ca.sh: FAILED")


# ---- --signers --------------------------------------------------------------


@pytest.fixture
def signed(ca: Unpacked, tmp_path: Path) -> Path:
    """The list of signers for the pack of the CA, which is signed."""
    sign(key(tmp_path), ca.out / "SHA256SUMS")
    return signers(tmp_path)


def test_what_a_signer_has_signed_is_run(ca: Unpacked, signed: Path) -> None:
    done = ca.setup("--check", "--signers", signed)
    assert done.returncode == 3, done.stderr
    assert f'Good "{NAMESPACE}" signature for {WHO} with ED25519 key' in done.stderr
    assert "# ca/10-create-ca.sh\n" in done.stdout


def test_a_line_for_several_names_is_one_signer(ca: Unpacked, signed: Path) -> None:
    signed.write_text(f"one@example.com,{signed.read_text()}")
    assert ca.setup("--check", "--signers", signed).returncode == 3


def spoil_nothing(ca: Unpacked, scratch: Path) -> None:
    """Sign anew: the positive control of those below."""
    sign(key(scratch), ca.out / "SHA256SUMS")


def remove(ca: Unpacked, scratch: Path) -> None:
    """Take the signature away."""


def sign_with_another_key(ca: Unpacked, scratch: Path) -> None:
    """Sign with a key that nobody named."""
    sign(key(scratch, OTHER), ca.out / "SHA256SUMS")


def sign_for_something_else(ca: Unpacked, scratch: Path) -> None:
    """Sign with the right key, as a file in general."""
    sign(key(scratch), ca.out / "SHA256SUMS", "file")


def change_sums(ca: Unpacked, scratch: Path) -> None:
    """Sign, and then change a script with its sum."""
    sign(key(scratch), ca.out / "SHA256SUMS")
    sums = ca.out / "SHA256SUMS"
    (ca.out / "ca/80-list-certificates.sh").unlink()
    kept = [line for line in sums.read_text().splitlines(keepends=True) if "80-list" not in line]
    sums.write_text("".join(kept))


SPOILED = [remove, sign_with_another_key, sign_for_something_else, change_sums]


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("verb", [["--check"], ["--undo"], ["--yes"]], ids=["check", "undo", "apply"])
def test_what_no_signer_has_signed_is_not_run(
    ca: Unpacked, signed: Path, tmp_path: Path, spoil: object, verb: list[str]
) -> None:
    (ca.out / "SHA256SUMS.sig").unlink()
    assert callable(spoil)
    spoil(ca, tmp_path)
    done = ca.setup("--signers", signed, *verb)
    assert (done.returncode, done.stdout, list(ca.home.iterdir())) == (2, "", [])
    signature = ca.out / "SHA256SUMS.sig"
    assert done.stderr.endswith(
        f"error: setup.sh: {signature} is no signature of SHA256SUMS by one of {signed}: ssh-keygen says why above. "
        f"{UNCHANGED}\n"
    )
    assert done.stderr.count("\n") > 1


def test_without_signers_no_signature_is_looked_at(ca: Unpacked, signed: Path, tmp_path: Path) -> None:
    """The controls of those above: what was refused there would run, the sums being right."""
    for spoil in (spoil_nothing, *SPOILED):
        (ca.out / "SHA256SUMS.sig").unlink(missing_ok=True)
        spoil(ca, tmp_path)
        assert ca.setup("--check").returncode == 3


def test_a_list_of_signers_that_another_user_could_change_is_refused(ca: Unpacked, signed: Path) -> None:
    signed.chmod(0o664)
    ca.refuses(f"others can write to {signed}; run: chmod go-w {signed}", "--check", "--signers", signed)
    signed.chmod(0o644)
    signed.parent.chmod(0o777)
    ca.refuses(
        f"others could replace {signed}: they can write to {signed.parent.name} on its path", "--signers", signed
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_list_of_signers_of_another_user_is_refused(ca: Unpacked, signed: Path) -> None:
    os.chown(signed, 65534, 65534)
    ca.refuses(f"{signed} belongs to another user; take another one", "--check", "--signers", signed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_list_of_signers_is_judged_where_it_is(ca: Unpacked, signed: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs/below").mkdir(parents=True)
    (tmp_path / "theirs/signers").write_bytes(signed.read_bytes())
    os.chown(tmp_path / "theirs", 65534, 65534)
    (tmp_path / "link").symlink_to("theirs/below")
    done = ca.setup("--check", "--signers", f"{tmp_path}/link/../signers")
    assert done.returncode == 2
    assert f"{tmp_path}/theirs" in done.stderr
    os.chown(tmp_path / "theirs", 0, 0)
    assert ca.setup("--check", "--signers", f"{tmp_path}/link/../signers").returncode == 3


@pytest.mark.parametrize("name", ["", "lib", "ca"])
def test_scripts_that_another_user_could_change_are_signed_by_nobody(ca: Unpacked, signed: Path, name: str) -> None:
    folder = ca.out / name
    folder.chmod(0o775)
    ca.refuses(f"others can write to {folder}; run: chmod go-w {folder}", "--check", "--signers", signed)
    assert ca.setup("--check").returncode == 3
    folder.chmod(0o755)
    assert ca.setup("--check", "--signers", signed).returncode == 3


def test_a_signature_that_is_a_pipe_is_not_waited_for(ca: Unpacked, signed: Path) -> None:
    signature = ca.out / "SHA256SUMS.sig"
    signature.unlink()
    os.mkfifo(signature)
    ca.refuses(f"{signature} is no regular file", "--check", "--signers", signed)


@pytest.mark.parametrize("name", ["README.md", "setup.sh"])
def test_a_file_that_is_gone_with_its_line_is_missed(ca: Unpacked, name: str) -> None:
    sums = ca.out / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if f"  {name}" not in line))
    if name == "README.md":
        (ca.out / name).unlink()
    done = ca.setup("--yes")
    assert (done.returncode, list(ca.home.iterdir())) == (2, [])
    assert name in done.stderr


def test_a_list_of_signers_has_to_be_there(ca: Unpacked, tmp_path: Path) -> None:
    ca.refuses(f"--signers: {tmp_path} is no file that can be read", "--signers", tmp_path)
    ca.refuses("--signers: none is no file that can be read", "--check", "--signers", "none")
    ca.refuses("--signers needs a value", "--check", "--signers")
