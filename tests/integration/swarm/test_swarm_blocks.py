"""Single blocks of segments, from libtorrent's sessions and from peers that misbehave."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from eagle_node.base.errors import Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.demand import BLOCK
from eagle_node.blobs.segments import layout_of
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.blocks import BlockClient, BlockHashes
from eagle_node.swarm.session import Swarm, TorrentIdentity
from eagle_node.swarm.torrents import SegmentTorrent, make_torrent
from eagle_node.trust.certificates import node_identity
from eagle_node.trust.key import new_key
from tests.integration.swarm.holder import Answer, claiming
from tests.integration.swarm.rig import LOOPBACK, rig, swarm_config, torrents_of
from tests.support.waiting import until
from tests.unit.blobs.builders import MIB, content, ingest

DATA = content(9 * MIB + 777)
SEGMENTS = layout_of(len(DATA)).segments
LAST = SEGMENTS[-1]
MIDDLE = max(SEGMENTS, key=lambda segment: segment.length)


async def blocks(
    client: BlockClient, at: Address, torrent: SegmentTorrent, run: ByteRange
) -> list[bytes]:
    """All of a run's."""
    came = client.blocks(at, torrent.info_hash, torrent.segment, run, silence_s=20)
    return [block async for block in came]


def expected(torrent: SegmentTorrent, run: ByteRange) -> list[bytes]:
    """What a run's blocks are."""
    segment = DATA[torrent.segment.start : torrent.segment.stop]
    begins = range(run.start // BLOCK * BLOCK, run.stop, BLOCK)
    return [segment[begin : begin + BLOCK] for begin in begins]


def runs(torrent: SegmentTorrent) -> Sequence[ByteRange]:
    """One byte, an odd middle, the end, everything."""
    length = torrent.segment.length
    if length < BLOCK:
        return [ByteRange(0, 1), ByteRange(0, length)]
    return [
        ByteRange(0, 1),
        ByteRange(5 * BLOCK + 1, 9 * BLOCK - 1),
        ByteRange(length - 1, length),
        ByteRange(0, length),
    ]


async def test_blocks_come_from_a_node_that_has_the_segment(tmp_path: Path) -> None:
    """In order, several ranges by one connection and at once; they hash to what the file does."""
    async with rig(tmp_path) as node, BlockClient(None) as client:
        torrents = await torrents_of(node, DATA)
        at = Address(LOOPBACK, node.swarm.port)
        for torrent in (torrents[MIDDLE.index], torrents[LAST.index]):
            for run in runs(torrent):
                found = await blocks(client, at, torrent, run)
                assert found == expected(torrent, run)
                hashes = BlockHashes()
                for start in range(0, len(whole := b"".join(found)), 7777):
                    hashes.add(whole[start : start + 7777])
                digests = [hashlib.sha256(block).digest() for block in found]
                assert list(hashes.finish()) == digests
        torrent = torrents[MIDDLE.index]
        at_once = (blocks(client, at, torrent, run) for run in runs(torrent))
        assert [*await asyncio.gather(*at_once)] == [
            expected(torrent, run) for run in runs(torrent)
        ]


async def test_a_cluster_keys_torrents_are_read_over_tls(tmp_path: Path) -> None:
    """With a certificate of the cluster; without one nothing comes."""
    key = new_key()
    ours, theirs = node_identity(key), node_identity(key)
    files = ours.torrent_identity()
    identity = TorrentIdentity(
        root=files.root,
        certificate=files.certificate,
        key=files.key,
        dh_params=files.dh_params,
    )
    async with rig(tmp_path) as node, Swarm(swarm_config(), identity=identity) as swarm:
        directory = node.cache.directory(await ingest(node.cache, DATA))
        torrent = make_torrent(directory, MIDDLE, root_certificate=ours.root)
        swarm.seed(torrent, directory.path)
        at, run = Address(LOOPBACK, swarm.port), ByteRange(3, 4 * BLOCK)
        async with BlockClient(theirs.ssl_context(server=False)) as client:
            for _ in range(2):
                assert await blocks(client, at, torrent, run) == expected(torrent, run)
        stranger = node_identity(new_key()).ssl_context(server=False)
        for tls in (None, stranger):
            async with BlockClient(tls) as client:
                with pytest.raises(Unavailable, match=str(at)):
                    await blocks(client, at, torrent, run)


async def test_a_node_without_the_segment_says_so_at_once(tmp_path: Path) -> None:
    """So does a port where nobody listens."""
    async with rig(tmp_path) as node, BlockClient(None) as client:
        torrents = await torrents_of(node, DATA)
        node.swarm.remove(torrents[3].info_hash)
        run = ByteRange(0, 1)
        with pytest.raises(Unavailable):
            await blocks(client, Address(LOOPBACK, node.swarm.port), torrents[3], run)
        async with claiming(lambda *_: None) as gone:
            pass
        with pytest.raises(Unavailable, match="refused"):
            await blocks(client, gone.address, torrents[3], run)


async def test_who_hangs_up_is_dialled_once_more(tmp_path: Path) -> None:
    """A session lets nobody in while it takes up a torrent; who has none hangs up again."""
    async with rig(tmp_path) as node, BlockClient(None) as client:
        torrent, run = (await torrents_of(node, DATA))[MIDDLE.index], ByteRange(0, 1)
        async with claiming(lambda *_: bytes(BLOCK), hang_ups=1) as claimant:
            assert await blocks(client, claimant.address, torrent, run) == [bytes(BLOCK)]
        async with claiming(lambda *_: bytes(BLOCK), hang_ups=2) as claimant:
            with pytest.raises(Unavailable, match="hung up"):
                await blocks(client, claimant.address, torrent, run)


@pytest.mark.parametrize(
    ("answer", "pieces", "reason"),
    [
        (lambda *_: bytes(7), 64, "not asked for"),
        (lambda *_: bytes(BLOCK), 1, "no piece"),
        (lambda *_: bytes(2 * MIB), 64, "a message of"),
        (lambda *_: None, 64, "no answer in time"),
    ],
    ids=["another block", "too few pieces", "too much", "silent"],
)
async def test_what_is_no_block_ends_the_connection(
    tmp_path: Path, answer: Answer, pieces: int, reason: str
) -> None:
    """The next holder is worth more than what it may send later."""
    async with rig(tmp_path) as node, BlockClient(None) as client:
        torrent = (await torrents_of(node, DATA))[MIDDLE.index]
        run = ByteRange(4 * torrent.segment.piece_length, 5 * torrent.segment.piece_length)
        async with claiming(answer, pieces=pieces) as claimant:
            came = client.blocks(
                claimant.address, torrent.info_hash, torrent.segment, run, silence_s=1.0
            )
            with pytest.raises(Unavailable, match=reason):
                assert [block async for block in came] == []


async def test_a_connection_that_was_hung_up_meanwhile_is_made_anew(tmp_path: Path) -> None:
    """Holders hang up on the idle, restart, and forget torrents for a while."""
    async with rig(tmp_path) as node, BlockClient(None) as client:
        torrent = (await torrents_of(node, DATA))[MIDDLE.index]
        at, run = Address(LOOPBACK, node.swarm.port), ByteRange(0, BLOCK)
        directory = node.cache.directory(torrent.digest).path
        for _ in range(3):
            assert await blocks(client, at, torrent, run) == expected(torrent, run)
            node.swarm.remove(torrent.info_hash)
            node.swarm.seed(torrent, directory)

            async def is_offered() -> bool:
                """A session hangs up on peers of a torrent that it has just been given."""
                async with BlockClient(None) as other:
                    try:
                        return bool(await blocks(other, at, torrent, run))
                    except Unavailable:
                        return False

            await until(is_offered, what="the segment to be offered again")
