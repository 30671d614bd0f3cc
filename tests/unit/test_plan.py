"""Facts about the decisions of a plan."""

from __future__ import annotations

from typing import Any

import pytest

from dockseal.errors import TemplateError
from dockseal.plan.hosts import ACCOUNTS
from dockseal.plan.names import openssl_address, serial_name
from dockseal.plan.planner import make_plan
from dockseal.plan.steps import Effects, File, Step, check_order
from dockseal.site.read import read_site
from tests.sites import ONE_HOST, SITES, plan

TWO = (
    "hosts:\n  - name: h1\n    ip_addresses: [10.0.0.1, 'fe80::1']\n"
    "    listen: '[fe80::1]:2376'\n    connect: fe80::1\n"
    "  - name: h2\n    dns_names: [docker.example.com]\n    listen: 0.0.0.0:2377\n"
    "    networks:\n      - {name: front, icc: false, subnet: 172.30.5.0/24, ipv6_subnet: 'fd00:5::/64'}\n"
    "      - {name: back, internal: true}\n"
    "clients:\n  - name: c1\n    hosts: [h2]\n  - name: c2\n    shell_profile: .bashrc\n"
)


def context(text: str, path: str) -> dict[str, Any]:
    return dict(next(step.context for step in plan(text).steps if step.path == path))


def test_steps_stand_in_the_order_in_which_they_depend_on_each_other() -> None:
    assert [step.path for step in plan(TWO).steps] == [
        "ca/10-create-ca.sh",
        "hosts/h1/10-request-certificate.sh",
        "hosts/h2/10-request-certificate.sh",
        "ca/20-sign-servers.sh",
        "clients/c1/10-request-certificate.sh",
        "clients/c2/10-request-certificate.sh",
        "ca/30-sign-clients.sh",
        "hosts/h1/20-configure-daemon.sh",
        "hosts/h2/20-configure-daemon.sh",
        "hosts/h2/30-create-networks.sh",
        "clients/c1/20-configure-client.sh",
        "clients/c2/20-configure-client.sh",
        "hosts/h1/40-show-namespaces.sh",
        "hosts/h2/40-show-namespaces.sh",
        "clients/c1/50-show-tls-modes.sh",
        "clients/c2/50-show-tls-modes.sh",
        "hosts/h1/60-watch-expiry.sh",
        "hosts/h2/60-watch-expiry.sh",
        "clients/c1/60-check-expiry.sh",
        "clients/c2/60-check-expiry.sh",
        "ca/60-roll-over-ca.sh",
        "ca/70-back-up-ca.sh",
        "ca/80-list-certificates.sh",
        "hosts/h1/90-verify.sh",
        "hosts/h2/90-verify.sh",
        "hosts/h1/91-prove-isolation.sh",
        "hosts/h2/91-prove-isolation.sh",
        "clients/c1/90-verify.sh",
        "clients/c2/90-verify.sh",
    ]


def test_a_site_without_clients_has_no_step_for_them() -> None:
    steps = plan(ONE_HOST).steps
    assert [step.path for step in steps if "client" in step.path] == []
    assert len(steps) == 11


def test_the_readme_has_every_step_with_its_party_and_what_it_needs() -> None:
    found = plan(TWO)
    rows = found.readme["rows"]
    assert isinstance(rows, tuple)
    assert [tuple(row.values()) for row in rows[:2]] == [
        ("ca/10-create-ca.sh", "ca", "passphrase", "always"),
        ("hosts/h1/10-request-certificate.sh", "hosts/h1", "nothing", "always"),
    ]
    assert {row["step"] for row in rows if row["when"] == "on-demand"} == {
        step.path for step in found.steps if "/60-" in step.path or step.path.startswith(("ca/7", "ca/8"))
    }
    assert {row["step"]: row["needs"] for row in rows}["hosts/h2/20-configure-daemon.sh"] == "dockerd"


def table(text: str, name: str) -> list[str]:
    """Return the rows of one of setup.sh's tables."""
    rows = plan(text).setup.context[name]
    assert isinstance(rows, tuple)
    return [str(row) for row in rows]


