"""The command line. Modules that take time to import are imported where they are used."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockseal import __version__
from dockseal.errors import DocksealError, OutputError, SiteError, UsageError

if TYPE_CHECKING:
    from dockseal.plan.planner import Plan

STALE = 3
LAB = "dockseal.lab.cli"
LAZY = {
    "rehearse": "Show what the scripts of a site do on a throwaway Docker host.",
    "lab": "Build and look after the throwaway Docker hosts.",
}

KEY = "A private key, or the .pub of one in ssh-agent."
NEW_FILE = click.Path(path_type=Path, dir_okay=False)
SITE = click.argument("site", type=click.Path(path_type=Path), default=Path("site.yaml"))


class Commands(click.Group):
    """Commands, some of them imported only when they are named; a known error is printed and never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, the imported ones last."""
        return [*self.commands, *LAZY]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now if it is one of those."""
        if cmd_name not in LAZY:
            return super().get_command(ctx, cmd_name)
        try:
            command: click.Command = getattr(import_module(LAB), cmd_name)
        except ImportError as error:
            raise UsageError(f"{cmd_name} needs the package {error.name}; install dockseal again") from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for --help, without importing the lab."""
        rows = [(name, command.get_short_help_str(100)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*rows, *LAZY.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print what a user can mend and end with its exit status."""
        try:
            return super().invoke(ctx)
        except DocksealError as error:
            click.echo(str(error) if isinstance(error, SiteError) else f"error: {error}", err=True)
            ctx.exit(error.exit_status)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly when the reader has gone
            click.echo(f"error: {error.filename or 'standard output'}: {error.strerror}", err=True)
            _discard_output()
            ctx.exit(OutputError.exit_status)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done; 1 could not read or write; 2 wrong use or a bad site file, nothing written; "
    "3 --check found a stale folder; 4 a handed-over folder or a control does not hold.",
)
@click.version_option(__version__, prog_name="dockseal")
def main() -> None:
    """Turn one site file into plain bash scripts for Docker over mutual TLS."""


@main.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("site.yaml"))
def init(path: Path) -> None:
    """Write a commented site file to PATH (default: site.yaml)."""
    octets = (Path(__file__).resolve().parent / "site" / "default.yaml").read_bytes()
    try:
        with path.open("xb") as file:
            file.write(octets)
    except FileExistsError:
        raise UsageError(f"{path}: exists; name another path or move it away") from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
    click.echo(f"{path}: written; edit it, then run: dockseal render {path} --output out")


@main.command()
@SITE
def check(site: Path) -> None:
    """Report every problem of SITE (default: site.yaml)."""
    from dockseal.plan.planner import make_plan
    from dockseal.site.checks import warnings
    from dockseal.site.read import read_site

    known = read_site(site)
    plan = make_plan(known)
    for warning in warnings(known):
        click.echo(f"{site}: warning: {warning}", err=True)
    click.echo(f"{site}: no problems; {_count(len(plan.steps), 'step')}; `dockseal plan {site}` lists them")


@main.command()
@SITE
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--check", is_flag=True, help="Write nothing; show a diff and exit 3 when the folder is stale.")
def render(site: Path, output: Path, check: bool) -> None:
    """Write the scripts of SITE (default: site.yaml) into a folder, all or nothing."""
    from dockseal.output.render import render_plan, template_folder

    plan = _plan(site)
    files = render_plan(plan, template_folder())
    if check:
        _compare(site, output, files)
        return
    from dockseal.output.write import replace_folder

    signed = (output / "SHA256SUMS.sig").exists()
    count = replace_folder(output, files)
    start = f"{'sudo ' if plan.setup.needs_root else ''}bash {output}/setup.sh"
    click.echo(f"{output}: {_count(count, 'file')} written; read {output}/README.md, then run: {start}")
    if signed:
        click.echo(f"{output}: its signature is removed; sign it again: dockseal sign {output} --key KEY", err=True)


@main.command()
@SITE
def plan(site: Path) -> None:
    """Print the ordered steps of SITE (default: site.yaml): what each reads, writes and restarts."""
    from dockseal.plan.show import plan_table

    for line in plan_table(_plan(site).steps):
        click.echo(line)


