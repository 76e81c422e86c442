"""A scripted `ByteSource`: real bytes from memory, breaks and stalls as a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from eagle_node.base.errors import EagleError
from eagle_node.registry.answer import NoRanges


@dataclass(frozen=True, slots=True)
class Stream:
    """One connection."""

    size: int
    _chunks: AsyncIterator[bytes]

    def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes."""
        return self._chunks


class MemorySource:
    """Serves ``data`` in chunks; keeps account of connections."""

    def __init__(self, data: bytes, *, chunk: int = 64 << 10) -> None:
        self.data = data
        self.chunk = chunk
        self.opened: list[tuple[int, int | None]] = []
        """First byte and end of every connection that was asked for."""
        self.live = 0
        """Connections that are open."""
        self.sent = 0
        self.refuse: Callable[[int], EagleError | None] = lambda number: None
        """What the n-th connection is refused with."""
        self.break_at: Callable[[int], int | None] = lambda number: None
        """After how many bytes the n-th connection breaks off."""
        self.break_with: EagleError | None = None
        """None: it just ends."""
        self.ranges = True
        """Whether anything but the whole can be asked for."""
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.hold_at: int | None = None
        """Offset from which on bytes wait for ``may_send``."""
        self._moved = asyncio.Event()

    async def until(self, fact: Callable[[MemorySource], bool]) -> None:
        """Wait for a fact about connections or bytes sent."""
        while not fact(self):
            self._moved.clear()
            await self._moved.wait()

    @asynccontextmanager
    async def open(self, start: int, stop: int | None) -> AsyncIterator[Stream]:
        """Bytes ``[start, stop)``."""
        number = len(self.opened)
        self.opened.append((start, stop))
        self._moved.set()
        error = self.refuse(number)
        if start and not self.ranges:
            error = NoRanges("only the whole is sent")
        if error is not None:
            raise error
        self.live += 1
        try:
            yield Stream(len(self.data), self._send(number, start, stop))
        finally:
            self.live -= 1

    async def _send(self, number: int, start: int, stop: int | None) -> AsyncIterator[bytes]:
        end = len(self.data) if stop is None else min(stop, len(self.data))
        limit = self.break_at(number)
        cut = end if limit is None else min(end, start + limit)
        for offset in range(start, cut, self.chunk):
            if self.hold_at is not None and offset >= self.hold_at:
                await self.may_send.wait()
            part = self.data[offset : min(offset + self.chunk, cut)]
            self.sent += len(part)
            self._moved.set()
            yield part
            await asyncio.sleep(0)
        if cut < end and self.break_with is not None:
            raise self.break_with
