"""Facts about packs: the same octets wherever they are made, what is in them, and what is refused."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from bench.render import site as fleet
from dockseal import __version__
from dockseal.errors import OutputError, UsageError
from dockseal.output import pack as module
from dockseal.output.pack import chosen, open_source, verify_pack, write_pack, write_packs
from dockseal.output.render import Rendered
from dockseal.output.tar import tar_files, tar_octets
from dockseal.output.verify import FolderError, verify_folder
from tests.sites import TEMPLATES, dockseal, render

SITE = """\
hosts:
  - {name: docker1, listen: "0.0.0.0:2376", ip_addresses: [192.0.2.1]}
  - {name: docker2, listen: "0.0.0.0:2376", ip_addresses: [192.0.2.2]}
clients:
  - {name: alice}
"""
PARTIES = ("ca", "clients/alice", "hosts/docker1", "hosts/docker2")
LIB = sorted(f"lib/{path.name}" for path in (TEMPLATES / "lib").iterdir())
SHARED = {"README.md", "SHA256SUMS", "manifest.json", "setup.sh", *LIB}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(SITE, tmp_path_factory.mktemp("pack") / "out")


@pytest.fixture
def out(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "out"))


def packed(out: Path, *parties: str, to: Path | None = None) -> Path:
    source, _ = open_source(out)
    return write_pack(source, parties, to or out.with_name("one.tar"), None).path


def names(file: Path) -> list[str]:
    with tarfile.open(file, "r:") as archive:
        return [member.name + "/" * member.isdir() for member in archive]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- Octets -----------------------------------------------------------------


def other_modes(folder: Path) -> None:
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def other_times(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (1, 1_900_000_000))


def other_order(folder: Path) -> None:
    for path in sorted(folder.rglob("*.sh"), reverse=True):
        octets = path.read_bytes()
        path.unlink()
        path.write_bytes(octets)


@pytest.mark.parametrize("differ", [other_modes, other_times, other_order])
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_pack_is_the_same_octets_wherever_the_folder_lies(
    out: Path, tmp_path: Path, differ: Callable[[Path], None], mask: int
) -> None:
    expected = packed(out, "ca").read_bytes()
    other = Path(shutil.copytree(out, tmp_path / "elsewhere" / "copy"))
    differ(other)
    previous = os.umask(mask)
    try:
        file = packed(other, "ca")
    finally:
        os.umask(previous)
    assert file.read_bytes() == expected
    assert file.stat().st_mode & 0o7777 == 0o644


def test_a_pack_of_another_folder_is_other_octets(out: Path, tmp_path: Path) -> None:
    """The control of the fact above."""
    other = render(SITE.replace("alice", "bob"), tmp_path / "other")
    assert packed(other, "ca", to=tmp_path / "other.tar").read_bytes() != packed(out, "ca").read_bytes()


def test_members_are_sorted_and_of_root_and_of_time_0_with_the_modes_of_the_renderer(out: Path) -> None:
    file = packed(out, "hosts/docker1")
    with tarfile.open(file, "r:") as archive:
        members = archive.getmembers()
        assert archive.pax_headers == {}
    assert names(file) == sorted(names(file))
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in members} == {(0, 0, "", "", 0)}
    for member in members:
        mode = 0o755 if member.isdir() else (out.parent / member.name).stat().st_mode & 0o7777
        assert member.mode == mode, member.name


def test_gnu_tar_unpacks_what_was_rendered(out: Path, tmp_path: Path) -> None:
    file = packed(out, *PARTIES)
    (tmp_path / "there").mkdir()
    done = subprocess.run(["tar", "-xpf", file, "-C", tmp_path / "there"], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert tree(tmp_path / "there/out") == tree(out)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 90])
def test_a_long_path_is_read_by_tar_as_it_was(length: int) -> None:
    path = f"out/{'f' * length}/{'n' * 63}"
    octets = tar_octets([Rendered(path, b"x" * 513, 0o644)])
    with tarfile.open(fileobj=io.BytesIO(octets), mode="r:") as archive:
        assert archive.getnames()[-1] == path
    assert [(one.path, one.octets) for one in tar_files(octets)] == [(path, b"x" * 513)]


# ---- What is in a pack ------------------------------------------------------


@pytest.mark.parametrize("parties", [*((party,) for party in PARTIES), ("ca", "hosts/docker2"), PARTIES])
def test_a_pack_holds_what_its_parties_need_alone_and_is_as_its_manifest_says(
    out: Path, tmp_path: Path, parties: tuple[str, ...]
) -> None:
    file = packed(out, *parties)
    own = {path for path in tree(out) if path.startswith(tuple(f"{party}/" for party in parties))}
    assert {name.removeprefix("out/") for name in names(file) if not name.endswith("/")} == SHARED | own
    (tmp_path / "there").mkdir()
    subprocess.run(["tar", "-xf", file, "-C", tmp_path / "there"], check=True)
    found = verify_folder(tmp_path / "there/out")
    assert (found.files, found.scripts) == (len(SHARED | own), len(own) + 1)
    assert verify_pack(file, file.read_bytes()) == found
    manifest, whole = (json.loads((place / "manifest.json").read_text()) for place in (tmp_path / "there/out", out))
    assert [one for one in whole["scripts"] if one["path"] in own | {"setup.sh"}] == manifest["scripts"]
    assert set(manifest["templates"]) == {one["template"] for one in manifest["scripts"]}


def test_the_pack_of_all_parties_holds_the_folder_s_own_octets(out: Path) -> None:
    files = {one.path.removeprefix("out/"): one.octets for one in tar_files(packed(out, *PARTIES).read_bytes())}
    assert files == tree(out)


def test_a_party_that_is_named_twice_is_packed_once(out: Path) -> None:
    source, _ = open_source(out)
    assert chosen(source, ["hosts/docker1", "ca", "ca"]) == ("ca", "hosts/docker1")


def test_without_parties_each_gets_a_pack_and_the_folder_has_their_sums(out: Path, tmp_path: Path) -> None:
    source, _ = open_source(out)
    folder = tmp_path / "packs"
    made = write_packs(source, folder, None, print)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("SHA256SUMS", "ca.tar", "clients-alice.tar", "hosts-docker1.tar", "hosts-docker2.tar", "manifest.json")
    ]
    assert (folder / "SHA256SUMS").read_text() == "".join(f"{one.digest}  {one.path.name}\n" for one in made)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], check=True, cwd=folder)
    assert (folder / "ca.tar").read_bytes() == packed(out, "ca").read_bytes()
    (folder / "hosts-docker1.tar.sig").write_text("somebody else's\n")
    with pytest.raises(UsageError, match=r"packs: hosts-docker1.tar.sig: not written by dockseal; move it away"):
        write_packs(source, folder, None, print)
    (folder / "hosts-docker1.tar.sig").unlink()
    write_packs(source, folder, None, print)


def test_a_thousand_hosts_are_packed_in_one_call_that_tells_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each pack a part is kept: what they share is 1.8 GB."""
    source, _ = open_source(render(fleet(1000), tmp_path / "out"))
    monkeypatch.setattr(module, "_tar", lambda files: tar_octets(one for one in files if "90-verify" in one.path))
    told: list[str] = []
    made = write_packs(source, tmp_path / "packs", None, told.append)
    count = len(source.parties)
    assert (len(made), len({one.digest for one in made}), len({one.path for one in made})) == (count, count, count)
    assert count > 1000
    assert told == [f"{tmp_path}/packs: {number * 100:,} of {count:,} packs" for number in range(1, 11)]


