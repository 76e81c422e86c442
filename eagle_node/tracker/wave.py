"""One blob within one group: its sources, and from whom each downloader takes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice

from eagle_node.base.ids import NodeId
from eagle_node.tracker.bitmap import contains
from eagle_node.tracker.cell import Cell
from eagle_node.tracker.distance import distance, place_of
from eagle_node.tracker.forest import Forest
from eagle_node.tracker.health import BAN_VOTES, Known, complain
from eagle_node.tracker.holders import Holders
from eagle_node.tracker.pace import Pace
from eagle_node.tracker.plan import (
    CHAIN,
    Host,
    Kind,
    Shape,
    is_slow,
    open_for_s,
    order,
    rank,
    shape_for,
)
from eagle_node.tracker.schema import NodeInfo
from eagle_node.tracker.source import Source

_FEW = 32
"""Hosts of a kind that are looked at: bounds the cost of a plan."""


class Wave:
    """Who has, and who is getting, one blob of ``size`` bytes."""

    def __init__(self, size: int, now: float, changed: Callable[[NodeId], None]) -> None:
        self.size = size
        self.used = now
        """When somebody last asked for it."""
        self._changed = changed
        """Called for each downloader whose parents have become others, or that was dropped."""
        self._sources: dict[NodeId, Source] = {}
        self._holders = Holders()
        self._seeders: dict[NodeId, None] = {}
        self._cells: list[Cell] = []
        """In the order of the line, but those of the last generation."""
        self._generation = 0
        self._opened = float("-inf")
        """When the generation began."""
        self._numbers = 0
        self._pace = Pace()

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

    @property
    def has_seeder(self) -> bool:
        """Whether a seeder is among the sources."""
        return bool(self._seeders)

    def is_downloading(self, node_id: NodeId, since: float) -> bool:
        """Whether a node is getting the blob, and has joined or got something after ``since``."""
        source = self._sources.get(node_id)
        return source is not None and source.downloading and source.progressed > since

    def parents_of(self, node_id: NodeId) -> tuple[NodeId | None, ...]:
        """Whom a downloader takes each stripe from."""
        source = self._sources.get(node_id)
        return source.parents if source else ()

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
            if source.cell is not None:
                source.cell.full = True
            self._stop(source)
        self._index(source)

    def expect(self, known: Known) -> None:
        """A node, a seeder, will have the blob soon."""
        self._index(self._source(known))
        for cell in self._cells:
            if cell.host is None:
                self._hang(cell)

    def rated(self, known: Known) -> None:
        """A node has said how fast it is."""
        source = self._sources.get(known.info.node_id)
        if source is None:
            return
        self._pace.forget(source.node_id)
        self._pace.note(source.info)
        if source.downloading and source.cell is not None and not source.cell.closed:
            self._sort(source)

    def drop(self, node_id: NodeId) -> None:
        """A node is gone, or has the blob no more; others take its place."""
        source = self._sources.get(node_id)
        if source is None:
            return
        self._stop(source)
        self._leave_cell(source)
        self._holders.remove(source)
        self._seeders.pop(node_id, None)
        self._pace.forget(node_id)
        del self._sources[node_id]
        for cell in [cell for cell in self._cells if cell.host == node_id]:
            self._hang(cell)
        self._changed(node_id)

    def join(
        self, known: Known, failed: Collection[NodeId], now: float, *, partial: bool = False
    ) -> tuple[tuple[NodeInfo, ...], ...]:
        """The peers for a node that downloads the blob, per stripe and parent first.

        ``partial``: it wants a part of the blob only, and so cannot feed others.
        """
        self.used = now
        source = self._source(known)
        source.failed = frozenset(failed)
        closed = source.cell is not None and source.cell.closed
        serving = source.seeder and bool(source.children)
        if not serving and (not source.downloading or closed != partial):
            self._start(source, now, partial=partial)
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
        """Assert the invariants of parents, children, cells and the index."""
        for node_id, source in self._sources.items():
            assert source.node_id == node_id
            assert not (source.downloading and source.complete)
            assert bool(source.parents) == source.downloading
            assert not source.downloading or source.cell is not None
            assert source.cell is None or source.cell in self._cells
            assert source.seeder == (node_id in self._seeders)
            for parent in set(source.parents) - {None}:
                assert parent is not None
                count = self._sources[parent].children[node_id]
                assert count == source.parents.count(parent) > 0
            assert all(node_id in self._sources[child].parents for child in source.children)
            if source.downloading:
                assert source.parents == self._feeders(source)
        for cell in self._cells:
            cell.forest.check()
            assert len(cell.forest)
            assert all(self._sources[member].cell is cell for member in cell.forest)
            assert all(guest.host is cell for guest in cell.guests)
            assert not isinstance(cell.host, Cell) or cell in cell.host.guests
            assert not isinstance(cell.host, str) or cell.host in self._sources
        self._holders.check(self._sources)
        self._pace.check(self._sources)

    def _source(self, known: Known) -> Source:
        node_id = known.info.node_id
        if node_id not in self._sources:
            self._sources[node_id] = Source(known)
            self._pace.note(known.info)
        return self._sources[node_id]

    def _start(self, source: Source, now: float, *, partial: bool) -> None:
        """``source`` downloads from now on."""
        self._leave_cell(source)
        if source.complete:
            source.complete, source.have = False, b""
        self._seeders.pop(source.node_id, None)
        source.joined = source.downloading = True
        source.progressed = now
        self._index(source)
        for cell in [cell for cell in self._cells if cell.host == source.node_id]:
            self._hang(cell)  # who hung on it as a complete one would wait for it
        self._enter(source, self._cell_for(source, now, partial=partial))

    def _stop(self, source: Source) -> None:
        """``source`` downloads no more; it keeps its place, since others may hang on it."""
        source.downloading = False
        self._relink(source, ())
        if source.cell is not None:
            self._prune(source.cell)

    def _cell_for(self, source: Source, now: float, *, partial: bool) -> Cell:
        """An open cell, or a new one behind all others."""
        if now - self._opened > open_for_s(self.size, self._pace.usual):
            self._generation += 1
            self._opened = now
        lame = self._is_lame(source, now)
        idle = None if lame else self._holders.idle(source.info, near=True)
        if not partial and idle is None:
            fitting = [
                cell
                for cell in self._current()
                if (cell.zone, cell.lame, cell.closed) == (source.info.zone, lame, False)
                and not cell.full
            ]
            if fitting:
                return min(fitting, key=lambda cell: len(cell.forest))
        return self._open(source.info.zone, lame=lame, closed=partial)

    def _open(self, zone: str, *, lame: bool, closed: bool) -> Cell:
        self._numbers += 1
        away = not any(self._sources[seeder].info.zone == zone for seeder in self._seeders)
        cell = Cell(
            order=(self._generation, lame or closed, away, self._numbers),
            zone=zone,
            lame=lame,
            closed=closed,
            forest=_forest(CHAIN),
        )
        self._cells.append(cell)
        return cell

    def _current(self) -> Iterator[Cell]:
        """The cells of the last generation, which are the last ones."""
        for cell in reversed(self._cells):
            if cell.order[0] != self._generation:
                return
            yield cell

    def _enter(self, source: Source, cell: Cell) -> None:
        source.cell = cell
        touched = cell.forest.join(source.node_id)
        if len(cell.forest) == 1:
            self._line_up(cell)
        shape = shape_for(len(cell.forest), self.size, self._pace.usual)
        if shape != Shape(cell.forest.stripes, cell.forest.arity):
            members, cell.forest = list(cell.forest), _forest(shape)
            for member in members:
                touched |= cell.forest.join(member)
        self._refresh(cell, touched)

    def _line_up(self, first: Cell) -> None:
        """Hang ``first`` and what is behind it in the last generation anew, in their order."""
        behind = (cell for cell in self._current() if cell.order >= first.order)
        generation = sorted(behind, key=lambda cell: cell.order)
        for cell in generation:
            cell.leave_host()
            self._refresh(cell, cell.forest.roots())
        for cell in generation:
            self._hang(cell)

    def _leave_cell(self, source: Source) -> None:
        cell, source.cell = source.cell, None
        if cell is None:
            return
        touched = cell.forest.leave(source.node_id)
        self._refresh(cell, touched)
        self._prune(cell)

    def _prune(self, cell: Cell) -> None:
        """Dissolve ``cell``, and those that it hung on, if nobody there or behind needs them."""
        candidate: Cell | NodeId | None = cell
        while isinstance(candidate, Cell) and not self._is_needed(candidate):
            candidate = self._dissolve(candidate)

    def _is_needed(self, cell: Cell) -> bool:
        if cell not in self._cells:
            return True  # dissolved already
        if not len(cell.forest):
            return False
        return bool(cell.guests) or any(self._sources[m].downloading for m in cell.forest)

    def _dissolve(self, cell: Cell) -> Cell | NodeId | None:
        """What it hung on."""
        host = cell.host
        self._cells.remove(cell)
        cell.leave_host()
        for member in cell.forest:
            self._sources[member].cell = None
        for guest in list(cell.guests):
            self._hang(guest)
        if isinstance(host, Cell):
            self._refresh(host, ())
        return host

    def _hang(self, cell: Cell) -> None:
        """Find the best host for ``cell``."""
        cell.leave_host()
        best = min(self._hosts(cell), key=lambda pair: rank(pair[0]), default=None)
        cell.hang_on(best[1] if best else None)
        self._refresh(cell, cell.forest.roots())

    def _hosts(self, cell: Cell) -> Iterator[tuple[Host, Cell | NodeId]]:
        sample = self._sources[next(iter(cell.forest))].info
        for node_id in islice(self._holders.near(sample), _FEW):
            if node_id not in cell.forest:
                yield self._holder(self._sources[node_id], cell, sample), node_id
        for node_id in self._seeders:
            yield self._holder(self._sources[node_id], cell, sample), node_id
        earlier = (c for c in reversed(self._cells) if c.order < cell.order and not c.closed)
        for other in islice(earlier, _FEW):
            yield (
                Host(
                    kind=Kind.CELL,
                    near=other.zone == cell.zone,
                    load=sum(not (guest.lame or guest.closed) for guest in other.guests),
                    lame=other.lame and not cell.lame,
                    number=other.order[3],
                ),
                other,
            )

    def _holder(self, source: Source, cell: Cell, sample: NodeInfo) -> Host:
        return Host(
            kind=Kind.SEEDER if source.seeder else Kind.COMPLETE,
            near=source.info.zone == cell.zone,
            load=source.load,
            votes=len(source.known.complaints),
            distance=distance(place_of(source.info), place_of(sample)),
        )

    def _refresh(self, cell: Cell, touched: Collection[NodeId]) -> None:
        """Note the parents of ``touched``, and of those outside that hang on ``cell``."""
        for guest in cell.guests if len(cell.forest) else ():
            self._refresh_members(guest.forest.roots())
        self._refresh_members(touched)

    def _refresh_members(self, members: Iterable[NodeId]) -> None:
        for member in members:
            source = self._sources.get(member)
            if source is not None and source.downloading and source.cell is not None:
                self._relink(source, self._feeders(source))

    def _feeders(self, source: Source) -> tuple[NodeId | None, ...]:
        assert source.cell is not None
        return tuple(
            source.cell.feeder(source.node_id, stripe)
            for stripe in range(source.cell.stripes_of(source.node_id))
        )

    def _relink(self, source: Source, parents: tuple[NodeId | None, ...]) -> None:
        if parents == source.parents:
            return
        for parent in {parent for parent in source.parents if parent is not None}:
            if parent in self._sources:
                self._sources[parent].children.pop(source.node_id, None)
                self._index(self._sources[parent])
        source.parents = parents
        for parent in {parent for parent in parents if parent is not None}:
            self._sources[parent].children[source.node_id] = parents.count(parent)
            self._index(self._sources[parent])
        if parents:
            self._changed(source.node_id)

    def _stripes(self, source: Source, now: float) -> tuple[tuple[NodeInfo, ...], ...]:
        return tuple(
            self._peers(source, stripe, now) for stripe in range(max(1, len(source.parents)))
        )

    def _peers(self, source: Source, stripe: int, now: float) -> tuple[NodeInfo, ...]:
        line = list(islice(self._ancestors(source, stripe), 64))
        others = chain(
            islice(self._holders.near(source.info), 2),
            islice(self._holders.far(source.info), 1),
            self._seeders,
        )
        rest = [
            self._sources[n] for n in others if n != source.node_id and n not in source.children
        ]
        trusted = [s for s in rest if s.known.votes(now) < BAN_VOTES or s.seeder]
        return order(
            [ancestor.info for ancestor in line if not ancestor.known.votes(now)]
            + [ancestor.info for ancestor in line if ancestor.known.votes(now) or ancestor.seeder],
            [other.info for other in trusted],
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

    def _is_lame(self, source: Source, now: float) -> bool:
        return is_slow(source.info, self._pace.usual) or source.known.votes(now) >= BAN_VOTES

    def _judge(self, source: Source, now: float) -> None:
        """Move a downloader that has failed another behind all, and one that did it again away.

        Who complained comes to its place: had it gone round, two would share one uplink there.
        """
        cell = source.cell
        if cell is None or cell.lame or cell.closed or not source.downloading:
            return
        if source.known.votes(now) >= BAN_VOTES:
            self._move(source)
        elif len(cell.forest) > 1:
            touched = cell.forest.leave(source.node_id) | cell.forest.join(source.node_id)
            self._refresh(cell, touched)

    def _sort(self, source: Source) -> None:
        """Move a downloader that has turned out to be slow."""
        if (
            source.cell is not None
            and not source.cell.lame
            and is_slow(source.info, self._pace.usual)
        ):
            self._move(source)

    def _move(self, source: Source) -> None:
        """To a cell of lame ones in the last generation."""
        self._leave_cell(source)
        zone = source.info.zone
        fitting = (c for c in self._current() if (c.zone, c.lame, c.closed) == (zone, True, False))
        cell = next(fitting, None) or self._open(zone, lame=True, closed=False)
        self._enter(source, cell)

    def _index(self, source: Source) -> None:
        self._holders.place(source)
        if source.seeder:
            self._seeders[source.node_id] = None
        else:
            self._seeders.pop(source.node_id, None)


def _forest(shape: Shape) -> Forest:
    return Forest(stripes=shape.stripes, arity=shape.arity)
