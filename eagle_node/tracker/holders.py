"""The nodes that have all of a blob, by place, idle ones apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice

from eagle_node.base.ids import NodeId
from eagle_node.tracker.distance import distance, place_of
from eagle_node.tracker.schema import NodeInfo
from eagle_node.tracker.source import Source

_Place = tuple[str, str]
_NEAR = 64
"""Idle holders compared by distance."""


class Holders:
    """An index over the complete sources of a wave, seeders apart."""

    def __init__(self) -> None:
        self._idle: dict[_Place, dict[NodeId, NodeInfo]] = {}
        """By zone and rack: those that feed nobody."""
        self._busy: dict[_Place, dict[NodeId, NodeInfo]] = {}
        self._at: dict[NodeId, _Place] = {}
        self.seeders: dict[NodeId, None] = {}
        """Those that have the blob, or will get it from its origin, for all."""

    def place(self, source: Source) -> None:
        """List ``source`` as what it is, after anything about it has changed."""
        self.remove(source)
        if source.seeder:
            self.seeders[source.node_id] = None
        elif source.complete:
            at = (source.info.zone, source.info.rack)
            shelf = self._busy if source.children else self._idle
            shelf.setdefault(at, {})[source.node_id] = source.info
            self._at[source.node_id] = at

    def remove(self, source: Source) -> None:
        """List ``source`` no more."""
        self.seeders.pop(source.node_id, None)
        at = self._at.pop(source.node_id, None)
        if at is not None:
            for shelf in (self._idle, self._busy):
                nodes = shelf.get(at, {})
                nodes.pop(source.node_id, None)
                if not nodes:
                    shelf.pop(at, None)

    def idle(
        self, info: NodeInfo, *, near: bool, but: Callable[[NodeId], bool] = lambda _: False
    ) -> NodeId | None:
        """The nearest idle holder but the node itself; ``near``: in its zone only.

        ``but``: whom to pass over.
        """
        ring = self._ring(self._idle, info, near=near)
        found = islice((node for node in ring if not but(node.node_id)), _NEAR)
        return min(found, key=lambda node: _far(node, info), default=_NOBODY).node_id or None

    def near(self, info: NodeInfo) -> Iterator[NodeId]:
        """Idle holders, then busy ones; those of the zone first."""
        for shelf in (self._idle, self._busy):
            ring = chain(self._ring(shelf, info, near=True), self._ring(shelf, info, near=False))
            for node in sorted(islice(ring, _NEAR), key=lambda node: _far(node, info)):
                yield node.node_id

    def far(self, info: NodeInfo) -> Iterator[NodeId]:
        """Holders of other zones."""
        for shelf in (self._idle, self._busy):
            for node in self._ring(shelf, info, near=False):
                if node.zone != info.zone:
                    yield node.node_id

    def check(self, sources: Mapping[NodeId, Source]) -> None:
        """Assert that exactly the complete sources are listed, each where it belongs."""
        assert self.seeders.keys() == {n for n, source in sources.items() if source.seeder}
        idle = {node_id for nodes in self._idle.values() for node_id in nodes}
        busy = {node_id for nodes in self._busy.values() for node_id in nodes}
        assert not idle & busy
        assert idle | busy == self._at.keys()
        whole = {n for n, source in sources.items() if source.complete and not source.seeder}
        assert idle | busy == whole
        assert all(not sources[node_id].children for node_id in idle)
        assert all(sources[node_id].children for node_id in busy)

    def _ring(
        self, shelf: Mapping[_Place, Mapping[NodeId, NodeInfo]], info: NodeInfo, *, near: bool
    ) -> Iterator[NodeInfo]:
        """Own rack first, then the zone's others; or those of other zones."""
        own = (info.zone, info.rack)
        if near:
            places = [at for at in (own, *shelf) if at[0] == info.zone]
        else:
            places = [at for at in shelf if at[0] != info.zone]
        for at in dict.fromkeys(places):
            for node in shelf.get(at, {}).values():
                if node.node_id != info.node_id:
                    yield node


_NOBODY = NodeInfo(node_id=NodeId(""), host="0.0.0.0", port=1)


def _far(node: NodeInfo, info: NodeInfo) -> tuple[int, int]:
    return distance(place_of(node), place_of(info))
