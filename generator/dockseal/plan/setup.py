"""setup.sh, which runs the others, and the two tables that steer it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dockseal.plan.names import Names, Work
from dockseal.plan.steps import SHOWS, VERIFIES, Effects, File, Step, lock

NO_FILE = "-"
# Leads to the working folder where --dir has named one, for the next run without it.
DIR_LINK = File("~/docker-tls.link", "operator", "link")
CARRIED = "FILE (--exchange)"


def setup_step(names: Names, steps: Sequence[Step]) -> Step:
    """Return setup.sh for the steps of a site, in their order."""
    installed = tuple(
        dict.fromkeys(f"{host.tls_directory}/{names.files.ca_certificate}" for host in names.tls_hosts.values())
    )
    needs_root = any(step.needs_root for step in steps)
    return Step(
        path="setup.sh",
        party="all",
        template="setup.sh",
        purpose="run the steps of this machine's parties, in order",
        context={
            "script": "setup.sh",
            "ca_common_name": names.site.ca.common_name,
            "ca_key": names.ca_key,
            "ca_certificate": names.files.ca_certificate,
            "installed_authorities": installed,
            "hosts": len(names.hosts),
            "party_rows": tuple(_party_rows(names, steps)),
            "step_rows": tuple(_step_row(step) for step in steps),
        },
        needs_root=needs_root,
        restarts=tuple(dict.fromkeys(unit for step in steps for unit in step.restarts)),
        looks_at=("OUT/SHA256SUMS", "OUT/SHA256SUMS.sig", *installed, CARRIED),
        effects=Effects(
            files=(File("parties.txt", "operator", "0600"), lock(""), DIR_LINK, File(CARRIED, "operator", "0644"))
        ),
        undo="undoes the same scripts, the last one first",
        root_when="where this machine is a Docker host" if needs_root else "no",
    )


def _step_row(step: Step) -> str:
    """Return a step's script, its party, what steers it, and what is said of it before it runs."""
    words = [step.path, step.party]
    if step.on_demand:
        words.append("on-demand")
    if step.does in (SHOWS, VERIFIES):
        words.append("looks")
    if step.needs == "probe-image":
        words.append("needs:dockerd")  # containers are started by one
    columns = {"needs": step.needs, "asks": step.asks, "awaits": step.awaits}
    words += [f"{name}:{value}" for name, value in columns.items() if value != "nothing"]
    return " ".join([*words, ":", step.does])


def _party_rows(names: Names, steps: Sequence[Step]) -> Iterator[str]:
    """Yield each party that has steps: the file that shows that it is of this machine, and what is carried for it."""
    nothing = Work(NO_FILE, NO_FILE, NO_FILE, NO_FILE, NO_FILE)
    works = {"ca": replace(nothing, key=names.files.ca_key)}
    works |= {f"hosts/{name}": names.server for name in names.tls_hosts}
    works |= {f"clients/{client.name}": names.client for client in names.site.clients}
    for party in dict.fromkeys(step.party for step in steps):
        work = works.get(party, nothing)
        yield " ".join((party, work.key, work.request, work.certificate, work.signer))
