"""Facts about the command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dockseal import __version__
from dockseal.cli import main
from dockseal.output import render as module
from dockseal.output.manifest import LIBRARY
from tests.sites import ROOT, TEMPLATES, dockseal

GOOD = "hosts:\n  - name: docker.example.com\n"
FILES = 15 + len(list((TEMPLATES / LIBRARY).iterdir()))
BAD = "hosts:\n  - name: docker.example.com\n    listen: 127.0.0.1:70000\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="dockseal")


def test_version_is_that_of_the_package() -> None:
    assert run("--version").stdout == f"dockseal, version {__version__}\n"


def test_help_lists_every_command_without_importing_the_lab() -> None:
    code = "import sys; from dockseal.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    argv = [sys.executable, "-c", code]
    found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("init", "check", "render", "plan", "schema", "verify", "rehearse", "lab", "completion"):
        assert f"\n  {name} " in found
    assert "pexpect" not in found
    assert "jinja2" not in found


def test_render_does_not_import_the_lab(folder: Path) -> None:
    run_main = "from dockseal.cli import main; main(['render', '--output', 'out'], standalone_mode=False)"
    code = f"import sys; {run_main}; print(*sys.modules)"
    argv = [sys.executable, "-c", code]
    found = subprocess.run(
        argv, cwd=folder, env={"PYTHONPATH": str(ROOT / "generator")}, capture_output=True, text=True, check=True
    )
    assert "pexpect" not in found.stdout
    assert "dockseal.lab" not in found.stdout


def test_init_writes_the_default_site(folder: Path) -> None:
    result = run("init", "new.yaml")
    assert result.stdout == "new.yaml: written; edit it, then run: dockseal render new.yaml --output out\n"
    assert (folder / "new.yaml").read_bytes() == (
        ROOT / "generator" / "dockseal" / "site" / "default.yaml"
    ).read_bytes()


def test_init_keeps_an_existing_file(folder: Path) -> None:
    result = run("init")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: site.yaml: exists; name another path or move it away\n",
    )
    assert (folder / "site.yaml").read_text() == GOOD


def test_init_into_a_missing_folder_is_an_error() -> None:
    result = run("init", "none/site.yaml")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: none/site.yaml: cannot be written: No such file or directory\n",
    )


def test_check_of_a_good_site_says_so() -> None:
    result = run("check")
    assert (result.exit_code, result.stdout) == (
        0,
        "site.yaml: no problems; 11 steps; `dockseal plan site.yaml` lists them\n",
    )


def test_check_warns_of_keys_that_other_clients_refuse(folder: Path) -> None:
    (folder / "site.yaml").write_text(f"ca:\n  key: ed25519\n{GOOD}")
    result = run("check")
    assert result.exit_code == 0
    assert result.stderr.startswith("site.yaml: warning: key ed25519 of ca: docker takes it, but NSS ")


@pytest.mark.parametrize(
    "words", [("check",), ("plan",), ("render", "--output", "out"), ("render", "-o", "o", "--check")]
)
def test_every_command_refuses_a_bad_site_with_its_problems(folder: Path, words: tuple[str, ...]) -> None:
    result = run(words[0], "bad.yaml", *words[1:])
    assert (result.exit_code, result.stdout, result.stderr) == (
        2,
        "",
        "bad.yaml:3: hosts[0].listen: port 70000 is not in 1-65535\n    listen: 127.0.0.1:70000\n",
    )
    assert not (folder / "out").exists()


def test_a_missing_site_is_named() -> None:
    result = run("check", "none.yaml")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: none.yaml: no such file; `dockseal init` writes a commented one\n",
    )


def test_render_says_what_comes_next(folder: Path) -> None:
    result = run("render", "--output", "out")
    assert (result.exit_code, result.stdout) == (
        0,
        f"out: {FILES} files written; read out/README.md, then run: sudo bash out/setup.sh\n",
    )
    assert os.access(folder / "out" / "setup.sh", os.X_OK)


def test_render_without_a_folder_is_wrong_use() -> None:
    assert run("render").exit_code == 2


def test_render_keeps_a_foreign_file(folder: Path) -> None:
    run("render", "--output", "out")
    (folder / "out" / "notes").touch()
    result = run("render", "--output", "out")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: out: notes: not written by dockseal; move it away, or name another folder (nothing was changed)\n",
    )


def test_render_check_of_a_fresh_folder_is_0() -> None:
    run("render", "--output", "out")
    result = run("render", "--output", "out", "--check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "out: up to date\n", "")


def test_render_check_of_a_stale_folder_is_3_with_a_diff_and_writes_nothing(folder: Path) -> None:
    run("render", "--output", "out")
    (folder / "site.yaml").write_text(GOOD + "    days: 10\n")
    before = (folder / "out" / "SHA256SUMS").read_bytes()
    result = run("render", "--output", "out", "--check")
    assert result.exit_code == 3
    assert "\n-  'docker.example.com' 'rsa:4096' 'digitalSignature, keyEncipherment' 365\n" in result.stdout
    assert "\n+  'docker.example.com' 'rsa:4096' 'digitalSignature, keyEncipherment' 10\n" in result.stdout
    assert result.stderr == "out: stale; run: dockseal render site.yaml --output out\n"
    assert (folder / "out" / "SHA256SUMS").read_bytes() == before


def test_render_check_of_a_missing_folder_is_3(folder: Path) -> None:
    assert run("render", "--output", "out", "--check").exit_code == 3
    assert not (folder / "out").exists()


def test_plan_is_a_table() -> None:
    lines = run("plan").stdout.splitlines()
    assert lines[0].split() == ["step", "root", "reads", "writes", "restarts"]
    assert lines[1].split() == ["1", "ca/10-create-ca.sh", "no", "nothing", "ca/ca-private.pem", "nothing"]


def test_schema_is_json() -> None:
    assert json.loads(run("schema").stdout)["title"] == "dockseal site"


def test_verify_prints_the_digest_to_compare() -> None:
    run("render", "--output", "out")
    result = run("verify", "out")
    assert result.exit_code == 0
    first, second, third = result.stdout.splitlines()
    assert first == f"out: {FILES} files, 12 scripts: as the manifest says"
    assert second.startswith(f"sha256 of out/lib, that of dockseal {__version__}: ")
    assert third.startswith("sha256 of out/SHA256SUMS, to compare")


def test_library_prints_what_sha256sum_prints_of_a_rendered_one(folder: Path) -> None:
    run("render", "--output", "out")
    environment = {**os.environ, "LC_ALL": "C"}
    bash = "sha256sum lib/*; sha256sum lib/* | sha256sum"
    done = subprocess.run(["bash", "-c", bash], cwd=folder / "out", env=environment, capture_output=True, check=True)
    *files, whole = done.stdout.decode().splitlines()
    said = run("library").stdout.splitlines()
    assert said[:-1] == files
    assert said[-1] == f"{whole.split()[0]}  dockseal {__version__}: sha256sum lib/* | sha256sum"


def test_verify_tells_the_library_of_another_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("render", "--output", "out")
    (folder / "templates" / LIBRARY).mkdir(parents=True)
    (folder / "templates" / LIBRARY / "begin.sh").touch()
    monkeypatch.setattr(module, "template_folder", lambda: folder / "templates")
    said = run("verify", "out").stdout.splitlines()[1]
    assert said.startswith(f"sha256 of out/lib, not that of dockseal {__version__}: ")


def test_verify_of_a_changed_folder_is_4(folder: Path) -> None:
    run("render", "--output", "out")
    (folder / "out" / "README.md").write_text("x")
    result = run("verify", "out")
    assert result.exit_code == 4
    assert result.stderr.startswith("error: out: README.md: was changed: sha256 is ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_command(shell: str) -> None:
    assert "_DOCKSEAL_COMPLETE" in run("completion", shell).stdout


def test_completion_of_another_shell_is_wrong_use() -> None:
    assert run("completion", "csh").exit_code == 2


def test_an_unknown_command_is_wrong_use() -> None:
    assert run("rendr").exit_code == 2


def test_a_reader_that_ends_early_is_no_traceback(folder: Path) -> None:
    (folder / "many.yaml").write_text("hosts:\n" + "".join(f"  - name: h{n}\n" for n in range(300)))
    reader = f"{sys.executable} -m dockseal plan many.yaml | head -n 1"
    found = subprocess.run(
        ["bash", "-c", reader],
        env={**os.environ, "PYTHONPATH": str(ROOT / "generator")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_no_traceback(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "dockseal", "schema"],
            env={"PYTHONPATH": str(ROOT / "generator")},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (found.returncode, found.stderr) == (1, "error: standard output: No space left on device\n")


def test_an_unwritable_folder_is_no_traceback(folder: Path) -> None:
    result = dockseal("render", folder / "site.yaml", "--output", "/proc/out")
    assert result.returncode == 1
    assert result.stderr.startswith("error: /proc/out: cannot be written: ")
    assert result.stderr.endswith("; it is as it was\n")
    assert result.stderr.count("\n") == 1


def test_the_names_of_strange_files_are_shown_escaped(folder: Path) -> None:
    run("render", "--output", "out")
    (folder / "out" / "a\x1b[31m\nb").touch()
    assert run("render", "--output", "out").stderr.startswith("error: out: a\\x1b[31m\\nb: not written by dockseal")
