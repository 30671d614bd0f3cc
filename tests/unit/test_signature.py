"""Facts about signatures: made and verified by the real ssh-keygen, and each way in which one does not hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from dockseal.errors import UsageError
from dockseal.output.folder import foreign
from dockseal.output.pack import open_source, write_pack, write_packs
from dockseal.output.signature import (
    MISSING,
    SignatureError,
    check_signature,
    is_own,
    namespace_of,
    sign_files,
    verify_line,
)
from dockseal.output.tar import tar_files
from dockseal.output.verify import verify_folder
from tests.signers import NAMESPACE, OTHER, WHO, key, sign, signers
from tests.sites import ONE_HOST, ROOT, dockseal, render

CHECK = ("--signature", "--signers", "signers")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered folder with its pack of the CA beside it, and a list of signers."""
    out = render(ONE_HOST, tmp_path_factory.mktemp("signature") / "out")
    write_pack(open_source(out)[0], ["ca"], out.with_name("ca.tar"), None)
    signers(out.parent)
    key(out.parent, OTHER)
    return out.parent


@pytest.fixture
def here(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "here"))


@pytest.fixture
def agent(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment of an ssh-agent that has the own key, whose file is gone."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", here / "agent"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    environment = {"SSH_AUTH_SOCK": str(here / "agent")}
    subprocess.run(["ssh-add", "-q", key(here)], check=True, env={**os.environ, **environment})
    key(here).unlink()
    yield environment
    process.terminate()
    process.communicate()


@pytest.mark.parametrize(("what", "signed"), [("out", "out/SHA256SUMS"), ("ca.tar", "ca.tar")])
def test_a_signature_is_verified_by_dockseal_and_by_the_line_that_is_printed(
    here: Path, what: str, signed: str
) -> None:
    done = dockseal("sign", what, "--key", "own", cwd=here)
    file = here / signed
    line = verify_line(file.name)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{signed}.sig: written; the other end, which needs no dockseal for it, runs:\n    {line}\n",
        "",
    )
    assert (here / f"{signed}.sig").stat().st_mode & 0o7777 == 0o644
    line = line.replace("SIGNERS", str(here / "signers")).replace("WHO", WHO)
    subprocess.run(["bash", "-c", line], check=True, cwd=file.parent, capture_output=True)
    done = dockseal("verify", what, *CHECK, cwd=here)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"{signed}: signed by {WHO}")
    assert dockseal("verify", what, *CHECK, "--identity", WHO, cwd=here).returncode == 0
    assert dockseal("sign", what, "--key", "own", cwd=here).returncode == 0


def test_a_key_of_an_agent_signs_by_its_public_part(here: Path, agent: dict[str, str]) -> None:
    done = dockseal("sign", "out", "--key", "own.pub", cwd=here, environment=agent)
    assert done.returncode == 0, done.stderr
    assert dockseal("verify", "out", *CHECK, cwd=here).returncode == 0


def test_a_passphrase_is_asked_for_on_the_terminal(here: Path) -> None:
    key(here, "locked", "open sesame")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    words = ["-m", "dockseal", "sign", "out", "--key", "locked"]
    child = pexpect.spawn(sys.executable, words, cwd=str(here), env=environment)
    child.expect("Enter passphrase")
    child.sendline("open sesame")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert is_own((here / "out/SHA256SUMS.sig").read_bytes())


def test_a_key_that_does_not_sign_is_named_and_nothing_is_written(here: Path) -> None:
    (here / "bad").write_text("no key\n")
    (here / "bad").chmod(0o600)
    for name, said in {
        "bad": "error: bad: ssh-keygen did not sign with it and says why above; nothing was changed\n",
        "none": "error: none: there is no such key; name a private key, or the .pub of one in ssh-agent\n",
    }.items():
        done = dockseal("sign", "out", "--key", name, cwd=here)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(said)
        done = dockseal("pack", "out", "--output", "packs", "--key", name, cwd=here)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(said)
    assert not (here / "packs").exists()
    assert foreign(here / "out") == []


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("none", 2, "none: cannot be read: No such file or directory; name a rendered folder or a pack"),
        ("signers", 4, "signers: is no pack as dockseal makes it, or was changed; get it again"),
        ("edited", 4, "edited: README.md: was changed: sha256 is "),
        ("theirs", 2, "theirs/SHA256SUMS.sig: is no signature that dockseal made; move it away (nothing was changed)"),
        ("linked", 2, "linked/SHA256SUMS.sig: is no signature that dockseal made; move it away (nothing was changed)"),
    ],
)
def test_what_is_not_as_it_was_rendered_is_not_signed(here: Path, what: str, status: int, said: str) -> None:
    for name in ("edited", "theirs", "linked"):
        shutil.copytree(here / "out", here / name)
    (here / "edited/README.md").write_text("run something else\n")
    sign(key(here), here / "theirs/SHA256SUMS", "file")
    (here / "linked/SHA256SUMS.sig").symlink_to(here / "signers")
    done = dockseal("sign", what, "--key", "own", cwd=here)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"error: {said}")


