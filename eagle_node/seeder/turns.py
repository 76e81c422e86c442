"""Who may draw on the origin, which all fetches of a node share one link to.

**Ahead.** Every byte that is fetched ahead of demand while somebody waits for another blob makes
him wait longer. A fetch ahead therefore stands still, its connection open, as long as another one
moves that was asked for; it goes on at once when it is asked for itself.

**In turn.** Other nodes get a segment when all of it is here. Layers that arrive side by side
finish their segments late, and the uplink has nothing to send meanwhile: with three layers on links
of 10 Mbit/s it lost four seconds of 54. So where a link is known to be slow, and is filled already,
a large blob that other nodes wait for is asked for when its turn has come: its size is known by
then, so its readers have their headers, but it has no connection, which would bring bytes into the
kernel's buffers even if nobody read them. A segment now and then shows its readers that it lives,
since there are clients that give up on a body that stands still for a minute. Where one connection
does not fill the link (a registry may limit each), the next one does not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.seeder.source import ByteSource, ByteStream
from eagle_node.swarm.transfer import Transfer

_FULL = 0.75
"""Of the link's rate: who draws as much fills it."""
_WINDOW_S = 2.0
"""Seconds that a rate is measured over: longer than the pauses that congestion control makes."""
_PATIENCE_S = 1.0
"""Seconds in which a connection may find its rate, and other nodes ask for what one has begun."""
_SMALL_S = 1.0
"""Blobs that the link carries in so many seconds never wait."""
_OVERLAP_S = 0.3
"""Before a blob is whole the next one is asked for: origins take their time to answer."""
_LOOK_S = 0.1


@dataclass(slots=True)
class _Draw:
    """A transfer that draws on the origin, or waits for its turn to."""

    since: float
    """When it began to do so."""
    waits: bool = False


class Turns:
    """The transfers of one node that draw on the origin or the blob store."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._draws: dict[Transfer, _Draw] = {}
        """In the order in which they were begun."""
        self._ended: asyncio.Future[None] | None = None
        self._received: deque[tuple[float, int]] = deque()
        """When so many bytes came, of late."""
        self._listeners = 0
        self.link_rate: Callable[[], int] = lambda: 0
        """What this node's link carries, bytes/s; 0: unknown, or too fast to matter."""

    @contextmanager
    def filling(self, transfer: Transfer) -> Iterator[None]:
        """``transfer`` draws on the origin while the block lasts."""
        self._draws[transfer] = _Draw(self._clock())
        try:
            yield
        finally:
            del self._draws[transfer]
            if self._ended is not None:
                self._ended.set_result(None)
                self._ended = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Another node is told of segments while the block lasts."""
        self._listeners += 1
        try:
            yield
        finally:
            self._listeners -= 1

    async def idle(self) -> None:
        """Wait until nothing that was asked for draws on the origin."""
        while self._busy():
            await asyncio.shield(self._end())

    async def pause(self, transfer: Transfer) -> None:
        """Wait until ``transfer`` is asked for, or nothing else is that draws."""
        while not transfer.asked.done() and self._busy():
            await asyncio.wait([transfer.asked, self._end()], return_when=asyncio.FIRST_COMPLETED)

    def must_wait(self, transfer: Transfer, size: int | None = None) -> bool:
        """Whether ``transfer``, of ``size`` bytes if that is known, should not draw yet."""
        rate = self.link_rate()
        if not rate or (size is not None and size < rate * _SMALL_S):
            return False
        drawing = []
        for other, draw in self._draws.items():
            if other is transfer:
                break
            if draw.waits:
                return True
            if other.asked.done() and _left(other) > rate * _OVERLAP_S:
                drawing.append(draw.since)
        if not drawing:
            return False
        if self._clock() - max(drawing) < _PATIENCE_S:
            return True
        return bool(self._listeners) and self._speed(min(drawing)) >= rate * _FULL

    @contextmanager
    def waiting(self, transfer: Transfer) -> Iterator[None]:
        """``transfer`` waits for its turn while the block lasts."""
        draw = self._draws[transfer]
        draw.waits = True
        try:
            yield
        finally:
            draw.waits, draw.since = False, self._clock()

    async def turn(self, transfer: Transfer, at_most_s: float) -> bool:
        """Wait until ``transfer``, which has begun, may draw; whether it may."""
        until = self._clock() + at_most_s
        while self.must_wait(transfer, transfer.arrival.layout.size):
            if _is_read_from_within(transfer):
                return True
            if self._clock() >= until:
                return False
            await asyncio.wait([self._end()], timeout=_LOOK_S)
        return True

    def awaits(self, transfer: Transfer) -> bool:
        """Whether nothing comes of ``transfer`` because its turn has not come."""
        return transfer in self._draws and self._draws[transfer].waits

    def took(self, size: int) -> None:
        """So many bytes have come."""
        now = self._clock()
        self._received.append((now, size))
        while now - self._received[0][0] > _WINDOW_S:
            self._received.popleft()

    def _speed(self, since: float) -> float:
        """What came of late, and not before ``since``, bytes/s."""
        now = self._clock()
        oldest = max(since, now - _WINDOW_S)
        return sum(size for at, size in self._received if at >= oldest) / (now - oldest)

    def _busy(self) -> bool:
        return any(transfer.asked.done() for transfer in self._draws)

    def _end(self) -> asyncio.Future[None]:
        """Done when the next transfer stops drawing."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended


def _left(transfer: Transfer) -> float:
    """Bytes that are still to come; endless as long as nobody knows."""
    if not transfer.begun:
        return float("inf")
    return transfer.arrival.layout.size - transfer.arrival.received


def _is_read_from_within(transfer: Transfer) -> bool:
    """Whether somebody wants a range: he waits for more than his place in a pull."""
    return any(demand.wanted.start for demand in transfer.arrival.demand.values())


@dataclass(frozen=True, slots=True)
class InTurn:
    """A source of which a transfer that is fetched ahead reads only when nobody waits for others.

    ``turns`` is told of what comes.
    """

    source: ByteSource
    turns: Turns
    transfer: Transfer

    @asynccontextmanager
    async def open(self, start: int, stop: int | None) -> AsyncIterator[ByteStream]:
        """Bytes ``[start, stop)``."""
        await self.turns.pause(self.transfer)
        async with self.source.open(start, stop) as stream:
            yield _InTurnStream(stream, self.turns, self.transfer)


@dataclass(frozen=True, slots=True)
class _InTurnStream:
    stream: ByteStream
    turns: Turns
    transfer: Transfer

    @property
    def size(self) -> int:
        return self.stream.size

    async def chunks(self) -> AsyncIterator[bytes]:
        await self.turns.pause(self.transfer)
        async for chunk in self.stream.chunks():
            self.turns.took(len(chunk))
            yield chunk
            await self.turns.pause(self.transfer)
