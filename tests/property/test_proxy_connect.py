"""Whatever a client sends as a CONNECT, and however it cuts it."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.config.hosts import parse_pattern, parse_target
from eagle_node.proxy.intercept import parse_head
from eagle_node.registry.names import BadName
from eagle_node.runtime.sockets import Address

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.builds(lambda labels, top: ".".join([*labels, top]), st.lists(LABELS), st.just("test"))
HOSTS = NAMES | st.ip_addresses().map(str)
PORTS = st.integers(1, 65535)
TARGETS = st.builds(Address, HOSTS, PORTS)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_target_or_refused(data: bytes) -> None:
    """Never anything else."""
    for head in (data, b"CONNECT " + data, b"CONNECT a.test:1 HTTP/1.1\r\n" + data):
        try:
            target = parse_head(head)
        except BadName:
            continue
        assert parse_target(str(target)) == target


@given(TARGETS, st.sampled_from(["1.0", "1.1"]))
def test_every_host_and_port_is_a_target(target: Address, version: str) -> None:
    """Names, and addresses of both kinds."""
    head = f"CONNECT {target} HTTP/{version}\r\nHost: {target}\r\nUser-Agent: x/1\r\n\r\n"
    assert parse_head(head.encode()) == target


@given(TARGETS, TARGETS)
def test_a_pattern_means_what_it_is_written_like(one: Address, other: Address) -> None:
    """And nothing else; it reads back as itself."""
    pattern = parse_pattern(str(one))
    assert pattern.matches(one)
    assert pattern.matches(other) == (one == other)
    assert parse_pattern(str(pattern)) == pattern


@given(NAMES.filter(lambda name: "." in name), LABELS, PORTS)
def test_a_wildcard_means_names_below_it(domain: str, label: str, port: int) -> None:
    """Not the domain itself, and no address."""
    pattern = parse_pattern(f"*.{domain}:{port}")
    assert pattern.matches(Address(f"{label}.{domain}", port))
    assert not pattern.matches(Address(domain, port))
    assert not pattern.matches(Address(f"{label}{domain}", port))
    assert not pattern.matches(Address(str(ipaddress.IPv4Address("10.0.0.5")), port))
