"""The life cycle of one download (sans-IO).

``handle(event, now)`` is the only door to the state. Segments run WAITING (no metainfo) -> READY ->
PREPARED (children may connect) -> ACTIVE (dials its parent) -> DONE; at most ``window`` are ACTIVE,
and at most ``window + LOOKAHEAD`` prepared or active. When the parent is gone, ACTIVE segments
become STRANDED: libtorrent dials their new parent at its next tick, but that of a fresh segment at
once, so others take their places in the window. A download that makes no progress for ``stall_s``
seconds climbs the ladder of `Stage`; any progress takes it back to the bottom.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import assert_never

from eagle_node.base.errors import Denied, EagleError
from eagle_node.peer.events import (
    AskPlan,
    BytesArrived,
    Effect,
    Event,
    Finish,
    GiveUp,
    GoToOrigin,
    LayoutArrived,
    MetainfoArrived,
    OpenStream,
    Parent,
    ParentGone,
    ParentLost,
    Planned,
    PrepareSegment,
    ProbeParent,
    SeederBeat,
    SegmentArrived,
    StartSegment,
    StreamEnded,
    Ticked,
    Wanted,
    WidenMesh,
)

_PROBE_S = 0.3
"""Between probes of a parent: its connections end together."""
LOOKAHEAD = 12
"""Segments beyond the window that are prepared: a child's window may be ahead of its parent's."""
_REDIAL_S = 1.0
"""A parent whose connection is gone may come back within libtorrent's next tick, of a second."""
_STARVED_PATIENCE = 2
"""Stalls that a parent with nothing to give is granted: whoever is at fault above it is replaced
first, by its own child."""
_SEEDER_PATIENCE = 3
"""Stalls that a seeder is granted before its origin's silence counts against it."""


class State(enum.Enum):
    """Of one segment."""

    WAITING = enum.auto()
    READY = enum.auto()
    PREPARED = enum.auto()
    ACTIVE = enum.auto()
    STRANDED = enum.auto()
    DONE = enum.auto()


_SWARMING = (State.READY, State.PREPARED, State.ACTIVE, State.STRANDED)
"""States of segments that come without another word from a seeder."""


class Stage(enum.IntEnum):
    """How far the download has degraded."""

    PLANNED = 0
    NEXT_PARENT = 1
    MESH = 2
    NEXT_SEEDER = 3
    ORIGIN = 4


