"""Who may draw on the origin: what is asked for first, what is fetched ahead in its pauses.

All fetches share one link to the origin, so every byte that is fetched ahead of demand while
somebody waits for another blob makes him wait longer. A fetch ahead therefore stands still, its
connection open, as long as another one moves that was asked for; it goes on at once when it is
asked for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from eagle_node.seeder.source import ByteSource, ByteStream
from eagle_node.swarm.transfer import Transfer


class Turns:
    """The transfers of one node that draw on the origin or the blob store."""

    def __init__(self) -> None:
        self._filling: set[Transfer] = set()
        self._ended: asyncio.Future[None] | None = None

    @contextmanager
    def filling(self, transfer: Transfer) -> Iterator[None]:
        """``transfer`` draws on the origin while the block lasts."""
        self._filling.add(transfer)
        try:
            yield
        finally:
            self._filling.discard(transfer)
            if self._ended is not None:
                self._ended.set_result(None)
                self._ended = None

    async def idle(self) -> None:
        """Wait until nothing that was asked for draws on the origin."""
        while self._busy():
            await asyncio.shield(self._end())

    async def turn(self, transfer: Transfer) -> None:
        """Wait until ``transfer`` may draw: it is asked for, or nothing else is that draws."""
        while not transfer.asked.done() and self._busy():
            await asyncio.wait([transfer.asked, self._end()], return_when=asyncio.FIRST_COMPLETED)

    def _busy(self) -> bool:
        return any(transfer.asked.done() for transfer in self._filling)

    def _end(self) -> asyncio.Future[None]:
        """Done when the next transfer stops drawing."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended


@dataclass(frozen=True, slots=True)
class InTurn:
    """A source of which a transfer that is fetched ahead reads only when its turn has come."""

    source: ByteSource
    turns: Turns
    transfer: Transfer

    @asynccontextmanager
    async def open(self, start: int, stop: int | None) -> AsyncIterator[ByteStream]:
        """Bytes ``[start, stop)``."""
        await self.turns.turn(self.transfer)
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
        await self.turns.turn(self.transfer)
        async for chunk in self.stream.chunks():
            yield chunk
            await self.turns.turn(self.transfer)
