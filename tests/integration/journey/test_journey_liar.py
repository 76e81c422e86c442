"""Peers that send other bytes, and no hashes by which to tell them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from eagle_node.base.digest import Digest
from eagle_node.base.ids import NodeId
from eagle_node.blobs.files import blob_directory
from eagle_node.blobs.segments import layout_of
from eagle_node.swarm.torrents import SegmentTorrent, make_torrent
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import Advert, Holding, NodeInfo
from tests.integration.swarm.holder import claiming
from tests.integration.swarm.liar import lie
from tests.support.node import eagle_node
from tests.support.origin import scripted_origin
from tests.support.pulls import pull_blob

MIB = 1 << 20
SIZE = 8 * MIB
PIECES = 16
"""Of each segment of such a blob."""
UPLOAD = "4MB"
"""Per second: the blob takes two, and a liar is quicker."""


async def test_a_parent_that_lies_is_found_out_and_replaced(tmp_path: Path) -> None:
    """The tracker believes that it has everything; the registry is not asked again."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with (
            eagle_node(tmp_path / "seeder", *origin.flags) as seeder,
            eagle_node(tmp_path / "reader", *origin.flags, *seeder.pins) as reader,
            claiming(lambda _, __, length: bytes(length), pieces=PIECES) as liar,
            TrackerClient(lambda: [seeder.tracker_url]) as tracker,
        ):
            await pull_blob(seeder, digest)
            at = liar.address
            node = NodeInfo(node_id=NodeId("1" * 32), host=at.host, port=at.port)
            held = Holding(digest=digest, size=SIZE)
            await tracker.advertise(Advert(node=node, full=True, held=(held,)))
            await pull_blob(reader, digest)
            assert liar.asked
            assert "sent a wrong piece" in reader.log()
        assert origin.sent(digest) == SIZE


async def test_one_that_lies_beside_an_honest_parent_holds_up_nobody(tmp_path: Path) -> None:
    """What it sends again and again is no progress: what it spoils comes from the registry."""
    async with scripted_origin() as origin, AsyncExitStack() as stack:
        digest = origin.add_random(SIZE)
        torrents = _torrents(tmp_path / "known", digest, origin.content(digest))
        seeder = await stack.enter_async_context(
            eagle_node(tmp_path / "seeder", *origin.flags, "--upload-limit", UPLOAD)
        )
        reader = await stack.enter_async_context(
            eagle_node(tmp_path / "reader", *origin.flags, *seeder.pins)
        )
        await pull_blob(seeder, digest)
        for torrent in torrents:
            await stack.enter_async_context(lie(torrent, "127.0.0.1", reader.swarm_port))
        await pull_blob(reader, digest)
        assert "sent a wrong piece" in reader.log()
        assert SIZE <= origin.sent(digest) <= 2 * SIZE


def _torrents(root: Path, digest: Digest, data: bytes) -> list[SegmentTorrent]:
    """Of a blob's segments, as every node makes them."""
    directory = blob_directory(root, digest)
    directory.path.mkdir(parents=True)
    made = []
    for segment in layout_of(len(data)).segments:
        directory.segment(segment.index).write_bytes(data[segment.start : segment.stop])
        made.append(make_torrent(directory, segment))
    return made
