"""The in-memory twin of a blob store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing

from eagle_node.base.errors import Unavailable
from eagle_node.storage.interface import BlobNotFound, ObjectInfo, check_name

_CHUNK = 1 << 20


def open_memory(url: str) -> AbstractAsyncContextManager[MemoryStorage]:
    """An empty store; ``url`` says no more than ``memory://``."""
    return aclosing(MemoryStorage())


class MemoryStorage:
    """A `Storage` that lasts as long as the process."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._companions: dict[str, bytes] = {}

    async def create_with_metainfo(self, name: str, metainfo: bytes) -> None:
        self._companions[check_name(name)] = bytes(metainfo)

    async def metainfo(self, name: str) -> bytes:
        return _existing(self._companions, name)

    async def stat(self, name: str) -> ObjectInfo:
        return ObjectInfo(name=name, size=len(_existing(self._blobs, name)))

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int) -> None:
        check_name(name)
        blob = bytearray()
        async for chunk in chunks:
            blob += chunk
        if len(blob) != size:
            raise Unavailable(f"{name} has {len(blob)} bytes instead of {size}; not stored")
        self._blobs[name] = bytes(blob)

    async def download(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        blob = _existing(self._blobs, name)
        stop = len(blob) if stop is None else min(stop, len(blob))
        for offset in range(start, stop, _CHUNK):
            yield blob[offset : min(offset + _CHUNK, stop)]

    async def delete(self, name: str) -> None:
        self._blobs.pop(check_name(name), None)
        self._companions.pop(name, None)

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        below = f"{check_name(prefix)}/" if prefix else ""
        for name, blob in list(self._blobs.items()):
            if name.startswith(below):
                yield ObjectInfo(name=name, size=len(blob))

    async def aclose(self) -> None:
        self._blobs.clear()
        self._companions.clear()


def _existing(objects: dict[str, bytes], name: str) -> bytes:
    try:
        return objects[check_name(name)]
    except KeyError:
        raise BlobNotFound(f"{name} is not in the blob store") from None
