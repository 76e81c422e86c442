"""What the seeder fetches from: bytes of one blob, from any offset, once or again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class ByteStream(Protocol):
    """Bytes of a blob from some offset on."""

    @property
    def size(self) -> int:
        """Bytes of the whole blob."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes in order; raises `Unavailable` when they end early."""


class ByteSource(Protocol):
    """Where whole blobs can be read from any offset."""

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[ByteStream]:
        """Bytes ``[start, stop)``; raises `Denied`, `NoRanges` or another `Unavailable`."""


async def pause(failures: int) -> None:
    """Wait before a source is tried again, longer after each of ``failures`` in a row."""
    await asyncio.sleep(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (failures - 1)))
