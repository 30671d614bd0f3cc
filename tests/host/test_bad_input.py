"""What an operator or a stranger can give the scripts that they must not take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dockseal.lab import Host, Result, Terminal, difference
from tests.host.support import (
    AGAIN,
    CERTIFICATE_STEPS,
    CLIENT,
    DAEMON,
    PASSPHRASE,
    PASSPHRASE_FILE,
    PROMPT,
    UNATTENDED,
    VERIFY_HOST,
    WORK,
    install,
    make_certificates,
    refuses,
    stops,
    watched,
)

pytestmark = [pytest.mark.no_probe_image, pytest.mark.one_release]
CREATE, REQUEST, SIGN = CERTIFICATE_STEPS[:3]
WATCH = "hosts/localhost/60-watch-expiry.sh"
UNTOUCHED = "nothing was changed"
PARTLY = "the lines above that begin with + were run, the last one perhaps in part; run this again to finish"
WITH_PASSPHRASE = ("--passphrase-file", PASSPHRASE_FILE)
OTHER = "/root/other"  # a working folder in which there is nothing yet


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host of this module, with a CA and every certificate."""
    install(host, tmp_path_factory.mktemp("site"))
    make_certificates(host)
    return host


@pytest.fixture
def asking(ready: Host) -> Iterator[Host]:
    """The same host, on which the server has a key of the right type and asks for a certificate."""
    ready.run(["cp", "-a", WORK, "/run/kept"])
    ready.run(["rm", f"{WORK}/hosts/localhost/certificate.pem"])
    ready.run(script(REQUEST))
    yield ready
    ready.bash('rm -r "$1" && mv /run/kept "$1"', WORK)


def script(step: str, *words: str) -> list[str]:
    """Return the command that runs a script."""
    return ["bash", f"/root/out/{step}", *words]


def at_the_prompts(host: Host, argv: list[str], tries: list[tuple[str, ...]]) -> Terminal:
    """Answer the questions for a passphrase, each try a passphrase or two."""
    terminal = host.spawn(argv)
    for number, words in enumerate(tries):
        for prompt, secret in zip((PROMPT, AGAIN), words, strict=False):
            assert terminal.expect(prompt) == 0, f"try {number + 1}: {terminal.transcript.text}"
            terminal.answer_secretly(secret)
    return terminal


def last_lines(terminal: Terminal, count: int) -> list[str]:
    """Return the last lines that a terminal showed."""
    return terminal.transcript.text.splitlines()[-count:]


# ---- Passphrases ------------------------------------------------------------


def test_a_wrong_passphrase_at_the_prompt_three_times(asking: Host) -> None:
    before = asking.snapshot()
    terminal = at_the_prompts(asking, script(SIGN), [("wrong wrong wrong",), (PASSPHRASE + " ",), ("",)])
    assert terminal.wait() == 2
    said = f"{SIGN}: this passphrase does not open {WORK}/ca/ca-private.pem"
    assert last_lines(terminal, 7) == [
        PROMPT,
        said,
        PROMPT,
        said,
        PROMPT,
        said,
        f"error: {SIGN}: three tries; {UNTOUCHED}",
    ]
    assert difference(before, asking.snapshot(), strict=True) == []


def test_the_right_passphrase_at_the_third_prompt(asking: Host) -> None:
    terminal = at_the_prompts(asking, script(SIGN), [("wrong wrong wrong",), ("wrong again",), (PASSPHRASE,)])
    assert terminal.wait() == 0
    assert asking.exists(f"{WORK}/hosts/localhost/certificate.pem")


def test_a_wrong_passphrase_in_a_file(asking: Host) -> None:
    asking.write("/run/wrong", "wrong wrong wrong\n", 0o600)
    said = f"error: {{}}: this passphrase does not open {WORK}/ca/ca-private.pem; {UNTOUCHED}"
    file = ("--passphrase-file", "/run/wrong")
    stops(asking, script(SIGN, *file), said.format(SIGN))
    stops(asking, script("setup.sh", SIGN, *file), said.format("setup.sh"))


