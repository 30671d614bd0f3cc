"""Try every fault on every script: `python -m faults`."""

from __future__ import annotations

import itertools
import queue
import re
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from dockseal.lab import RELEASES, Lab
from dockseal.lab.errors import LabError
from faults.cases import Case, all_cases
from faults.injector import FAULTS, Fault, Injector, Part, hosts_of, inject
from faults.results import Row, merged, read_json, readme_table, renewed, summary, table, write_json

LOST = 4


@click.command()
@click.option("--only", multiple=True, type=click.Choice([fault.name for fault in FAULTS]), help="This class alone.")
@click.option("--script", default="", help="Only scripts whose name and words match this regular expression.")
@click.option("--release", default="bookworm", type=click.Choice(RELEASES), show_default=True)
@click.option("--sample", default=1, show_default=True, type=click.IntRange(1), help="Only every Nth place.")
@click.option("--hosts", default=3, show_default=True, type=click.IntRange(1), help="Docker hosts at work at once.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the results here, in place of earlier ones.",
)
def main(only: tuple[str, ...], script: str, release: str, sample: int, hosts: int, json_file: Path | None) -> None:
    """Kill, starve, crowd and deceive every script of a site on throwaway Docker hosts; print what was lost.

    Exit status 0 where nothing was, 4 otherwise, 2 where the lab cannot work.
    """
    chosen = [fault for fault in FAULTS if not only or fault.name in only]
    jobs = [
        (case, number)
        for case in all_cases()
        if re.search(script, str(case)) and any(fault.concerns(case) for fault in chosen)
        for number in range(case.parts)
    ]
    try:
        with Lab.open(say) as lab:
            rows = run_all(lab, release, hosts, chosen, sample, jobs, json_file)
    except LabError as error:
        raise click.ClickException(str(error)) from error
    click.echo(table(rows))
    for row in rows:
        for problem in row.problems:
            click.echo(f"lost: {row.fault}: {row.script}: {problem}")
    click.echo(summary(rows))
    if json_file is not None:
        click.echo(f"\nThe README's table of {json_file}:\n")
        click.echo("\n".join(readme_table(read_json(json_file), {fault.name: fault.what for fault in FAULTS})))
    sys.exit(LOST if any(row.lost for row in rows) else 0)


def run_all(
    lab: Lab,
    release: str,
    hosts: int,
    faults: Sequence[Fault],
    sample: int,
    jobs: Sequence[tuple[Case, int]],
    json_file: Path | None,
) -> list[Row]:
    """Share the cases, or parts of large ones, among hosts; print and keep what comes of each class of faults."""
    free: queue.SimpleQueue[Injector] = queue.SimpleQueue()
    for injector in hosts_of(lab, release, hosts, say):
        free.put(injector)
    earlier = read_json(json_file) if json_file is not None and json_file.exists() else []
    found: list[Row] = []
    done = itertools.count(1)
    telling = threading.Lock()

    def run(job: tuple[Case, int]) -> None:
        case, number = job
        part = Part(number, case.parts, sample)
        injector = free.get()
        try:
            for fault in part.of_faults(faults, case):
                row = try_one(injector, fault, case, part)
                with telling:
                    tell(row)
                    found.append(row)
                    if json_file is not None:
                        write_json(renewed(earlier, merged(found)), json_file)
        finally:
            free.put(injector)
        say(f"[{next(done)}/{len(jobs)}] {case}")

    # What takes longest comes first, so that no host is idle in the end.
    with ThreadPoolExecutor(hosts) as pool:
        list(pool.map(run, sorted(jobs, key=lambda job: not job[0].daemon)))
    order = [(fault.name, str(case)) for fault in faults for case, _ in jobs]
    rows = sorted(merged(found), key=lambda row: order.index((row.fault, row.script)))
    if json_file is not None:
        write_json(renewed(earlier, rows), json_file)
    return rows


def try_one(injector: Injector, fault: Fault, case: Case, part: Part) -> Row:
    """Return what came of one class; that it could not be tried is a loss too."""
    try:
        return inject(injector, fault, case, part)
    except LabError as error:
        return Row(fault.name, str(case), injector.host.release, 1, 1, 1, 0, (f"0: {error}",))


def tell(row: Row) -> None:
    """Print what came of one class of faults with one case, and the first losses."""
    say(f"{row.fault}: {row.script}: {row.tried} tried" + (f", {row.lost} LOST" if row.lost else ""))
    for problem in row.problems[:3]:
        say(f"    {problem}")


def say(message: str) -> None:
    """Tell how far it is."""
    click.echo(message, err=True)


if __name__ == "__main__":
    main()
