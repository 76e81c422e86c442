"""Where a plan looks for sources: few, near and free ones first, however large the wave is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from eagle_node.base.ids import NodeId
from eagle_node.tracker.plan import ARRIVING_SLOTS, COMPLETE_SLOTS, is_slow
from eagle_node.tracker.schema import NodeInfo
from eagle_node.tracker.source import Source

_NEAR = 64
"""Free sources looked at per ring (rack, zone, elsewhere): bounds the cost of a plan."""
FEW = 16
"""Branching points, and sources of last resort, looked at."""


class Rings:
    """An index over the sources of a wave, which stay the wave's."""

    def __init__(self, sources: Mapping[NodeId, Source]) -> None:
        self._sources = sources
        self._tips: dict[tuple[str, str], dict[NodeId, None]] = {}
        """By zone and rack: sources without a fast child of their own zone."""
        self._forks: dict[str, dict[NodeId, None]] = {}
        """By zone: other sources with a free slot, those that joined the chain early first."""
        self._others: dict[NodeId, None] = {}
        """Seeders, and sources that stopped half-way."""

    @property
    def has_seeder(self) -> bool:
        """Whether a seeder is among the sources."""
        return any(self._sources[node_id].seeder for node_id in self._others)

    def place(self, source: Source, usual_rate: int) -> None:
        """Put ``source`` where one like it is looked for, after anything about it has changed."""
        self.remove(source.info)
        info, useful = source.info, source.complete or source.order is not None
        if source.seeder or not useful:
            self._others[info.node_id] = None
        if not useful:
            return
        children = [self._sources[child].info for child in source.children]
        if not any(c.zone == info.zone and not is_slow(c, usual_rate) for c in children):
            self._tips.setdefault((info.zone, info.rack), {})[info.node_id] = None
        elif len(children) < (COMPLETE_SLOTS if source.complete else ARRIVING_SLOTS):
            self._forks.setdefault(info.zone, {})[info.node_id] = None

    def remove(self, info: NodeInfo) -> None:
        """Look at this node no more."""
        self._tips.get((info.zone, info.rack), {}).pop(info.node_id, None)
        self._forks.get(info.zone, {}).pop(info.node_id, None)
        self._others.pop(info.node_id, None)

    def near(self, joiner: Source, now: float) -> Iterator[NodeId]:
        """Sources worth a look, some more than once; those complained of after the others."""
        suspects: list[NodeId] = []

        def trusted(source: Source) -> bool:
            if not source.may_feed(joiner):
                return False
            if source.known.votes(now):
                suspects.append(source.info.node_id)
                return False
            return True

        for ring, limit in self._around(joiner.info):
            yield from self._first(ring, trusted, limit)
        yield from suspects[:FEW]

    def check(self) -> None:
        """Assert that every source is listed as what it is, and nothing else is listed."""
        listed = [*chain(*self._tips.values(), *self._forks.values())]
        assert len(listed) == len(set(listed))
        assert set(listed) | set(self._others) <= self._sources.keys()
        for node_id, source in self._sources.items():
            free = source.order is not None or source.complete
            assert node_id in self._others or not (source.seeder or not free)

    def _around(self, info: NodeInfo) -> Iterator[tuple[Iterable[NodeId], int]]:
        zone, rack = info.zone, info.rack
        yield self._tips.get((zone, rack), {}), _NEAR
        yield chain(*(t for at, t in self._tips.items() if at[0] == zone and at[1] != rack)), _NEAR
        yield chain(*(t for at, t in self._tips.items() if at[0] != zone)), _NEAR
        yield self._forks.get(zone, {}), FEW
        yield chain(*(forks for at, forks in self._forks.items() if at != zone)), FEW
        yield self._others, FEW

    def _first(
        self, ring: Iterable[NodeId], wanted: Callable[[Source], bool], limit: int
    ) -> Iterator[NodeId]:
        found = 0
        for node_id in ring:
            if wanted(self._sources[node_id]):
                yield node_id
                found += 1
                if found == limit:
                    return
