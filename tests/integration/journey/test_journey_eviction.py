"""Caches that are too small for what is pulled through them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.node import eagle_node
from tests.support.origin import Behaviour, scripted_origin
from tests.support.pulls import pull_blob, traffic

MIB = 1 << 20


async def test_two_pulls_share_a_cache_too_small_for_both(tmp_path: Path) -> None:
    """Both clients get the right bytes at the same time, and the limit holds."""
    async with scripted_origin() as origin:
        digests = [origin.add_random(6 * MIB, seed=seed) for seed in range(2)]
        for digest in digests:
            origin.always(digest, Behaviour(rate=8 * MIB))
        async with eagle_node(tmp_path / "a", *origin.flags, "--cache-size", "8MiB") as node:
            await asyncio.gather(*(pull_blob(node, digest) for digest in digests))
            cache = (await node.status())["cache"]
        assert cache["used_bytes"] <= cache["limit_bytes"] == 8 * MIB
        assert cache["blobs"] == 1
        assert "--cache-size" in node.log()


async def test_the_oldest_blob_makes_room(tmp_path: Path) -> None:
    """The least recently used one goes, and comes again from a peer that still has it."""
    async with scripted_origin() as origin:
        digests = [origin.add_random(3 * MIB, seed=seed) for seed in range(4)]
        small = ("--cache-size", "7MiB")
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as first,
            eagle_node(tmp_path / "b", *origin.flags, *first.pins, *small) as child,
        ):
            for digest in (*digests, *digests):
                await pull_blob(child, digest)
            assert (await child.status())["cache"]["used_bytes"] <= 7 * MIB
            assert (await traffic(child))["origin_bytes"] == 0
        assert all(len(origin.gets(digest)) == 1 for digest in digests)


async def test_a_blob_larger_than_the_cache_passes_through(tmp_path: Path) -> None:
    """It is served unstored, and what is cached stays."""
    async with scripted_origin() as origin:
        small, large = origin.add_random(MIB), origin.add_random(8 * MIB)
        async with eagle_node(tmp_path / "a", *origin.flags, "--cache-size", "4MiB") as node:
            await pull_blob(node, small)
            await pull_blob(node, large)
            await pull_blob(node, small)
            assert (await node.status())["cache"]["blobs"] == 1
        assert len(origin.gets(small)) == 1


async def test_a_blob_that_finds_no_room_comes_from_other_nodes(tmp_path: Path) -> None:
    """The seeder fetches it once for all of them, and keeps it; whole and in ranges."""
    async with scripted_origin() as origin:
        large = origin.add_random(8 * MIB)
        small = ("--cache-size", "4MiB")
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as seeder,
            eagle_node(tmp_path / "b", *origin.flags, *seeder.pins, *small) as child,
        ):
            for _ in range(2):
                await pull_blob(child, large)
            told = await traffic(child)
            assert told["origin_bytes"] == 0
            assert told["served_from"]["swarm"] == 2 * 8 * MIB
            assert (await child.status())["cache"]["blobs"] == 0
            assert (await seeder.status())["cache"]["blobs"] == 1
        assert len(origin.gets(large)) == 1
