"""The line of a wave's cells: who downloads in which cell, and what each cell hangs on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice

from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.cell import Cell
from eagle_node.tracker.distance import distance, place_of
from eagle_node.tracker.forest import Forest
from eagle_node.tracker.holders import Holders
from eagle_node.tracker.pace import Pace
from eagle_node.tracker.plan import (
    CHAIN,
    Host,
    Kind,
    Room,
    Shape,
    fan_of,
    is_slow,
    open_for_s,
    rank,
)
from eagle_node.tracker.schema import NodeInfo
from eagle_node.tracker.source import Source

ShapeFor = Callable[[int, int, int], Shape]
"""The shape for so many nodes, bytes of the blob, and usual bytes/s of a link."""

_LEAD = 0.05
"""Of a blob's segments, two at the least: who has so many more than another waits not for it."""
_FEW = 32
"""Hosts of a kind that are looked at: bounds the cost of a plan."""


class Line:
    """The cells of one wave; keeps the parents and children of its sources as the cells say.

    ``changed`` is called for each downloader whose parents have become others.
    """

    def __init__(
        self,
        size: int,
        sources: Mapping[NodeId, Source],
        holders: Holders,
        pace: Pace,
        changed: Callable[[NodeId], None],
        shape_for: ShapeFor,
    ) -> None:
        self._size = size
        self._sources = sources
        self._holders = holders
        self._pace = pace
        self._changed = changed
        self._shape_for = shape_for
        self._cells: list[Cell] = []
        """In the order of the line, but those of the last generation."""
        self._generation = 0
        self._opened = float("-inf")
        """When the generation began."""
        self._numbers = 0

    def enter(self, source: Source, now: float, *, lame: bool, partial: bool) -> None:
        """``source`` downloads from now on: in an open cell, or in a new one behind all others.

        Nodes of a wave that another tracker has planned till now come in any order; they are put
        in the order of what they have.
        """
        if now - self._opened > open_for_s(self._size, self._pace.usual):
            self._generation += 1
            self._opened = now
        cell = self._cell_for(source, lame=lame, partial=partial)
        self._enter(source, cell)
        behind = source.done - max(2, int(_LEAD * len(layout_of(self._size).segments)))
        touched = cell.forest.advance(
            source.node_id, lambda other: self._sources[other].done <= behind
        )
        self._refresh(cell, touched)

    def stop(self, source: Source) -> None:
        """``source`` downloads no more; it keeps its place, since others may hang on it."""
        source.downloading = False
        self._relink(source, ())
        if source.cell is not None:
            self._prune(source.cell)

    def leave(self, source: Source) -> None:
        """``source`` is in no cell any more; others take its place."""
        cell, source.cell = source.cell, None
        if cell is None:
            return
        touched = cell.forest.leave(source.node_id)
        self._refresh(cell, touched)
        self._prune(cell)

    def step_back(self, source: Source) -> None:
        """To the end of its cell: who hung on it comes to its place."""
        if source.cell is not None and len(source.cell.forest) > 1:
            forest = source.cell.forest
            touched = forest.leave(source.node_id) | forest.join(source.node_id)
            self._refresh(source.cell, touched)

    def set_apart(self, source: Source) -> None:
        """To a cell of lame ones in the last generation."""
        self.leave(source)
        self._enter(source, self._cell_for(source, lame=True, partial=False))

    def take_back(self, source: Source) -> None:
        """From a cell of lame ones to the end of one of usual ones."""
        self.leave(source)
        self._enter(source, self._cell_for(source, lame=False, partial=False))

    def hang_anew(self, host: NodeId | None) -> None:
        """Find other hosts for the cells that hang on ``host``; None: on nothing."""
        for cell in [cell for cell in self._cells if cell.host == host]:
            self._hang(cell)

    def check(self) -> None:
        """Assert that cells, hosts, parents and children agree."""
        for node_id, source in self._sources.items():
            assert bool(source.parents) == source.downloading
            assert not source.downloading or source.cell is not None
            assert source.cell is None or source.cell in self._cells
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

    def _cell_for(self, source: Source, *, lame: bool, partial: bool) -> Cell:
        idle = None if lame else self._holders.idle(source.info, near=True, but=self._is_slow)
        if not partial and idle is None:
            fitting = [
                cell
                for cell in self._current()
                if (cell.zone, cell.lame, cell.closed) == (source.info.zone, lame, False)
                and not cell.full
            ]
            if len(fitting) >= (self._side_by_side(source) if lame else 1):
                return min(fitting, key=lambda cell: len(cell.forest))
        return self._open(source.info.zone, lame=lame, closed=partial)

    def _is_slow(self, node_id: NodeId) -> bool:
        return is_slow(self._sources[node_id].known.rated, self._pace.usual)

    def _room(self, cell: Cell, other: Cell) -> Room:
        """What ``other`` has to spare for a cell of slow nodes."""
        if not cell.lame:
            return Room.FAST
        slow = len(other.guests) - (usual := _usual_guests(other))
        if other.lame:
            return Room.SLOW if not other.guests else Room.NONE
        fan = self._fan(self._sources[next(iter(cell.forest))])
        return Room.FAST if not usual and slow < fan else Room.NONE

    def _side_by_side(self, source: Source) -> int:
        """Into how many cells nodes as slow as ``source`` are dealt.

        Where there are other zones, what this one has to spare is not for slow ones alone.
        """
        if any(cell.zone != source.info.zone for cell in self._current()):
            return 1
        return self._fan(source)

    def _fan(self, source: Source) -> int:
        return fan_of(source.known.rated.upload_rate, self._pace.usual)

    def _open(self, zone: str, *, lame: bool, closed: bool) -> Cell:
        self._numbers += 1
        seeders = (self._sources[seeder].info for seeder in self._holders.seeders)
        away = not any(seeder.zone == zone for seeder in seeders)
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
        shape = self._shape_for(len(cell.forest), self._size, self._pace.usual)
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
        for node_id in self._holders.seeders:
            yield self._holder(self._sources[node_id], cell, sample), node_id
        earlier = (c for c in reversed(self._cells) if c.order < cell.order and not c.closed)
        for other in islice(earlier, _FEW):
            yield (
                Host(
                    kind=Kind.CELL,
                    near=other.zone == cell.zone,
                    load=_usual_guests(other),
                    lame=other.lame and not cell.lame,
                    room=self._room(cell, other),
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
            lame=not cell.lame and not source.seeder and self._is_slow(source.node_id),
            room=Room.NONE if cell.lame and source.load else Room.FAST,
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
                self._holders.place(self._sources[parent])
        source.parents = parents
        for parent in {parent for parent in parents if parent is not None}:
            self._sources[parent].children[source.node_id] = parents.count(parent)
            self._holders.place(self._sources[parent])
        if parents:
            self._changed(source.node_id)


def _forest(shape: Shape) -> Forest:
    return Forest(stripes=shape.stripes, arity=shape.arity)


def _usual_guests(cell: Cell) -> int:
    return sum(not (guest.lame or guest.closed) for guest in cell.guests)
