"""How much may be under way to this node on each connection of the swarm.

Left alone, a sender keeps as much in flight as the queue before the slowest link holds. In a wave
that link is its own uplink: the acknowledgements of what it receives itself wait there too, and its
own download slows down, as does that of every node behind it. So a receiver announces a window of
what comes in the round trip and `_QUEUE_S` more.

Too small a window is worse than none: a child whose own uplink holds back its acknowledgements for
longer than the window lasts leaves its parent's uplink idle, most of all the seeder's, whose child
has one or two segments to ask for at a time. Twenty nodes, 32 MiB, links of 10 Mbit/s and queues of
50 ms, cubic, medians in direct downloads: 1.117 to 1.140 with 28 ms, 1.108 and 1.119 with 50, 1.103
and 1.110 with 65, 1.115 with 80, 1.119 with 120. With 28 ms the seeder's connections stood before a
full window for half of the time that they had something to send (``rwnd_limited``, ss(8)).

That matters on slow links; beyond `_LARGEST` the kernel's own window is better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eagle_node.base.bounded import BoundedDict
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.swarm.events import Traffic

_QUEUE_S = 0.06
"""Seconds of the download's rate that may wait on the way, for each connection. Blobs that come at
the same time share it."""
_SMALLEST = 20 << 10
"""Bytes: a block of 16 KiB (BEP 3) and what is around it."""
_SMALLEST_ALONE = 32 << 10
"""Bytes while one blob comes: on links of 5 Mbit/s, 20 KiB filled four fifths of an uplink whose
receiver sends on as much."""
_LARGEST = 192 << 10
"""Bytes; the kernel's bound of a window that is asked for (``net.core.rmem_max``) is 208 KiB."""
_LOOK_S = 0.9
"""Seconds that a rate is measured over, at the least."""
_ACTIVE = 64 << 10
"""Bytes/s below which a download is resting, and tells nothing of its link."""
_DECAY = 0.99
"""What is left of the highest rate after each second that was slower. A window that soon followed a
rate down would keep it there."""
_MOST_HOSTS = 256
_NOTABLE = 1.1
"""Times by which a window must differ from the one before."""


class ReceiveWindow:
    """Follows the swarm's traffic; ``apply(size)`` sets the window, bytes, 0: the kernel's own."""

    def __init__(self, apply: Callable[[int], None], *, clock: Clock = monotonic) -> None:
        self._apply = apply
        self._clock = clock
        self._looked_at = clock()
        self._received = 0
        self._rate = 0.0
        self._round_trips: BoundedDict[str, float] = BoundedDict(_MOST_HOSTS)
        """Seconds, the shortest seen of each host; those measured last at the end."""
        self._users: dict[int, frozenset[str]] = {}
        self.size = 0
        """Bytes; 0: the kernel's own."""

    def on_traffic(self, traffic: Traffic) -> None:
        """Learn the download's rate; takes totals that are less than a second apart as well."""
        now = self._clock()
        elapsed_s = now - self._looked_at
        if elapsed_s < _LOOK_S:
            return
        rate = (traffic.received - self._received) / elapsed_s
        self._looked_at, self._received = now, traffic.received
        if rate >= _ACTIVE:
            self._rate = max(rate, self._rate * _DECAY)
            self._update()

    def measured(self, host: str, round_trip_s: float) -> None:
        """A round trip to ``host``; queues on the way make it longer, never shorter."""
        self._round_trips[host] = min(round_trip_s, self._round_trips.get(host, round_trip_s))
        self._update()

    def draws_on(self, user: object, hosts: Iterable[str]) -> frozenset[str]:
        """``user`` downloads from ``hosts``; those whose round trip nobody has measured."""
        named = frozenset(hosts)
        self._users[id(user)] = named
        return named - self._round_trips.keys()

    def released(self, user: object) -> None:
        """``user`` downloads no more."""
        self._users.pop(id(user), None)

    def _update(self) -> None:
        size = self._wanted()
        if size != self.size and not 1 / _NOTABLE < (size or 1) / (self.size or 1) < _NOTABLE:
            self.size = size
            self._apply(size)

    def _wanted(self) -> int:
        """Twice the longest round trip that is drawn on: a window must not hold a rate down."""
        hosts = frozenset[str]().union(*self._users.values())
        if not hosts or not self._rate or hosts - self._round_trips.keys():
            return 0
        longest_s = max(self._round_trips[host] for host in hosts)
        size = int(self._rate * (2 * longest_s + _QUEUE_S / len(self._users)))
        smallest = _SMALLEST if len(self._users) > 1 else _SMALLEST_ALONE
        return max(smallest, size) if size <= _LARGEST else 0