@pytest.mark.parametrize(("secret", "length"), [("short", 5), ("eleven char", 11)])
def test_a_passphrase_that_is_too_short(ready: Host, secret: str, length: int) -> None:
    ready.write("/run/short", secret, 0o600)
    said = f"the passphrase has {length} characters, at least 12 are needed; {UNTOUCHED}"
    words = ("--dir", OTHER, "--yes", "--passphrase-file", "/run/short")
    stops(ready, script("setup.sh", *words), f"error: setup.sh: {said}")


def test_two_passphrases_that_differ(ready: Host) -> None:
    before = ready.snapshot()
    argv = script("setup.sh", "--dir", OTHER)
    terminal = at_the_prompts(ready, argv, [(PASSPHRASE, PASSPHRASE.upper()), ("short", "short"), (PASSPHRASE, "")])
    assert terminal.wait() == 2
    assert last_lines(terminal, 10) == [
        *(PROMPT, AGAIN, "setup.sh: the two passphrases differ"),
        *(PROMPT, AGAIN, "setup.sh: the passphrase has 5 characters, at least 12 are needed"),
        *(PROMPT, AGAIN, "setup.sh: the two passphrases differ"),
        f"error: setup.sh: three tries; {UNTOUCHED}",
    ]
    assert difference(before, ready.snapshot(), strict=True) == []


def test_neither_terminal_nor_passphrase_file(ready: Host) -> None:
    said = "the CA key needs a passphrase and there is no terminal: give --passphrase-file"
    stops(ready, script("setup.sh", "--dir", OTHER, "--yes"), f"error: setup.sh: {said}")
    said = f"dockerd will be restarted and there is no terminal to ask on: give --yes; {UNTOUCHED}"
    stops(ready, script("setup.sh", "--dir", OTHER, *WITH_PASSPHRASE), f"error: setup.sh: {said}")
    stops(ready, script("setup.sh", "--undo"), f"error: setup.sh: {said}")


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (PASSPHRASE, 0o640, f"others can read /run/bad; run: chmod 600 /run/bad; {UNTOUCHED}"),
        (PASSPHRASE, 0o604, f"others can read /run/bad; run: chmod 600 /run/bad; {UNTOUCHED}"),
        ("", 0o600, f"passphrase file /run/bad is empty; {UNTOUCHED}"),
        ("\n", 0o600, f"the passphrase has 0 characters, at least 12 are needed; {UNTOUCHED}"),
        (None, 0, "passphrase file /run/bad cannot be read"),
    ],
    ids=["group can read", "others can read", "empty", "an empty line", "not there"],
)
def test_a_bad_passphrase_file(ready: Host, content: str | None, mode: int, message: str) -> None:
    ready.run(["rm", "-f", "/run/bad"])
    if content is not None:
        ready.write("/run/bad", content, mode)
    words = ("--dir", OTHER, "--yes", "--passphrase-file", "/run/bad")
    stops(ready, script("setup.sh", *words), f"error: setup.sh: {message}")


# ---- Keys that are there ----------------------------------------------------


def test_an_existing_key_is_used_and_never_replaced(asking: Host) -> None:
    key = f"{WORK}/hosts/localhost/server-key.pem"
    asking.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", key])
    before = asking.read(key)
    asking.run(script(REQUEST))
    assert asking.read(key) == before
    requested = asking.run(["openssl", "req", "-in", f"{WORK}/hosts/localhost/request.csr", "-noout", "-pubkey"]).stdout
    assert requested == asking.run(["openssl", "pkey", "-in", key, "-pubout"]).stdout


@pytest.mark.parametrize("kind", ["damaged", "empty", "encrypted"])
def test_an_existing_key_that_is_none(asking: Host, kind: str) -> None:
    key = f"{WORK}/hosts/localhost/server-key.pem"
    content = {"damaged": asking.read(key)[:100], "empty": "", "encrypted": asking.read(f"{WORK}/ca/ca-private.pem")}
    asking.write(key, content[kind], 0o600)
    said = f"error: {REQUEST}: {key} exists and is not an unencrypted private key; move it away"
    refuses(asking, script(REQUEST), said)