def test_the_command_prints_the_digest_as_sha256sum_does(out: Path, tmp_path: Path) -> None:
    done = dockseal("pack", "out", "--party", "hosts/docker1", "--party", "ca", "--output", "two.tar", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (
        0,
        f"{sha256((tmp_path / 'two.tar').read_bytes()).hexdigest()}  two.tar\n",
    )
    assert done.stderr == (
        f"out/lib is that of dockseal {__version__}: {verify_folder(out).library}\n"
        "Unpacked, each is a folder out/ of its own: tar -xf FILE.tar, then read out/README.md and run out/setup.sh.\n"
    )
    done = dockseal("verify", "two.tar", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[0][:9]) == (0, "two.tar: ")


def test_a_library_of_another_version_is_told(out: Path, tmp_path: Path) -> None:
    """The folder is as its own manifest says."""
    octets = b"# Another version's.\n"
    data = json.loads((out / "manifest.json").read_text())
    digests = {path: sha256((out / path).read_bytes()).hexdigest() for path in LIB}
    digests["lib/sign.sh"] = sha256(octets).hexdigest()
    library = "".join(f"{digests[path]}  {path}\n" for path in LIB).encode()
    data["library_sha256"] = sha256(library).hexdigest()
    (out / "lib/sign.sh").write_bytes(octets)
    (out / "manifest.json").write_text(json.dumps(data))
    rest = sorted(path for path in tree(out) if path != "SHA256SUMS")
    (out / "SHA256SUMS").write_text(
        "".join(f"{sha256((out / path).read_bytes()).hexdigest()}  {path}\n" for path in rest)
    )
    done = dockseal("pack", "out", "--party", "ca", "--output", "ca.tar", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"out/lib is not that of dockseal {__version__}: {data['library_sha256']}\n")


# ---- What is refused --------------------------------------------------------


def missing(out: Path) -> None:
    shutil.rmtree(out)


def a_file(out: Path) -> None:
    shutil.rmtree(out)
    out.touch()


def a_link(out: Path) -> None:
    out.rename(out.with_name("there"))
    out.symlink_to(out.with_name("there"))


def edited(out: Path) -> None:
    (out / "README.md").write_text("run something else\n")


def cut(out: Path) -> None:
    (out / "ca/10-create-ca.sh").unlink()


def extra(out: Path) -> None:
    (out / "notes").touch()


def another_format(out: Path) -> None:
    path = out / "manifest.json"
    path.write_text(path.read_text().replace('"format": 4', '"format": 5'))


REFUSED: dict[Callable[[Path], None], tuple[int, str]] = {
    missing: (2, "out/SHA256SUMS: cannot be read: No such file or directory; name a rendered folder"),
    a_file: (2, "out: is a file; name a folder"),
    a_link: (2, "out: is a symbolic link; name the folder that it points to"),
    edited: (4, "out: README.md: was changed: sha256 is "),
    cut: (4, "out: ca/10-create-ca.sh: is missing; get the folder again"),
    extra: (4, "out: notes: is not listed in SHA256SUMS; remove it or ask the sender"),
    another_format: (4, "manifest.json has format 5, expected 4; use the sender's dockseal"),
}


@pytest.mark.parametrize("to", ["one.tar", "packs"])
@pytest.mark.parametrize("spoil", REFUSED)
def test_what_is_not_as_it_was_rendered_is_not_packed(
    out: Path, tmp_path: Path, spoil: Callable[[Path], None], to: str
) -> None:
    spoil(out)
    words = ("--party", "ca") if to == "one.tar" else ()
    done = dockseal("pack", "out", *words, "--output", to, cwd=tmp_path)
    status, said = REFUSED[spoil]
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"error: {said}")
    assert not (tmp_path / to).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--party", "hosts/none", "-o", "x.tar"],
            "out: has no party 'hosts/none'; it has ca, clients/alice, hosts/docker1, hosts/docker2",
        ),
        (
            ["--party", "", "-o", "x.tar"],
            "out: has no party ''; it has ca, clients/alice, hosts/docker1, hosts/docker2",
        ),
        (["--party", "ca", "-o", "x"], "x: is to be one pack of ca; give a name that ends in .tar"),
        (
            ["-o", "x.tar"],
            "x.tar: without --party each party gets a pack, and --output is a folder; name the parties",
        ),
        (["--party", "ca", "-o", "none/x.tar"], "none/x.tar: there is no folder none; make it, or name another file"),
        (
            ["--party", "ca", "-o", "out/x.tar"],
            "out/x.tar: is in out, which holds what was rendered alone; name a place beside it",
        ),
        (["-o", "out"], "out: is in out, which holds what was rendered alone; name a place beside it"),
        (["-o", "out/packs"], "out/packs: is in out, which holds what was rendered alone; name a place beside it"),
        (["-o", "other"], "other: holds what was rendered; name another folder for the packs (nothing was changed)"),
        (["-o", "."], ".: dir.tar/, link.tar, notes, other/, other/README.md and "),
        (["-o", "notes"], "notes: is a file; name a folder"),
        (["--party", "ca", "-o", "link.tar"], "link.tar: is a symbolic link; name the file that it points to"),
        (["--party", "ca", "-o", "dir.tar"], "dir.tar: is not a regular file; name another"),
        (
            ["--party", "ca", "-o", "theirs.tar"],
            "theirs.tar.sig: is no signature that dockseal made; move it away (noth",
        ),
        (
            ["--party", "ca", "-o", "x.tar", "--key", "none"],
            "none: there is no such key; name a private key, or the .pub",
        ),
    ],
)
def test_a_wrong_place_or_party_is_refused_and_nothing_is_written(
    out: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    shutil.copytree(out, tmp_path / "other")
    (tmp_path / "notes").touch()
    (tmp_path / "theirs.tar.sig").write_text("-----BEGIN PGP SIGNATURE-----\n")
    (tmp_path / "link.tar").symlink_to("notes")
    (tmp_path / "dir.tar").mkdir()
    before = tree(tmp_path)
    done = dockseal("pack", "out", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("to", ["one.tar", "packs"])
def test_a_full_disk_leaves_nothing_half_done(
    out: Path, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = open_source(out)

    def write() -> None:
        if to == "packs":
            write_packs(source, tmp_path / to, None, print)
        else:
            write_pack(source, ["ca"], tmp_path / to, None)

    def full(descriptor: int, mode: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "c")

    write()
    before = tree(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fchmod", full)
        with pytest.raises(OutputError, match=rf"{to}: cannot be written: .*No space left on device; it is as it was$"):
            write()
    assert tree(tmp_path) == before


def test_a_folder_that_changes_while_it_is_packed_is_refused(out: Path, tmp_path: Path) -> None:
    source, _ = open_source(out)
    (out / "ca/10-create-ca.sh").write_text("rm -rf /\n")
    with pytest.raises(FolderError, match=r"out: ca/10-create-ca.sh: was changed while it was packed; run this again$"):
        write_pack(source, ["ca"], tmp_path / "x.tar", None)


@pytest.mark.parametrize("name", ["hosts/docker1/../x.sh", "hosts/-x/y.sh", "other/x.sh", "clients/a b/x.sh", "x/y/z"])
def test_no_file_of_a_pack_gets_a_name_that_dockseal_does_not_write(name: str) -> None:
    with pytest.raises(FolderError, match=r"^o: .*: is no name of a file that dockseal writes; render it again$"):
        module.party_of(Path("o"), name)


def append(octets: bytes) -> bytes:
    return octets + bytes(512)


def with_link(octets: bytes) -> bytes:
    stream = io.BytesIO(octets)
    with tarfile.open(fileobj=stream, mode="a:") as archive:
        member = tarfile.TarInfo("out/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return stream.getvalue()


def with_file_outside(octets: bytes) -> bytes:
    return tar_octets([*tar_files(octets), Rendered("x", b"", 0o644)])


def with_parent(octets: bytes) -> bytes:
    return tar_octets([*tar_files(octets), Rendered("out/../x", b"", 0o644)])


def with_setuid(octets: bytes) -> bytes:
    return tar_octets(Rendered(one.path, one.octets, one.mode | 0o4000) for one in tar_files(octets))


def with_other_times(octets: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=tarfile.USTAR_FORMAT) as archive:
        for one in tar_files(octets):
            member = tarfile.TarInfo(one.path)
            member.size, member.mode = len(one.octets), one.mode
            archive.addfile(member, io.BytesIO(one.octets))
    return stream.getvalue()


def with_holes(octets: bytes) -> bytes:
    """A file of a GNU archive that takes no room and would fill the memory."""
    header = bytearray(octets[:512])
    header[124:136], header[156:157], header[257:265] = b"%011o\0" % 0, b"S", b"ustar  \0"
    header[386:482] = b"%011o\0%011o\0" % (2**33 - 1, 0) + bytes(72)
    header[483:495] = b"%011o\0" % (2**33 - 1)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + octets


SPOILED = [
    *(with_holes, lambda octets: bytes(10240)),
    *(append, with_link, with_file_outside, with_parent, with_setuid, with_other_times),
    *(lambda octets: octets[:-5000], lambda octets: b"", lambda octets: b"x" * 2000),
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_tar_that_dockseal_would_not_make_is_no_pack(out: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = packed(out, "ca")
    octets = file.read_bytes()
    verify_pack(file, octets)
    with pytest.raises(FolderError, match=r"one.tar: is no pack as dockseal makes it, or was changed; get it again$"):
        verify_pack(file, spoil(octets))


def test_a_pack_with_a_changed_script_is_named_by_its_file(out: Path) -> None:
    file = packed(out, "ca")
    files = tar_files(file.read_bytes())
    changed = [Rendered(one.path, one.octets + b"#\n" * one.path.endswith("README.md"), one.mode) for one in files]
    with pytest.raises(FolderError, match=r"one.tar: README.md: was changed: sha256 is "):
        verify_pack(file, tar_octets(changed))


def test_a_folder_of_packs_is_called_so(out: Path, tmp_path: Path) -> None:
    source, _ = open_source(out)
    write_packs(source, tmp_path / "packs", None, print)
    with pytest.raises(UsageError, match=r"manifest.json is that of a folder of packs; name one of them$"):
        verify_folder(tmp_path / "packs")