@main.command()
def schema() -> None:
    """Print the JSON Schema of a site file, for editors."""
    from dockseal.site.schema import schema_text

    click.echo(schema_text(), nl=False)


@main.command()
@click.argument("path", metavar="DIR|FILE.tar", type=click.Path(path_type=Path))
@click.option("--signature", is_flag=True, help="Check who signed it, too; needs --signers.")
@click.option("--signers", type=click.Path(path_type=Path), help="Whose signatures count: see ssh-keygen(1).")
@click.option("--identity", help="Who must have signed it; default: whom SIGNERS names for the key.")
def verify(path: Path, signature: bool, signers: Path | None, identity: str | None) -> None:
    """Check the files of a handed-over folder or pack against its manifest."""
    from dockseal.output.pack import verify_handed_over
    from dockseal.output.signature import check_signature
    from dockseal.output.verify import signed_part

    if signature != (signers is not None) or (identity is not None and not signature):
        raise UsageError("--signature and --signers FILE go together, and --identity with both")
    file, octets = signed_part(path)
    who = check_signature(file, octets, signers, identity) if signers else ""
    found = verify_handed_over(path, octets)
    click.echo(f"{path}: {_count(found.files, 'file')}, {_count(found.scripts, 'script')}: as the manifest says")
    click.echo(f"sha256 of {path}/lib, {_whose(found.library)}: {found.library}")
    click.echo(f"sha256 of {path}/SHA256SUMS, to compare with the sender's: {found.digest}")
    if who:
        click.echo(f"{file}: signed by {who}")


@main.command()
@click.argument("path", metavar="OUT|FILE.tar", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help=KEY)
def sign(path: Path, key: Path) -> None:
    """Sign a rendered folder or a pack with ssh-keygen, for the namespace dockseal.

    The signature of a folder is that of its SHA256SUMS. Nothing is signed that is not as its manifest says.
    """
    from dockseal.output.pack import verify_handed_over
    from dockseal.output.signature import refuse_other_signature, signature_file, signatures, verify_line
    from dockseal.output.verify import signed_part
    from dockseal.output.write import replace_files

    file, octets = signed_part(path)
    refuse_other_signature(file)
    verify_handed_over(path, octets)
    replace_files({signature_file(file): signatures(key, [octets])[0]}, 0o644)
    click.echo(f"{signature_file(file)}: written; the other end, which needs no dockseal for it, runs:")
    click.echo(f"    {verify_line(file.name)}")


@main.command()
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path), default=Path("out"))
@click.option("--party", "parties", multiple=True, metavar="PARTY", help="ca, hosts/NAME or clients/NAME.")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="FILE.tar, or a folder.")
@click.option("--key", type=click.Path(path_type=Path), help=f"Sign too. {KEY}")
def pack(folder: Path, parties: tuple[str, ...], output: Path, key: Path | None) -> None:
    """Pack what a party needs of the rendered folder OUT (default: out) into a tar.

    With --party, FILE.tar is one pack for the machine that is all of these parties. Without it, each party gets a pack
    in a folder. A pack is the same octets wherever it is made; its sha256 is printed as sha256sum does.
    """
    from dockseal.output.pack import chosen, open_source, write_pack, write_packs
    from dockseal.output.signature import verify_line

    source, found = open_source(folder)
    note = partial(click.echo, err=True)
    if parties:
        packed = [write_pack(source, chosen(source, parties), output, key)]
    else:
        packed = write_packs(source, output, key, note)
    for one in packed:
        click.echo(f"{one.digest}  {one.path}")
    note(f"{folder}/lib is {_whose(found.library)}: {found.library}")
    note("Unpacked, each is a folder out/ of its own: tar -xf FILE.tar, then read out/README.md and run out/setup.sh.")
    if key is not None:
        note(f"The other end checks a pack before it unpacks it, without dockseal: {verify_line('FILE.tar')}")


@main.command()
def library() -> None:
    """Print the digests of this version's out/lib: of each file, and of all of them together."""
    from dockseal.output.manifest import LIBRARY
    from dockseal.output.render import library_entries, library_of, template_folder

    folder = template_folder()
    for entry in library_entries(folder):
        click.echo(f"{entry.sha256}  {entry.path}")
    click.echo(f"{library_of(folder)}  dockseal {__version__}: sha256sum {LIBRARY}/* | sha256sum")