def test_a_ca_key_that_is_damaged_or_not_encrypted(asking: Host) -> None:
    key = f"{WORK}/ca/ca-private.pem"
    asking.run(["cp", f"{WORK}/hosts/localhost/server-key.pem", key])
    said = f"error: {CREATE}: {key} exists and is not an encrypted private key; move it away"
    refuses(asking, script(CREATE, *WITH_PASSPHRASE), said)
    asking.write(key, "", 0o600)
    refuses(asking, script(CREATE, *WITH_PASSPHRASE), said)


def test_a_ca_certificate_without_its_key_or_of_another_name(asking: Host) -> None:
    key, certificate = f"{WORK}/ca/ca-private.pem", f"{WORK}/ca/ca-public.pem"
    asking.run(["mv", key, "/run/key"])
    said = f"{certificate} exists without its key {key}; put the key back, or move the certificate away"
    refuses(asking, script(CREATE, *WITH_PASSPHRASE), f"error: {CREATE}: {said}")
    asking.run(["mv", "/run/key", key])
    asking.run(["cp", f"{WORK}/clients/client/client-certificate.pem", certificate])
    said = f"{certificate} has subject=CN=client, not CN=dockseal CA; give another --dir"
    refuses(asking, script(CREATE, *WITH_PASSPHRASE), f"error: {CREATE}: {said}")


# ---- A full disk ------------------------------------------------------------


@contextmanager
def full_folder(host: Host) -> Iterator[str]:
    """Give a working folder on a disk on which no octet is left."""
    folder = "/run/small"
    host.bash(
        'mkdir -m 0700 "$1"; mount -t tmpfs -o size=64k,mode=0700 tmpfs "$1";'
        'mkdir -m 0700 -p "$1"/{ca,hosts/localhost,clients/client}; cat /dev/zero >"$1/fill" 2>/dev/null || true',
        folder,
    )
    try:
        yield folder
    finally:
        host.bash('umount "$1"; rmdir "$1"', folder)


@pytest.mark.parametrize(
    ("step", "key"), [(CREATE, "ca/ca-private.pem.first"), (REQUEST, "hosts/localhost/server-key.pem")]
)
def test_a_disk_that_is_full_while_a_key_is_written(ready: Host, step: str, key: str) -> None:
    words = WITH_PASSPHRASE if step == CREATE else ()
    with full_folder(ready) as folder:
        result = ready.run(script(step, "--dir", folder, *words), check=False)
        assert result.status == 1
        said = f"error: {step}: {folder}/{key}.new is not a whole key; is the disk full? {PARTLY}"
        assert result.stderr.splitlines()[-1] == said
        assert not ready.exists(f"{folder}/{key}")
        ready.run(["rm", f"{folder}/fill"])
        ready.run(script(step, "--dir", folder, *words))
        key = key.removesuffix(".first")
        ready.run(["openssl", "pkey", "-in", f"{folder}/{key}", "-noout", "-passin", f"file:{PASSPHRASE_FILE}"])
        assert not ready.exists(f"{folder}/{key}.new")


def test_a_disk_that_is_full_while_a_certificate_is_written(ready: Host) -> None:
    with full_folder(ready) as folder:
        ready.bash('cp -r "$1"/{ca,hosts} "$2" 2>/dev/null || true', WORK, folder)
        ready.run(["rm", f"{folder}/fill"])
        ready.bash('cp -r "$1"/{ca,hosts} "$2"', WORK, folder)
        certificate = f"{folder}/hosts/localhost/certificate.pem"
        before = ready.read(certificate)
        ready.run(["rm", f"{folder}/hosts/localhost/server-key.pem"])
        ready.run(script(REQUEST, "--dir", folder))
        ready.bash('cat /dev/zero >"$1/fill" 2>/dev/null || true', folder)
        result = ready.run(script(SIGN, "--dir", folder, *WITH_PASSPHRASE), check=False)
        assert result.status == 1
        assert "is the disk full?" in result.stderr or "No space left on device" in result.stderr
        assert ready.read(certificate) == before
        ready.run(["rm", f"{folder}/fill"])
        ready.run(script(SIGN, "--dir", folder, *WITH_PASSPHRASE))
        assert ready.read(certificate) != before


