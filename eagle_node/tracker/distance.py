"""How far two hosts are apart: zone and rack labels first, then their common address prefix."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from eagle_node.tracker.schema import NodeInfo


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is; a stranger has empty labels."""

    host: str
    zone: str = ""
    rack: str = ""


def place_of(node: NodeInfo) -> Place:
    """Where ``node`` says it is."""
    return Place(node.host, node.zone, node.rack)


def distance(a: Place, b: Place) -> tuple[int, int]:
    """Orders hosts by nearness: (0 same rack, 1 same zone, 2 elsewhere; minus common prefix bits).

    Racks are told apart only within a zone. IPv4 and IPv6 addresses have no prefix in common.
    """
    labels = 2 if a.zone != b.zone else int(a.rack != b.rack)
    return labels, -common_prefix(a.host, b.host)


def common_prefix(a: str, b: str) -> int:
    """Leading bits that two IP addresses of one family share."""
    width, left = _number(a)
    other_width, right = _number(b)
    if width != other_width:
        return 0
    return width - (left ^ right).bit_length()


@lru_cache(maxsize=1 << 16)
def _number(host: str) -> tuple[int, int]:
    address = ipaddress.ip_address(host)
    return address.max_prefixlen, int(address)
