"""Origins that break connections, cannot do ranges, or are slow to begin."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.support import http
from tests.support.node import eagle_node
from tests.support.origin import Behaviour, scripted_origin
from tests.support.pulls import blob_url, pull_blob, traffic

MIB = 1 << 20
UNREAD = MIB // 2
"""Bytes that may be lost with a connection: received, but not yet read."""


async def test_a_broken_connection_is_resumed_where_it_broke(tmp_path: Path) -> None:
    """Three breaks at odd places: each request starts at the byte where the last one ended."""
    size = 8 * MIB
    cuts = (MIB + 17, 2 * MIB + 5, 3)
    async with scripted_origin() as origin:
        digest = origin.add_random(size)
        origin.script(digest, *(Behaviour(cut=cut) for cut in cuts))
        async with eagle_node(tmp_path / "a", *origin.flags) as node:
            await pull_blob(node, digest)
            assert (await traffic(node))["origin_bytes"] == size
        requests = origin.gets(digest)
    assert len(requests) == len(cuts) + 1
    for broken, resumed in itertools.pairwise(requests):
        assert broken.first + broken.sent - UNREAD <= resumed.first <= broken.first + broken.sent


async def test_peers_share_a_broken_fetch(tmp_path: Path) -> None:
    """Breaks at the seeder are no concern of its children: what is here is not fetched again."""
    size = 8 * MIB
    async with scripted_origin() as origin:
        digest = origin.add_random(size)
        origin.script(digest, *(Behaviour(cut=2 * MIB + 1) for _ in range(3)))
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as seeder,
            eagle_node(tmp_path / "b", *origin.flags, *seeder.pins) as child,
        ):
            await pull_blob(child, digest)
            assert (await traffic(child))["origin_bytes"] == 0
        assert origin.sent(digest) <= size + 3 * UNREAD


async def test_an_origin_without_ranges(tmp_path: Path) -> None:
    """Whole blobs come as ever; after a break the origin sends all again, the client does not."""
    size = 3 * MIB
    async with scripted_origin() as origin:
        digest, broken = (origin.add_random(size, seed=seed) for seed in (1, 2))
        for each in (digest, broken):
            origin.always(each, Behaviour(ranges=False))
        origin.script(broken, Behaviour(ranges=False, cut=MIB + 1))
        async with eagle_node(tmp_path / "a", *origin.flags, "--origin-retries", "1") as node:
            await pull_blob(node, digest)
            await pull_blob(node, broken)


async def test_a_range_of_an_origin_without_ranges(tmp_path: Path) -> None:
    """A client gets the bytes that it asked for, though the origin can only send all."""
    size = 3 * MIB
    async with scripted_origin() as origin:
        digest = origin.add_random(size)
        origin.always(digest, Behaviour(ranges=False))
        async with eagle_node(tmp_path / "a", *origin.flags) as node:
            part = await http.download(
                blob_url(node, digest),
                headers={"Range": f"bytes={2 * MIB}-{2 * MIB + 9}"},
                status=206,
            )
        assert part.bytes == 10
