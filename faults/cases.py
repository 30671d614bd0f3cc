"""What is put to the test: each script and verb, and how a host gets to where it can run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

OUT = "/opt/out"
WORK = "/root/docker-tls"
PASSPHRASE_FILE = "/opt/passphrase"
SECRET = ("--passphrase-file", PASSPHRASE_FILE)
BACKUP = "/root/ca.backup"
STICK = "/root/stick"
FAR = "/root/far"  # the working folder of the machine at the other end of the stick

# Small keys: a run takes well under a second.
SITE = """\
ca: {key: ec:P-256}
hosts:
  - name: localhost
    ip_addresses: [127.0.0.1]
    listen: 127.0.0.1:2376
    key: ec:P-256
    networks:
      - {name: isolated, icc: false}
  - {name: plain, mode: plain, listen: 127.0.0.1:2375}
clients:
  - {name: client, key: ec:P-256, hosts: [localhost]}
"""
ONE_HOST = ("--as", "ca", "--as", "hosts/localhost", "--as", "clients/client")


@dataclass(frozen=True)
class Step:
    """A script and its arguments."""

    script: str
    words: tuple[str, ...] = ()
    status: int = 0  # what it ends with

    def argv(self) -> list[str]:
        """Return what follows `bash`."""
        return [f"{OUT}/{self.script}", *self.words]

    def __str__(self) -> str:
        """Return the script and what it is asked to do, without what every run is given."""
        words = [word for word in self.words if word not in {*SECRET, *ONE_HOST, "--yes", BACKUP, STICK}]
        return " ".join([self.script, *words])


@dataclass(frozen=True)
class Case:
    """A step, and those that came before it on the same machine."""

    step: Step
    before: tuple[Step, ...]  # and before them an empty folder `STICK`
    writes: tuple[str, ...] = ()  # folders that can be full or read-only
    daemon: bool = False  # dockerd is looked at too
    keeps_keys: bool = True  # no private key may go
    stride: int = 1  # of every so many commands one is tried
    parts: int = 1  # for so many hosts at once
    questions: bool = False  # asks on a terminal where --yes and the passphrase file are left out
    together: int = 0  # runs at once
    ignored: str = "^$"  # a regular expression of paths that differ from run to run
    again: int = 0  # the exit status of a run after the end
    when: str = ""  # tells it from another case of the same step

    def __str__(self) -> str:
        """Return its name in tables."""
        return f"{self.step} ({self.when})" if self.when else str(self.step)

    def text(self) -> str:
        """Return it as the driver reads it."""
        script, *words = self.step.argv()
        lines = [
            f"script={shlex.quote(script)}",
            f"words=({shlex.join(words)})",
            f"work={WORK}",
            f"daemon={int(self.daemon)}",
            f"again={self.again}",
            f"keeps_keys={int(self.keeps_keys)}",
            f"ignored={shlex.quote(self.ignored)}",
            "prepare() {",
            f"  mkdir -p -- {STICK}",
            *(
                f"  bash {shlex.join(step.argv())} </dev/null || (($? == {step.status})) || return"
                for step in self.before
            ),
            "  :",
            "}",
        ]
        return "\n".join([*lines, ""])


def step(script: str, *words: str) -> Step:
    """Return a step that asks nothing."""
    return Step(script, (*words, "--yes"))


def secret(script: str, *words: str) -> Step:
    """Return a step that opens the CA's key and asks nothing."""
    return Step(script, (*words, "--yes", *SECRET))


CREATE = secret("ca/10-create-ca.sh")
REQUESTS = (step("hosts/localhost/10-request-certificate.sh"), step("clients/client/10-request-certificate.sh"))
SIGN = (secret("ca/20-sign-servers.sh"), secret("ca/30-sign-clients.sh"))
SIGNED = (CREATE, *REQUESTS, *SIGN)
DAEMON = step("hosts/localhost/20-configure-daemon.sh")
PLAIN = step("hosts/plain/20-configure-daemon.sh")
CLIENT = step("clients/client/20-configure-client.sh")
NETWORKS = step("hosts/localhost/30-create-networks.sh")
WATCH = step("hosts/localhost/60-watch-expiry.sh")
RENEW_SERVER = step("hosts/localhost/10-request-certificate.sh", "--renew", "--new-key")
RENEW_CLIENT = step("clients/client/10-request-certificate.sh", "--renew", "--new-key")
BEGIN, SWITCH, FINISH = (secret("ca/60-roll-over-ca.sh", f"--{stage}") for stage in ("begin", "switch", "finish"))
BEGUN = (*SIGNED, BEGIN, *SIGN)
SWITCHED = (*BEGUN, SWITCH, RENEW_SERVER, RENEW_CLIENT, *SIGN)
BACK_UP = secret("ca/70-back-up-ca.sh", "--to", BACKUP)
SETUP = secret("setup.sh", *ONE_HOST, "--no-containers")
SET_UP = (*SIGNED, DAEMON, CLIENT)
AT_CA = secret("setup.sh", "--as", "ca", "--exchange", STICK)
AT_PARTIES = step("setup.sh", *ONE_HOST[2:], "--no-containers", "--exchange", STICK)


def elsewhere(done: Step, status: int = 0) -> Step:
    """Return a step as it is run at the other end of the stick."""
    return Step(done.script, (*done.words, "--dir", FAR), status)


ETC = ("/etc/docker", "/etc/systemd/system")


def undone(done: Step, *words: str) -> Step:
    """Return the step that undoes a step."""
    return Step(done.script, ("--undo", *words, *done.words))


