"""What survives the end of a node's process, orderly or not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import Behaviour, scripted_origin
from tests.support.pulls import blob_url, pull_blob, traffic
from tests.support.waiting import until

MIB = 1 << 20


async def _have_bytes(node: Node, digest: str) -> int:
    """Bytes of whole segments of a blob that a node has."""
    document = await http.get_json(f"{node.api_url}/v1/blobs")
    rows = [row for row in document["blobs"] if row["digest"] == digest]
    return int(rows[0]["have_bytes"]) if rows else 0


async def _abandoned(node: Node, digest: str) -> None:
    """Pull while the node is killed."""
    with suppress(aiohttp.ClientError):
        await http.download(blob_url(node, digest))


@pytest.mark.parametrize("crash", [False, True], ids=["terminated", "killed"])
async def test_the_cache_survives_the_process(tmp_path: Path, crash: bool) -> None:
    """After a restart pulls are local, and a new node gets all of it from the restarted one."""
    async with scripted_origin() as origin:
        digests = [origin.add_random(size, seed=size) for size in (5 * MIB, 100_000, 1)]
        async with eagle_node(tmp_path / "a", *origin.flags) as first:
            for digest in digests:
                await pull_blob(first, digest)

            async def has_all() -> bool:
                return bool((await first.status())["cache"]["blobs"] == len(digests))

            await until(has_all, what="the blobs to be committed")
            await (first.kill() if crash else first.terminate())
            await first.start()
            for digest in digests:
                await pull_blob(first, digest)
            async with eagle_node(tmp_path / "b", *origin.flags, *first.pins) as second:
                for digest in digests:
                    await pull_blob(second, digest)
                assert (await traffic(second))["origin_bytes"] == 0
            account = await traffic(first)
        assert account["origin_bytes"] == 0
        assert account["served_from"]["local"] == account["served_bytes"]
        assert all(len(origin.gets(digest)) == 1 for digest in digests)


async def test_a_killed_seeder_resumes_at_the_origin(tmp_path: Path) -> None:
    """Segments that were whole when the process was killed are not fetched again."""
    size = 12 * MIB
    async with scripted_origin() as origin:
        digest = origin.add_random(size)
        origin.script(digest, Behaviour(rate=8 * MIB))
        async with eagle_node(tmp_path / "a", *origin.flags) as node:
            pull = asyncio.create_task(_abandoned(node, digest))

            async def has_some() -> bool:
                return await _have_bytes(node, digest) >= 3 * MIB

            await until(has_some, what="three segments")
            have = await _have_bytes(node, digest)
            await node.kill()
            await pull
            await node.start()
            await pull_blob(node, digest)
            assert (await traffic(node))["origin_bytes"] <= size - have
        *_, resumed = origin.gets(digest)
        assert resumed.first >= have
        assert resumed.sent <= size - have


async def test_a_killed_peer_resumes_in_the_swarm(tmp_path: Path) -> None:
    """Peers send a restarted node what it had not; the origin sends nothing again."""
    size = 12 * MIB
    async with scripted_origin() as origin:
        digest = origin.add_random(size)
        origin.script(digest, Behaviour(rate=6 * MIB))
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as first,
            eagle_node(tmp_path / "b", *origin.flags, *first.pins) as second,
        ):
            pull = asyncio.create_task(_abandoned(second, digest))

            async def has_some() -> bool:
                return await _have_bytes(second, digest) >= 3 * MIB

            await until(has_some, what="three segments")
            have = await _have_bytes(second, digest)
            await second.kill()
            await pull
            await second.start()
            await pull_blob(second, digest)
            account = await traffic(second)
            assert account["origin_bytes"] == 0
            assert account["peer_download_bytes"] <= size - have + MIB
        assert len(origin.gets(digest)) == 1
