"""The tracker with one shape for all cells, so that shapes can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eagle_node.base.ids import NodeId
from eagle_node.tracker.cell import Cell
from eagle_node.tracker.forest import Forest
from eagle_node.tracker.machine import HeldRow, Machine, WaveKey
from eagle_node.tracker.plan import Shape
from eagle_node.tracker.source import Source
from eagle_node.tracker.wave import Wave


class ShapedMachine(Machine):
    """Plans as the machine does, but for the shape."""

    def __init__(self, *, interval_s: float, shape: Shape) -> None:
        super().__init__(interval_s=interval_s)
        self._shape = shape

    def load(self, key: WaveKey, size: int, rows: Iterable[HeldRow], now: float) -> None:
        """Take in a blob that nobody holds."""
        assert not list(rows)
        self._waves[key] = _ShapedWave(
            size, now, lambda node_id: self._changed.add((key, node_id)), self._shape
        )


class _ShapedWave(Wave):
    def __init__(
        self, size: int, now: float, changed: Callable[[NodeId], None], shape: Shape
    ) -> None:
        super().__init__(size, now, changed)
        self._shape = shape

    def _open(self, zone: str, *, lame: bool, closed: bool) -> Cell:
        cell = super()._open(zone, lame=lame, closed=closed)
        cell.forest = Forest(stripes=self._shape.stripes, arity=self._shape.arity)
        return cell

    def _enter(self, source: Source, cell: Cell) -> None:
        source.cell = cell
        touched = cell.forest.join(source.node_id)
        if len(cell.forest) == 1:
            self._line_up(cell)
        self._refresh(cell, touched)
