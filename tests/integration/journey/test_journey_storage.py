"""The seeder's blob store: kept, found again by others, and no way around the origin's word."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.support.node import Node, eagle_node
from tests.support.origin import Origin, scripted_origin
from tests.support.pulls import blob_url, pull_blob, refusal, traffic
from tests.support.waiting import until

MIB = 1 << 20
_AT_ONCE_S = 8.0
"""Less than a node waits for a seeder of which it hears nothing."""
SIZE = 5 * MIB


async def _stored(directory: Path, digest: str) -> None:
    """Wait until the blob is whole in the store."""
    name = digest.removeprefix("sha256:")
    path = directory / "sha256" / name[:2] / name

    async def is_whole() -> bool:
        return path.exists() and path.stat().st_size == SIZE

    await until(is_whole, what=f"{path} to be stored")


def _node(directory: Path, name: str, origin: Origin) -> AbstractAsyncContextManager[Node]:
    """A node of all roles over the store of ``directory``."""
    store = f"file://{directory / 'store'}"
    return eagle_node(directory / name, *origin.flags, "--storage", store)


async def test_a_fresh_seeder_finds_blobs_in_the_store(tmp_path: Path) -> None:
    """With the origin up and saying yes, another node takes the bytes from the store."""
    (tmp_path / "store").mkdir()
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with _node(tmp_path, "a", origin) as first:
            await pull_blob(first, digest)
            await _stored(tmp_path / "store", digest)
        async with _node(tmp_path, "b", origin) as fresh:
            async with eagle_node(tmp_path / "c", *origin.flags, *fresh.pins) as child:
                async with asyncio.timeout(_AT_ONCE_S):
                    await pull_blob(child, digest)
            assert (await traffic(fresh))["origin_bytes"] == 0
            await pull_blob(fresh, digest)
        assert len(origin.gets(digest)) == 1


async def test_the_store_gives_nothing_that_the_origin_does_not(tmp_path: Path) -> None:
    """Deleted at the origin: its 404. Origin down: 502 from a node that never had its yes."""
    (tmp_path / "store").mkdir()
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with _node(tmp_path, "a", origin) as first:
            await pull_blob(first, digest)
            await _stored(tmp_path / "store", digest)
        origin.remove(digest)
        async with _node(tmp_path, "b", origin) as fresh:
            told = await refusal(blob_url(fresh, digest), status=404)
            assert "404" in told
    async with _node(tmp_path, "c", origin) as fresh:
        told = await refusal(blob_url(fresh, digest), status=502)
        assert "cannot connect" in told


async def test_a_known_client_is_served_while_the_origin_is_down(tmp_path: Path) -> None:
    """A node goes on giving what it holds to who had the origin's yes; strangers get 502."""
    async with AsyncExitStack() as up:
        origin = await up.enter_async_context(scripted_origin())
        digest = origin.add_random(SIZE)
        async with eagle_node(tmp_path / "a", *origin.flags, "--access-ttl", "0.001") as node:
            known = {"Authorization": "Basic cmVhZGVyOnB3"}
            await pull_blob(node, digest, headers=known)
            await up.aclose()
            await pull_blob(node, digest, headers=known)
            stranger = {"Authorization": "Basic c3RyYW5nZXI6eA=="}
            for headers in (stranger, None):
                await refusal(blob_url(node, digest), status=502, headers=headers)


async def test_wrong_bytes_in_the_store_are_deleted(tmp_path: Path) -> None:
    """A client of the altered copy is cut off; the next pull comes from the origin, right."""
    store = tmp_path / "store"
    store.mkdir()
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with _node(tmp_path, "a", origin) as first:
            await pull_blob(first, digest)
            await _stored(store, digest)
        name = digest.removeprefix("sha256:")
        (store / "sha256" / name[:2] / name).write_bytes(bytes(SIZE))
        async with _node(tmp_path, "b", origin) as fresh:
            with pytest.raises((aiohttp.ClientError, AssertionError)):
                await pull_blob(fresh, digest)

            async def is_deleted() -> bool:
                return not (store / "sha256" / name[:2] / name).exists()

            await until(is_deleted, what="the altered copy to be deleted")
            await pull_blob(fresh, digest)
        assert len(origin.gets(digest)) == 2
