"""Rules of addresses and listeners."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from eagle_node.base.errors import StartError
from eagle_node.runtime.sockets import (
    Address,
    bound_address,
    in_words,
    is_loopback,
    listen_tcp,
    parse_address,
    route_source,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        (" node-1.example.com:65535 ", "node-1.example.com", 65535),
        ("[::1]:80", "::1", 80),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
        ("host", "host", 7),
        ("::1", "::1", 7),
        ("[::1]", "::1", 7),
        ("my_host:0", "my_host", 0),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    """IPv6 literals lose their brackets; a missing port is the default one."""
    assert parse_address(text, default_port=7) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "host:",
        "host:x",
        "host:-1",
        "host:65536",
        "host:" + "9" * 5000,
        "host:\u0668",
        "[::1",
        "[::1]80",
        "[]:80",
        "[host]:80",
        "[127.0.0.1]:80",
        "http://host:80",
        "http://host",
        "a b:80",
        "user@host:80",
        "host/path",
        "1::2::3",
        "host:80:90",
        "-host:80",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    """A URL, a path or a typing error is refused before anybody dials it."""
    with pytest.raises(ValueError):
        parse_address(text, default_port=None)


def test_a_port_may_be_required() -> None:
    """Without a default the port has to be there, and the error says so."""
    with pytest.raises(ValueError, match="no port"):
        parse_address("host")


@pytest.fixture
def taken() -> Iterator[Address]:
    """An address that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield bound_address(other)


def test_a_port_in_use_names_the_address_and_the_flag(taken: Address) -> None:
    """The error says what is in the way and which flag leads out."""
    with pytest.raises(StartError, match=rf"{taken}.*--proxy-listen"):
        listen_tcp(taken, flag="--proxy-listen")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
def test_a_host_that_does_not_resolve_names_the_flag(host: str) -> None:
    """Names that no resolver takes are a start error like any other."""
    with pytest.raises(StartError, match="--api-listen"):
        listen_tcp(Address(host, 0), flag="--api-listen")


def test_port_zero_takes_a_free_port() -> None:
    """The listener knows its port, and connections reach it."""
    with listen_tcp(Address("127.0.0.1", 0), flag="--x") as listener:
        address = bound_address(listener)
        assert address.port > 0
        socket.create_connection((address.host, address.port)).close()


def test_the_any_address_of_ipv6_takes_ipv4_as_well() -> None:
    """``[::]`` is every interface of both families."""
    with listen_tcp(Address("::", 0), flag="--x") as listener:
        socket.create_connection(("127.0.0.1", bound_address(listener).port)).close()


def test_loopback_is_known_by_address_and_by_name() -> None:
    """Only these may be listened on without being told to."""
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.0.2.1", "localhost.example"]))


def test_the_route_to_loopback_starts_at_loopback() -> None:
    """The kernel's routing table names the source address; no packet is sent."""
    assert route_source(Address("127.0.0.1", 9)) == "127.0.0.1"


def test_an_address_of_another_host_is_no_port_in_use() -> None:
    """The error says what is wrong instead of having somebody stopped (RFC 5737: TEST-NET-1)."""
    with pytest.raises(StartError, match=r"no address 192\.0\.2\.77; .*--proxy-listen"):
        listen_tcp(Address("192.0.2.77", 0), flag="--proxy-listen")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('192.0.2.1', 1)"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError("Multiple exceptions: ..."), "Multiple exceptions: ..."),
        (OSError(None, "Could not contact DNS servers"), "Could not contact DNS servers"),
        (TimeoutError(), "no answer in time"),
        (ValueError("Bad status line:\n\n  b'" + "x" * 10**6), "Bad status line"),
        (ValueError("a\x1b[2Jb" + "x" * 1000), "a�[2Jb" + "x" * 294 + "…"),
    ],
)
def test_a_failed_connection_is_told_in_the_systems_words(error: Exception, words: str) -> None:
    """Not in those of a library, which name its own parameters."""
    assert in_words(error) == words
