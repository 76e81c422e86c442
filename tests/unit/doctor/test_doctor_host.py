"""Ports, disk, limits and secrets, on this machine's own."""

from __future__ import annotations

import datetime
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from eagle_node.base.findings import Finding, Level
from eagle_node.config.tree import (
    ApiConfig,
    CacheConfig,
    ClusterConfig,
    Config,
    NodeConfig,
    ProxyConfig,
    RegistryConfig,
    Role,
    SeederConfig,
    SwarmConfig,
    TrackerConfig,
)
from eagle_node.doctor.disk import check_data_dir, file_system_of
from eagle_node.doctor.host import check_advertised, check_clock, check_file_limit
from eagle_node.doctor.ports import check_ports, listeners
from eagle_node.doctor.process import Running, running_node
from eagle_node.doctor.secrets import check_secrets
from eagle_node.runtime.lock import exclusive
from eagle_node.runtime.sockets import Address
from eagle_node.trust.key import create_key_file
from tests.support.certificates import issue

ANY = Address("127.0.0.1", 0)


def config(directory: Path) -> Config:
    """A node of all roles whose ports are any free ones of loopback."""
    return Config(
        node=NodeConfig(data_dir=directory),
        proxy=ProxyConfig(listen=ANY),
        api=ApiConfig(listen=ANY),
        swarm=SwarmConfig(port=0, listen_host="127.0.0.1"),
        seeder=SeederConfig(metainfo_listen=ANY),
        tracker=TrackerConfig(listen=ANY),
        cache=CacheConfig(size=1 << 20, reserve=0),
    )


def levels(findings: list[Finding], subject: str) -> list[Level]:
    """How bad what was found about something is."""
    return [each.level for each in findings if each.subject == subject]


def test_free_ports_are_one_finding(tmp_path: Path) -> None:
    """All that is well takes one line."""
    (finding,) = check_ports(config(tmp_path), None)
    assert finding.level is Level.OK
    assert "(proxy)" in finding.text
    assert "(tracker)" in finding.text


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_names_who_and_the_flag(tmp_path: Path, kind: int) -> None:
    """Whoever holds a TCP port is named; gossip wants its port for datagrams too."""
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        address = Address(*taken.getsockname())
        cluster = ClusterConfig(enabled=True, gossip_listen=address, raft_listen=ANY)
        findings = check_ports(replace(config(tmp_path), cluster=cluster), None)
    (wrong,) = [each for each in findings if each.level is Level.ERROR]
    assert f"cannot listen on {address} (gossip)" in wrong.text
    assert wrong.remedy.endswith("--gossip-port")
    assert (f"(process {os.getpid()})" in wrong.text) == (kind == socket.SOCK_STREAM)


def test_roles_decide_which_ports_there_are(tmp_path: Path) -> None:
    """A node that is proxy and peer opens no seeder's or tracker's port, unless it may be given."""
    base = config(tmp_path)
    lean = replace(base, node=replace(base.node, roles=frozenset({Role.PROXY, Role.PEER})))
    assert {each.name for each in listeners(lean)} == {"proxy", "api", "swarm"}
    elected = replace(lean, cluster=ClusterConfig(enabled=True, elected=frozenset({Role.SEEDER})))
    names = {each.name for each in listeners(elected)}
    assert names == {"proxy", "api", "swarm", "metainfo", "gossip", "raft"}


def test_a_running_node_owns_its_ports(tmp_path: Path) -> None:
    """Its ports are its own; where it listens elsewhere than asked about, that is told."""
    with exclusive(tmp_path):
        (tmp_path / "ports.json").write_text('{"proxy": 4711, "api": 4712, "swarm": 0}')
        running = running_node(tmp_path)
        assert running == Running(pid=os.getpid(), ports={"proxy": 4711, "api": 4712, "swarm": 0})
        other = replace(config(tmp_path), proxy=ProxyConfig(listen=Address("127.0.0.1", 43002)))
        first, second = check_ports(other, running)
    assert first.text.endswith("listens on 4711 (proxy), 4712 (api)")
    assert "has proxy on 4711, not 43002" in second.text
    assert running_node(tmp_path) is None
    assert running_node(tmp_path / "nowhere") is None


