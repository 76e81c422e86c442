"""The trees that a blob runs down in a cell of nodes: who hangs on whom, by arithmetic alone.

The segments of a blob are dealt to ``stripes``; each stripe has a tree of its own over the same
members, and each member feeds others in one of them only (SplitStream's interior-node-disjoint
trees). With as many children per node as there are stripes, every uplink then carries the blob
once, as in a chain, while the depth is logarithmic.

A tree is a heap: the node at place ``c`` hangs on the one at ``(c - 1) // arity``. Its first places
belong to those who forward the stripe, the others to its leaves; place 0 is fed from outside.
A newcomer forwards the stripe that has the fewest forwarders: it takes the place of the first leaf,
which moves to the end. A leaver's place is taken by its first child, the child's by a grandchild,
and so on down, so that nobody comes to wait for one who was further from the source; the place
that is left over at the bottom is taken from the end. So few members change their parents when one
comes or goes, and they are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from eagle_node.base.ids import NodeId


class Forest:
    """The trees of one cell. ``arity`` is the number of children of a forwarding node."""

    def __init__(self, *, stripes: int, arity: int) -> None:
        self.stripes = stripes
        self.arity = arity
        self._heaps: list[list[NodeId]] = [[] for _ in range(stripes)]
        """Members by place, per stripe."""
        self._places: list[dict[NodeId, int]] = [{} for _ in range(stripes)]
        self._forwarders = [0] * stripes
        """How many forward each stripe; they have its first places."""

    def __len__(self) -> int:
        return len(self._heaps[0])

    def __contains__(self, member: NodeId) -> bool:
        return member in self._places[0]

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._heaps[0])

    def join(self, member: NodeId) -> set[NodeId]:
        """Take ``member`` in; whose parents may have changed, itself included."""
        touched = {member}
        own = min(range(self.stripes), key=lambda stripe: self._forwarders[stripe])
        for stripe, heap in enumerate(self._heaps):
            heap.append(member)
            self._put(stripe, len(heap) - 1, member, touched)
        self._promote(own, member, touched)
        return touched

    def advance(self, member: NodeId, is_ahead_of: Callable[[NodeId], bool]) -> set[NodeId]:
        """Have ``member`` feed those above it that it is ahead of; whose parents may have changed.

        In the stripe that it forwards; it stays a leaf of the others.
        """
        touched: set[NodeId] = set()
        stripe = self.forwards(member)
        heap, places = self._heaps[stripe], self._places[stripe]
        while places[member]:
            above = (places[member] - 1) // self.arity
            if not is_ahead_of(heap[above]):
                break
            self._swap(stripe, places[member], above, touched)
        if touched:
            self._touch_wrapped(stripe, touched)
        return touched

    def leave(self, member: NodeId) -> set[NodeId]:
        """Let ``member`` go; whose parents may have changed."""
        touched: set[NodeId] = set()
        own = self.forwards(member)
        for stripe, heap in enumerate(self._heaps):
            hole = self._places[stripe].pop(member)
            if stripe == own:
                hole = self._close(stripe, hole, touched)
            moved = heap.pop()
            if hole < len(heap):
                self._put(stripe, hole, moved, touched)
        self._touch_wrapped(own, touched)
        self._balance(touched)
        touched.discard(member)
        return touched

    def forwards(self, member: NodeId) -> int:
        """The stripe that ``member`` feeds to others."""
        for stripe, places in enumerate(self._places):
            if places[member] < self._forwarders[stripe]:
                return stripe
        raise AssertionError("every member forwards one stripe")

    def parent(self, member: NodeId, stripe: int) -> NodeId | None:
        """Whom ``member`` takes ``stripe`` from; None: from outside the cell."""
        return self._feeder(stripe, self._places[stripe][member])

    def children(self, member: NodeId) -> int:
        """How many members take a stripe from ``member``."""
        stripe = self.forwards(member)
        first = self._places[stripe][member] * self.arity + 1
        return max(0, min(len(self), first + self.arity) - first)

    def roots(self) -> set[NodeId]:
        """Who takes a stripe from outside."""
        return {
            member
            for stripe, heap in enumerate(self._heaps)
            for member in (heap[:1] if self._forwarders[stripe] else heap)
        }

    def spare(self, stripe: int, guest: int) -> NodeId:
        """Who feeds ``stripe`` to the ``guest``-th cell outside: a free place, or the next best.

        Free places are at the end of the heaps; where this stripe's heap has none, the last
        forwarder of another one has two.
        """
        own = self._forwarders[stripe] * self.arity + 1 - len(self)
        if self._forwarders[stripe] and guest < own:
            feeder = self._feeder(stripe, len(self) + guest)
        else:
            richest = max(range(self.stripes), key=lambda s: self._forwarders[s])
            feeder = self._heaps[richest][self._forwarders[richest] - 1]
        assert feeder is not None, "only an empty forest has nobody"
        return feeder

    def check(self) -> None:
        """Assert that the heaps hold the same members and every member forwards one stripe."""
        for stripe, heap in enumerate(self._heaps):
            assert sorted(heap) == sorted(self._heaps[0])
            assert self._places[stripe] == {member: at for at, member in enumerate(heap)}
        assert sum(self._forwarders) == len(self)
        assert len({self.forwards(m) for m in self}) <= self.stripes
        assert not self or max(self._forwarders) - min(self._forwarders) <= 1

    def _feeder(self, stripe: int, place: int) -> NodeId | None:
        if place == 0 or not self._forwarders[stripe]:
            return None
        return self._heaps[stripe][(place - 1) // self.arity % self._forwarders[stripe]]

    def _promote(self, stripe: int, member: NodeId, touched: set[NodeId]) -> None:
        """``member`` forwards ``stripe`` from now on."""
        self._swap(stripe, self._places[stripe][member], self._forwarders[stripe], touched)
        self._forwarders[stripe] += 1
        self._touch_wrapped(stripe, touched)

    def _demote(self, stripe: int, member: NodeId, touched: set[NodeId]) -> None:
        """``member`` is a leaf of ``stripe`` from now on."""
        self._forwarders[stripe] -= 1
        self._swap(stripe, self._places[stripe][member], self._forwarders[stripe], touched)
        self._touch_wrapped(stripe, touched)

    def _close(self, stripe: int, hole: int, touched: set[NodeId]) -> int:
        """Move forwarders up from a hole among them; the place behind them that is left over."""
        heap, last = self._heaps[stripe], self._forwarders[stripe] - 1
        while (child := hole * self.arity + 1) <= last:
            self._put(stripe, hole, heap[child], touched)
            hole = child
        if hole != last:
            self._put(stripe, hole, heap[last], touched)
        self._forwarders[stripe] = last
        return last

    def _balance(self, touched: set[NodeId]) -> None:
        counts = self._forwarders
        while self and max(counts) - min(counts) > 1:
            richest, poorest = counts.index(max(counts)), counts.index(min(counts))
            mover = self._heaps[richest][counts[richest] - 1]
            self._demote(richest, mover, touched)
            self._promote(poorest, mover, touched)

    def _swap(self, stripe: int, one: int, other: int, touched: set[NodeId]) -> None:
        heap = self._heaps[stripe]
        first, second = heap[one], heap[other]
        self._put(stripe, one, second, touched)
        self._put(stripe, other, first, touched)

    def _put(self, stripe: int, place: int, member: NodeId, touched: set[NodeId]) -> None:
        heap = self._heaps[stripe]
        heap[place] = member
        self._places[stripe][member] = place
        touched.add(member)
        touched.update(self._below(heap, place))

    def _below(self, heap: Sequence[NodeId], place: int) -> Sequence[NodeId]:
        return heap[place * self.arity + 1 : place * self.arity + 1 + self.arity]

    def _touch_wrapped(self, stripe: int, touched: set[NodeId]) -> None:
        """Members beyond the last forwarder's places hang where a count says that changes."""
        heap, forwarders = self._heaps[stripe], self._forwarders[stripe]
        touched.update(heap[max(0, forwarders - 1) * self.arity + 1 :])
