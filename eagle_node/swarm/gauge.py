"""How fast the way from another node is: about a second of bytes that mean nothing.

Every node offers the same small torrent, made of nothing but a seed. Who wants to know its link
reads from it as a peer does, and looks at what the kernel has received: that counts on while this
process is busy. A shaper lets a burst pass at any rate (tc-tbf(8)), at the beginning and again
after every pause that a lost packet makes; and what came behind that packet counts all at once when
it has come again. So a slice of the time may show twice the rate of a link, and all of it is looked
at: `_BURST` bytes do not count, the seconds that they take do. That finds less than a slow link's
rate (0.88 of 2.5 Mbit/s in the median of 80 measurements, 0.56 in the worst; a fifth of 1 Mbit/s),
and never more. Who gets all the rest within `_LEAST_S` is fast enough not to be told apart.
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
"""Bytes that are sent at the most."""
_SEED = b"eagle-node link gauge 1"
_BURST = 128 << 10
"""Bytes that do not count."""
_ENOUGH = 256 << 10
"""Bytes that count, after which the rest of a burst makes no great difference."""
_LOOK_S = (0.4, 1.2)
"""Seconds for which a link is looked at, at the least and however few bytes have come."""
_LEAST_S = 0.03
"""Seconds that all are taken to last at the least: below it is not the link that counts."""
FASTEST = int((SIZE - _BURST) / _LEAST_S)
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
    link = await blocks.connect(holder, torrent.info_hash)
    try:
        begun, before = clock(), link.received
        async with aclosing(link.blocks(torrent.segment, whole, _SILENCE_S)) as arriving:
            async for block in arriving:
                await download.take(len(block))
                took, counted = clock() - begun, link.received - before - _BURST
                least, most = _LOOK_S
                if took >= (least if counted >= _ENOUGH else most) and counted > 0:
                    break
    except (OSError, TimeoutError, asyncio.IncompleteReadError, BadPeer) as error:
        raise Unavailable(f"node {holder} does not gauge: {error!r}") from error
    finally:
        link.close()
    return max(1, int(counted / max(_LEAST_S, took)))
