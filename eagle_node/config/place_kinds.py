"""Kinds of option values that say where something is: the cluster, containerd. No IO."""

from __future__ import annotations

import ipaddress
import re

from eagle_node.config.kinds import Kind, address, parse_path
from eagle_node.config.places import DnsTarget, HostTarget, JoinTarget, MdnsTarget, VipAddress
from eagle_node.config.tree import StoreChoice
from eagle_node.runtime.sockets import Address, is_loopback

GOSSIP_PORT = 7946
"""Port of join targets that name none."""
_DNS_PORT = 53
_HOST_OR_IP = address(GOSSIP_PORT)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_INTERFACE = re.compile(r"(?!\.{1,2}\Z)[!-.0-~]{1,15}\Z")
"""What the kernel takes as a device's name: at most 15 characters, no blank, no slash."""
_JOIN_FORMS = "write HOST[:PORT], [IPV6]:PORT, dns:NAME[:PORT] or mdns"
_VIP_FORMS = "write ADDR/LEN[@IFACE], like 10.0.0.100/24@eth0"


def _parse_join(text: str) -> JoinTarget:
    if text.lower() == "mdns":
        return MdnsTarget()
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() == "dns" and not rest.isdecimal():
        return _parse_dns(text, rest)
    parsed = _parse_host(text, text)
    _check_reachable(text, parsed.host)
    return HostTarget(address=parsed)


def _parse_dns(text: str, rest: str) -> DnsTarget:
    parsed = _parse_host(text, rest)
    name = parsed.host.removesuffix(".")
    if _is_ip(name) or not all(map(_LABEL.match, name.split("."))):
        raise ValueError(f"{text!r} names no DNS domain; write dns:NAME[:PORT]")
    return DnsTarget(name=parsed.host, port=parsed.port)


def _parse_host(text: str, written: str) -> Address:
    try:
        parsed = _HOST_OR_IP.parse(written)
    except ValueError:
        raise ValueError(f"{text!r} is no join target; {_JOIN_FORMS}") from None
    assert isinstance(parsed, Address)
    if parsed.port == 0:
        raise ValueError(f"{text!r} has port 0, where nobody listens; {_JOIN_FORMS}")
    return parsed


def _check_reachable(text: str, host: str) -> None:
    if not _is_ip(host):
        return
    ip = ipaddress.ip_address(host)
    if ip.is_unspecified or ip.is_multicast:
        raise ValueError(f"{text!r} reaches no node; {_JOIN_FORMS}")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parse_resolver(text: str) -> Address:
    try:
        parsed = address(_DNS_PORT).parse(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, Address) or not _is_ip(parsed.host) or parsed.port == 0:
        raise ValueError(f"{text!r} is no resolver; write IP[:PORT], like 10.0.0.53")
    return parsed


def _parse_vip(text: str) -> VipAddress:
    written, at, interface = text.partition("@")
    if at and not _INTERFACE.match(interface):
        raise ValueError(f"{text!r} names no interface after the @; {_VIP_FORMS}")
    host, slash, length = written.partition("/")
    if not slash or not length.isdecimal() or not length.isascii():
        raise ValueError(f"{text!r} has no network length; {_VIP_FORMS}")
    try:
        parsed = ipaddress.ip_interface(f"{ipaddress.ip_address(host)}/{length[:4]}")
    except ValueError:
        raise ValueError(f"{text!r} is no virtual address; {_VIP_FORMS}") from None
    _check_assignable(text, parsed)
    return VipAddress(
        ip=ipaddress.ip_address(host),
        length=parsed.network.prefixlen,
        interface=interface or None,
    )


def _check_assignable(text: str, parsed: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> None:
    """`ValueError` for addresses that no host may take over from another one."""
    ip, network = parsed.ip, parsed.network
    special = ip.is_unspecified or ip.is_multicast or ip.is_link_local or is_loopback(str(ip))
    if special or getattr(ip, "ipv4_mapped", None) or getattr(ip, "scope_id", None):
        raise ValueError(f"{text!r} cannot move between hosts; write a unicast address of a LAN")
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} has a network of length 0; {_VIP_FORMS}")
    wide = network.num_addresses > 2
    if wide and ip == network.network_address:
        raise ValueError(f"{text!r} is the network itself; write the address of a host in it")
    if wide and ip.version == 4 and ip == network.broadcast_address:
        raise ValueError(f"{text!r} is the network's broadcast; write the address of a host in it")


def _parse_store(text: str) -> StoreChoice:
    return StoreChoice(path=None if text == "auto" else parse_path(text))


JOIN = Kind(metavar="ADDR|dns:NAME|mdns", parse=_parse_join)
"""A `JoinTarget`."""
RESOLVER = Kind(metavar="IP[:PORT]", parse=_parse_resolver)
STORE = Kind(metavar="auto|PATH", parse=_parse_store)
"""A `StoreChoice`."""
VIP = Kind(metavar="ADDR/LEN[@IFACE]", parse=_parse_vip)
