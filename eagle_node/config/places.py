"""Where a cluster is looked for, and the address that its holder carries. No IO."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from eagle_node.runtime.sockets import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTarget:
    """One node, or the virtual address, by IP or by a name that may stand for several."""

    address: Address

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsTarget:
    """A DNS name whose SRV, else A and AAAA records are nodes."""

    name: str
    port: int
    """Gossip port of nodes that no SRV record describes."""

    def __str__(self) -> str:
        return f"dns:{self.name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MdnsTarget:
    """Whoever announces the same cluster on the local network."""

    def __str__(self) -> str:
        return "mdns"


JoinTarget: TypeAlias = HostTarget | DnsTarget | MdnsTarget
"""A value of ``--join``; its text reads back as itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VipAddress:
    """A virtual address of the cluster, with its network's length."""

    ip: IPv4Address | IPv6Address
    length: int
    interface: str | None = None
    """Where it belongs; None: the interface that is in its network."""

    def __str__(self) -> str:
        place = f"@{self.interface}" if self.interface else ""
        return f"{self.ip}/{self.length}{place}"