@main.command()
@click.argument("results", nargs=-1, required=True)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML to this file.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page for an auditor to this file."
)
def report(results: tuple[str, ...], junit: Path | None, html: Path | None) -> None:
    """Sum up RESULTS: files with what 90-verify.sh --json printed, - for standard input.

    Exit status 4 when a control does not hold; 2 when a file holds anything else, and then nothing is written.
    """
    from dockseal.output.report import junit_octets, summary
    from dockseal.output.results import all_controls, read_results

    targets = [path for path in (junit, html) if path is not None]
    _need_other_files(targets, results)
    files = read_results((name, _octets_of(name)) for name in results)
    controls = [*all_controls(files)]
    if targets:
        from dockseal.output.page import page_octets
        from dockseal.output.write import need_file, replace_file

        for path in targets:
            need_file(path)
        if junit is not None:
            replace_file(junit, junit_octets(controls))
        if html is not None:
            replace_file(html, page_octets(files))
    for line in summary(controls):
        click.echo(line)
    if any(control.result == "FAIL" for control in controls):
        sys.exit(4)


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path("out"))
def reading(folder: Path) -> None:
    """Print how much of the rendered folder DIR (default: out) is to be read, and when."""
    from dockseal.output.reading import reading as count
    from dockseal.output.reading import reading_table

    for line in reading_table(count(folder)):
        click.echo(line)


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path("out"))
@click.option("--output", "-o", type=NEW_FILE, help="Write the page to this file.")
@click.option("--since", metavar="OLD_DIR", type=click.Path(path_type=Path), help="Show what differs from this folder.")
@click.option("--checklist", type=NEW_FILE, help="Write what is to be signed to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the same as one JSON object.")
def review(folder: Path, output: Path | None, since: Path | None, checklist: Path | None, as_json: bool) -> None:
    """Show a reviewer what the rendered folder DIR (default: out) does, and what is new in it, on one HTML page."""
    from dockseal.output.review import Wanted, make_review

    if not output and not checklist and not as_json:
        raise UsageError("nothing to write; add --output review.html, --checklist FILE or --json")
    for line in make_review(folder, since, Wanted(output, checklist, as_json)):
        click.echo(line)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell; for bash: eval it from ~/.bashrc."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"this version of click has no completion for {shell}; update it")
    click.echo(found(main, {}, "dockseal", "_DOCKSEAL_COMPLETE").source())


def _octets_of(name: str) -> bytes:
    """Return what a file, or standard input for `-`, holds, or a little more than a result file can hold."""
    from dockseal.output.results import LARGEST

    if name == "-":
        return sys.stdin.buffer.read(LARGEST + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from None


def _need_other_files(targets: list[Path], results: Sequence[str]) -> None:
    """Refuse to write a report over a result, or two reports into one file."""
    places = [path.absolute() for path in targets]
    if len(set(places)) < len(places):
        raise UsageError(f"{targets[0]}: is to be both reports; name a file for each")
    for path in targets:
        for name in results:
            if name != "-" and path.exists() and Path(name).exists() and path.samefile(name):
                raise UsageError(f"{path}: is one of the results; name another file")


def _discard_output() -> None:
    """Give up what standard output could not take, so that Python does not try again when it ends."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _plan(site: Path) -> Plan:
    from dockseal.plan.planner import make_plan
    from dockseal.site.read import read_site

    return make_plan(read_site(site))


def _compare(site: Path, output: Path, files: Any) -> None:
    from dockseal.output.compare import differences

    stale = False
    for line in differences(output, files):
        stale = True
        click.echo(line)
    if stale:
        click.echo(f"{output}: stale; run: dockseal render {site} --output {output}", err=True)
        sys.exit(STALE)
    click.echo(f"{output}: up to date")


def _whose(library: str) -> str:
    """Say whether a library is the one that this version renders."""
    from dockseal.output.render import library_of, template_folder

    own = library == library_of(template_folder())
    return f"that of dockseal {__version__}" if own else f"not that of dockseal {__version__}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
