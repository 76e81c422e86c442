"""The cache of a process that is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from eagle_node.base.digest import digest_of
from eagle_node.blobs.files import scan
from eagle_node.blobs.segments import layout_of
from tests.unit.blobs import kill_victim
from tests.unit.blobs.builders import MIB, bytes_on_disk, make_cache, read_back

KILLS = 12


def run_and_kill(root: Path, after_s: float, *, told: str = "started") -> None:
    """Start a process that takes in blobs; kill it (SIGKILL) some time after it has told a fact."""
    with subprocess.Popen(
        [sys.executable, "-m", kill_victim.__name__, str(root)], stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        assert any(line == f"{told}\n" for line in victim.stdout)
        time.sleep(after_s)
        victim.kill()


def visible_on_disk(root: Path) -> set[str]:
    return {each.digest for each in scan(root) if each.committed_size() is not None}


async def test_a_killed_process_leaves_whole_blobs_or_none(tmp_path: Path) -> None:
    """However often and whenever: what is visible verifies, and the limit holds."""
    root, moments = tmp_path / "cache", random.Random(7)
    seen = 0
    for _ in range(KILLS):
        run_and_kill(root, moments.uniform(0.0, 0.15))
        async with make_cache(root, limit=10 * MIB) as cache:
            cache.check()
            for digest, resident in cache.blobs().items():
                data = await read_back(cache, digest)
                assert data is not None
                assert len(data) == resident.size
                assert digest_of(data) == digest
            seen += len(cache)
            assert visible_on_disk(root) == set(cache.blobs())
            assert bytes_on_disk(root) <= 10 * MIB
    assert seen > KILLS, "the victims never got to commit anything"


async def test_segments_that_a_killed_process_verified_are_resumed(tmp_path: Path) -> None:
    """What an arrival had, the next process has."""
    run_and_kill(tmp_path, 0.0, told="suspended")
    async with make_cache(tmp_path, limit=10 * MIB) as cache:
        kept = [each for each in scan(tmp_path) if cache.resumable(each.digest) is not None]
        assert kept
        for directory in kept:
            size = cache.resumable(directory.digest)
            assert size is not None
            arrival = await cache.arrive(directory.digest, size)
            lengths = {s.index: s.length for s in layout_of(size).segments}
            for index in arrival.resumed:
                assert directory.segment(index).stat().st_size == lengths[index]