# ---- What does not hold -----------------------------------------------------


def test_a_signature_that_is_a_pipe_is_not_waited_for(here: Path) -> None:
    os.mkfifo(here / "ca.tar.sig")
    assert complaint(here) == "ca.tar.sig: is no regular file; get it again"


def test_a_signature_that_is_missing(here: Path) -> None:
    assert complaint(here) == "ca.tar.sig: there is no signature (No such file or directory); get it from the sender"


def test_a_signature_with_an_unknown_key(here: Path) -> None:
    sign(here / OTHER, here / "ca.tar")
    assert complaint(here) == (
        "ca.tar.sig: was made with a key that signers does not name; get the signer's key, or refuse"
    )
    assert (
        complaint(here, "--identity", WHO)
        == f"ca.tar.sig: signers does not accept this key for {WHO!r} now; ask the sender"
    )


def test_a_signature_of_other_bytes(here: Path) -> None:
    sign(key(here), here / "ca.tar")
    with (here / "ca.tar").open("ab") as file:
        file.write(b"\0")
    assert complaint(here) == (
        "ca.tar.sig: is of other bytes than ca.tar: it was changed, or signed before; get both again"
    )


def test_a_signature_for_something_else(here: Path) -> None:
    sign(key(here), here / "ca.tar", "file")
    assert complaint(here) == "ca.tar.sig: is a signature for 'file', not for 'dockseal': of something else"


@pytest.mark.parametrize("text", [b"", b"x\n", b"-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n"])
def test_what_is_no_signature(here: Path, text: bytes) -> None:
    (here / "ca.tar.sig").write_bytes(text)
    assert complaint(here) == "ca.tar.sig: is not a signature of ssh-keygen; get it again"


@pytest.mark.parametrize("options", ['namespaces="file" ', 'valid-before="20200101" '])
def test_a_key_that_may_not_sign_this_now(here: Path, options: str) -> None:
    sign(key(here), here / "ca.tar")
    assert dockseal("verify", "ca.tar", *CHECK, cwd=here).returncode == 0
    signers(here, options)
    assert complaint(here) in {
        f"ca.tar.sig: signers does not accept this key for {WHO!r} now; ask the sender",
        "ca.tar.sig: was made with a key that signers does not name; get the signer's key, or refuse",
    }


def test_an_identity_that_has_another_key(here: Path) -> None:
    sign(key(here), here / "ca.tar")
    assert (
        complaint(here, "--identity", "me")
        == "ca.tar.sig: signers does not accept this key for 'me' now; ask the sender"
    )


def complaint(here: Path, *words: str) -> str:
    """Verify the pack, which must fail with status 4 and print nothing; return what is said."""
    done = dockseal("verify", "ca.tar", *CHECK, *words, cwd=here)
    assert (done.returncode, done.stdout) == (4, "")
    return done.stderr.removeprefix("error: ").removesuffix("\n")


