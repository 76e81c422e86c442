"""Packets that ask who has an address, and that tell who has it from here on. No IO.

ARP for IPv4 (RFC 826, 5227), neighbour discovery for IPv6 (RFC 4861), each as an Ethernet frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
MAC_LENGTH = 6

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_ETHERNET_IPV4 = (1, 0x0800, 6, 4)
"""Hardware type, protocol type and the lengths of their addresses."""
_ARP_REQUEST, _ARP_REPLY = 1, 2
_BROADCAST = b"\xff" * MAC_LENGTH
_NO_MAC = bytes(MAC_LENGTH)
_NO_IPV4 = IPv4Address(0)

_ICMPV6 = 58
_HOP_LIMIT = 255
"""Of every neighbour discovery packet: no router has forwarded it (RFC 4861 section 7.1)."""
_SOLICITATION, _ADVERTISEMENT = 135, 136
_OVERRIDE = 0x20000000
"""Neighbours replace the link-layer address that they have cached (RFC 4861 section 4.4)."""
_TARGET_LINK_LAYER_ADDRESS = 2
_ALL_NODES = IPv6Address("ff02::1")
_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))
"""Multicast prefix that the last 24 bits of an address complete (RFC 4291 section 2.7.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody says that an address is theirs."""

    ip: IPv4Address | IPv6Address
    mac: bytes


def announcements(mac: bytes, ip: IPv4Address | IPv6Address) -> tuple[bytes, ...]:
    """Frames after which every neighbour sends what is for ``ip`` to ``mac``.

    ARP has two forms, and there are neighbours that heed only one of them (RFC 5227 section 3).
    """
    if isinstance(ip, IPv6Address):
        return (_advertisement(mac, ip),)
    return (
        _arp(_ARP_REQUEST, mac, ip, _NO_MAC, ip),
        _arp(_ARP_REPLY, mac, ip, _BROADCAST, ip),
    )


def probe(mac: bytes, ip: IPv4Address | IPv6Address) -> bytes:
    """A frame that whoever has ``ip`` answers, and that nobody learns anything from.

    RFC 5227 section 2.1.1 (no sender address), RFC 4862 section 5.4.2 (from the unspecified one).
    """
    if isinstance(ip, IPv4Address):
        return _arp(_ARP_REQUEST, mac, _NO_IPV4, _NO_MAC, ip)
    group = IPv6Address(_SOLICITED_NODE | (int(ip) & 0xFFFFFF))
    return _frame(
        mac, IPv6Address(0), group, struct.pack("!BBHI16s", _SOLICITATION, 0, 0, 0, ip.packed)
    )


def parse_arp(frame: bytes) -> Claim | None:
    """Who claims which address in an Ethernet frame with ARP; None: nobody does."""
    body = frame[14 : 14 + _ARP.size]
    if len(body) < _ARP.size or frame[12:14] != ETHERTYPE_ARP.to_bytes(2, "big"):
        return None
    *kind, operation, mac, sender, _, _ = _ARP.unpack(body)
    ip = IPv4Address(sender)
    if tuple(kind) != _ARP_ETHERNET_IPV4 or operation not in (_ARP_REQUEST, _ARP_REPLY):
        return None
    return None if ip == _NO_IPV4 else Claim(ip=ip, mac=mac)


def parse_advertisement(message: bytes, hop_limit: int) -> Claim | None:
    """Who claims which address in an ICMPv6 message; None when it is no valid advertisement."""
    if len(message) < 24 or message[0] != _ADVERTISEMENT or message[1] or hop_limit != _HOP_LIMIT:
        return None
    options = message[24:]
    while len(options) >= 8 and options[1]:
        if options[0] == _TARGET_LINK_LAYER_ADDRESS:
            return Claim(ip=IPv6Address(message[8:24]), mac=options[2:8])
        options = options[8 * options[1] :]
    return None


def mac_text(mac: bytes) -> str:
    """``02:00:5e:10:00:01``."""
    return mac.hex(":")


def _arp(
    operation: int, mac: bytes, sender: IPv4Address, target_mac: bytes, target: IPv4Address
) -> bytes:
    body = _ARP.pack(*_ARP_ETHERNET_IPV4, operation, mac, sender.packed, target_mac, target.packed)
    return _BROADCAST + mac + ETHERTYPE_ARP.to_bytes(2, "big") + body


def _advertisement(mac: bytes, ip: IPv6Address) -> bytes:
    option = struct.pack("!BB6s", _TARGET_LINK_LAYER_ADDRESS, 1, mac)
    head = struct.pack("!BBHI16s", _ADVERTISEMENT, 0, 0, _OVERRIDE, ip.packed)
    return _frame(mac, ip, _ALL_NODES, head + option)


def _frame(mac: bytes, source: IPv6Address, group: IPv6Address, message: bytes) -> bytes:
    """An ICMPv6 message, whose checksum is still zero, to a multicast group."""
    pseudo = source.packed + group.packed + struct.pack("!II", len(message), _ICMPV6)
    checksum = _checksum(pseudo + message)
    packet = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, _HOP_LIMIT)
    packet += source.packed + group.packed
    packet += message[:2] + checksum.to_bytes(2, "big") + message[4:]
    ethernet = b"\x33\x33" + group.packed[-4:] + mac  # RFC 2464 section 7
    return ethernet + ETHERTYPE_IPV6.to_bytes(2, "big") + packet


def _checksum(data: bytes) -> int:
    """The internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
