"""Blobs in files of others."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.lent import Changed, FileIdentity, LentFile, open_regular
from eagle_node.config.tree import CacheConfig
from eagle_node.metrics.instruments import Metrics, total
from tests.unit.blobs.builders import content, ingest, make_cache

MIB = 1 << 20
DATA = content(3 * MIB)


def lend(directory: Path, data: bytes = DATA) -> LentFile:
    """A file as it is now."""
    path = directory / "blob"
    path.write_bytes(data)
    identity = FileIdentity.of(path.stat())
    return LentFile(digest=digest_of(data), path=path, identity=identity)


async def test_a_lent_blob_is_read_like_any_other(tmp_path: Path) -> None:
    """Whole and in ranges; it takes no room, and is no resident."""
    lent = lend(tmp_path)
    async with make_cache(tmp_path / "cache", limit=MIB) as cache:
        cache.lend(lent)
        assert lent.digest in cache
        assert not cache.is_resident(lent.digest)
        assert (cache.used, len(cache), cache.size(lent.digest)) == (0, 0, len(DATA))
        reader = cache.open(lent.digest)
        assert reader is not None
        assert reader.source == "local"
        assert await reader.read() == DATA
        assert await reader.read(ByteRange(5, 2 * MIB)) == DATA[5 : 2 * MIB]
        reader.close()
        cache.recall(lent.digest)
        assert lent.digest not in cache
        assert cache.open(lent.digest) is None
        cache.check()


async def test_a_file_that_has_changed_is_not_opened(tmp_path: Path) -> None:
    """It is recalled instead, and whoever listens hears of it."""
    for alter in (Path.unlink, lambda path: path.write_bytes(DATA), lambda path: path.chmod(0o600)):
        lent = lend(tmp_path)
        heard: list[Digest] = []
        async with make_cache(tmp_path / "cache") as cache:
            cache.on_recall.append(heard.append)
            cache.lend(lent)
            alter(lent.path)
            assert cache.open(lent.digest) is None
            assert lent.digest not in cache
            assert heard == [lent.digest]


async def test_a_removed_file_is_read_to_its_end(tmp_path: Path) -> None:
    """By who had opened it before."""
    lent = lend(tmp_path)
    async with make_cache(tmp_path / "cache") as cache:
        cache.lend(lent)
        reader = cache.open(lent.digest)
        assert reader is not None
        lent.path.unlink()
        assert await reader.read() == DATA
        reader.close()


@pytest.mark.parametrize("size", [0, len(DATA) - 1, len(DATA) + 1])
async def test_a_changed_file_never_ends_a_body_cleanly(tmp_path: Path, size: int) -> None:
    """The last byte is given only once the file has been looked at after all others were."""
    lent = lend(tmp_path)
    async with make_cache(tmp_path / "cache") as cache:
        cache.lend(lent)
        reader = cache.open(lent.digest)
        assert reader is not None
        async with aclosing(reader.slices(ByteRange(0, len(DATA)))) as slices:
            given = (await anext(slices)).length
            os.truncate(lent.path, size)
            with pytest.raises(Changed, match="has changed"):
                await anext(slices)
        assert given == len(DATA) - 1
        reader.close()


async def test_an_own_copy_is_preferred_until_it_is_dropped(tmp_path: Path) -> None:
    """Dropping a copy of what lies elsewhere is no eviction."""
    lent, metrics = lend(tmp_path), Metrics()
    async with Cache(CacheConfig(reserve=0), tmp_path / "cache", metrics) as cache:
        await ingest(cache, DATA)
        cache.lend(lent)
        assert cache.is_resident(lent.digest)
        reader = cache.open(lent.digest)
        assert reader is not None
        assert cache.is_read(lent.digest)
        assert not await cache.drop(lent.digest, spare=True)
        reader.close()
        assert not cache.is_read(lent.digest)
        assert await cache.drop(lent.digest, spare=True)
        assert (lent.digest in cache, cache.is_resident(lent.digest)) == (True, False)
        assert cache.used == 0
        assert total(metrics.cache_evictions) == 0


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    """Who can write to the store cannot make the node read other files, or wait for ever."""
    lent = lend(tmp_path)
    (tmp_path / "link").symlink_to(lent.path)
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("link", "is a link"), ("pipe", "is not a file"), ("none", "is gone")):
        with pytest.raises(Changed, match=why):
            open_regular(tmp_path / name)
