"""Takes blobs into a cache for ever, saying so; to be killed at any moment."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from pathlib import Path

from eagle_node.base.digest import digest_of
from tests.unit.blobs.builders import MIB, bring, content, make_cache


def blob(number: int) -> bytes:
    """The blob of a number: the sizes repeat, the bytes do not."""
    return content((0, 1, 100_000, MIB, MIB + 1, 2 * MIB + 7, 3 * MIB)[number % 7], number)


async def main(root: Path) -> None:
    """Suspend every third arrival half-way and say so; evict by a limit of about ten blobs."""
    start = random.SystemRandom().randrange(1 << 30)
    async with make_cache(root, limit=10 * MIB) as cache:
        print("started", flush=True)
        for number in itertools.count(start):
            data = blob(number)
            if digest_of(data) in cache:
                continue
            arrival = await cache.arrive(digest_of(data), len(data))
            if number % 3 == 0:
                await bring(cache, arrival, data, range(len(arrival.layout.segments) // 2))
                await cache.suspend(arrival)
                if arrival.have:
                    print("suspended", flush=True)
                continue
            await bring(cache, arrival, data)
            await arrival.verify()
            await cache.commit(arrival, b"le")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
