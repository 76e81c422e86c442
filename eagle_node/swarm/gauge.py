"""How fast the way from another node is: a fraction of a second of bytes that mean nothing.

Every node offers the same small torrent, made of nothing but a seed. Who wants to know its link
reads from it as a peer does, and looks at what the kernel has received: that counts on while this
process is busy. The first `_SKIPPED` bytes do not count, since shapers let a burst pass at any rate
(tc-tbf(8)); who gets all the rest within `_LEAST_S` is fast enough not to be told apart.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from pathlib import Path

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.files import BlobDirectory
from eagle_node.blobs.segments import Segment
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.blocks import BlockClient
from eagle_node.swarm.peer_wire import BadPeer
from eagle_node.swarm.torrents import SegmentTorrent, make_torrent

SIZE = 2 << 20
"""Bytes that are sent at the most: what a link of 60 Mbit/s carries in `_LONGEST_S`."""
_SEED = b"eagle-node link gauge 1"
_SKIPPED = 128 << 10
_LONGEST_S = 0.25
"""Seconds after the skipped bytes for which a slow link is looked at. What came behind a lost
packet counts once that has come again: in 0.06 s that made 0.74 MB/s of a link of 0.3."""
_LEAST_S = 0.03
"""Seconds that the rest is taken to last at the least: below it is not the link that counts."""
FASTEST = int((SIZE - _SKIPPED) / _LEAST_S)
"""Bytes/s: no link seems faster."""
_SILENCE_S = 2.0


def make_gauge(directory: Path, *, root_certificate: bytes = b"") -> SegmentTorrent:
    """Write the file below ``directory`` and make its torrent, the same on every node; blocks."""
    content = hashlib.shake_128(_SEED).digest(SIZE)
    place = BlobDirectory(directory, digest_of(content))
    segment = Segment(index=0, start=0, stop=SIZE)
    path = place.segment(segment.index)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}") from error
    return make_torrent(place, segment, root_certificate=root_certificate)


async def gauge(
    blocks: BlockClient,
    holder: Address,
    torrent: SegmentTorrent,
    *,
    download: ByteBudget,
    clock: Clock = monotonic,
) -> int:
    """Bytes/s that come from ``holder``; `Unavailable` when it cannot be reached, or has no gauge.

    It is what the slower of both links has to spare now, within ``download``.
    """
    whole = ByteRange(0, torrent.segment.length)
    begun, came = 0.0, 0
    link = await blocks.connect(holder, torrent.info_hash)
    try:
        first = link.received
        async with aclosing(link.blocks(torrent.segment, whole, _SILENCE_S)) as arriving:
            async for block in arriving:
                await download.take(len(block))
                now, received = clock(), link.received - first
                if not begun:
                    if received >= _SKIPPED:
                        begun, first = now, first + received
                    continue
                came = received
                if now - begun >= _LONGEST_S:
                    break
    except (OSError, TimeoutError, asyncio.IncompleteReadError, BadPeer) as error:
        raise Unavailable(f"node {holder} does not gauge: {error!r}") from error
    finally:
        link.close()
    return int(came / max(_LEAST_S, clock() - begun))
