"""From where the bytes of a download have come, as far as the node's API tells."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from eagle_node.api.schema import ServedFrom
from eagle_node.base.errors import Unavailable
from eagle_node.base.sizes import format_size
from eagle_node.cli.get_progress import Progress
from eagle_node.cli.node_api import api_client
from eagle_node.runtime.tasks import TaskSet

_PERIOD_S = 1.0
"""Between two questions."""


class Split:
    """What the node has served since `begin`, to this download and to whoever else asked it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._before: ServedFrom | None = None

    async def begin(self) -> None:
        """Remember the node's account as it is."""
        self._before = await self._served()

    async def so_far(self) -> Mapping[str, int] | None:
        """Bytes by source; None when the API does not answer: it is only told of."""
        after = await self._served() if self._before is not None else None
        if self._before is None or after is None:
            return None
        before = self._before
        return {
            "cache": max(0, after.local - before.local),
            "nodes": max(0, after.swarm - before.swarm),
            "origin": max(0, after.origin - before.origin),
        }

    async def _served(self) -> ServedFrom | None:
        try:
            async with api_client(self._arguments) as api:
                return (await api.status()).traffic.served_from
        except Unavailable:
            return None


def told(split: Mapping[str, int]) -> str:
    """``48.0 MiB from cache, 0 B from nodes, 1.2 KiB from origin``."""
    return ", ".join(f"{format_size(count)} from {name}" for name, count in split.items())


@asynccontextmanager
async def shown(split: Split, *, total: int | None, quiet: bool) -> AsyncIterator[Progress]:
    """Bars while the block lasts, with the split where somebody sees it."""
    tasks = TaskSet()
    with Progress(total=total, quiet=quiet) as progress:
        if progress.is_shown:
            tasks.spawn(_watch(split, progress), name="source-split")
        try:
            yield progress
        finally:
            await tasks.cancel()


async def _watch(split: Split, progress: Progress) -> None:
    while True:
        await asyncio.sleep(_PERIOD_S)
        if (found := await split.so_far()) is not None:
            parts = (f"{name} {format_size(count)}" for name, count in found.items() if count)
            progress.tell_split(" · ".join(parts))
