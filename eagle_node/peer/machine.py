"""The life cycle of one download (sans-IO).

``handle(event, now)`` is the only door to the state. Segments run WAITING (no metainfo) -> READY ->
PREPARED (children may connect) -> ACTIVE (dials its parent) -> DONE. They are dealt to stripes,
each with a parent of its own: ``window`` of each are ACTIVE at the most, and `LOOKAHEAD` more of
all are prepared. When a parent is gone, the ACTIVE segments of its stripe become STRANDED: they
dial its successor, who may not know them, so others take their places in the window. A stripe that
makes no progress for ``stall_s`` seconds climbs the ladder of `Stage`; any progress takes it back
to the bottom.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import assert_never

from eagle_node.base.errors import Denied, EagleError, NoSpace, WrongContent
from eagle_node.peer.asking import Asking, Turn
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
    PartsFailed,
    Planned,
    PrepareSegment,
    ProbeParent,
    SeederBeat,
    SeedersChanged,
    SegmentArrived,
    StartSegment,
    StreamEnded,
    Ticked,
    Wanted,
    WidenMesh,
)
from eagle_node.peer.lane import Lane, Stage

LOOKAHEAD = 12
"""Segments beyond the window that are prepared: a child's window may be ahead of its parent's."""
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


class Download:
    """One download.

    Invariants: at most ``window`` segments of a lane are ACTIVE; once ``ended`` no effect follows.
    """

    def __init__(
        self,
        *,
        seeders: int,
        window: int,
        stall_s: float,
        now: float,
        next_in_line: bool = False,
        elected: bool = False,
        standing: frozenset[int] | None = None,
    ) -> None:
        """``next_in_line``: after these seeders it is this node's turn to ask the origin.

        ``elected``: in the place of a seeder that is gone comes another one. ``standing``: which
        of the seeders have the role now; None: all.
        """
        self._asking = Asking(
            seeders=seeders,
            now=now,
            next_in_line=next_in_line,
            elected=elected,
            standing=standing,
        )
        self._window = window
        self._parts = False
        self._stall_s = stall_s
        self._states: dict[int, State] = {}
        self._wanted: tuple[int, ...] | None = None
        self._laid_out = False
        self._planned = False
        self._lanes = [Lane(now)]
        self.ended = False

    @property
    def stage(self) -> Stage:
        """The most that a lane has degraded."""
        return max(lane.stage for lane in self._lanes)

    def start(self) -> Sequence[Effect]:
        """The first effect: a stream of metainfo."""
        return (self._asking.start(),)

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """The effects of ``event``, to be performed in order."""
        if self.ended:
            return ()
        match event:
            case LayoutArrived():
                self._asking.heard(now)
                self._laid_out = True
                for index in range(event.segments):
                    done = index in event.have
                    self._states.setdefault(index, State.DONE if done else State.WAITING)
                if not self._planned and event.swarmed:
                    self._planned = True
                    for lane in self._lanes:
                        lane.planning = True
                    return (AskPlan(parent_failed=False), *self._fill_window(now))
            case Wanted():
                lacked = self._lacks_metainfo()
                self._wanted = event.indices
                self._parts = event.parts
                if self._lacks_metainfo() and not lacked:
                    self._asking.heard_at = now  # nobody was waited for till now
            case PartsFailed():
                return self._parts_failed(event.error)
            case MetainfoArrived():
                self._asking.heard(now)
                if self._states.get(event.index) is State.WAITING:
                    self._states[event.index] = State.READY
            case SegmentArrived():
                self._progressed(event.index, now)
                self._states[event.index] = State.DONE
            case ParentLost():
                return self._doubt_parent(event.stripe, now)
            case ParentGone():
                return self._replace_parent(event.stripe, now)
            case Planned():
                self._deal(event.stripes)
            case BytesArrived():
                self._progressed(event.index, now)
                return ()
            case SeederBeat():
                self._asking.beat(event, now)
                return ()
            case StreamEnded():
                self._asking.ended(gone=event.gone)
                return self._stream_ended(event.error, now)
            case SeedersChanged():
                return self._take(self._asking.changed(event))
            case Ticked():
                effects = [
                    *self._leave_displaced(now),
                    *self._ask_again(now),
                    *self._degrade_quiet(event.parents, now),
                ]
                return effects if self.ended else [*effects, *self._fill_window(now)]
            case _:
                assert_never(event)
        return self._fill_window(now)

    def quiet_s(self, now: float) -> list[float]:
        """Seconds without progress, by stripe."""
        return [
            now - (lane.progress_at if self._busy(stripe) else self._asking.heard_at)
            for stripe, lane in enumerate(self._lanes)
        ]

    def check(self) -> None:
        """Assert the invariants."""
        for stripe in range(len(self._lanes)):
            assert len(self._active(stripe)) <= self._window
        held = self._in(State.PREPARED, State.ACTIVE, State.STRANDED)
        assert len(held) <= self._window * len(self._lanes) + LOOKAHEAD
        self._asking.check()

    def _deal(self, stripes: int) -> None:
        """The tracker has answered: segments belong to so many stripes."""
        if stripes != len(self._lanes):
            oldest = self._lanes[0]
            self._lanes = [replace(oldest) for _ in range(stripes)]
            for stripe in range(stripes):
                surplus = self._active(stripe)[self._window :]
                self._states.update(dict.fromkeys(surplus, State.STRANDED))
        for lane in self._lanes:
            lane.planning = False

    def _progressed(self, index: int, now: float) -> None:
        self._lane(index).progressed(now)

    def _lane(self, index: int) -> Lane:
        """A segment's, or a stripe's."""
        return self._lanes[index % len(self._lanes)]

    def _active(self, stripe: int) -> list[int]:
        return self._of(stripe, State.ACTIVE)

    def _busy(self, stripe: int) -> bool:
        return bool(self._of(stripe, State.ACTIVE, State.STRANDED))

    def _of(self, stripe: int, *states: State) -> list[int]:
        lanes = len(self._lanes)
        return [index for index in self._in(*states) if index % lanes == stripe]

    def _in(self, *states: State) -> list[int]:
        return [index for index, state in self._states.items() if state in states]

    def _fill_window(self, now: float) -> Sequence[Effect]:
        if self._wanted is None or not self._laid_out:
            return ()
        missing = [i for i in self._wanted if self._states.get(i) is not State.DONE]
        if not missing:
            if self._parts:
                return ()
            self.ended = True
            return (Finish(),)
        if all(lane.planning for lane in self._lanes):
            return ()
        held = self._in(State.PREPARED, State.ACTIVE, State.STRANDED)
        room = self._window * len(self._lanes) + LOOKAHEAD - len(held)
        ready = [index for index in missing if self._states.get(index) is State.READY]
        preparing = ready[: max(0, room)]
        self._states.update(dict.fromkeys(preparing, State.PREPARED))
        starting = [
            index
            for stripe in range(len(self._lanes))
            for index in self._starting(stripe, missing, now)
        ]
        starting.sort(key=missing.index)
        self._states.update(dict.fromkeys(starting, State.ACTIVE))
        if not held and not preparing and not self._asking.is_open:
            return self._take(self._asking.next("the seeder did not tell of all segments", now))
        return [*map(PrepareSegment, preparing), *map(StartSegment, starting)]

    def _starting(self, stripe: int, missing: Sequence[int], now: float) -> Sequence[int]:
        """What a lane has room to start; its patience begins with the first."""
        lane, lanes = self._lanes[stripe], len(self._lanes)
        if lane.planning:
            return ()
        free = self._window - len(self._active(stripe))
        prepared = (
            index
            for index in missing
            if index % lanes == stripe and self._states.get(index) is State.PREPARED
        )
        starting = list(islice(prepared, max(0, free)))
        if starting and not self._busy(stripe):
            lane.progress_at = now
        return starting

    def _doubt_parent(self, stripe: int, now: float) -> Sequence[Effect]:
        """It may be gone, frozen, or not yet know of a segment: who answers is dialled again."""
        pause_s = self._lane(stripe).probe(now)
        return () if pause_s is None else (ProbeParent(stripe, pause_s),)

    def _replace_parent(self, stripe: int, now: float) -> Sequence[Effect]:
        """The parent is gone for certain: no patience is due."""
        lane = self._lane(stripe)
        if lane.planning:
            return ()
        lane.planning = True
        lane.progress_at = now
        self._states.update(dict.fromkeys(self._active(stripe), State.STRANDED))
        return (AskPlan(parent_failed=True, gone=True, stripe=stripe),)

    def _stream_ended(self, error: EagleError | None, now: float) -> Sequence[Effect]:
        if isinstance(error, Denied | NoSpace):
            self.ended = True
            return (GiveUp(error),)
        if isinstance(error, WrongContent) and self._laid_out:
            return self._content_is_wrong(error)
        if error is None or not self._lacks_metainfo():
            return self._fill_window(now)
        if self._asking.is_over and self._in(*_SWARMING):
            return ()
        return self._take(self._asking.next(str(error), now))

    def _content_is_wrong(self, error: WrongContent) -> Sequence[Effect]:
        """Every segment that the seeder told of is of the same wrong bytes: none is waited for.

        No source mends what is here already; without any of it the origin may do better.
        """
        if not self._in(State.DONE):
            return self._to_origin(str(error))
        self.ended = True
        return (GiveUp(error),)

    def _parts_failed(self, error: EagleError) -> Sequence[Effect]:
        if isinstance(error, Denied | NoSpace):
            self.ended = True
            return (GiveUp(error),)
        return self._to_origin(str(error))

    def _lacks_metainfo(self) -> bool:
        """Whether a seeder has yet to tell of something that is wanted."""
        return not self._laid_out or any(
            self._states.get(index) is State.WAITING for index in self._wanted or ()
        )

    def _degrade_quiet(self, parents: Sequence[Parent], now: float) -> Sequence[Effect]:
        """What is to be done about the lanes that make no progress."""
        effects: list[Effect] = []
        for stripe, quiet_s in enumerate(self.quiet_s(now)):
            lane, busy = self._lanes[stripe], self._busy(stripe)
            parent = parents[stripe] if stripe < len(parents) else Parent.HOLDING
            if self.ended:
                break
            if lane.waited_s(parent, quiet_s, now) < self._patience_s(lane, parent, busy=busy):
                if busy and lane.doubts(quiet_s, now):
                    effects.append(ProbeParent(stripe))
            elif busy:
                effects += self._degrade(stripe, parent, now)
            elif self._awaits_seeder(stripe) and now > self._asking.heard_at:
                self._asking.heard_at = now
                effects += self._take(self._asking.next("the seeder is silent", now))
        return effects

    def _patience_s(self, lane: Lane, parent: Parent, *, busy: bool) -> float:
        return self._stall_s * (lane.patience(parent) if busy else _SEEDER_PATIENCE)

    def _awaits_seeder(self, stripe: int) -> bool:
        """Whether something of a lane is missing that nobody has been asked for."""
        if not self._laid_out or self._wanted is None:
            return True
        lanes = len(self._lanes)
        missing = (i for i in self._wanted if self._states.get(i) is not State.DONE)
        return any(index % lanes == stripe for index in missing)

    def _degrade(self, stripe: int, parent: Parent, now: float) -> Sequence[Effect]:
        """A lane without progress for a while: the next stage that can help."""
        failed = parent is not Parent.STARVED
        match self._lanes[stripe].climb(now):
            case Stage.NEXT_PARENT if failed:
                return (AskPlan(parent_failed=True, stripe=stripe),)
            case Stage.NEXT_PARENT | Stage.MESH:
                return (AskPlan(parent_failed=failed, stripe=stripe), WidenMesh(stripe))
            case Stage.NEXT_SEEDER:
                if sum(each.stage is Stage.NEXT_SEEDER for each in self._lanes) > 1:
                    return (WidenMesh(stripe),)  # it is asked for the other stripe already
                turn = self._asking.next("the swarm makes no progress", now)
                return (WidenMesh(stripe), *self._take(turn))
            case _:
                return self._to_origin("the swarm makes no progress")

    def _leave_displaced(self, now: float) -> Sequence[Effect]:
        """Ask somebody else than one that has lost its role and tells nothing."""
        if not (self._asking.is_displaced(now) and self._lacks_metainfo()):
            return ()
        return self._take(self._asking.leave(now))

    def _ask_again(self, now: float) -> Sequence[Effect]:
        """While a successor is waited for: the seeder that was gone may have been restarted."""
        return self._take(self._asking.again(now)) if self._lacks_metainfo() else ()

    def _take(self, turn: Turn) -> Sequence[Effect]:
        match turn:
            case GoToOrigin(reason):
                return self._to_origin(reason)
            case OpenStream():
                return (turn,)
            case None:
                return ()

    def _to_origin(self, reason: str) -> Sequence[Effect]:
        self.ended = True
        self._asking.end()
        for lane in self._lanes:
            lane.stage = Stage.ORIGIN
        return (GoToOrigin(reason),)
