"""``shards://?store=URL&store=URL``: one blob store spread over several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

from eagle_node.base.errors import UsageError
from eagle_node.base.rendezvous import rendezvous
from eagle_node.storage.interface import ObjectInfo, Storage, check_name
from eagle_node.storage.open import open_storage


@asynccontextmanager
async def open_shards(url: str) -> AsyncIterator[ShardedStorage]:
    """The stores that ``url`` names, as one; ``&`` within their URLs is written ``%26``."""
    options = parse_qsl(urlsplit(url).query)
    if not options or any(name != "store" for name, _ in options):
        raise UsageError(f"--storage {url!r}: write shards://?store=URL&store=URL")
    async with AsyncExitStack() as stack:
        yield ShardedStorage(
            [(each, await stack.enter_async_context(open_storage(each))) for _, each in options]
        )


class ShardedStorage:
    """A `Storage` in which each blob lies in the shard that owns its name."""

    def __init__(self, shards: Sequence[tuple[str, Storage]]) -> None:
        self._shards = shards

    async def create_with_metainfo(self, name: str, metainfo: bytes) -> None:
        await self._owner(name).create_with_metainfo(name, metainfo)

    async def metainfo(self, name: str) -> bytes:
        return await self._owner(name).metainfo(name)

    async def stat(self, name: str) -> ObjectInfo:
        return await self._owner(name).stat(name)

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int) -> None:
        await self._owner(name).upload(name, chunks, size=size)

    def download(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        return self._owner(name).download(name, start=start, stop=stop)

    async def delete(self, name: str) -> None:
        await self._owner(name).delete(name)

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        for _, shard in self._shards:
            async for info in shard.list(prefix):
                yield info

    async def aclose(self) -> None:
        for _, shard in self._shards:
            await shard.aclose()

    def _owner(self, name: str) -> Storage:
        return rendezvous(check_name(name), self._shards, name=lambda shard: shard[0])[0][1]
