"""Which interface a virtual address belongs to. No IO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from eagle_node.base.errors import StartError
from eagle_node.config.places import VipAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface of this host."""

    index: int
    name: str
    is_ethernet: bool
    """Has neighbours that resolve addresses to MACs."""
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    """Addresses of its own, no virtual ones."""

    def reaches(self, vip: VipAddress) -> bool:
        """Whether one of its networks holds the virtual address."""
        return any(
            vip.ip.version == own.version and vip.ip in own.network for own in self.addresses
        )


def choose_interface(vip: VipAddress, interfaces: Sequence[Interface]) -> Interface:
    """The named interface, else the one that is in the address's network.

    `StartError` names the address, the interfaces there are, and the way out.
    """
    usable = {each.name: each for each in interfaces if each.is_ethernet}
    known = ", ".join(sorted(usable)) or "none"
    if vip.interface is not None:
        if vip.interface in usable:
            return usable[vip.interface]
        raise StartError(
            f"--vip {vip}: this host has no Ethernet interface {vip.interface}; it has {known}"
        )
    fitting = [each for each in usable.values() if each.reaches(vip)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(sorted(each.name for each in fitting))
        raise StartError(
            f"--vip {vip}: {names} are all in its network; choose one with {vip}@INTERFACE"
        )
    raise StartError(
        f"--vip {vip}: no interface of this host is in its network; name one of {known} with "
        f"{vip}@INTERFACE"
    )