# ---- Requests ---------------------------------------------------------------


def refused_request(host: Host, reason: str) -> None:
    """See the CA refuse the server's request, before it asks for the passphrase; only its log changes."""
    path, log = f"{WORK}/hosts/localhost/request.csr", f"{WORK}/ca/refused.txt"
    before = host.snapshot()
    result = host.run(script(SIGN), check=False)
    assert result.stderr == f"error: {SIGN}: refused {path}: {reason}; {UNTOUCHED}\n"
    assert (result.status, result.stdout) == (6, "")
    assert re.fullmatch(rf"[-0-9T:]+Z {re.escape(f'{path} {reason}')}\n", host.read(log))
    host.run(["rm", log])
    assert difference(before, host.snapshot()) == []


@pytest.mark.parametrize(
    ("key", "subject", "reason"),
    [
        ("EC P-256", "/CN=example.org", "it asks for CN=example.org, and this CA certifies CN=localhost here"),
        (
            "EC P-256",
            "/O=staff/CN=localhost",
            "it asks for CN=localhost,O=staff, and this CA certifies CN=localhost here",
        ),
        ("EC P-384", "/CN=localhost", "its key is ec:P-384, and this CA certifies ec:P-256 here"),
        ("ED25519", "/CN=localhost", "its key is ed25519, and this CA certifies ec:P-256 here"),
        ("RSA 1024", "/CN=localhost", "its key is rsa:1024, and this CA certifies ec:P-256 here"),
        ("EC secp256k1", "/CN=localhost", "its key is another type, and this CA certifies ec:P-256 here"),
    ],
    ids=["another name", "more in the name", "P-384", "ed25519", "rsa:1024", "secp256k1"],
)
def test_a_request_for_something_else(asking: Host, key: str, subject: str, reason: str) -> None:
    algorithm, _, size = key.partition(" ")
    option = {"EC": f"ec_paramgen_curve:{size}", "RSA": f"rsa_keygen_bits:{size}"}.get(algorithm)
    words = ["-pkeyopt", option] if option else []
    asking.run(["openssl", "genpkey", "-algorithm", algorithm, *words, "-out", "/run/key"])
    request = f"{WORK}/hosts/localhost/request.csr"
    asking.run(["openssl", "req", "-new", "-subj", subject, "-key", "/run/key", "-out", request])
    refused_request(asking, reason)


@pytest.mark.parametrize("more", ["subjectAltName = DNS:bank.example", "basicConstraints = critical, CA:TRUE"])
def test_a_request_that_asks_for_extensions(asking: Host, more: str) -> None:
    """The positive control: the same key asks without them, and gets what the CA decided."""
    folder = f"{WORK}/hosts/localhost"
    request = f"{folder}/request.csr"
    plain = asking.read(request)
    asking.write(
        "/run/more.cnf",
        "[req]\ndistinguished_name = name\nreq_extensions = more\nprompt = no\n[name]\nCN = localhost\n"
        f"[more]\n{more}\n",
    )
    words = ["-config", "/run/more.cnf", "-key", f"{folder}/server-key.pem", "-out", request]
    asking.run(["openssl", "req", "-new", *words])
    refused_request(
        asking,
        "it asks for extensions, and they are for the CA to decide; make it again with 10-request-certificate.sh",
    )
    asking.write(request, plain)
    asking.run(script(SIGN, *WITH_PASSPHRASE))
    text = asking.run(["openssl", "x509", "-in", f"{folder}/certificate.pem", "-noout", "-text"]).stdout
    assert "DNS:localhost, IP Address:127.0.0.1" in text
    assert "CA:FALSE" in text


