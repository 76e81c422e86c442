"""One blob within one group: its sources, and from whom each downloader takes it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterator
from itertools import chain, islice

from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import contains, count
from eagle_node.tracker.gain import Gains
from eagle_node.tracker.health import BAN_VOTES, Known, complain
from eagle_node.tracker.holders import Holders
from eagle_node.tracker.line import Line, ShapeFor
from eagle_node.tracker.pace import Pace
from eagle_node.tracker.plan import SLOW, is_slow, order, shape_for
from eagle_node.tracker.schema import NodeInfo
from eagle_node.tracker.source import Source

log = logging.getLogger(__name__)

_NOTABLE = 0.1
"""By what share the usual rate must change for all to be compared with it again."""
_DOUBTS = 2
"""Nodes that may be slow themselves when they get little from one that has much."""


class Wave:
    """Who has, and who is getting, one blob of ``size`` bytes."""

    def __init__(
        self,
        size: int,
        now: float,
        changed: Callable[[NodeId], None],
        shape: ShapeFor = shape_for,
        elsewhere: Callable[[NodeId], bool] = lambda _: False,
    ) -> None:
        self.size = size
        self._segments = len(layout_of(size).segments)
        self.used = now
        """When somebody last asked for it."""
        self._changed = changed
        """Called for each downloader whose parents have become others, or that was dropped."""
        self._elsewhere = elsewhere
        """Whether another wave uses a node's link."""
        self._sources: dict[NodeId, Source] = {}
        self._holders = Holders()
        self._pace = Pace()
        self._compared = self._pace.usual
        """The usual rate that all were last compared with, bytes/s."""
        self._line = Line(size, self._sources, self._holders, self._pace, changed, shape)

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._sources

    def __len__(self) -> int:
        return len(self._sources)

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._sources)

    @property
    def downloading(self) -> bool:
        """Whether somebody is getting the blob."""
        return any(source.downloading for source in self._sources.values())

    def has_seeder_for(self, joiner: NodeId) -> bool:
        """Whether some source will be a seeder once ``joiner`` downloads.

        It is none itself from then on, unless it serves others.
        """
        return any(n != joiner or self._sources[n].children for n in self._holders.seeders)

    def is_downloading(self, node_id: NodeId, since: float) -> bool:
        """Whether a node is getting the blob, and has joined or got something after ``since``."""
        source = self._sources.get(node_id)
        return source is not None and source.downloading and source.progressed > since

    def uses(self, node_id: NodeId) -> bool:
        """Whether a node takes the blob from others, or gives it to them."""
        source = self._sources.get(node_id)
        return source is not None and (source.downloading or bool(source.children))

    def parents_of(self, node_id: NodeId) -> tuple[NodeId | None, ...]:
        """Whom a downloader takes each stripe from."""
        source = self._sources.get(node_id)
        return source.parents if source else ()

    def holding(self, segment: int) -> Iterator[NodeInfo]:
        """The nodes that have ``segment``."""
        for source in self._sources.values():
            if source.complete or contains(source.have, segment):
                yield source.listener

    def hold(
        self,
        known: Known,
        have: bytes | None,
        now: float,
        *,
        fetching: bool = False,
        port: int = 0,
    ) -> None:
        """A node says what it has (None: all, verified), and whether it asks the origin for more.

        Who does so waits for nobody, and the wave can hang on it. ``port``: where it offers the
        blob, if not at its swarm listener.
        """
        source = self._source(known)
        if source.port != port:
            source.port = port
            for child in source.children:
                self._changed(child)
        begins = fetching and not source.fetching
        source.fetching = fetching
        if source.complete != (have is None) or source.have != have:
            source.progressed = now
        source.complete, source.have = have is None, have or b""
        source.done = self._segments if have is None else count(have)
        if source.complete:
            if source.cell is not None:
                source.cell.full = True
            self._line.stop(source)
        elif begins:
            self._line.stop(source)
            self._line.leave(source)
        self._holders.place(source)
        if begins:
            self._line.hang_anew(None)
        self._watch(source, now)

    def expect(self, known: Known) -> None:
        """A node, a seeder, will have the blob soon."""
        self._holders.place(self._source(known))
        self._line.hang_anew(None)

    def describe(self, known: Known, now: float) -> bool:
        """Take in how fast a node is, and whether it is a seeder; whether it is still of use."""
        source = self._sources.get(known.info.node_id)
        if source is None:
            return False
        self._holders.place(source)
        self._note_pace(source, now)
        return source.whole or source.downloading or bool(source.have)

    def rate(self, known: Known, now: float) -> None:
        """More is known of a node's link."""
        if (source := self._sources.get(known.info.node_id)) is not None:
            self._note_pace(source, now)

    def drop(self, node_id: NodeId) -> None:
        """A node is gone, or has the blob no more; others take its place."""
        source = self._sources.get(node_id)
        if source is None:
            return
        self._line.stop(source)
        self._line.leave(source)
        self._holders.remove(source)
        self._pace.forget(node_id)
        del self._sources[node_id]
        self._line.hang_anew(node_id)
        self._changed(node_id)

    def join(
        self,
        known: Known,
        failed: Collection[NodeId],
        now: float,
        *,
        partial: bool = False,
        done: int = 0,
    ) -> tuple[tuple[NodeInfo, ...], ...]:
        """The peers for a node that downloads the blob, per stripe and parent first.

        ``partial``: it wants a part of the blob only, and so cannot feed others. ``done``: how many
        segments it has; they may have come by another tracker's plan.
        """
        self.used = now
        source = self._source(known)
        source.failed = frozenset(failed)
        closed = source.cell is not None and source.cell.closed
        serving = source.seeder and bool(source.children)
        if not serving and (not source.downloading or closed != partial):
            self._compare_all(now)
            self._start(source, now, partial=partial, done=done)
        for accused in failed:
            if accused in self._sources:
                suspect = self._sources[accused]
                before = suspect.known.votes(now)
                complain(known, suspect.known, now)
                if suspect.known.votes(now) > before:
                    self._judge(suspect, now)
        return self._stripes(source, now)

    def peers(self, node_id: NodeId, now: float) -> tuple[tuple[NodeInfo, ...], ...]:
        """The same for one that downloads already; nothing for one that does not."""
        source = self._sources.get(node_id)
        if source is None or not source.downloading:
            return ()
        return self._stripes(source, now)

    def check(self) -> None:
        """Assert that the sources, their cells and the index agree."""
        for node_id, source in self._sources.items():
            assert source.node_id == node_id
            assert not (source.downloading and source.complete)
        self._line.check()
        self._holders.check(self._sources)
        self._pace.check(self._sources)

    def _source(self, known: Known) -> Source:
        node_id = known.info.node_id
        if node_id not in self._sources:
            self._sources[node_id] = Source(known)
            self._pace.note(known.rated)
        return self._sources[node_id]

    def _note_pace(self, source: Source, now: float) -> None:
        """Take in a node's rate, and what follows from it."""
        self._pace.forget(source.node_id)
        self._pace.note(source.known.rated)
        self._compare(source, now)
        self._compare_all(now)

    def _compare_all(self, now: float) -> None:
        """Compare all with what is usual, if that has changed."""
        if abs(self._pace.usual - self._compared) > _NOTABLE * self._compared:
            self._compared = self._pace.usual
            for each in list(self._sources.values()):
                self._compare(each, now)

    def _compare(self, source: Source, now: float) -> None:
        """Set a downloader apart that is slow, and take it back when it is not."""
        cell, lame = source.cell, self._is_lame(source, now)
        if lame and source.complete and source.children:
            self._line.hang_anew(source.node_id)
        if cell is None or cell.closed or not source.downloading:
            return
        if lame and not cell.lame:
            self._line.set_apart(source)
        elif cell.lame and not lame:
            self._line.take_back(source)

    def _watch(self, source: Source, now: float) -> None:
        """Believe what nodes get: more than was measured, or less than who feeds them."""
        if source.complete:
            source.gains = None
            source.apart = 0.0
            source.held_up.clear()
            return
        if not source.downloading and not source.fetching:
            return
        source.gains = gains = source.gains or Gains(self.size)
        gains.note(source.have, source.parents, now)
        if not source.downloading:
            return
        at_least = gains.at_least
        if is_slow(source.known.rated, self._pace.usual):
            if at_least > source.known.rated.upload_rate:
                source.known.gauge(source.node_id, at_least, now, came=True)
                self._note_pace(source, now)
        elif source.apart and at_least >= source.apart:
            source.apart = 0.0
            self._compare(source, now)
        else:
            self._suspect(source, gains, now)

    def _suspect(self, source: Source, gains: Gains, now: float) -> None:
        """Set apart who gets much less than all that feed it, which have nobody else to feed.

        The third one that hangs on the same node convicts that instead: it was its uplink each
        time. What comes from another zone may be slow at the border, and other blobs share links.
        """
        cell = source.cell
        if cell is None or cell.lame or cell.closed:
            return
        feeders = [self._sources[feeder] for feeder in {*source.parents} if feeder is not None]
        if any(self._elsewhere(each.node_id) for each in (source, *feeders)):
            gains.shared()
            return
        rates = [
            gains.rate_behind(feeder.gains, SLOW)
            for feeder in feeders
            if feeder.gains is not None
            and feeder.info.zone == source.info.zone
            and feeder.load <= len(source.parents)
        ]
        if not feeders or len(rates) < len(feeders) or not all(rates):
            return
        suspects = [feeder for feeder in feeders if len(feeder.held_up) >= _DOUBTS]
        for suspect in suspects:
            self._convict(suspect, now)
        if not suspects:
            hosts = ", ".join(feeder.info.host for feeder in feeders)
            log.info("%s is behind %s, and gets less than half as much", source.info.host, hosts)
            source.apart = SLOW * min(rates)
            for feeder in feeders:
                feeder.held_up.add(source.node_id)
            self._compare(source, now)

    def _convict(self, suspect: Source, now: float) -> None:
        """Set apart who has held up others, and take those back; a seeder has its place."""
        if not suspect.downloading:
            return
        log.info("%s holds up one node after the other", suspect.info.host)
        suspect.apart = math.inf
        self._compare(suspect, now)
        for node_id in sorted(suspect.held_up):
            if (innocent := self._sources.get(node_id)) is not None:
                innocent.apart = 0.0
                self._compare(innocent, now)
        suspect.held_up.clear()

    def _is_lame(self, source: Source, now: float) -> bool:
        """Whether nobody should wait for ``source``."""
        slow = is_slow(source.known.rated, self._pace.usual) or source.apart > 0
        return slow or source.known.votes(now) >= BAN_VOTES

    def _start(self, source: Source, now: float, *, partial: bool, done: int) -> None:
        """``source`` downloads from now on."""
        self._line.leave(source)
        if source.complete:
            source.complete, source.have, source.done = False, b"", 0
        source.done = max(source.done, done)
        source.joined = source.downloading = True
        source.fetching = False
        source.port = 0
        source.progressed = now
        self._holders.place(source)
        self._line.hang_anew(source.node_id)  # who hung on it as a complete one would wait for it
        lame = self._is_lame(source, now)
        self._line.enter(source, now, lame=lame, partial=partial)

    def _stripes(self, source: Source, now: float) -> tuple[tuple[NodeInfo, ...], ...]:
        return tuple(
            self._peers(source, stripe, now) for stripe in range(max(1, len(source.parents)))
        )

    def _peers(self, source: Source, stripe: int, now: float) -> tuple[NodeInfo, ...]:
        line = list(islice(self._ancestors(source, stripe), 64))
        others = chain(
            islice(self._holders.near(source.info), 2),
            islice(self._holders.far(source.info), 1),
            self._holders.seeders,
        )
        rest = [
            self._sources[n] for n in others if n != source.node_id and n not in source.children
        ]
        trusted = [s for s in rest if s.known.votes(now) < BAN_VOTES or s.seeder]
        return order(
            [each.listener for each in line if not each.known.votes(now)]
            + [each.listener for each in line if each.known.votes(now) or each.seeder],
            [other.listener for other in trusted],
            source.failed,
        )

    def _ancestors(self, source: Source, stripe: int) -> Iterator[Source]:
        """The feeders of ``stripe`` above ``source``, up to one that has the blob."""
        while source.downloading:
            parent = source.parents[stripe % len(source.parents)]
            if parent is None:
                return
            source = self._sources[parent]
            yield source

    def _judge(self, source: Source, now: float) -> None:
        """Move a downloader that has failed another behind all, and one that did it again away.

        Who complained comes to its place: had it gone round, two would share one uplink there.
        """
        cell = source.cell
        if cell is None or cell.lame or cell.closed or not source.downloading:
            return
        if source.known.votes(now) >= BAN_VOTES:
            self._line.set_apart(source)
        else:
            self._line.step_back(source)