class Download:
    """One download.

    Invariants: ``active`` counts the ACTIVE segments and never exceeds the window; once ``ended``
    no effect follows; ``attempt`` only grows.
    """

    def __init__(self, *, seeders: int, window: int, stall_s: float, now: float) -> None:
        self._seeders = seeders
        self._window = window
        self._stall_s = stall_s
        self._progress_at = now
        self._fetched = -1
        self._states: dict[int, State] = {}
        self._wanted: tuple[int, ...] | None = None
        self._laid_out = False
        self._stream_open = True
        self._planned = False
        self._planning = False
        self._probed_at = now - _PROBE_S
        self.attempt = 0
        self.stage = Stage.PLANNED
        self.ended = False

    def start(self) -> Sequence[Effect]:
        """The first effect: a stream of metainfo."""
        return (OpenStream(0),)

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """The effects of ``event``, to be performed in order."""
        if self.ended:
            return ()
        match event:
            case LayoutArrived():
                self._progressed(now)
                self._laid_out = True
                for index in range(event.segments):
                    done = index in event.have
                    self._states.setdefault(index, State.DONE if done else State.WAITING)
                if not self._planned and event.swarmed:
                    self._planned = self._planning = True
                    return (AskPlan(parent_failed=False), *self._fill_window())
            case Wanted():
                self._wanted = event.indices
            case MetainfoArrived():
                if not self._in(State.ACTIVE, State.STRANDED):
                    self._progressed(now)
                if self._states.get(event.index) is State.WAITING:
                    self._states[event.index] = State.READY
            case SegmentArrived():
                self._progressed(now)
                self._states[event.index] = State.DONE
            case ParentLost():
                if now - self._probed_at < _PROBE_S:
                    return ()
                self._probed_at = now
                return (ProbeParent(),)
            case ParentGone():
                return self._replace_parent(now)
            case Planned():
                self._planning = False
            case BytesArrived():
                self._progressed(now)
            case SeederBeat():
                if event.received > self._fetched:
                    self._fetched = event.received
                    if not self._in(State.ACTIVE, State.STRANDED):
                        self._progressed(now)
            case StreamEnded():
                return self._stream_ended(event.error)
            case Ticked():
                if self.quiet_s(now) >= self._patience_s(event.parent):
                    self._progress_at = now
                    return self._degrade(event.parent)
            case _:
                assert_never(event)
        return self._fill_window()

    def quiet_s(self, now: float) -> float:
        """Seconds without progress."""
        return now - self._progress_at

    def check(self) -> None:
        """Assert the invariants."""
        assert len(self._active()) <= self._window
        held = self._in(State.PREPARED, State.ACTIVE, State.STRANDED)
        assert len(held) <= self._window + LOOKAHEAD
        assert self.attempt <= self._seeders

    def _progressed(self, now: float) -> None:
        self._progress_at = now
        self.stage = Stage.PLANNED

    def _patience_s(self, parent: Parent) -> float:
        if not self._in(State.ACTIVE, State.STRANDED):
            return self._stall_s * _SEEDER_PATIENCE
        match parent:
            case Parent.GONE:
                return min(_REDIAL_S, self._stall_s)
            case Parent.STARVED:
                return self._stall_s * _STARVED_PATIENCE
            case Parent.HOLDING:
                return self._stall_s
            case _:
                assert_never(parent)

    def _active(self) -> list[int]:
        return self._in(State.ACTIVE)

    def _in(self, *states: State) -> list[int]:
        return [index for index, state in self._states.items() if state in states]

    def _fill_window(self) -> Sequence[Effect]:
        if self._wanted is None or not self._laid_out or self._planning:
            return ()
        missing = [i for i in self._wanted if self._states.get(i) is not State.DONE]
        if not missing:
            self.ended = True
            return (Finish(),)
        held = self._in(State.PREPARED, State.ACTIVE, State.STRANDED)
        room = self._window + LOOKAHEAD - len(held)
        ready = [index for index in missing if self._states.get(index) is State.READY]
        preparing = ready[: max(0, room)]
        self._states.update(dict.fromkeys(preparing, State.PREPARED))
        free = self._window - len(self._active())
        prepared = [index for index in missing if self._states.get(index) is State.PREPARED]
        starting = prepared[: max(0, free)]
        self._states.update(dict.fromkeys(starting, State.ACTIVE))
        if not held and not preparing and not self._stream_open:
            return self._next_seeder("the seeder did not tell of all segments")
        return [*map(PrepareSegment, preparing), *map(StartSegment, starting)]

    def _replace_parent(self, now: float) -> Sequence[Effect]:
        """The parent is gone for certain: no patience is due."""
        if self._planning:
            return ()
        self._planning = True
        self._progress_at = now
        self._states.update(dict.fromkeys(self._active(), State.STRANDED))
        return (AskPlan(parent_failed=True, gone=True),)

    def _stream_ended(self, error: EagleError | None) -> Sequence[Effect]:
        self._stream_open = False
        if isinstance(error, Denied):
            self.ended = True
            return (GiveUp(error),)
        if error is None or not self._lacks_metainfo():
            return self._fill_window()
        if self.attempt + 1 < self._seeders or not self._in(*_SWARMING):
            return self._next_seeder(str(error))
        return ()

    def _lacks_metainfo(self) -> bool:
        """Whether a seeder has yet to tell of something that is wanted."""
        return not self._laid_out or any(
            self._states.get(index) is State.WAITING for index in self._wanted or ()
        )

    def _degrade(self, parent: Parent) -> Sequence[Effect]:
        """No progress for a while: the next stage that can help."""
        if not self._in(State.ACTIVE, State.STRANDED):
            return self._next_seeder("the seeder is silent")
        self.stage = Stage(min(self.stage + 1, Stage.ORIGIN))
        match self.stage:
            case Stage.NEXT_PARENT if parent is Parent.STARVED:
                return (AskPlan(parent_failed=False), WidenMesh())
            case Stage.NEXT_PARENT:
                return (AskPlan(parent_failed=True),)
            case Stage.MESH:
                return (AskPlan(parent_failed=parent is not Parent.STARVED), WidenMesh())
            case Stage.NEXT_SEEDER:
                return (WidenMesh(), *self._next_seeder("the swarm makes no progress"))
            case _:
                return self._to_origin("the swarm makes no progress")

    def _next_seeder(self, reason: str) -> Sequence[Effect]:
        self.attempt += 1
        if self.attempt >= self._seeders:
            return self._to_origin(reason)
        self._stream_open = True
        self._fetched = -1
        return (OpenStream(self.attempt),)

    def _to_origin(self, reason: str) -> Sequence[Effect]:
        self.ended = True
        self.attempt = self._seeders
        self.stage = Stage.ORIGIN
        return (GoToOrigin(reason),)