@pytest.mark.parametrize("earlier", [True, False], ids=["certified before", "asking now"])
def test_a_request_with_the_key_of_another_party(asking: Host, earlier: bool) -> None:
    """The client's key asks for the server's certificate, once after and once while the client asks with it."""
    client = f"{WORK}/clients/client"
    if not earlier:
        asking.run(
            ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "/run/key"]
        )
        asking.run(["mv", "/run/key", f"{client}/client-key.pem"])
        asking.run(["rm", f"{client}/client-certificate.pem"])
    request = f"{WORK}/hosts/localhost/request.csr"
    words = ["-subj", "/CN=localhost", "-key", f"{client}/client-key.pem"]
    asking.run(["openssl", "req", "-new", *words, "-out", request])
    if earlier:
        refused_request(asking, "its key is clients/client's: each party makes its own")
        return
    asking.run(["rm", f"{WORK}/hosts/localhost/server-key.pem"])
    asking.run(script(SIGN, *WITH_PASSPHRASE))
    asking.run(script("clients/client/10-request-certificate.sh"))
    result = asking.run(script(SIGN.replace("20-sign-servers", "30-sign-clients")), check=False)
    assert "its key is hosts/localhost's: each party makes its own" in result.stderr
    assert result.status == 6


def test_a_request_that_others_can_write_to(asking: Host) -> None:
    asking.run(["chmod", "0666", f"{WORK}/hosts/localhost/request.csr"])
    request = f"{WORK}/hosts/localhost/request.csr"
    refused_request(asking, f"others can write to it; run: chmod go-w {request}")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ('ln -sf /etc/shadow "$1"', "it is not a regular file"),
        ('ln -sf /nowhere "$1"', "it is not a regular file"),
        ('mkdir "$1"', "it is not a regular file"),
        ('printf "no request\\n" >"$1"', "it does not begin with a certificate request in PEM"),
        (': >"$1"', "it does not begin with a certificate request in PEM"),
        ('cp /run/request "$1" && head -c 65536 /dev/zero >>"$1"', "it is larger than 64 KiB"),
    ],
    ids=["link to a file", "dangling link", "folder", "text", "empty", "too large"],
)
def test_a_request_that_is_none(asking: Host, make: str, reason: str) -> None:
    folder = f"{WORK}/hosts/localhost"
    asking.run(["mv", f"{folder}/request.csr", "/run/request"])
    asking.bash(make, f"{folder}/request.csr")
    refused_request(asking, reason)


def test_a_request_whose_signature_is_not_its_own(asking: Host) -> None:
    """One octet of the public key's owner's signature is turned over."""
    request = f"{WORK}/hosts/localhost/request.csr"
    asking.run(["openssl", "req", "-in", request, "-outform", "DER", "-out", "/run/der"])
    octets = bytearray(asking.read_bytes("/run/der"))
    octets[-1] ^= 1
    asking.write("/run/der", bytes(octets))
    asking.run(["openssl", "req", "-inform", "DER", "-in", "/run/der", "-out", request])
    refused_request(asking, "it is damaged, or not signed by its own key")


def test_an_openssl_that_cannot_run_says_nothing_of_a_request(asking: Host) -> None:
    """The machine's own fault is told as such, in openssl's words, and logs no stranger as hostile."""
    words = "libssl.so: cannot open shared object file"
    stand_in = f"#!/bin/bash\n[[ $1 != version ]] || exec /usr/bin/openssl version\necho '{words}' >&2\nexit 127\n"
    asking.write("/usr/local/bin/openssl", stand_in, 0o755)
    result = asking.run(script(SIGN, *WITH_PASSPHRASE), check=False)
    asking.run(["rm", "/usr/local/bin/openssl"])
    said = f"error: {SIGN}: {WORK}/ca/ca-public.pem: {words}; {UNTOUCHED}\n"
    assert (result.status, result.stdout, result.stderr) == (2, "", said)
    assert not asking.exists(f"{WORK}/ca/refused.txt")
    assert asking.run(script(SIGN, *WITH_PASSPHRASE), check=False).status == 0


# ---- Pipes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["server-key.pem", "certificate.pem", "ca-public.pem", "renewal/server-key.pem", "renewal/certificate.pem"]
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(asking: Host, name: str) -> None:
    asking.run(script(SIGN, *WITH_PASSPHRASE))
    file = f"{WORK}/hosts/localhost/{name}"
    asking.bash('mkdir -p -m 0700 "${1%/*}"; rm -f "$1"; mkfifo "$1"', file)
    said = f"error: {DAEMON}: {file} is not a regular file; {UNTOUCHED}"
    refuses(asking, ["timeout", "60", *script(DAEMON, "--yes")], said)


