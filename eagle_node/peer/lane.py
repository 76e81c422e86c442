"""A stripe of a download: how long its parent is waited for, and what is tried next (sans-IO)."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import assert_never

from eagle_node.peer.events import Parent

_PROBE_S = (0.02, 0.32)
"""Pause before a parent is probed: its connections end together, and in a wave that forms it may
learn of a segment some milliseconds after its child. Doubles with each fruitless probe."""
_DOUBT_S = 1.0
"""Quiet after which a parent is probed: it may be frozen, and all its connections look well."""
_STARVED_PATIENCE = 2
"""Stalls that a parent with nothing to give is granted: whoever is at fault above it is replaced
first, by its own child."""
_FIRST_PATIENCE = 5
"""Stalls before the first byte: it takes its time to reach the end of a long line."""


class Stage(enum.IntEnum):
    """How far a stripe has degraded."""

    PLANNED = 0
    NEXT_PARENT = 1
    MESH = 2
    NEXT_SEEDER = 3
    ORIGIN = 4


@dataclass(slots=True)
class Lane:
    """A stripe of a download, with a parent of its own. All times are the caller's, in seconds."""

    progress_at: float
    planning: bool = False
    """No segment is started before the tracker has answered."""
    stage: Stage = Stage.PLANNED
    _probe_at: float = -math.inf
    """When the latest probe of the parent is, or was, due."""
    _probes: int = 0
    """Of the parent, since there was progress."""
    _fed: bool = False
    """Something of it has come from the swarm."""
    _starved_at: float = -math.inf
    """When its parent last had nothing to give."""

    def progressed(self, now: float) -> None:
        """Something of it has come: all is well."""
        self.progress_at = now
        self.stage = Stage.PLANNED
        self._probes = 0
        self._fed = True

    def probe(self, now: float) -> float | None:
        """After how many seconds to probe a parent that let go; None: that is under way."""
        if now < self._probe_at:
            return None
        least, most = _PROBE_S
        pause_s: float = min(most, least * 2**self._probes)
        self._probes += 1
        self._probe_at = now + pause_s
        return pause_s

    def doubts(self, quiet_s: float, now: float) -> bool:
        """Whether to probe a parent that is merely quiet: once per `_DOUBT_S`."""
        if min(quiet_s, now - self._probe_at) < _DOUBT_S:
            return False
        self._probe_at = now
        return True

    def waited_s(self, parent: Parent, quiet_s: float, now: float) -> float:
        """For how long a parent has been giving nothing while it could.

        In a long line many have waited for seconds when their parent gets its first piece.
        """
        if parent is Parent.STARVED:
            self._starved_at = now
            return quiet_s
        return min(quiet_s, now - self._starved_at)

    def patience(self, parent: Parent) -> int:
        """Stalls that a parent is granted before the next stage."""
        match parent:
            case Parent.STARVED:
                return _STARVED_PATIENCE if self._fed else _FIRST_PATIENCE
            case Parent.HOLDING | Parent.GONE:
                return 1
            case _:
                assert_never(parent)

    def climb(self, now: float) -> Stage:
        """Turn to the next stage, whose patience begins."""
        self.progress_at = now
        self.stage = Stage(min(self.stage + 1, Stage.ORIGIN))
        return self.stage
