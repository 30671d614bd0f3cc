"""Measure rendering side by side with a reference run on the same machine.

The reference starts Python, imports what the generator stands on, and writes as many octets to as many files. What
counts is the ratio: it says how much of the time is the generator's own, on any machine. Nothing is asserted here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = (1, 10, 100, 1000)
RUNS = 3

REFERENCE = """
import sys
from pathlib import Path
import click, jinja2, pydantic, yaml
source, target = Path(sys.argv[1]), Path(sys.argv[2])
for file in sorted(source.rglob("*")):
    place = target / file.relative_to(source)
    if file.is_dir():
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
"""


def site(hosts: int) -> str:
    """Return a site file with some hosts and one client."""
    rows = [
        f"  - name: host{number}.example.com\n    ip_addresses: [10.0.{number // 250}.{number % 250}]"
        for number in range(1, hosts + 1)
    ]
    return "\n".join(["hosts:", *rows, "clients:", "  - name: client", ""])


def measure(argv: list[str]) -> tuple[float, float]:
    """Run a command; return its wall time in seconds and its largest resident set in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{argv}: exit status {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def best(folder: Path, hosts: int) -> tuple[float, float, float]:
    """Return the shortest times of a rendering and of its reference, in seconds, and the rendering's memory in MB."""
    (folder / "site.yaml").write_text(site(hosts))
    renderings: list[tuple[float, float]] = []
    references: list[float] = []
    for run in range(RUNS):
        out, copy = folder / f"out-{hosts}-{run}", folder / f"copy-{hosts}-{run}"
        render = [sys.executable, "-m", "dockseal", "render", str(folder / "site.yaml"), "--output", str(out)]
        renderings.append(measure(render))
        references.append(measure([sys.executable, "-c", REFERENCE, str(out), str(copy)])[0])
    return min(time for time, _ in renderings), min(references), max(memory for _, memory in renderings)


def main() -> None:
    """Print a table: hosts, seconds of the rendering and of the reference, their ratio, and memory."""
    print(f"{'hosts':>6} {'render s':>9} {'reference s':>12} {'ratio':>6} {'MB':>5}")
    with tempfile.TemporaryDirectory() as folder:
        for hosts in SIZES:
            rendering, reference, memory = best(Path(folder), hosts)
            print(f"{hosts:>6} {rendering:>9.2f} {reference:>12.2f} {rendering / reference:>6.2f} {memory:>5.0f}")


if __name__ == "__main__":
    main()