@pytest.mark.parametrize("name", ["client-key.pem", "client-certificate.pem"])
def test_a_client_whose_file_is_a_pipe_is_no_client_to_ask_with(asking: Host, name: str) -> None:
    asking.run(script(SIGN, *WITH_PASSPHRASE))
    file = f"{WORK}/clients/client/{name}"
    asking.bash('rm "$1"; mkfifo "$1"', file)
    asking.run(["timeout", "120", *script(DAEMON, "--yes")])
    undone = asking.run(["timeout", "120", *script(DAEMON, "--undo", "--yes")])
    assert undone.status == 0


# ---- Scripts, folders and arguments -----------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"printf '# x\\n' >>{CREATE}", f"{CREATE}: FAILED\nsha256sum: WARNING: 1 computed checksum did NOT match"),
        (
            f"rm {CREATE}",
            f"sha256sum: {CREATE}: No such file or directory\n{CREATE}: FAILED open or read\n"
            "sha256sum: WARNING: 1 listed file could not be read",
        ),
        ("sed -i 's/^readonly script=.*/&x/' setup.sh", None),
    ],
    ids=["longer", "gone", "setup.sh itself"],
)
def test_a_script_that_was_changed(ready: Host, change: str, said: str | None) -> None:
    ready.bash(f"rm -rf /run/changed && cp -a /root/out /run/changed && cd /run/changed && {change}")
    name = "setup.sh" if said else "setup.shx"
    text = said or "setup.sh: FAILED\nsha256sum: WARNING: 1 computed checksum did NOT match"
    refuses(
        ready,
        ["bash", "/run/changed/setup.sh", "--dir", OTHER, *UNATTENDED],
        f"error: {name}: these files are not what was rendered:\n{text}\n"
        "Nothing was changed. Render them again, or find out who changed them.",
    )


def test_a_working_folder_that_others_can_write_to(ready: Host) -> None:
    for path, mode in (("/run/open", "0770"), ("/run/open", "0702"), ("/run/open/ca", "0722")):
        ready.run(["install", "-d", "-m", "0700", "/run/open"])
        ready.run(["install", "-d", "-m", mode, path])
        said = f"others can write to {path}; run: chmod go-w {path}"
        refuses(ready, script(CREATE, "--dir", "/run/open", *WITH_PASSPHRASE), f"error: {CREATE}: {said}")
        assert ready.run(["find", "/run/open", "-type", "f"]).stdout == ""


def test_a_working_folder_that_everybody_is_meant_to_write_to(ready: Host) -> None:
    said = "others can write to /run/sticky, as they are meant to; take another one"
    ready.run(["install", "-d", "-m", "1777", "/run/sticky"])
    refuses(ready, script(CREATE, "--dir", "/run/sticky", *WITH_PASSPHRASE), f"error: {CREATE}: {said}")


@pytest.mark.parametrize(
    ("step", "folder"),
    [
        (CREATE, "ca"),
        (REQUEST, "hosts/localhost"),
        (SIGN, "hosts/localhost"),
        ("clients/client/20-configure-client.sh", "clients/client"),
    ],
)
def test_undo_removes_nothing_in_a_folder_of_somebody_else(ready: Host, step: str, folder: str) -> None:
    """Its owner could turn a link while it runs."""
    ready.bash(f"rm -rf /run/theirs; cp -a {WORK} /run/theirs; chown nobody /run/theirs /run/theirs/{folder}")
    words = ["--undo", "--dir", "/run/theirs", *(["--remove-keys"] if "20-" not in step else [])]
    before = ready.snapshot(["/run/theirs", "/root"])
    for place in ("/run/theirs", f"/run/theirs/{folder}"):
        result = ready.run(script(step, *words), check=False)
        said = f"error: {step}: {place} belongs to another user; take another one\n"
        assert (result.status, result.stderr) == (2, said)
        assert difference(before, ready.snapshot(["/run/theirs", "/root"]), strict=True) == []
        ready.run(["chown", "root", place])
        before = ready.snapshot(["/run/theirs", "/root"])
    assert ready.run(script(step, *words), check=False).status == 0


