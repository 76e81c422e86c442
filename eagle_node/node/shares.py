"""Who moves how much of a blob, evened out over some seconds. No IO."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eagle_node.base.digest import Digest

SMOOTH_S = 3.0
"""Time constant of a rate."""
KEPT_S = 5.0
"""How long a host counts after the last byte."""


@dataclass(slots=True)
class _Host:
    rate: float
    moved_at: float
    looked_at: float


class Shares:
    """Rates by host, of blobs that go one way.

    A connection idles between requests, and that of a segment which is whole is let go: of a blob
    that arrives evenly, one look finds no source at all half of the time.
    """

    def __init__(self) -> None:
        self._blobs: dict[Digest, dict[str, _Host]] = {}

    def even(
        self, digest: Digest, rates: Mapping[str, int], now: float
    ) -> Sequence[tuple[str, int]]:
        """Hosts with their bytes/s, the fastest first; ``rates`` are those of this moment."""
        hosts = self._blobs.setdefault(digest, {})
        for name, rate in rates.items():
            if rate and (host := hosts.get(name)) is not None:
                host.moved_at = now
            elif rate:
                hosts[name] = _Host(rate=rate, moved_at=now, looked_at=now)
        for name, host in list(hosts.items()):
            weight = 1 - math.exp((host.looked_at - now) / SMOOTH_S)
            host.rate += weight * (rates.get(name, 0) - host.rate)
            host.looked_at = now
            if now - host.moved_at > KEPT_S:
                del hosts[name]
        if not hosts:
            del self._blobs[digest]
        told = [(name, max(1, round(host.rate))) for name, host in hosts.items()]
        return sorted(told, key=lambda pair: (-pair[1], pair[0]))

    def forget_old(self, now: float) -> None:
        """Drop blobs that have not been looked at for some time."""
        for digest, hosts in list(self._blobs.items()):
            if all(now - host.moved_at > KEPT_S for host in hosts.values()):
                del self._blobs[digest]
