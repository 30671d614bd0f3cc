"""Faults: a part of what `make test-faults` tries, and that it sees when a script's protection is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dockseal.lab import Host
from faults.cases import OUT, all_cases
from faults.injector import FAULTS, Injector, Part, inject, render_site
from tests.host.support import whole

pytestmark = [pytest.mark.one_release, pytest.mark.no_probe_image]
CASES = {str(case): case for case in all_cases()}
CLASSES = {fault.name: fault for fault in FAULTS}
REQUEST = "hosts/localhost/10-request-certificate.sh"
SIGN, FINISH, BACK_UP = "ca/20-sign-servers.sh", "ca/60-roll-over-ca.sh --finish", "ca/70-back-up-ca.sh --to"
RENEWED = "hosts/localhost/20-configure-daemon.sh (renewal)"


@pytest.fixture(scope="module")
def injector(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Injector:
    """A host on which cases are tried."""
    return Injector(host, render_site(tmp_path_factory.mktemp("site") / "out"))


# A class, a case, and of how many places one is tried. Cases follow each other: a host is led to each beginning once.
TRIED = [
    ("killed", REQUEST, 4),
    ("full", REQUEST, 2),
    ("together", REQUEST, 1),
    ("killed", f"{REQUEST} --undo --remove-keys", 2),
    ("killed", SIGN, 4),
    ("killed inside", SIGN, 4),
    ("power cut", SIGN, 2),
    ("left", SIGN, 1),
    ("full", SIGN, 3),
    ("read-only", SIGN, 1),
    ("together", SIGN, 1),
    ("taken over", SIGN, 1),
    ("deceived", SIGN, 1),
    ("killed", FINISH, 4),
    ("left", FINISH, 1),
    ("together", BACK_UP, 1),
    ("killed", RENEWED, 20),
    ("killed inside", RENEWED, 10),
    ("power cut", RENEWED, 8),
]


@pytest.mark.parametrize(("fault", "case", "sample"), TRIED, ids=[f"{fault}: {case}" for fault, case, _ in TRIED])
def test_nothing_is_lost(injector: Injector, fault: str, case: str, sample: int) -> None:
    row = inject(injector, CLASSES[fault], CASES[case], Part(sample=sample))
    assert (row.problems, row.lost) == ((), 0)
    assert 0 < row.tried <= row.of


@dataclass(frozen=True)
class Weakened:
    """A script without one of its protections, and what is to be seen of that."""

    fault: str
    case: str
    changes: dict[str, str]
    seen: str  # a part of the problem
    sample: int = 1


LOCK = 'if ! flock --nonblock "${lock_fd}"; then'
ASKED = "  confirm 'Trust the previous CA no more?'\n"
DONE = """\
  old=$(serial_of "${previous}/${ca_certificate_file}")
  if [[ -e ${authorities} ]]; then run rm -f -- "${authorities}"; fi
"""
TO_LEDGER = """\
  add_to_ledger "${{party_folder}}/$1" {} "${{ca_certificate}}" \\
    "${{names_wanted[$1]}}"
}}
"""
WEAKENED = {
    "the ledger's line comes after the certificate": Weakened(
        "killed",
        SIGN,
        {
            TO_LEDGER.format('"${certificate}"'): "}\n",
            '  hand_out "$@"\n}\n': '  hand_out "$@"\n' + TO_LEDGER.format('"$2/${certificate_file}"'),
        },
        "is not in the ledger",
    ),
    "a key is not synced before it has its name": Weakened(
        "power cut", REQUEST, {'  run sync -- "$1.new"\n  run mv -nT': "  run mv -nT"}, "server-key.pem is half written"
    ),
    "a request that was answered is answered again": Weakened(
        "killed inside",
        SIGN,
        {"[[ -f ${certificate} && -f $2 ]] &&": "false &&"},
        "the end differs: > hosts/localhost",
    ),
    "the question comes after the change": Weakened(
        "left", FINISH, {ASKED + DONE: DONE + ASKED}, "something was changed before the first answer"
    ),
    "a key is not read back": Weakened(
        "full",
        REQUEST,
        {"  if [[ ${verb} != check ]]; then\n    # openssl exits": "  if false; then\n    # openssl exits"},
        "server-key.pem is half written",
    ),
    "a failed command does not end the script": Weakened(
        "read-only",
        FINISH,
        {"set -Eeuo pipefail": "set -o pipefail", '  exec {lock_fd}>>"$1"\n': "  return\n"},
        "and the script says it is done",
    ),
    "there is no lock": Weakened("together", SIGN, {LOCK: "if false; then"}, "ended with"),
    "the lock is a file, which stays": Weakened(
        "taken over",
        SIGN,
        {LOCK: '(set -C; : >"$1.taken") 2>/dev/null || die 2 "another run works here"; if false; then'},
        "the second run ended with 2",
    ),
    "a request is not looked at": Weakened(
        "deceived",
        SIGN,
        {'[[ -z ${problem} ]] || refuse "${request}" "${problem}"': ":"},
        "says not 'this CA certifies",
    ),
}


@pytest.fixture
def weakened(injector: Injector, request: pytest.FixtureRequest) -> Iterator[Weakened]:
    """The case's script without its protection."""
    change: Weakened = request.param
    path = f"{OUT}/{CASES[change.case].step.script}"
    text = injector.host.read(path)
    weak = whole(injector.host, path)
    for old, new in change.changes.items():
        assert old in weak
        weak = weak.replace(old, new)
    injector.case = None
    injector.host.write(path, weak, 0o755)
    yield change
    injector.host.write(path, text, 0o755)
    injector.case = None


@pytest.mark.parametrize("weakened", WEAKENED.values(), ids=WEAKENED.keys(), indirect=True)
def test_a_script_without_its_protection_is_found_out(injector: Injector, weakened: Weakened) -> None:
    row = inject(injector, CLASSES[weakened.fault], CASES[weakened.case], Part(sample=weakened.sample))
    assert any(weakened.seen in problem for problem in row.problems), row


def test_each_class_has_a_script_without_its_protection() -> None:
    assert {one.fault for one in WEAKENED.values()} == set(CLASSES)