def test_a_working_folder_of_somebody_else(ready: Host) -> None:
    ready.run(["install", "-d", "-m", "0700", "-o", "nobody", "/run/theirs"])
    said = f"error: {CREATE}: /run/theirs belongs to another user; take another one"
    refuses(ready, script(CREATE, "--dir", "/run/theirs", *WITH_PASSPHRASE), said)


@pytest.fixture
def ours(ready: Host) -> Iterator[str]:
    """A folder that is root's alone, and in it a copy of the working folder that is too."""
    folder = "/srv/of-nobody"
    ready.bash(f"mkdir {folder}; cp -a {WORK} {folder}/work")
    yield folder
    ready.run(["rm", "-r", folder])


# Root's scripts that take what is in --dir, with the status and a word of what they come to in a folder of root's.
GO_ON = {
    (DAEMON, "--check"): (3, "systemctl restart"),
    (CLIENT, "--check"): (3, "install -m 600"),
    (WATCH, "--check"): (3, "systemctl enable"),
    (WATCH, "--now"): (4, "dockerd shows no certificate"),
    (VERIFY_HOST, "--json"): (2, "run 20-configure-daemon.sh first"),
}


@pytest.mark.parametrize("theirs", ["chown nobody", "chmod 0775", "chmod 0757"])
@pytest.mark.parametrize(("step", "word"), GO_ON)
def test_a_folder_above_that_others_can_change(ready: Host, ours: str, step: str, word: str, theirs: str) -> None:
    """Whoever can change it can put another working folder in the place of root's."""
    argv = script(step, "--dir", f"{ours}/work", word)
    ready.bash(f"{theirs} {ours}")
    before = ready.snapshot([ours])
    for words in (argv, [*(one for one in argv if one != "--check"), "--yes"]):
        result, changes = watched(ready, words)
        assert (result.status, result.stdout, changes) == (2, "", "")
        who = "nobody" if "chown" in theirs else "others"
        said = rf"error: {step}: {who} could replace {ours}/work\S*: .*\bof-nobody on its path.*\n"
        assert re.fullmatch(said, result.stderr)
    assert difference(before, ready.snapshot([ours]), strict=True) == []
    ready.bash(f"chown root {ours}; chmod 0755 {ours}")
    result, changes = watched(ready, argv)
    assert (result.status, changes) == (GO_ON[step, word][0], "")
    assert GO_ON[step, word][1] in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("step", "words", "message"),
    [
        ("setup.sh", ["--force"], "unknown option --force; --help lists them"),
        (CREATE, ["--json"], "unknown option --json; --help lists them"),
        (DAEMON, ["now"], "unknown option now; --help lists them"),
        ("setup.sh", ["hosts/localhost/30-more.sh"], "there is no script hosts/localhost/30-more.sh in this site"),
        ("setup.sh", ["ca"], "there is no script ca in this site"),
        ("setup.sh", ["--as", "hosts/other"], "--as needs one of: ca hosts/localhost clients/client"),
        ("setup.sh", ["--as"], "--as needs one of: ca hosts/localhost clients/client"),
        ("setup.sh", ["--check", "--undo"], "give one of --check and --undo"),
        ("setup.sh", ["--remove-keys"], "--remove-keys goes with --undo"),
        ("setup.sh", ["--dir"], "--dir needs a value"),
        (CREATE, ["--passphrase-file"], "--passphrase-file needs a value"),
        (CREATE, ["--dir", ""], "--dir needs a value"),
        (CREATE, ["--dir", "/etc/passwd"], "/etc/passwd is no folder; give another --dir"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_use(ready: Host, step: str, words: list[str], message: str) -> None:
    result: Result = ready.run(script(step, *words), check=False)
    assert (result.status, result.stdout, result.stderr) == (2, "", f"error: {step}: {message}\n")