def of_certificates() -> list[Case]:
    """Return the cases that need no dockerd."""
    work = (WORK,)
    cases = [
        Case(CREATE, (), work, questions=True, together=20),
        Case(undone(CREATE), (CREATE,)),
        Case(undone(CREATE, "--remove-keys"), (CREATE,), keeps_keys=False),
    ]
    others = reversed(SIGN)
    for request, renew, sign, other in zip(REQUESTS, (RENEW_SERVER, RENEW_CLIENT), SIGN, others, strict=True):
        same_key = step(request.script, "--renew")
        cases += [
            Case(request, (CREATE,), work, together=20),
            Case(same_key, SIGNED, work, together=20),
            Case(renew, SIGNED, work, together=20),
            Case(undone(request), (CREATE, request)),
            Case(undone(request, "--remove-keys"), (CREATE, request), keeps_keys=False),
            Case(sign, (CREATE, *REQUESTS, other), work, questions=True, together=20),
            Case(sign, (*SIGNED, renew), work, together=20, when="renewal"),
            Case(undone(sign), SIGNED),
            Case(undone(sign, "--remove-keys"), SIGNED),
        ]
    return [
        *cases,
        Case(BEGIN, SIGNED, work, questions=True, together=20),
        Case(undone(secret("ca/60-roll-over-ca.sh")), (*SIGNED, BEGIN)),
        Case(undone(secret("ca/60-roll-over-ca.sh"), "--remove-keys"), (*SIGNED, BEGIN), keeps_keys=False),
        Case(SWITCH, BEGUN, work, questions=True, together=20),
        Case(FINISH, SWITCHED, work, questions=True, together=20),
        Case(BACK_UP, SIGNED, questions=True, together=20, again=2),
        Case(secret("ca/70-back-up-ca.sh", "--restore", BACKUP), (*SIGNED, BACK_UP, GONE), work, together=20, again=2),
        Case(step("ca/80-list-certificates.sh"), SIGNED, together=20),
        Case(AT_CA, (CREATE, elsewhere(AT_PARTIES, status=5)), (WORK, STICK), questions=True, together=20, when="CA"),
    ]


# The CA is lost: only its back-up is left.
GONE = undone(CREATE, "--remove-keys")


def of_daemons() -> list[Case]:
    """Return the cases that need a Docker host."""
    renewed = (*SET_UP, RENEW_SERVER, RENEW_CLIENT, *SIGN)
    home = ("/root/.docker",)
    return [
        Case(DAEMON, SIGNED, ETC, daemon=True, questions=True, parts=3),
        Case(DAEMON, renewed, ETC[:1], daemon=True, questions=True, parts=3, when="renewal"),
        Case(undone(DAEMON), SET_UP, daemon=True, questions=True),
        Case(CLIENT, (*SIGNED, DAEMON), home),
        Case(CLIENT, renewed, home, when="renewal"),
        Case(undone(CLIENT), SET_UP),
        Case(NETWORKS, (), daemon=True),
        Case(undone(NETWORKS), (NETWORKS,), daemon=True),
        Case(WATCH, SET_UP, ("/etc/systemd/system", "/usr/local/lib/dockseal"), daemon=True),
        Case(step(WATCH.script, "--now"), (*SET_UP, WATCH)),
        Case(undone(WATCH), (*SET_UP, WATCH), daemon=True),
        Case(step("clients/client/60-check-expiry.sh"), SET_UP),
        Case(step("hosts/localhost/40-show-namespaces.sh"), (), daemon=True, stride=40),
        Case(step("clients/client/50-show-tls-modes.sh"), SET_UP, daemon=True, stride=40),
        Case(step("hosts/localhost/90-verify.sh"), SET_UP, daemon=True, stride=40),
        Case(step("hosts/localhost/91-prove-isolation.sh"), SET_UP, daemon=True, stride=40),
        Case(step("clients/client/90-verify.sh"), SET_UP, daemon=True, stride=40),
        Case(PLAIN, (), ("/etc/systemd/system",), daemon=True, questions=True, parts=3),
        Case(undone(PLAIN), (PLAIN,), daemon=True, questions=True),
        Case(step("hosts/plain/90-verify.sh"), (PLAIN,), daemon=True, stride=40),
        # Its own commands change nothing: those of the scripts that it runs are tried above.
        Case(SETUP, (), daemon=True, questions=True, together=20, stride=5),
        Case(undone(SETUP), (SETUP,), daemon=True, stride=5),
        Case(
            AT_PARTIES,
            (Step(AT_PARTIES.script, AT_PARTIES.words, 5), elsewhere(AT_CA)),
            daemon=True,
            stride=2,
            when="parties",
        ),
    ]


def other_verbs(cases: Sequence[Case]) -> list[Case]:
    """Return --check of each script, with what it would do first, and --undo of each that has no case of it."""
    first = {
        case.step.script: case for case in reversed(cases) if not {"--undo", "--now", "--exchange"} & {*case.step.words}
    }
    done = {case.step.script for case in cases if "--undo" in case.step.words}
    return [
        Case(Step(script, (*case.step.words, verb)), case.before, daemon=case.daemon, stride=10)
        for verb in ("--check", "--undo")
        for script, case in reversed(first.items())
        if verb == "--check" or script not in done
    ]


def all_cases() -> list[Case]:
    """Return every case, the scripts in their order."""
    cases = [*of_certificates(), *of_daemons()]
    return [*cases, *other_verbs(cases)]