def test_a_machine_without_ssh_keygen(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign(key(here), here / "ca.tar")
    monkeypatch.setenv("PATH", str(here))
    with pytest.raises(
        SignatureError, match="^ssh-keygen is not installed; install the package openssh-client"
    ) as found:
        check_signature(here / "ca.tar", b"", here / "signers", WHO)
    assert (str(found.value), found.value.exit_status) == (MISSING, 4)
    with pytest.raises(UsageError, match="^ssh-keygen is not installed; install the package openssh-client"):
        sign_files(key(here), [here / "ca.tar"])


@pytest.mark.parametrize("words", [["--signature"], ["--signers", "signers"], ["--identity", "x"]])
def test_options_that_go_together(here: Path, words: list[str]) -> None:
    done = dockseal("verify", "out", *words, cwd=here)
    said = "error: --signature and --signers FILE go together, and --identity with both\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_a_list_of_signers_that_is_not_there(here: Path) -> None:
    done = dockseal("verify", "out", "--signature", "--signers", "none", cwd=here)
    said = "error: none: there is no such file; name the list of those whose signatures you accept\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


# ---- Signatures beside what they are of -------------------------------------


def test_a_signed_folder_is_as_its_manifest_says_and_no_file_in_it_is_foreign(here: Path) -> None:
    found = verify_folder(here / "out")
    sign(key(here), here / "out/SHA256SUMS")
    assert foreign(here / "out") == []
    assert verify_folder(here / "out") == found
    sign(key(here), here / "out/SHA256SUMS", "file")
    assert foreign(here / "out") == ["SHA256SUMS.sig"]
    done = dockseal("verify", "out", cwd=here)
    said = "error: out: SHA256SUMS.sig: is not listed in SHA256SUMS; remove it or ask the sender\n"
    assert (done.returncode, done.stderr) == (4, said)


def test_rendering_over_a_signed_folder_removes_the_signature_and_says_so(here: Path) -> None:
    (here / "site.yaml").write_text(ONE_HOST)
    sign(key(here), here / "out/SHA256SUMS")
    assert dockseal("render", "--output", "out", "--check", cwd=here).stdout == "out: up to date\n"
    done = dockseal("render", "--output", "out", cwd=here)
    said = "out: its signature is removed; sign it again: dockseal sign out --key KEY\n"
    assert (done.returncode, done.stderr) == (0, said)
    assert not (here / "out/SHA256SUMS.sig").exists()


@pytest.mark.parametrize("parties", [["ca"], []], ids=["one", "each"])
def test_a_pack_that_is_signed_has_a_signature_in_it_and_one_beside_it(here: Path, parties: list[str]) -> None:
    source, _ = open_source(here / "out")
    if parties:
        write_pack(source, parties, here / "signed.tar", key(here))
        packs = [here / "signed.tar"]
    else:
        packs = [one.path for one in write_packs(source, here / "packs", key(here), print)]
        assert len(packs) == 2
        assert foreign(here / "packs") == []
    for pack in packs:
        assert check_signature(pack, pack.read_bytes(), here / "signers", None) == WHO
        files = {one.path: one.octets for one in tar_files(pack.read_bytes())}
        for name in ("SHA256SUMS", "SHA256SUMS.sig"):
            (here / name).write_bytes(files[f"out/{name}"])
        assert check_signature(here / "SHA256SUMS", files["out/SHA256SUMS"], here / "signers", None) == WHO
        assert dockseal("verify", pack, *CHECK, cwd=here).returncode == 0
        assert pack.with_name(f"{pack.name}.sig").stat().st_mode & 0o7777 == 0o644


def test_a_pack_without_a_key_keeps_no_signature_of_the_one_before(here: Path) -> None:
    sign(key(here), here / "ca.tar")
    done = dockseal("pack", "out", "--party", "ca", "--output", "ca.tar", cwd=here)
    assert (done.returncode, (here / "ca.tar.sig").exists()) == (0, False)


def test_the_command_says_how_the_other_end_checks(here: Path) -> None:
    done = dockseal("pack", "out", "--party", "ca", "--output", "x.tar", "--key", "own", cwd=here)
    assert done.returncode == 0
    assert done.stderr.endswith(
        "The other end checks a pack before it unpacks it, without dockseal: "
        "ssh-keygen -Y verify -f SIGNERS -I WHO -n dockseal -s FILE.tar.sig <FILE.tar\n"
    )


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_namespace_is_read_from_signatures_of_each_kind_of_key(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_text("x\n")
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "k"], check=True)
    octets = sign(tmp_path / "k", tmp_path / "x").read_bytes()
    assert (namespace_of(octets), is_own(octets)) == (NAMESPACE, True)
    octets = sign(tmp_path / "k", tmp_path / "x", "git").read_bytes()
    assert (namespace_of(octets), is_own(octets)) == ("git", False)
    for end in range(0, len(octets), 7):
        assert namespace_of(octets[:end]) is None
