"""OpenSSH signatures, made and verified by ssh-keygen(1); nothing here computes one."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dockseal.errors import DocksealError, UsageError, printable

NAMESPACE = "dockseal"
SIGNATURE = ".sig"
_ARMOUR = (b"-----BEGIN SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n")
_MAGIC = b"SSHSIG\0\0\0\1"
MISSING = "ssh-keygen is not installed; install the package openssh-client (OpenSSH 8.2 or newer)"


class SignatureError(DocksealError):
    """A signature does not hold, or there is none (exit status 4)."""

    exit_status = 4


def namespace_of(octets: bytes) -> str | None:
    """Return the namespace that an OpenSSH signature is for; None for what is no such signature (PROTOCOL.sshsig)."""
    start, end = _ARMOUR
    if not (octets.startswith(start) and octets.endswith(end)):
        return None
    try:
        rest = b64decode(octets[len(start) : -len(end)])
    except ValueError:
        return None
    if not rest.startswith(_MAGIC):
        return None
    _, rest = _string(rest.removeprefix(_MAGIC))  # the public key
    return _string(rest)[0].decode("ascii", "backslashreplace")


def is_own(octets: bytes) -> bool:
    """Tell whether octets are a signature for dockseal's namespace, by whomever."""
    return namespace_of(octets) == NAMESPACE


def signatures(key: Path, contents: Sequence[bytes]) -> list[bytes]:
    """Return a signature of each content; a passphrase is asked for once. Raises UsageError."""
    with TemporaryDirectory(prefix="dockseal-") as scratch:
        files = [Path(scratch) / str(number) for number in range(len(contents))]
        for file, octets in zip(files, contents, strict=True):
            file.write_bytes(octets)
        sign_files(key, files)
        return [signature_file(file).read_bytes() for file in files]


def sign_files(key: Path, files: Sequence[Path]) -> None:
    """Sign the files of one folder, each into a new FILE.sig beside it; a passphrase is asked for once.

    `key` is a private key, or the public one of a key that ssh-agent(1) has. What ssh-keygen asks and says goes to the
    terminal. Raises UsageError.
    """
    if not key.is_file():
        raise UsageError(f"{key}: there is no such key; name a private key, or the .pub of one in ssh-agent")
    words = ("-q", "-Y", "sign", "-f", str(key.absolute()), "-n", NAMESPACE, *(file.name for file in files))
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError(MISSING)
    if subprocess.run([program, *words], check=False, cwd=files[0].parent).returncode:
        raise UsageError(f"{key}: ssh-keygen did not sign with it and says why above; nothing was changed")


def signature_file(file: Path) -> Path:
    """Return where the signature of a file stands."""
    return file.with_name(f"{file.name}{SIGNATURE}")


def refuse_other_signature(file: Path) -> None:
    """Raise UsageError when something that is no signature of dockseal's stands where that of a file goes."""
    path = signature_file(file)
    if not path.is_symlink() and not path.exists():
        return
    if path.is_symlink() or not path.is_file() or not is_own(path.read_bytes()):
        raise UsageError(f"{path}: is no signature that dockseal made; move it away (nothing was changed)")


def check_signature(file: Path, octets: bytes, signers: Path, identity: str | None) -> str:
    """Return who has signed the octets of a file, by the signature beside it; raise SignatureError when nobody has.

    `signers` lists keys and who has them (ssh-keygen(1), ALLOWED SIGNERS); without `identity` it is looked up there.
    """
    path = signature_file(file)
    if not signers.is_file():
        raise UsageError(f"{signers}: there is no such file; name the list of those whose signatures you accept")
    if path.exists() and not path.is_file():
        raise SignatureError(f"{path}: is no regular file; get it again")
    try:
        found = namespace_of(path.read_bytes())
    except OSError as error:
        raise SignatureError(f"{path}: there is no signature ({error.strerror}); get it from the sender") from None
    if found is None:
        raise SignatureError(f"{path}: is not a signature of ssh-keygen; get it again")
    if found != NAMESPACE:
        raise SignatureError(
            f"{path}: is a signature for {printable(found)!r}, not for {NAMESPACE!r}: of something else"
        )
    who = identity or _principal(path, signers)
    if _keygen(octets, "verify", "-f", str(signers), "-I", who, "-n", NAMESPACE, "-s", str(path)).returncode == 0:
        return who
    done = _keygen(octets, "check-novalidate", "-n", NAMESPACE, "-s", str(path))
    if done.returncode:
        raise SignatureError(f"{path}: is of other bytes than {file}: it was changed, or signed before; get both again")
    raise SignatureError(f"{path}: {signers} does not accept this key for {who!r} now; ask the sender")


def _principal(path: Path, signers: Path) -> str:
    """Return the first name that the list of signers has for the key of a signature."""
    done = _keygen(b"", "find-principals", "-f", str(signers), "-s", str(path))
    names = done.stdout.decode(errors="replace").replace(",", "\n").split("\n")
    if done.returncode or not names[0]:
        raise SignatureError(
            f"{path}: was made with a key that {signers} does not name; get the signer's key, or refuse"
        )
    return names[0]


def _keygen(octets: bytes, verb: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verb of ssh-keygen that looks; what it says is told in other words."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SignatureError(MISSING)
    return subprocess.run([program, "-Y", verb, *words], check=False, input=octets, capture_output=True)


def _string(octets: bytes) -> tuple[bytes, bytes]:
    """Split off a string, which has its length before it (RFC 4251, section 5)."""
    end = 4 + int.from_bytes(octets[:4], "big")
    return octets[4:end], octets[end:]


def verify_line(file: str) -> str:
    """Return the command with which anybody verifies the signature of a file, without dockseal."""
    return f"ssh-keygen -Y verify -f SIGNERS -I WHO -n {NAMESPACE} -s {file}{SIGNATURE} <{file}"
