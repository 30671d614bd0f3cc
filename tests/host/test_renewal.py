"""A certificate renewed with the same key or with a new one: beside the pair in use, and switched over at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockseal.lab import Host
from tests.host.daemon import fake_dockerd
from tests.host.support import (
    CERTIFICATE_STEPS,
    CLIENT,
    DAEMON,
    PASSPHRASE_FILE,
    TLS,
    UNATTENDED,
    WORK,
    arguments,
    install,
    main_pid,
    setup,
)

pytestmark = [pytest.mark.no_probe_image, pytest.mark.upstream]
REQUEST_SERVER, REQUEST_CLIENT = CERTIFICATE_STEPS[1], CERTIFICATE_STEPS[3]
SERVER_FOLDER, CLIENT_FOLDER = f"{WORK}/hosts/localhost", f"{WORK}/clients/client"
LIST = "ca/80-list-certificates.sh"


@pytest.fixture(scope="module")
def ready(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that setup.sh has set up."""
    install(host, tmp_path_factory.mktemp("site"))
    setup(host, *UNATTENDED, "--no-containers")
    return host


def run(host: Host, script: str, *words: str, check: bool = True) -> tuple[int, str]:
    """Run one script; return its exit status and what it said."""
    result = host.run(["bash", f"/root/out/{script}", *words], check=check)
    return result.status, result.output


def served(host: Host) -> str:
    """Return the serial number of the certificate that dockerd shows."""
    ask = "openssl s_client -connect 127.0.0.1:2376 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    return host.bash(ask, check=False).stdout.strip().removeprefix("serial=")


def listed(host: Host) -> list[dict[str, str]]:
    """Return what the list of certificates says, a dict each."""
    return [json.loads(line) for line in run(host, LIST, "--json")[1].splitlines()]


def digest(host: Host, path: str) -> str:
    return host.run(["sha256sum", "--", path]).stdout.split()[0]


def ask(host: Host) -> str:
    """Return dockerd's version as the client's context gets it."""
    return host.run(["docker", "--context", "localhost", "version", "--format", "{{.Server.Version}}"]).stdout.strip()


@pytest.mark.parametrize("words", [["--renew"], ["--renew", "--new-key"]], ids=["same key", "new key"])
def test_the_server_is_renewed_with_one_restart(ready: Host, words: list[str]) -> None:
    key, serial, pid = digest(ready, f"{SERVER_FOLDER}/server-key.pem"), served(ready), main_pid(ready)
    run(ready, REQUEST_SERVER, *words)
    assert served(ready) == serial
    assert digest(ready, f"{SERVER_FOLDER}/server-key.pem") == key
    result = setup(ready, *UNATTENDED, "--no-containers")
    assert result.stderr.count("systemctl restart docker.socket") == 1
    assert served(ready) not in ("", serial)
    assert main_pid(ready) != pid
    assert (digest(ready, f"{SERVER_FOLDER}/server-key.pem") == key) == (words == ["--renew"])
    assert digest(ready, f"{SERVER_FOLDER}/previous/server-key.pem") == key
    assert not ready.exists(f"{SERVER_FOLDER}/renewal")
    assert ask(ready)
    assert [one["state"] for one in listed(ready) if one["serial"] == served(ready)] == ["current"]
    again = setup(ready, *UNATTENDED, "--no-containers")
    assert "systemctl restart" not in again.stderr
    assert ready.bash(f"ls -d {TLS}-*").stdout.count("\n") == 1


@pytest.mark.parametrize("words", [["--renew"], ["--renew", "--new-key"]], ids=["same key", "new key"])
def test_a_client_is_renewed_with_its_context(ready: Host, words: list[str]) -> None:
    before = digest(ready, "/root/.docker/cert.pem")
    key = digest(ready, "/root/.docker/key.pem")
    run(ready, REQUEST_CLIENT, *words)
    setup(ready, *UNATTENDED, "--no-containers")
    assert digest(ready, "/root/.docker/cert.pem") != before
    assert (digest(ready, "/root/.docker/key.pem") == key) == (words == ["--renew"])
    copies = ready.bash("sha256sum /root/.docker/contexts/tls/*/docker/{cert,key}.pem").stdout
    for name in ("cert", "key"):
        assert digest(ready, f"/root/.docker/{name}.pem") in copies
    assert not ready.exists(f"{CLIENT_FOLDER}/renewal")
    assert ask(ready)


def test_asking_twice_asks_once(ready: Host) -> None:
    run(ready, REQUEST_SERVER, "--renew")
    request = digest(ready, f"{SERVER_FOLDER}/renewal/request.csr")
    assert "nothing to do" in run(ready, REQUEST_SERVER, "--renew")[1]
    assert digest(ready, f"{SERVER_FOLDER}/renewal/request.csr") == request
    before = len(listed(ready))
    for _ in range(2):
        run(ready, CERTIFICATE_STEPS[2], "--passphrase-file", PASSPHRASE_FILE)
    assert len(listed(ready)) == before + 1
    run(ready, DAEMON, "--yes")


def test_a_renewal_that_dockerd_does_not_take_leaves_the_old_pair(ready: Host) -> None:
    serial, good = served(ready), arguments(ready)
    run(ready, REQUEST_SERVER, "--renew", "--new-key")
    run(ready, CERTIFICATE_STEPS[2], "--passphrase-file", PASSPHRASE_FILE)
    with fake_dockerd(ready, "--tlsverify"):
        status, said = run(ready, DAEMON, "--yes", check=False)
    assert status == 1, said
    assert (served(ready), arguments(ready)) == (serial, good)
    assert ready.exists(f"{SERVER_FOLDER}/renewal/server-key.pem")
    run(ready, DAEMON, "--yes")
    assert served(ready) != serial
    run(ready, CLIENT)
    assert ask(ready)


def test_nothing_to_renew_is_said(ready: Host) -> None:
    status, said = run(ready, REQUEST_SERVER, "--renew", "--dir", "/root/empty", check=False)
    assert status == 2
    assert "there is no /root/empty/hosts/localhost/certificate.pem to renew. Run this as the user who has it" in said


def test_the_restart_says_what_becomes_of_the_containers(ready: Host, tmp_path: Path) -> None:
    assert tmp_path
    ready.write("/etc/docker/daemon.json", '{"live-restore": true}\n')
    ready.bash("systemctl reset-failed docker.service docker.socket; systemctl restart docker.service")
    run(ready, REQUEST_SERVER, "--renew")
    run(ready, CERTIFICATE_STEPS[2], "--passphrase-file", PASSPHRASE_FILE)
    status, said = run(ready, DAEMON, check=False)
    assert (status, "live-restore keeps 0 running container(s) running" in said) == (2, True), said
    run(ready, DAEMON, "--yes")
    ready.bash("rm /etc/docker/daemon.json; systemctl restart docker.service")
