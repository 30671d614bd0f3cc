"""Requests that a CA must not sign: each is the good one with one change, and the reason that is given."""

from __future__ import annotations

from dataclasses import dataclass

from faults.cases import WORK

HOST = f"{WORK}/hosts/localhost"
REQUEST = f"{HOST}/request.csr"
KEY = f"{HOST}/server-key.pem"
CLIENT = f"{WORK}/clients/client"
NEW = f"openssl req -new -sha256 -key {KEY} -out {REQUEST}"


@dataclass(frozen=True)
class Hostile:
    """One request: bash that makes it of the good one, and words of the reason."""

    what: str
    change: str
    reason: str
    logged: bool = True

    @property
    def status(self) -> int:
        """Return how the script ends: a working folder that is not safe is no fault of the request's."""
        return 6 if self.logged else 2


REQUESTS = (
    Hostile("another name", f"{NEW} -subj /CN=other.example", "this CA certifies CN=localhost"),
    Hostile("more than a name", f"{NEW} -subj /CN=localhost/O=root", "this CA certifies CN=localhost"),
    Hostile(
        "other alternative names",
        f"{NEW} -subj /CN=localhost -addext subjectAltName=DNS:other.example",
        "it asks for extensions",
    ),
    Hostile(
        "to be a CA", f"{NEW} -subj /CN=localhost -addext basicConstraints=critical,CA:TRUE", "it asks for extensions"
    ),
    Hostile(
        "another type of key",
        f"openssl genrsa -out /run/rsa.pem 2048; openssl req -new -key /run/rsa.pem -subj /CN=localhost -out {REQUEST}",
        "its key is rsa:2048",
    ),
    Hostile(
        "the key of another party",
        f"openssl req -new -key {CLIENT}/client-key.pem -subj /CN=localhost -out {REQUEST}; rm {KEY}",
        "each party makes its own",
    ),
    Hostile(
        "another key than this party's, which is here",
        f"openssl ecparam -name prime256v1 -genkey -noout -out /run/other.pem; "
        f"openssl req -new -key /run/other.pem -subj /CN=localhost -out {REQUEST}",
        "the key of this party is here",
    ),
    Hostile(
        "a signature of another key",
        f"openssl ecparam -name prime256v1 -genkey -noout -out /run/other.pem; "
        f"openssl req -in {REQUEST} -outform DER -out /run/good.der; "
        # The last octets are the signature's.
        f"printf x | dd of=/run/good.der bs=1 seek=$(($(stat -c %s /run/good.der) - 5)) conv=notrunc; "
        f"openssl req -inform DER -in /run/good.der -out {REQUEST}",
        "it is damaged, or not signed by its own key",
    ),
    Hostile("garbage", f"head -c 2000 /dev/urandom >{REQUEST}", "it does not begin with a certificate request in PEM"),
    Hostile("nothing", f": >{REQUEST}", "it does not begin with a certificate request in PEM"),
    Hostile("70 KiB", f"head -c 71680 /dev/zero | tr '\\0' '\\n' >>{REQUEST}", "it is larger than 64 KiB"),
    Hostile("a link", f"mv {REQUEST} /root/real.csr; ln -s /root/real.csr {REQUEST}", "it is not a regular file"),
    Hostile("a folder", f"rm {REQUEST}; mkdir {REQUEST}", "it is not a regular file"),
    Hostile("a named pipe", f"rm {REQUEST}; mkfifo {REQUEST}", "it is not a regular file"),
    Hostile("a file that others can write to", f"chmod 0666 {REQUEST}", "others can write to it"),
    Hostile("a folder that others can write to", f"chmod 0777 {HOST}", f"others can write to {HOST}"),
    Hostile(
        "a working folder that others can write to", f"chmod 0777 {WORK}", f"others can write to {WORK}", logged=False
    ),
)
