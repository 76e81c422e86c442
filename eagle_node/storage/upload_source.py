"""The chunks of an upload on their way into obstore: counted, and stopped cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from eagle_node.base.errors import Unavailable


class UploadStopped(Exception):
    """What a stopped source raises into the library, which then takes the upload back."""


class UploadSource:
    """Yields chunks that must add up to ``size``; an async iterator.

    The library aborts a multipart upload only when its source raises; an upload that is merely
    cancelled leaves parts in the bucket, invisible and paid for. So `stop` makes a step that is
    under way, and all later ones, raise.
    """

    def __init__(self, name: str, chunks: AsyncIterator[bytes], *, size: int) -> None:
        self._name = name
        self._chunks = chunks
        self._size = size
        self._left = size
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: BaseException | None = None
        """What ended the source early."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        step = asyncio.ensure_future(self._step())
        either: set[asyncio.Future[Any]] = {step, self._stopped}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
        if self._stopped.done():
            raise UploadStopped
        chunk = step.result()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    def stop(self) -> None:
        """End the source; a step that waits for a chunk is cancelled."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def _step(self) -> bytes | None:
        try:
            chunk = await anext(self._chunks, None)
            self._left -= len(chunk or b"")
            if self._left < 0 or (chunk is None and self._left):
                was = "more" if self._left < 0 else "fewer"
                raise Unavailable(f"{self._name} has {was} than {self._size} bytes; not stored")
        except BaseException as error:
            self.error = error
            raise
        return chunk
