"""Updates to spread: each is sent a bounded number of times, the least sent first (SWIM, 4.1)."""

from __future__ import annotations

from collections.abc import Iterator

from eagle_node.base.ids import NodeId
from eagle_node.membership.member import Update
from eagle_node.membership.wire import encode_update

_MISFITS = 8
"""Updates too large for the rest of a packet that are passed over before it is left as it is."""


class RumourQueue:
    """At most one update of each member: a newer one replaces the older.

    Invariant: a member is in exactly one level, and `_levels[n]` holds updates sent n times.
    """

    def __init__(self) -> None:
        self._levels: list[dict[NodeId, tuple[Update, int]]] = []
        self._level_of: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return len(self._level_of)

    def put(self, update: Update) -> None:
        """Spread ``update`` from here on, instead of what was said of the same member."""
        self.drop(update.node_id)
        self._place(0, update, len(encode_update(update)))

    def drop(self, node_id: NodeId) -> None:
        """Spread nothing more of a member."""
        level = self._level_of.pop(node_id, None)
        if level is not None:
            del self._levels[level][node_id]

    def take(self, room: int, transmissions: int) -> tuple[Update, ...]:
        """Updates of together at most ``room`` bytes, counted as sent; the newest of each level.

        What has been sent ``transmissions`` times is dropped.
        """
        taken: list[tuple[int, Update, int]] = []
        misfits = 0
        for level, update, size in self._in_order():
            if size <= room:
                taken.append((level, update, size))
                room -= size
            elif (misfits := misfits + 1) >= _MISFITS:
                break
        for level, update, size in taken:
            self.drop(update.node_id)
            if level + 1 < transmissions:
                self._place(level + 1, update, size)
        return tuple(update for _, update, _ in taken)

    def check(self) -> None:
        """Assert the invariant."""
        placed = {node_id: n for n, level in enumerate(self._levels) for node_id in level}
        assert placed == self._level_of
        assert sum(map(len, self._levels)) == len(placed)

    def _in_order(self) -> Iterator[tuple[int, Update, int]]:
        for number, level in enumerate(self._levels):
            for update, size in reversed(level.values()):
                yield number, update, size

    def _place(self, level: int, update: Update, size: int) -> None:
        while len(self._levels) <= level:
            self._levels.append({})
        self._levels[level][update.node_id] = (update, size)
        self._level_of[update.node_id] = level
