"""Clients that want a part, or that go away before they have it all."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import Behaviour, Origin, scripted_origin
from tests.support.pulls import blob_url, pull_blob, traffic
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 64 * MIB


async def _part(node: Node, origin: Origin, digest: str, start: int, stop: int) -> None:
    """Get ``[start, stop)`` and check it."""
    wanted = {"Range": f"bytes={start}-{stop - 1}"}
    part = await http.download(blob_url(node, digest), headers=wanted, status=206)
    assert part.sha256 == hashlib.sha256(origin.content(digest)[start:stop]).hexdigest()
    assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"


async def test_a_range_of_a_cold_blob_moves_few_segments(tmp_path: Path) -> None:
    """Ten bytes in the middle, then at both ends; the whole works afterwards, the rest once."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with eagle_node(tmp_path / "a", *origin.flags) as node:
            for start in (SIZE // 2, 0, SIZE - 10):
                await _part(node, origin, digest, start, start + 10)
            assert (await traffic(node))["origin_bytes"] <= 8 * MIB
            await pull_blob(node, digest)
            assert (await traffic(node))["origin_bytes"] <= SIZE + MIB


async def test_a_range_through_the_swarm(tmp_path: Path) -> None:
    """A child takes the segments of a range, not the whole, from the node that has the blob."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as first,
            eagle_node(tmp_path / "b", *origin.flags, *first.pins) as child,
        ):
            await pull_blob(first, digest)
            await _part(child, origin, digest, SIZE // 2 - 5, SIZE // 2 + 5)
            account = await traffic(child)
            assert account["peer_download_bytes"] <= 12 * MIB
            await pull_blob(child, digest)
            assert (await traffic(child))["origin_bytes"] == 0
        assert len(origin.gets(digest)) == 1


async def test_a_range_through_a_seeder_that_has_nothing(tmp_path: Path) -> None:
    """It fetches the segments of the range, not the blob; the whole afterwards costs the rest."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as first,
            eagle_node(tmp_path / "b", *origin.flags, *first.pins) as child,
        ):
            for start in (SIZE // 2, 0, SIZE - 10):
                await _part(child, origin, digest, start, start + 10)
            assert origin.sent(digest) <= 8 * MIB
            assert (await traffic(child))["origin_bytes"] == 0
            await pull_blob(child, digest)
            assert (await traffic(child))["origin_bytes"] == 0
            assert origin.sent(digest) <= SIZE + MIB


@pytest.mark.parametrize("range_header", [None, f"bytes={MIB}-"], ids=["whole", "open-ended"])
async def test_a_client_that_goes_away(tmp_path: Path, range_header: str | None) -> None:
    """The node takes no harm, and the next client gets the right bytes."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        origin.script(digest, *[Behaviour(rate=16 * MIB)] * 2)
        headers = {"Range": range_header} if range_header else {}
        async with eagle_node(tmp_path / "a", *origin.flags) as node:
            async with (
                http.client() as session,
                session.get(blob_url(node, digest), headers=headers) as answer,
            ):
                await answer.content.readexactly(MIB)
                answer.close()
            async with asyncio.timeout(60):
                await pull_blob(node, digest)
            assert "Traceback" not in node.log()
            assert (await traffic(node))["origin_bytes"] <= SIZE + 4 * MIB


async def test_an_open_ended_range_that_is_dropped_moves_no_tail(tmp_path: Path) -> None:
    """containerd's parallel chunks ask to the end and hang up: the rest is not fetched."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        origin.always(digest, Behaviour(rate=16 * MIB))
        async with eagle_node(tmp_path / "a", *origin.flags) as node:
            async with (
                http.client() as session,
                session.get(
                    blob_url(node, digest), headers={"Range": f"bytes={8 * MIB}-"}
                ) as answer,
            ):
                await answer.content.readexactly(MIB)
                answer.close()

            async def origin_is_left_alone() -> bool:
                before = origin.sent(digest)
                await asyncio.sleep(0.5)
                return origin.sent(digest) == before

            await until(origin_is_left_alone, what="the fetch to end")
            assert (await traffic(node))["origin_bytes"] <= SIZE // 2
