"""Real BitTorrent sessions take segments out of one file."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from eagle_node.base.ids import InfoHash
from eagle_node.metrics.instruments import total
from eagle_node.swarm.peer_wire import HANDSHAKE_LENGTH, Block, Kind, handshake, message
from eagle_node.swarm.session import Swarm
from eagle_node.trust.certificates import node_identity
from eagle_node.trust.key import new_key
from tests.integration.lending.ground import (
    LOOPBACK,
    blob,
    download,
    lent_file,
    seed,
    torrent_identity,
    torrents_of,
)
from tests.integration.swarm.rig import swarm_config

MIB = 1 << 20
DATA = blob(5 * MIB + 77)


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
async def test_a_session_gets_every_segment(tmp_path: Path, secured: bool) -> None:
    """Out of the middle of the file; with a cluster key over TLS, each end of which is a node."""
    key = new_key()
    ours, theirs = (node_identity(key), node_identity(key)) if secured else (None, None)
    lent = lent_file(tmp_path, DATA)
    root = ours.torrent_identity().root if ours is not None else b""
    torrents = torrents_of(lent, root_certificate=root)
    identity = torrent_identity(theirs) if theirs is not None else None
    async with (
        seed(identity=ours) as seeding,
        Swarm(swarm_config(), identity=identity) as swarm,
    ):
        seeding.offers.add(lent, torrents)
        (tmp_path / "got").mkdir()
        assert await download(swarm, seeding.listener.port, torrents, tmp_path / "got") == DATA
        assert total(seeding.metrics.peer_upload_bytes) >= len(DATA)


async def test_slots_are_passed_on(tmp_path: Path) -> None:
    """One slot serves all segments, one after the other."""
    lent = lent_file(tmp_path, DATA)
    torrents = torrents_of(lent)
    async with seed(slots=1) as seeding, Swarm(swarm_config()) as swarm:
        seeding.offers.add(lent, torrents)
        (tmp_path / "got").mkdir()
        assert await download(swarm, seeding.listener.port, torrents, tmp_path / "got") == DATA


async def _connect(
    port: int, info_hash: InfoHash
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A peer that has said which torrent it wants."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(handshake(info_hash, b"-TT0001-............", fast=True))
    return reader, writer


async def test_strangers_get_nothing(tmp_path: Path) -> None:
    """Who wants an unknown torrent, or what is beside a segment, is hung up on."""
    lent = lent_file(tmp_path, DATA)
    torrents = torrents_of(lent)
    async with seed() as seeding:
        seeding.offers.add(lent, torrents)
        reader, writer = await _connect(seeding.listener.port, InfoHash(bytes(20)))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)
        writer.close()
        reader, writer = await _connect(seeding.listener.port, torrents[0].info_hash)
        await reader.readexactly(HANDSHAKE_LENGTH)
        beyond = torrents[0].segment.length // torrents[0].segment.piece_length
        request = message(Kind.REQUEST, Block(beyond, 0, 0).pack())
        writer.write(message(Kind.INTERESTED) + request)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1000)
        writer.close()


async def test_peers_are_cut_off_when_a_blob_is_withdrawn(tmp_path: Path) -> None:
    """They ask others at once, and do not wait for what is gone."""
    lent = lent_file(tmp_path, DATA)
    torrents = torrents_of(lent)
    async with seed() as seeding:
        seeding.offers.add(lent, torrents)
        reader, writer = await _connect(seeding.listener.port, torrents[0].info_hash)
        await reader.readexactly(HANDSHAKE_LENGTH)
        seeding.offers.withdraw(lent.digest)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1000)
        writer.close()


async def test_no_byte_of_a_changed_file_is_sent(tmp_path: Path) -> None:
    """It is looked at after each reading; whoever owns the offer hears of it."""
    lent = lent_file(tmp_path, DATA)
    torrents = torrents_of(lent)
    async with seed() as seeding:
        seeding.offers.add(lent, torrents)
        reader, writer = await _connect(seeding.listener.port, torrents[0].info_hash)
        answer = await reader.readexactly(HANDSHAKE_LENGTH + 5)
        assert answer[-1] == 14
        lent.path.write_bytes(bytes(len(DATA)))
        request = message(Kind.REQUEST, Block(0, 0, 16384).pack())
        writer.write(message(Kind.INTERESTED) + request)
        assert await reader.readexactly(5) == message(Kind.UNCHOKE)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)
        assert seeding.altered == [lent.digest]
        writer.close()


async def test_who_does_not_read_hashes_is_not_listened_to(tmp_path: Path) -> None:
    """What waits for a peer is bounded; once it reads on it gets every answer."""
    lent = lent_file(tmp_path, DATA)
    torrents = torrents_of(lent)
    question = message(Kind.HASH_REQUEST, bytes(MIB // 2))
    times = 128
    loop = asyncio.get_running_loop()
    async with seed() as seeding:
        seeding.offers.add(lent, torrents)
        with socket.create_connection((LOOPBACK, seeding.listener.port)) as peer:
            peer.setblocking(False)
            hello = handshake(torrents[0].info_hash, b"-TT0001-............", fast=True)
            asking = asyncio.create_task(loop.sock_sendall(peer, hello + question * times))
            assert not (await asyncio.wait([asking], timeout=2.0))[0]
            left = HANDSHAKE_LENGTH + 5 + times * len(question)
            while left:
                got = len(await loop.sock_recv(peer, min(left, MIB)))
                assert got
                left -= got
            await asking
