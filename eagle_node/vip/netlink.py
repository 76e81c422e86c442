"""The kernel's addresses, by netlink (rtnetlink(7)).

Addresses of ours end by themselves (a finite lifetime) and are marked, so that a later run knows
them: IPv4 ones by their label, IPv6 ones by NODAD together with a finite lifetime, which neither
autoconfiguration nor DHCPv6 makes. They are deprecated from the start: no connection of this host
takes one as its source.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from eagle_node.base.errors import StartError, Unavailable
from eagle_node.config.places import VipAddress
from eagle_node.vip.placement import Interface

_NODAD = 0x02
_NOPREFIXROUTE = 0x200
_LINK_ETHERNET = 1
"""ARPHRD_ETHER."""
_FOREVER = 0xFFFFFFFF
_NO_INTERFACE = 0x7FFFFFFF
"""An index that no interface has."""
_LABEL_SUFFIX = ":eagle"
_MAX_LABEL = 15
"""IFNAMSIZ without its final NUL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An interface that has the virtual address."""

    index: int
    length: int
    is_ours: bool
    """Put there by this program, in this run or a former one."""


class AddressTable:
    """The kernel's addresses in the network namespace of this process."""

    def __init__(self, route: Any) -> None:
        self._route = route
        """pyroute2's ``AsyncIPRoute``."""

    async def interfaces(self) -> list[Interface]:
        """All interfaces, with their addresses but for those that are ours."""
        addresses: dict[int, list[Any]] = {}
        async for message in await self._route.addr("dump"):
            if not _is_ours(message):
                addresses.setdefault(message["index"], []).append(
                    ip_interface((_address(message), message["prefixlen"]))
                )
        return [
            Interface(
                index=link["index"],
                name=link.get("ifname"),
                is_ethernet=link["ifi_type"] == _LINK_ETHERNET,
                addresses=tuple(addresses.get(link["index"], ())),
            )
            async for link in await self._route.link("dump")
        ]

    async def find(self, vip: VipAddress) -> list[Placed]:
        """Where the address is now."""
        return [
            Placed(index=message["index"], length=message["prefixlen"], is_ours=_is_ours(message))
            async for message in await self._route.addr("dump")
            if _address(message) == str(vip.ip)
        ]

    async def put(self, vip: VipAddress, interface: Interface, lifetime_s: int) -> None:
        """Add the address, or set its lifetime anew; `Unavailable` names what forbids it."""
        extra: dict[str, object] = {}
        if vip.ip.version == 4:
            extra["label"] = interface.name[: _MAX_LABEL - len(_LABEL_SUFFIX)] + _LABEL_SUFFIX
        # The route of a network that is there anyway must not end with our address.
        flags = _NODAD | (_NOPREFIXROUTE if interface.reaches(vip) else 0)
        try:
            await self._call(
                "replace",
                index=interface.index,
                address=str(vip.ip),
                prefixlen=vip.length,
                flags=flags,
                preferred=0,
                valid=lifetime_s,
                **extra,
            )
        except OSError as error:
            raise Unavailable(
                f"cannot add {vip.ip}/{vip.length} to {interface.name}: {error.strerror}"
            ) from error

    async def remove(self, vip: VipAddress, index: int, *, length: int) -> bool:
        """Whether the address was there and is gone; `Unavailable` names what forbids it."""
        try:
            await self._call("delete", index=index, address=str(vip.ip), prefixlen=length)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
                return False
            raise Unavailable(f"cannot remove {vip.ip}: {error.strerror}") from error
        return True

    async def check_privilege(self, vip: VipAddress) -> None:
        """`StartError` unless this process may change addresses; nothing changes.

        The kernel looks at the privilege before it looks for the interface, which there is not.
        """
        try:
            await self.remove(vip, _NO_INTERFACE, length=vip.length)
        except Unavailable as error:
            raise StartError(
                f"--vip {vip}: this process may not change addresses; run it as root or with "
                "CAP_NET_ADMIN and CAP_NET_RAW, or leave --vip out on this node"
            ) from error

    async def _call(self, command: str, **arguments: object) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            await self._route.addr(command, **arguments)
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code)) from error


@asynccontextmanager
async def open_address_table() -> AsyncIterator[AddressTable]:
    """The table while the block lasts; pyroute2 (13 MiB) is loaded by who needs it only."""
    from pyroute2.iproute.linux import AsyncIPRoute

    async with AsyncIPRoute() as route:
        yield AddressTable(route)


def _address(message: Any) -> str:
    return str(message.get("local") or message.get("address"))


def _is_ours(message: Any) -> bool:
    if (message.get("label") or "").endswith(_LABEL_SUFFIX):
        return True
    is_finite = message.get("cacheinfo")["ifa_valid"] != _FOREVER
    return ":" in _address(message) and is_finite and bool(message.get("flags") & _NODAD)
