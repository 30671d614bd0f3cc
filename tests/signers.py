"""Keys, signatures and lists of signers of ssh-keygen's own, apart from what dockseal makes of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

NAMESPACE = "dockseal"
WHO = "release@example.com"
OWN, OTHER = "own", "other"


def key(folder: Path, name: str = OWN, passphrase: str = "") -> Path:
    """Return a private key, made where it is not there yet."""
    path = folder / name
    if not path.exists():
        words: list[str | Path] = ["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", path]
        subprocess.run(["ssh-keygen", *words], check=True)
    return path


def sign(by: Path, file: Path, namespace: str = NAMESPACE) -> Path:
    """Sign a file; return its signature."""
    signature = file.with_name(f"{file.name}.sig")
    signature.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", by, "-n", namespace, file], check=True)
    return signature


def signers(folder: Path, options: str = "") -> Path:
    """Return a list that names who has the own key."""
    path = folder / "signers"
    public = key(folder).with_suffix(".pub").read_text()
    path.write_text(f"{WHO} {options}{public}")
    path.chmod(0o644)
    return path