def test_setup_has_a_row_of_each_step_with_what_steers_it() -> None:
    rows = table(TWO, "step_rows")
    assert [row.split()[0] for row in rows] == [step.path for step in plan(TWO).steps]
    assert [row for row in rows if row.split()[1] in ("ca", "hosts/h2", "clients/c1")] == [
        "ca/10-create-ca.sh ca needs:passphrase asks:passphrase : has changes to make",
        "hosts/h2/10-request-certificate.sh hosts/h2 asks:passphrase : has changes to make",
        "ca/20-sign-servers.sh ca needs:passphrase asks:passphrase awaits:requests : signs what is requested",
        "clients/c1/10-request-certificate.sh clients/c1 asks:passphrase : has changes to make",
        "ca/30-sign-clients.sh ca needs:passphrase asks:passphrase awaits:requests : signs what is requested",
        "hosts/h2/20-configure-daemon.sh hosts/h2 needs:dockerd asks:restart awaits:certificate : has changes to make",
        "hosts/h2/30-create-networks.sh hosts/h2 needs:dockerd : has changes to make",
        "clients/c1/20-configure-client.sh clients/c1 awaits:certificate : has changes to make",
        "hosts/h2/40-show-namespaces.sh hosts/h2 looks needs:dockerd needs:probe-image : shows",
        "clients/c1/50-show-tls-modes.sh clients/c1 looks needs:docker-client : shows",
        "hosts/h2/60-watch-expiry.sh hosts/h2 on-demand needs:dockerd : has changes to make",
        "clients/c1/60-check-expiry.sh clients/c1 on-demand : has changes to make",
        "ca/60-roll-over-ca.sh ca on-demand needs:passphrase asks:passphrase : has changes to make",
        "ca/70-back-up-ca.sh ca on-demand needs:passphrase asks:passphrase : has changes to make",
        "ca/80-list-certificates.sh ca on-demand : has changes to make",
        "hosts/h2/90-verify.sh hosts/h2 looks needs:dockerd : verifies",
        "hosts/h2/91-prove-isolation.sh hosts/h2 looks needs:dockerd needs:probe-image : verifies",
        "clients/c1/90-verify.sh clients/c1 looks : verifies",
    ]


def test_setup_knows_each_party_by_its_files() -> None:
    assert table(PLAIN, "party_rows") == [
        "ca ca-private.pem - - -",
        "hosts/h1 server-key.pem request.csr certificate.pem ca/20-sign-servers.sh",
        "clients/c1 client-key.pem client-request.csr client-certificate.pem ca/30-sign-clients.sh",
        "hosts/h2 - - - -",
    ]


def test_only_what_installs_a_certificate_waits_for_it() -> None:
    rows = table(PLAIN, "step_rows")
    assert [row.split()[0] for row in rows if " awaits:certificate " in row] == [
        "hosts/h1/20-configure-daemon.sh",
        "clients/c1/20-configure-client.sh",
    ]
    assert "hosts/h2/20-configure-daemon.sh hosts/h2 needs:dockerd asks:restart : has changes to make" in rows


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_the_words_of_a_row_are_separated_by_one_blank(path: object) -> None:
    """setup.sh takes a row apart at its blanks."""
    context = make_plan(read_site(path)).setup.context  # type: ignore[arg-type]
    for row in (*context["party_rows"], *context["step_rows"]):  # type: ignore[misc]
        words, _, said = str(row).partition(" : ")
        assert all(words.split(" "))
        assert bool(said) == (row in context["step_rows"])  # type: ignore[operator]


def test_only_the_steps_of_a_daemon_need_root() -> None:
    assert {step.path for step in plan(ONE_HOST).steps if step.needs_root} == {
        "hosts/docker.example.com/20-configure-daemon.sh",
        "hosts/docker.example.com/40-show-namespaces.sh",
        "hosts/docker.example.com/60-watch-expiry.sh",
        "hosts/docker.example.com/90-verify.sh",
        "hosts/docker.example.com/91-prove-isolation.sh",
    }


def test_only_one_step_restarts_anything() -> None:
    assert [step.path for step in plan(ONE_HOST).steps if step.restarts] == [
        "hosts/docker.example.com/20-configure-daemon.sh"
    ]


