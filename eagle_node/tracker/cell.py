"""Nodes of one zone and speed that get a blob together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from eagle_node.base.ids import NodeId
from eagle_node.tracker.forest import Forest

Order = tuple[int, bool, bool, int]
"""Place of a cell in the line: generation, lame, outside the seeder's zone, number."""


@dataclass(slots=True, eq=False)
class Cell:
    """One forest, and what feeds it from outside."""

    order: Order
    zone: str
    lame: bool
    """Of slow nodes: nobody else hangs on it while another host can be had."""
    closed: bool
    """Of one node that wants a part only: it cannot feed anybody."""
    forest: Forest
    full: bool = False
    """Some of it have the blob already: newcomers would be too far behind."""
    host: Cell | NodeId | None = None
    """A cell earlier in the line, or a node; None: nothing is known that could feed it."""
    guests: list[Cell] = field(default_factory=list)
    """The cells whose host this is."""

    def leave_host(self) -> None:
        """Hang on nothing."""
        if isinstance(self.host, Cell):
            self.host.guests.remove(self)
        self.host = None

    def hang_on(self, host: Cell | NodeId | None) -> None:
        """Take the blob from ``host``."""
        self.leave_host()
        self.host = host
        if isinstance(host, Cell):
            assert host.order < self.order, "a cell that waits for a later one"
            host.guests.append(self)

    def stripes_of(self, member: NodeId) -> int:
        """Into how many stripes ``member`` has the blob dealt.

        Who is fed from outside has as many as the host, each from a place of its own: one place has
        the rate of one stripe to spare.
        """
        own = self.forest.stripes
        if isinstance(self.host, Cell) and member in self.forest.roots():
            return max(own, self.host.forest.stripes)
        return own

    def feeder(self, member: NodeId, stripe: int) -> NodeId | None:
        """Whom ``member`` takes ``stripe`` from."""
        parent = self.forest.parent(member, stripe % self.forest.stripes)
        if parent is not None:
            return parent
        if isinstance(self.host, Cell):
            forest = self.host.forest
            return forest.spare(stripe % forest.stripes, self._turn(self.host.guests))
        return self.host

    def _turn(self, guests: Sequence[Cell]) -> int:
        """Which of a host's spare places is this guest's; slow ones share one, as its rate is."""
        return sum(not guest.lame for guest in guests[: guests.index(self)])
