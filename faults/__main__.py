"""Try every fault on every script: `python -m faults`."""

from __future__ import annotations

import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from faults.cases import Case, all_cases
from faults.injector import FAULTS, Fault, Injector, Part, hosts_of, inject
from faults.results import Row, merged, summary, table, write_json
from generator.lab import RELEASES, Lab
from generator.lab.errors import LabError

LOST = 4


@click.command()
@click.option("--only", multiple=True, type=click.Choice([fault.name for fault in FAULTS]), help="This class alone.")
@click.option("--script", default="", help="Only scripts whose name and words contain this.")
@click.option("--release", default="bookworm", type=click.Choice(RELEASES), show_default=True)
@click.option("--sample", default=1, show_default=True, type=click.IntRange(1), help="Only every Nth place.")
@click.option("--hosts", default=3, show_default=True, type=click.IntRange(1), help="Docker hosts at work at once.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Keep the results here.")
def main(only: tuple[str, ...], script: str, release: str, sample: int, hosts: int, json_file: Path | None) -> None:
    """Kill, starve, crowd and deceive every script of a site on throwaway Docker hosts; print what was lost.

    Exit status 0 where nothing was, 4 otherwise, 2 where the lab cannot work.
    """
    jobs = [
        (fault, case, Part(number, fault.parts, sample))
        for fault in FAULTS
        if not only or fault.name in only
        for case in all_cases()
        if fault.concerns(case) and script in str(case)
        for number in range(fault.parts)
    ]
    try:
        with Lab.open(say) as lab:
            rows = merged(run_all(lab, release, hosts, jobs))
    except LabError as error:
        raise click.ClickException(str(error)) from error
    if json_file is not None:
        write_json(rows, json_file)
    click.echo(table(rows))
    for row in rows:
        for problem in row.problems:
            click.echo(f"lost: {row.fault}: {row.script}: {problem}")
    click.echo(summary(rows))
    sys.exit(LOST if any(row.lost for row in rows) else 0)


def run_all(lab: Lab, release: str, hosts: int, jobs: list[tuple[Fault, Case, Part]]) -> list[Row]:
    """Share the jobs among hosts; print a line for each."""
    free: queue.SimpleQueue[Injector] = queue.SimpleQueue()
    for injector in hosts_of(lab, release, hosts):
        free.put(injector)
    done: list[Row] = []
    printing = threading.Lock()

    def run(job: tuple[Fault, Case, Part]) -> Row:
        injector = free.get()
        try:
            row = inject(injector, *job)
        except LabError as error:
            row = Row(job[0].name, str(job[1]), release, 1, 1, 1, 0, (f"0: {error}",))
        finally:
            free.put(injector)
        with printing:
            done.append(row)
            lost = f", {row.lost} LOST" if row.lost else ""
            say(f"[{len(done)}/{len(jobs)}] {row.fault}: {row.script}: {row.tried} tried{lost}")
            for problem in row.problems[:3]:
                say(f"    {problem}")
        return row

    with ThreadPoolExecutor(hosts) as pool:
        return list(pool.map(run, jobs))


def say(message: str) -> None:
    """Tell how far it is."""
    click.echo(message, err=True)


if __name__ == "__main__":
    main()
