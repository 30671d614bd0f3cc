"""The commands `dockseal rehearse` and `dockseal lab`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from dockseal.lab.errors import LabError, LabUnavailable
from dockseal.lab.image import HOSTS
from dockseal.lab.probe import (
    Probe,
    engine_trouble,
    image_trouble,
    install_command,
    missing_packages,
    probe,
    registry_answers,
)

CONTROL_FAILS = 4


@click.command()
@click.argument("site", type=click.Path(path_type=Path), default=Path("site.yaml"))
@click.option("--release", type=click.Choice(HOSTS), default="bookworm", show_default=True, help="Debian release.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for transcript.txt and results.json; default: rehearsal/ beside SITE.",
)
def rehearse(site: Path, release: str, results: Path | None) -> None:
    """Run the scripts of SITE on throwaway Docker hosts and show what they do.

    Exit status 0 when every control holds, the second run changes nothing and --undo restores the machine;
    4 otherwise; 2 where the lab cannot work.
    """
    from dockseal.lab.rehearse import rehearse as run
    from dockseal.lab.results import keep, report

    started = time.monotonic()

    def progress(message: str) -> None:
        click.echo(f"[{time.monotonic() - started:5.1f} s] {message}", err=True)

    try:
        found, transcript = run(site, release, progress)
    except KeyboardInterrupt as error:
        progress("interrupted; the lab is removed")
        raise SystemExit(130) from error
    folder = results or site.parent / "rehearsal"
    keep(folder, found, transcript)
    for line in report(found):
        click.echo(line)
    click.echo(f"{folder}/transcript.txt has what the terminals showed, {folder}/results.json the evidence")
    sys.exit(0 if found.good else CONTROL_FAILS)


@click.command()
@click.option("--install", is_flag=True, help="As root, install what is missing from the distribution.")
def lab(install: bool) -> None:
    """Show whether throwaway Docker hosts can run on this machine, and what is missing."""
    found = probe(registry=registry_answers)
    if install:
        found = _install(found)
    for line in _rows(found):
        click.echo(line)
    for trouble in (engine_trouble(found), image_trouble(found)):
        if trouble is not None:
            raise LabUnavailable(trouble)
    click.echo("the lab works here")


def _rows(found: Probe) -> list[str]:
    from dockseal.lab.results import table

    engine = f"{found.version} at {found.address}" if found.version else f"none at {found.address}"
    rows = [
        ("system", found.system),
        ("root", "yes" if found.root else "no"),
        ("running engine", engine),
        ("docker", found.client or "not installed"),
        ("dockerd", found.dockerd or "not installed"),
        ("mmdebstrap", found.mmdebstrap or "not installed"),
        ("Debian keyring", "yes" if found.keyring else "not installed"),
        ("chromium", found.browser or "not installed"),
        ("registry", "answers" if found.registry else "does not answer"),
        ("cgroup version", str(found.cgroup) if found.cgroup else "none"),
        ("capabilities", " ".join(sorted(found.capabilities)) or "none of those needed"),
    ]
    return table(("WHAT", "FOUND"), rows)


def _install(found: Probe) -> Probe:
    """Install missing packages as root; otherwise say which command does."""
    packages = missing_packages(found)
    if not packages:
        return found
    command = install_command(packages)
    if not found.apt:
        raise LabUnavailable(f"install your distribution's packages for {' '.join(packages)}")
    if not found.root:
        raise LabUnavailable(f"the lab lacks packages; run: sudo {' '.join(command)}")
    click.echo(f"installing what the lab lacks: {' '.join(packages)}", err=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("apt-get", "update"), command):
        click.echo(f"+ {' '.join(words)}", err=True)
        if subprocess.run(words, stdout=sys.stderr, check=False, env=env).returncode != 0:
            raise LabError(f"{' '.join(words)} failed; see above")
    return probe(registry=registry_answers)
