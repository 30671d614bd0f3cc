"""Measure the scripts that need bash and openssl alone, side by side with the same commands typed by hand.

What counts is the ratio: it says what the checks, the ledger and the care with files cost, on any machine. Nothing is
asserted here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 3
REQUESTS = 200  # that are signed in one run
PASSPHRASE = "correct horse battery staple"
SITE = """\
ca: {key: "ec:P-256"}
hosts: [{name: docker.example.com, key: "ec:P-256"}]
clients: [{name: client, key: "ec:P-256"}]
"""
CURVE = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
BY_HAND = f"""\
openssl genpkey {CURVE} -aes256 -pass file:passphrase -out ca-private.pem
openssl req -new -x509 -days 3650 -key ca-private.pem -passin file:passphrase -sha256 -subj /CN=CA -out ca-public.pem
for name in server client; do
  openssl genpkey {CURVE} -out $name-key.pem
  openssl req -subj /CN=$name -sha256 -new -key $name-key.pem -out $name.csr
  printf '%s\\n' "subjectAltName = DNS:$name" "extendedKeyUsage = ${{name}}Auth" >$name.cnf
  openssl x509 -req -days 365 -sha256 -in $name.csr -CA ca-public.pem -CAkey ca-private.pem -passin file:passphrase \\
    -CAcreateserial -extfile $name.cnf -out $name.pem
done
"""
LOOP = """\
openssl pkey -in ca-private.pem -passin file:passphrase -out ca-open.pem
for number in $(seq "$1"); do
  printf '%s\\n' "subjectAltName = DNS:host$number" 'extendedKeyUsage = serverAuth' >extfile.cnf
  openssl x509 -req -days 365 -sha256 -in server.csr -CA ca-public.pem -CAkey ca-open.pem -CAcreateserial \\
    -extfile extfile.cnf -out host$number.pem
done
"""


def spent(argv: list[str | Path], folder: Path) -> float:
    """Run a command in a folder and return its wall time in seconds."""
    start = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{done.stderr}")
    return time.perf_counter() - start


def by_hand(folder: Path) -> float:
    """Make a CA and two certificates with the documented commands alone."""
    folder.mkdir()
    (folder / "passphrase").write_text(PASSPHRASE)
    return spent(["bash", "-ec", BY_HAND], folder)


class Scripts:
    """The scripts of a site, and the working folder that they share."""

    def __init__(self, folder: Path, site: str) -> None:
        """Render the site; the folder must be new."""
        folder.mkdir()
        self.folder = folder
        (folder / "site.yaml").write_text(site)
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE)
        self.passphrase.chmod(0o600)
        spent([sys.executable, "-m", "dockseal", "render", "site.yaml", "--output", "out"], folder)

    def run(self, script: str) -> float:
        """Run one script and return its wall time in seconds."""
        words: list[str | Path] = ["bash", self.folder / "out" / script, "--dir", self.folder / "work"]
        if script.startswith("ca/"):
            words += ["--passphrase-file", self.passphrase]
        return spent(words, self.folder)

    def run_all(self) -> float:
        """Make the CA, the two requests and the two certificates."""
        steps = ["ca/10-create-ca.sh"]
        steps += [f"{party}/10-request-certificate.sh" for party in ("hosts/docker.example.com", "clients/client")]
        return sum(self.run(step) for step in [*steps, "ca/20-sign-servers.sh", "ca/30-sign-clients.sh"])


def one_of_each(folder: Path) -> tuple[float, float]:
    """Return the shortest times of the scripts and of the commands, for a CA, a host and a client."""
    scripts = [Scripts(folder / f"scripts-{run}", SITE).run_all() for run in range(RUNS)]
    return min(scripts), min(by_hand(folder / f"hand-{run}") for run in range(RUNS))


def many(folder: Path) -> tuple[Scripts, float, float]:
    """Return the scripts of many hosts, and how long signing all requests takes by them and in a plain loop."""
    hosts = "".join(f"  - {{name: host{number}, key: 'ec:P-256'}}\n" for number in range(1, REQUESTS + 1))
    scripts = Scripts(folder / "many", f'ca: {{key: "ec:P-256"}}\nhosts:\n{hosts}clients: []\n')
    scripts.run("ca/10-create-ca.sh")
    for number in range(1, REQUESTS + 1):
        scripts.run(f"hosts/host{number}/10-request-certificate.sh")
    plain = folder / "plain"
    by_hand(plain)
    return scripts, scripts.run("ca/20-sign-servers.sh"), spent(["bash", "-ec", LOOP, "loop", str(REQUESTS)], plain)


def best(action: Callable[[], float]) -> float:
    """Return the shortest of some runs, in seconds."""
    return min(action() for _ in range(RUNS))


def main() -> None:
    """Print a table: what was done, seconds by the scripts and by hand, their ratio."""
    print(f"\n{'ec:P-256':<44} {'scripts s':>9} {'by hand s':>9} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scripts, reference = one_of_each(folder)
        print(f"{'a CA, one host and one client':<44} {scripts:>9.2f} {reference:>9.2f} {scripts / reference:>6.2f}")
        site, signed, loop = many(folder)
        print(f"{f'{REQUESTS} requests signed in one run':<44} {signed:>9.2f} {loop:>9.2f} {signed / loop:>6.2f}")
        again = best(lambda: site.run("ca/20-sign-servers.sh"))
        print(f"{f'the same again: {again / REQUESTS * 1000:.1f} ms a party':<44} {again:>9.2f}")


if __name__ == "__main__":
    main()
