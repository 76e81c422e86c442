"""One blob within one group: its sources, and from whom each downloader takes it."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterator
from itertools import chain, islice

from eagle_node.base.ids import NodeId
from eagle_node.tracker.bitmap import contains
from eagle_node.tracker.health import BAN_VOTES, Known, complain
from eagle_node.tracker.plan import USUAL_RATE, Candidate, Joiner, is_slow, plan
from eagle_node.tracker.rings import FEW, Rings
from eagle_node.tracker.schema import NodeInfo
from eagle_node.tracker.source import Source


class Wave:
    """Who has, and who is getting, one blob of ``size`` bytes."""

    def __init__(self, size: int, now: float) -> None:
        self.size = size
        self.used = now
        """When somebody last asked for it."""
        self._sources: dict[NodeId, Source] = {}
        self._joined = 0
        self._rates: list[int] = []
        """Known upload rates of the sources, ascending."""
        self._rings = Rings(self._sources)

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._sources

    def __len__(self) -> int:
        return len(self._sources)

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._sources)

    @property
    def downloading(self) -> bool:
        """Whether somebody is getting the blob."""
        return any(source.order is not None for source in self._sources.values())

    @property
    def has_seeder(self) -> bool:
        """Whether a seeder is among the sources."""
        return self._rings.has_seeder

    def is_downloading(self, node_id: NodeId, since: float) -> bool:
        """Whether a node is getting the blob, and has joined or got something after ``since``."""
        source = self._sources.get(node_id)
        return source is not None and source.order is not None and source.progressed > since

    def parent_of(self, node_id: NodeId) -> NodeId | None:
        """Whom a downloader takes the blob from."""
        source = self._sources.get(node_id)
        return source.parent if source else None

    def holding(self, segment: int) -> Iterator[NodeInfo]:
        """The nodes that have ``segment``."""
        for source in self._sources.values():
            if source.complete or contains(source.have, segment):
                yield source.info

    def hold(self, known: Known, have: bytes | None, now: float) -> None:
        """A node says what it has (None: all, verified)."""
        source = self._source(known)
        if source.complete != (have is None) or source.have != have:
            source.progressed = now
        source.complete, source.have = have is None, have or b""
        if source.complete:
            self._stop(source)
        self._index(source)

    def expect(self, known: Known) -> None:
        """A node, a seeder, will have the blob soon."""
        self._index(self._source(known))

    def drop(self, node_id: NodeId) -> None:
        """A node is gone, or has the blob no more; its children take its place."""
        source = self._sources.get(node_id)
        if source is None:
            return
        for child in list(source.children):
            self._adopt(self._sources[child], source.parent)
        self._stop(source)
        self._rings.remove(source.info)
        del self._sources[node_id]
        if source.info.upload_rate:
            del self._rates[bisect.bisect_left(self._rates, source.info.upload_rate)]

    def join(self, known: Known, failed: Collection[NodeId], now: float) -> tuple[NodeInfo, ...]:
        """The peers for a node that downloads the blob, parent first; remembered as its parent."""
        self.used = now
        source = self._source(known)
        if source.order is None and not (source.seeder and source.children):
            self._start(source, now)
        for accused in failed:
            if accused in self._sources:
                complain(known, self._sources[accused].known, now)
        joiner = Joiner(
            node=source.info,
            size=self.size,
            usual_rate=self._usual_rate(),
            failed=failed,
            parent=source.parent,
        )
        peers = plan(self._candidates(source, joiner.usual_rate, now), joiner)
        parent = peers[0].node_id if peers else None
        if source.order is not None and parent != source.parent:
            self._adopt(source, parent)
        return peers

    def check(self) -> None:
        """Assert the invariants of parents, children and the index."""
        for node_id, source in self._sources.items():
            assert source.info.node_id == node_id
            assert source.order is None or not source.complete
            assert all(self._sources[child].parent == node_id for child in source.children)
            if source.parent is not None:
                assert source.order is not None, "only downloaders have parents"
                parent = self._sources[source.parent]
                assert node_id in parent.children
                assert parent.may_feed(source), "a parent that waits for its child"
        assert self._rates == sorted(
            s.info.upload_rate for s in self._sources.values() if s.info.upload_rate
        )
        self._rings.check()

    def _source(self, known: Known) -> Source:
        node_id = known.info.node_id
        if node_id not in self._sources:
            self._sources[node_id] = Source(known)
            if known.info.upload_rate:
                bisect.insort(self._rates, known.info.upload_rate)
        return self._sources[node_id]

    def _start(self, source: Source, now: float) -> None:
        """``source`` downloads from now on; who hung on it as a complete one has to ask again."""
        for child in list(source.children):
            self._adopt(self._sources[child], None)
        if source.complete:
            source.complete, source.have = False, b""
        source.joined = True
        source.order = self._joined
        source.progressed = now
        self._joined += 1

    def _stop(self, source: Source) -> None:
        self._adopt(source, None)
        source.order, source.depth = None, 0

    def _adopt(self, child: Source, parent: NodeId | None) -> None:
        """Make ``parent`` the parent of ``child``."""
        if child.parent is not None:
            old = self._sources[child.parent]
            del old.children[child.info.node_id]
            self._index(old)
        child.parent = parent
        if parent is not None:
            new = self._sources[parent]
            new.children[child.info.node_id] = None
            child.depth = 1 + (0 if new.whole else new.depth)
            self._index(new)
        self._index(child)

    def _candidates(self, joiner: Source, usual_rate: int, now: float) -> Iterator[Candidate]:
        ancestors = {
            source.info.node_id: hops
            for hops, source in enumerate(islice(self._ancestors(joiner), FEW), 1)
        }
        for node_id in dict.fromkeys(chain(ancestors, self._rings.near(joiner, now))):
            source = self._sources[node_id]
            votes = source.known.votes(now)
            if not source.may_feed(joiner) or (votes >= BAN_VOTES and not source.seeder):
                continue
            yield Candidate(
                node=source.info,
                complete=source.whole,
                seeder=source.seeder,
                growing=source.order is not None,
                depth=0 if source.whole else source.depth,
                **self._load(source, usual_rate),
                votes=votes,
                ancestor=ancestors.get(node_id, 0),
                alive=source.known.seen >= joiner.progressed,
            )

    def _load(self, source: Source, usual_rate: int) -> dict[str, int]:
        children = [self._sources[child].info for child in source.children]
        slow = [is_slow(child, usual_rate) for child in children]
        return {
            "children": len(children),
            "slow_children": sum(slow),
            "guests": sum(
                lame or child.zone != source.info.zone
                for child, lame in zip(children, slow, strict=True)
            ),
        }

    def _ancestors(self, source: Source) -> Iterator[Source]:
        while source.parent is not None:
            source = self._sources[source.parent]
            yield source

    def _usual_rate(self) -> int:
        return self._rates[len(self._rates) // 2] if self._rates else USUAL_RATE

    def _index(self, source: Source) -> None:
        self._rings.place(source, self._usual_rate())
