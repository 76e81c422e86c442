"""Raw sockets: probes and announcements on one interface (packet(7), CAP_NET_RAW)."""

from __future__ import annotations

import asyncio
import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from eagle_node.base.errors import StartError, Unavailable
from eagle_node.config.places import VipAddress
from eagle_node.vip.wire import (
    ETHERTYPE_ARP,
    Claim,
    announcements,
    parse_advertisement,
    parse_arp,
    probe,
)

PROBES = 3
PROBE_INTERVAL_S = 0.1
"""Who is on a LAN answers within milliseconds. RFC 5227 waits seconds in between, as hosts do that
all start at once; a take-over cannot wait."""

_ICMP6_FILTER = 1
_PASS_ADVERTISEMENTS = struct.pack(
    "=8I",
    *(0xFFFFFFFF & ~(1 << (136 - 32 * word) if word == 136 // 32 else 0) for word in range(8)),
)
"""A bit for each ICMPv6 type, set for those that are not wanted (RFC 3542 section 3.2)."""


def check_privilege(vip: VipAddress) -> None:
    """`StartError` unless this process may open raw sockets."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError as error:
        raise StartError(
            f"--vip {vip}: this process may not announce addresses; run it as root or with "
            "CAP_NET_RAW as well, or leave --vip out on this node"
        ) from error


def announce(interface: str, ip: IPv4Address | IPv6Address) -> None:
    """Tell all neighbours once that ``ip`` is here; `Unavailable` when the interface is down."""
    try:
        with _packets(interface, 0) as sender:
            for frame in announcements(_mac(sender), ip):
                sender.send(frame)
    except OSError as error:
        raise Unavailable(f"cannot announce {ip} on {interface}: {error.strerror}") from error


async def find_holder(interface: str, ip: IPv4Address | IPv6Address) -> bytes | None:
    """The MAC of the neighbour that answers for ``ip``; None: nobody does within 0.3 s."""
    try:
        with _packets(interface, 0) as sender, _listener(interface, ip) as listener:
            own = _mac(sender)
            listening = asyncio.create_task(
                _answer(listener, ip, own), name=f"probe of {ip} on {interface}"
            )
            try:
                for _ in range(PROBES):
                    sender.send(probe(own, ip))
                    if (await asyncio.wait([listening], timeout=PROBE_INTERVAL_S))[0]:
                        return listening.result()
                return None
            finally:
                listening.cancel()
                await asyncio.wait([listening])
    except OSError as error:
        raise Unavailable(f"cannot probe {ip} on {interface}: {error.strerror}") from error


async def _answer(listener: socket.socket, ip: IPv4Address | IPv6Address, own: bytes) -> bytes:
    """The MAC of the first neighbour that claims ``ip``."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(listener, readable.set)
    try:
        while True:
            claim = _receive(listener)
            if claim is None:
                readable.clear()
                await readable.wait()
            elif claim.ip == ip and claim.mac != own:
                return claim.mac
    finally:
        loop.remove_reader(listener)


def _receive(listener: socket.socket) -> Claim | None:
    """The next claim that has arrived; None when there is none left."""
    while True:
        try:
            data, ancillary, _, _ = listener.recvmsg(2048, socket.CMSG_SPACE(4))
        except BlockingIOError:
            return None
        if listener.family == socket.AF_PACKET:
            claim = parse_arp(data)
        else:
            limits = [struct.unpack_from("=i", value)[0] for _, _, value in ancillary]
            claim = parse_advertisement(data, limits[0] if limits else 0)
        if claim is not None:
            return claim


def _listener(interface: str, ip: IPv4Address | IPv6Address) -> socket.socket:
    if ip.version == 4:
        return _packets(interface, ETHERTYPE_ARP)
    listener = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        listener.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _PASS_ADVERTISEMENTS)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _packets(interface: str, ethertype: int) -> socket.socket:
    """A packet socket; of type 0 it receives nothing."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        packets.setblocking(False)
        packets.bind((interface, ethertype))
    except OSError:
        packets.close()
        raise
    return packets


def _mac(packets: socket.socket) -> bytes:
    """The interface's address as of now: bonds and bridges change theirs."""
    mac = packets.getsockname()[4]
    assert isinstance(mac, bytes)
    return mac
