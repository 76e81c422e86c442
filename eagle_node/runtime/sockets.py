"""Listening addresses and sockets, with errors that name the flag to change."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from eagle_node.base.errors import StartError

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?\Z")
"""A name or an IPv4 literal; whether it resolves is for the resolver to say."""
_TURNS = 3
"""Of the loop, until an accepted connection's protocol knows of it."""
_PORT = re.compile(r"[0-9]{1,5}\Z")
_SIOCGIFFLAGS, _SIOCGIFADDR = 0x8913, 0x8915
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
"""netdevice(7); numbers of ``linux/sockios.h`` and ``linux/if.h``."""


_BRIEF = 300
"""Characters of an error's words."""


@dataclass(frozen=True, slots=True)
class Address:
    """Host (a name or an IP literal, without brackets) and TCP or UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, default_port: int | None = None) -> Address:
    """``host:port``, ``[v6]:port`` or, with a default port, a bare host; ValueError otherwise."""
    host, port = text.strip(), ""
    if host.startswith("["):
        host, closing, port = host[1:].partition("]")
        if not closing or ":" not in host or (port and not port.startswith(":")):
            raise ValueError(f"{text!r} is not an address; write [v6]:port")
        port = port[1:]
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not port:
        if default_port is None:
            raise ValueError(f"{text!r} has no port; write host:port")
        port = str(default_port)
    if ":" in host:
        ipaddress.IPv6Address(host.partition("%")[0])
    elif not _HOST.match(host):
        raise ValueError(f"{text!r} is not an address; write host:port")
    if not _PORT.match(port) or int(port) > 65535:
        raise ValueError(f"{text!r} has no port from 0 to 65535; write host:port")
    return Address(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener bound to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen_tcp(address: Address, *, flag: str) -> socket.socket:
    """A bound TCP listener; `StartError` names address, reason and ``flag``, the way out."""
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise StartError(f"cannot resolve {address.host!r} ({flag}): {error}") from error
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address.host != "::"))
        listener.bind(where)
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {address}: {_way_out(error, address, flag)}") from error
    return listener


def _way_out(error: OSError, address: Address, flag: str) -> str:
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"this host has no address {address.host}; choose another with {flag}"
        case errno.EACCES:
            return f"{error.strerror}; ports below 1024 are root's, choose another with {flag}"
    return f"{error.strerror}; stop what uses it or choose another with {flag}"


def in_words(error: Exception) -> str:
    """What the system says of a failed connection, without the library's own wrapping of it."""
    inner = getattr(error, "os_error", error)  # aiohttp.ClientConnectorError
    if isinstance(inner, OSError) and inner.errno is not None:
        # asyncio's strerror repeats the address; negative numbers are getaddrinfo's.
        return os.strerror(inner.errno) if inner.errno > 0 else str(inner.strerror)
    if isinstance(inner, OSError) and inner.strerror:  # a resolver's, without a number
        return inner.strerror
    return brief(str(inner)) or "no answer in time"


def brief(text: str) -> str:
    """The first line of a library's words, bounded: some quote what a stranger has sent."""
    line = next(iter(text.splitlines()), "").strip().rstrip(":")
    line = "".join(each if each.isprintable() else "�" for each in line)
    return line if len(line) <= _BRIEF else f"{line[:_BRIEF]}…"


def bound_address(listener: socket.socket) -> Address:
    """Where a listener really listens (port 0 resolved)."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def route_source(target: Address) -> str:
    """The local IP that packets to ``target`` would carry; nothing is sent."""
    family, _, _, _, where = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(where)
        return str(probe.getsockname()[0])


def interface_addresses() -> Iterator[str]:
    """The first IPv4 address of each interface that is up, loopback left out (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                (flags,) = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)
                address = fcntl.ioctl(probe, _SIOCGIFADDR, request)[20:24]
            except OSError:  # has none, or is gone by now
                continue
            if flags & _IFF_UP and not flags & _IFF_LOOPBACK:
                yield socket.inet_ntoa(address)


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server's listeners once the connections that they have accepted are made.

    A connection that asyncio accepts in the very turn of the loop in which its server is closed is
    lost to both: `Server._attach` fails, and the socket stays open (CPython 3.11).
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    server.close()