def test_the_data_directory(tmp_path: Path) -> None:
    """There or to be made is well; a file in its place, or one that all may write in, is not."""
    assert levels(check_data_dir(config(tmp_path)), "data") == [Level.OK]
    assert levels(check_data_dir(config(tmp_path / "a" / "b")), "data") == [Level.OK]
    (tmp_path / "file").write_text("")
    assert levels(check_data_dir(config(tmp_path / "file")), "data") == [Level.ERROR]
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert levels(check_data_dir(config(tmp_path / "open")), "data") == [Level.ERROR]


def test_room(tmp_path: Path) -> None:
    """A reserve larger than the disk leaves nothing; a cache larger than it will be smaller."""
    base = config(tmp_path)
    assert levels(check_data_dir(base), "disk")[-1] is Level.OK
    full = replace(base, cache=CacheConfig(size=1 << 20, reserve=1 << 60))
    assert Level.ERROR in levels(check_data_dir(full), "disk")
    large = replace(base, cache=CacheConfig(size=1 << 60, reserve=0))
    assert Level.WARNING in levels(check_data_dir(large), "disk")


def test_file_systems_have_names() -> None:
    """The type is the kernel's word for the mount that a path is on."""
    assert file_system_of(Path("/proc/self")) == "proc"


def test_limits_and_clock_are_told() -> None:
    """Whatever this machine's are, there is one finding each, with a remedy unless it is well."""
    for finding in (
        check_file_limit(None),
        check_file_limit(Running(pid=1, ports={})),
        check_clock(),
    ):
        assert (finding.level is Level.OK) == (not finding.remedy)


def test_the_cluster_key(tmp_path: Path) -> None:
    """A private one is shown by its id; an open one, or none at all, is an error."""
    path = tmp_path / "key"
    key = create_key_file(path)
    base = config(tmp_path)
    keyed = replace(base, node=replace(base.node, cluster_key_file=path))
    now = datetime.datetime.now(datetime.UTC)
    (finding,) = check_secrets(keyed, now=now)
    assert key.key_id() in finding.text
    path.chmod(0o644)
    (finding,) = check_secrets(keyed, now=now)
    assert (finding.level, f"chmod 600 {path}" in finding.remedy) == (Level.ERROR, True)
    path.unlink()
    assert levels(check_secrets(keyed, now=now), "cluster key") == [Level.ERROR]
    clustered = replace(base, cluster=ClusterConfig(enabled=True))
    assert levels(check_secrets(clustered, now=now), "cluster key") == [Level.WARNING]


@pytest.mark.parametrize(
    ("days", "level"), [(-40, Level.OK), (0, Level.WARNING), (40, Level.ERROR)]
)
def test_certificates_expire(tmp_path: Path, days: int, level: Level) -> None:
    """A CA that ends within a month is a warning, one that has ended an error."""
    files = issue(tmp_path / "tls")
    registry = RegistryConfig(name="r.example", url="https://r", ca_file=files.authority)
    base = replace(config(tmp_path), proxy=ProxyConfig(listen=ANY, registries=(registry,)))
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    assert levels(check_secrets(base, now=now), "registry r.example") == [level]


def test_files_that_are_wrong(tmp_path: Path) -> None:
    """No PEM, not there, or open to everybody: each is told with its path."""
    (tmp_path / "ca.pem").write_text("no PEM")
    (tmp_path / "auth.json").write_text("{}")
    (tmp_path / "auth.json").chmod(0o644)
    registry = RegistryConfig(name="r", url="https://r", ca_file=tmp_path / "ca.pem")
    base = replace(
        config(tmp_path),
        proxy=ProxyConfig(registries=(registry,), docker_config=tmp_path / "auth.json"),
        api=ApiConfig(token_file=tmp_path / "nowhere"),
    )
    findings = check_secrets(base, now=datetime.datetime.now(datetime.UTC))
    assert levels(findings, "registry r") == [Level.ERROR]
    assert levels(findings, "credentials") == [Level.WARNING]
    assert levels(findings, "api token") == [Level.ERROR]


@pytest.mark.parametrize(
    ("address", "level"),
    [
        (None, []),
        ("127.0.0.1", [Level.OK]),
        ("192.0.2.77", [Level.WARNING]),
        ("2001:db8::77", [Level.WARNING]),
    ],
)
def test_an_advertised_address_of_another_host_is_told(
    tmp_path: Path, address: str | None, level: list[Level]
) -> None:
    """A typing error there keeps the others from ever reaching this node (RFC 5737, RFC 3849)."""
    found = config(tmp_path)
    given = replace(found, node=replace(found.node, advertise=address))
    assert levels(check_advertised(given), "advertise") == level