def test_steps_that_verify_or_measure_leave_nothing_behind() -> None:
    """Their commands start containers, and remove them; a report is written where it is asked for."""
    for step in plan(TWO).steps:
        if step.path.endswith(("50-show-tls-modes.sh", "90-verify.sh")):
            kept = ("/run/dockseal.lock",)
            assert set(step.writes) <= set(kept)
            assert step.effects.units + step.effects.networks + step.effects.users + step.effects.removes == ()


def test_the_common_name_comes_first_among_the_alternative_names() -> None:
    text = "hosts:\n  - name: aa\n    dns_names: [bb, aa]\n    ip_addresses: [10.0.0.1, 'fe80::1']\n"
    names = context(text, "hosts/aa/10-request-certificate.sh")["alternative_names"]
    assert names == "DNS:aa,DNS:bb,IP:10.0.0.1,IP:FE80:0:0:0:0:0:0:1"


def test_a_clients_only_name_is_its_own() -> None:
    assert context(TWO, "clients/c1/10-request-certificate.sh")["alternative_names"] == "DNS:c1"


@pytest.mark.parametrize(
    ("listen", "probe", "digits"),
    [
        ("0.0.0.0:2376", "127.0.0.1", "00000000"),
        ("[::]:2376", "::1", "0" * 32),
        ("10.0.0.1:2376", "10.0.0.1", "0A000001"),
        ("[fe80::1]:2376", "fe80::1", "FE80000000000000" + "0000000000000001"),
    ],
)
def test_a_probe_goes_where_the_daemon_listens(listen: str, probe: str, digits: str) -> None:
    text = f"hosts:\n  - name: aa\n    ip_addresses: [10.0.0.1, 'fe80::1']\n    listen: '{listen}'\n"
    found = context(text, "hosts/aa/20-configure-daemon.sh")
    assert (found["listen"], found["probe_address"], found["listen_hex"]) == (listen, probe, digits)


def test_a_client_knows_its_hosts_and_a_host_its_clients() -> None:
    rows = context(TWO, "clients/c2/20-configure-client.sh")["rows"]
    assert rows == (
        {"name": "h1", "docker_host": "tcp://[fe80::1]:2376"},
        {"name": "h2", "docker_host": "tcp://docker.example.com:2377"},
    )
    assert context(TWO, "hosts/h1/90-verify.sh")["client_folders"] == ("clients/c2",)
    assert context(TWO, "hosts/h2/90-verify.sh")["client_folders"] == ("clients/c1", "clients/c2")


def test_a_host_has_its_networks_where_they_are_created_and_where_they_are_verified() -> None:
    rows = (
        {"name": "front", "icc": "false", "internal": "false", "subnet": "172.30.5.0/24", "ipv6_subnet": "fd00:5::/64"},
        {"name": "back", "icc": "true", "internal": "true", "subnet": "", "ipv6_subnet": ""},
    )
    assert context(TWO, "hosts/h2/30-create-networks.sh")["networks"] == rows
    assert context(TWO, "hosts/h2/91-prove-isolation.sh")["networks"] == rows
    assert context(TWO, "hosts/h1/91-prove-isolation.sh")["networks"] == ()


PLAIN = "hosts:\n  - name: h1\n  - {name: h2, mode: plain, userns_remap: default}\nclients:\n  - name: c1\n"


def test_a_plain_host_takes_no_part_in_certificates() -> None:
    found = {step.path: step for step in plan(PLAIN).steps}
    assert "hosts/h2/10-request-certificate.sh" not in found
    for path in ("ca/20-sign-servers.sh", "clients/c1/90-verify.sh"):
        assert [row["name"] for row in context(PLAIN, path)["rows"]] == ["h1"]
    configure = found["hosts/h2/20-configure-daemon.sh"]
    assert configure.template == "configure-plain-daemon.sh"
    assert configure.context["listen"] == "127.0.0.1:2375"
    drop_in = "/etc/systemd/system/docker.service.d/override.conf"
    assert list(configure.writes) == [drop_in, *ACCOUNTS, "/run/dockseal.lock"]
    assert found["hosts/h2/90-verify.sh"].template == "verify-plain-host.sh"


def test_a_site_of_plain_hosts_has_no_ca() -> None:
    paths = [step.path for step in plan("hosts:\n  - {name: h2, mode: plain}\n").steps]
    assert paths == [
        f"hosts/h2/{name}.sh"
        for name in ("20-configure-daemon", "40-show-namespaces", "90-verify", "91-prove-isolation")
    ]


CERTIFICATE = ("--tlscert=/etc/docker/tls/certificate.pem", "--tlskey=/etc/docker/tls/server-key.pem")


@pytest.mark.parametrize(
    ("host", "options"),
    [
        (
            "mode: mutual, listen: '0.0.0.0:2377'",
            ("--tlsverify", "--tlscacert=/etc/docker/tls/ca-public.pem", *CERTIFICATE),
        ),
        ("mode: server-only, listen: '0.0.0.0:2377'", ("--tlsverify=false", *CERTIFICATE)),
        ("mode: plain, listen: '127.0.0.1:2377'", ()),
        (
            "mode: plain, listen: '127.0.0.1:2377', icc: false, userns_remap: user",
            ("--icc=false", "--userns-remap=user"),
        ),
    ],
)
def test_the_words_that_dockerd_gets_are_decided_once(host: str, options: tuple[str, ...]) -> None:
    text = f"hosts:\n  - {{name: h1, {host}}}\n"
    for name in ("20-configure-daemon.sh", "90-verify.sh"):
        found = context(text, f"hosts/h1/{name}")
        assert tuple(word for words in found["dockerd_words"] for word in words) == (
            "-H",
            "unix:///var/run/docker.sock",
            "-H",
            f"tcp://{found['listen']}",
            *options,
        )


@pytest.mark.parametrize(("value", "users"), [("default", ("dockremap",)), ("someone", ())])
def test_the_user_that_dockerd_makes_is_declared(value: str, users: tuple[str, ...]) -> None:
    steps = plan(f"hosts:\n  - {{name: h1, userns_remap: {value}}}\n").steps
    configure = next(step for step in steps if step.template == "configure-daemon.sh")
    assert configure.effects.users == users
    assert configure.context["userns_remap"] == value


def test_a_step_that_reads_what_no_earlier_step_makes_is_an_error() -> None:
    make = step("a.sh", writes=("x",))
    read = step("b.sh", reads=("x", "/etc/passwd"))
    check_order([make, read])
    with pytest.raises(TemplateError, match="^b.sh reads x, which no earlier step makes; mend the plan$"):
        check_order([read, make])


def test_a_step_that_reads_what_an_earlier_step_removes_is_an_error() -> None:
    steps = [step("a.sh", writes=("x",)), step("b.sh", removes=("x",)), step("c.sh", reads=("x",))]
    with pytest.raises(TemplateError, match="^c.sh reads x,"):
        check_order(steps)


def step(path: str, reads: tuple[str, ...] = (), writes: tuple[str, ...] = (), removes: tuple[str, ...] = ()) -> Step:
    effects = Effects(files=tuple(File(name, "operator", "0600") for name in writes), removes=removes)
    return Step(path, "ca", path, "test", {}, reads=reads, effects=effects)


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_no_private_key_is_read_by_another_party(path: object) -> None:
    site = read_site(path)  # type: ignore[arg-type]
    keys = {site.files.server_key, site.files.client_key, site.files.ca_key}
    for found in make_plan(site).steps:
        for read in found.reads:
            folder, _, name = read.rpartition("/")
            if name in keys and not read.startswith(("/", "~")):
                assert folder == found.party


@pytest.mark.parametrize(
    ("text", "printed"), [("192.168.0.1", "192.168.0.1"), ("fe80::1", "FE80:0:0:0:0:0:0:1"), ("::1", "0:0:0:0:0:0:0:1")]
)
def test_addresses_are_spelled_as_openssl_prints_them(text: str, printed: str) -> None:
    assert openssl_address(text) == printed


def test_the_serial_file_has_the_stem_of_the_certificate() -> None:
    assert (serial_name("ca-public.pem"), serial_name("ca")) == ("ca-public.srl", "ca.srl")
