"""Real sessions on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eagle_node.base.errors import StartError
from eagle_node.blobs.files import blob_directory
from eagle_node.config.tree import LimitsConfig
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.swarm.events import (
    PieceRejected,
    TorrentFailed,
    TorrentFinished,
    TorrentProgressed,
    Traffic,
)
from eagle_node.swarm.governor import GOVERN_INTERVAL_S, Governor
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import (
    SegmentTorrent,
    parse_torrent,
    rooted_torrent,
    with_layer,
)
from tests.integration.swarm.liar import lie
from tests.integration.swarm.rig import (
    LOOPBACK,
    Events,
    Rig,
    directory_for,
    introduce,
    rig,
    swarm_config,
    torrents_of,
)
from tests.support.waiting import until
from tests.unit.blobs.builders import MIB, content

DATA = content(3 * MIB + 500)


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "holder") as running:
        yield running


@pytest.fixture
async def endpoint() -> AsyncIterator[AnnounceEndpoint]:
    async with AnnounceEndpoint() as running:
        yield running


@pytest.fixture
async def swarm() -> AsyncIterator[Swarm]:
    async with Swarm(swarm_config()) as running:
        yield running


def fetch(
    endpoint: AnnounceEndpoint,
    swarm: Swarm,
    torrents: list[SegmentTorrent],
    root: Path,
    port: int | None,
) -> tuple[Path, Events]:
    """Start to download torrents by their roots, as seeders tell of them; where the files will be.

    ``port`` names whom they come from.
    """
    events = Events()
    directory = directory_for(root, torrents[0].digest)
    for torrent in torrents:
        told = rooted_torrent(torrent.root, torrent.digest, torrent.segment)
        swarm.prepare(told, directory, observer=events)
        introduce(endpoint, torrent, port)
        swarm.start(torrent.info_hash, [endpoint.url])
    return directory, events


def joined(directory: Path, torrents: list[SegmentTorrent]) -> bytes:
    return b"".join((directory / torrent.name).read_bytes() for torrent in torrents)


async def test_two_sessions_exchange_a_blob(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """When a torrent is reported finished its bytes are in the file."""
    torrents = await torrents_of(holder, DATA)
    directory, events = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
    await events.finished(torrent.info_hash for torrent in torrents)
    assert joined(directory, torrents) == DATA


async def test_a_finished_download_is_seeded_on(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """A third session gets the blob from the second one alone."""
    torrents = await torrents_of(holder, DATA)
    _, events = fetch(endpoint, swarm, torrents, tmp_path / "second", holder.swarm.port)
    await events.finished(torrent.info_hash for torrent in torrents)
    for torrent in torrents:
        holder.swarm.remove(torrent.info_hash)
    async with Swarm(swarm_config()) as third:
        directory, events = fetch(endpoint, third, torrents, tmp_path / "third", None)
        for torrent in torrents:
            introduce(endpoint, torrent, swarm.port)
            third.announce(torrent.info_hash)
        await events.finished(torrent.info_hash for torrent in torrents)
        assert joined(directory, torrents) == DATA


async def test_connections_that_nobody_uses_are_closed(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """But for the latest; whoever comes later is served all the same."""
    torrents = await torrents_of(holder, content(20 * MIB))
    _, events = fetch(endpoint, swarm, torrents, tmp_path / "second", holder.swarm.port)
    await events.finished(torrent.info_hash for torrent in torrents)
    assert len(swarm.connections.latest(1000)) == len(torrents)

    async def closed() -> bool:
        swarm.connections.close_idle(3, lambda info_hash: info_hash == torrents[0].info_hash)
        return len(swarm.connections.latest(1000)) == 3

    await until(closed, what="the idle connections to be closed")
    assert torrents[0].info_hash in swarm.connections.latest(1000)
    async with Swarm(swarm_config()) as third:
        directory, events = fetch(endpoint, third, torrents, tmp_path / "third", swarm.port)
        await events.finished(torrent.info_hash for torrent in torrents)
        assert hashlib.sha256(joined(directory, torrents)).hexdigest() in torrents[0].digest


@pytest.mark.parametrize(
    "size",
    [200_000, 256 << 10, (256 << 10) + 5 * (16 << 10) + 7, 3 * MIB + 500, 20 * MIB],
    ids=["odd", "one-segment", "odd-blocks", "some", "many"],
)
async def test_what_a_download_has_learnt_of_its_pieces_makes_it_a_seed(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path, size: int
) -> None:
    """Their hashes have come with them; nothing is hashed again to offer it after a restart."""
    torrents = await torrents_of(holder, content(size))
    _, events = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
    await events.finished(torrent.info_hash for torrent in torrents)
    for torrent in torrents:
        told = rooted_torrent(torrent.root, torrent.digest, torrent.segment)
        if not told.has_layer:
            told = with_layer(told, await swarm.leaves(torrent.info_hash))
        assert told == torrent


async def test_of_what_is_not_here_there_are_no_leaves(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """Neither of a torrent that nobody has sent, nor of one that the session has not."""
    first, second, *_ = await torrents_of(holder, DATA)
    fetch(endpoint, swarm, [first], tmp_path, None)
    assert await swarm.leaves(first.info_hash) == []
    assert await swarm.leaves(second.info_hash) == []


async def test_wrong_pieces_never_become_a_finished_torrent(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """A peer that sends other bytes is found out; an honest one then completes the torrent."""
    (torrent,) = await torrents_of(holder, content(200_000))
    directory, events = fetch(endpoint, swarm, [torrent], tmp_path, None)
    async with lie(torrent, LOOPBACK, swarm.port):
        await events.until(PieceRejected)
    assert not any(isinstance(event, TorrentFinished) for event in events.seen)
    introduce(endpoint, torrent, holder.swarm.port)
    swarm.announce(torrent.info_hash)
    await events.finished([torrent.info_hash])
    assert joined(directory, [torrent]) == content(200_000)


async def test_a_seed_whose_file_was_altered_gives_no_wrong_bytes(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """Pieces that an earlier process hashed are verified as they are first read, and not sent."""
    (torrent,) = await torrents_of(holder, content(200_000))
    directory = blob_directory(holder.root, torrent.digest)
    await asyncio.to_thread(alter, directory.segment(0))
    holder.swarm.remove(torrent.info_hash)
    kept = parse_torrent(torrent.metainfo, torrent.digest, torrent.segment)
    holder.swarm.seed(kept, directory.path)
    _, events = fetch(endpoint, swarm, [torrent], tmp_path, holder.swarm.port)
    with pytest.raises(TimeoutError):
        await events.until(TorrentFinished, timeout_s=2.0)
    assert not any(isinstance(event, PieceRejected) for event in events.seen)


async def test_what_this_process_has_hashed_is_sent_without_hashing_it_again(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """A file that changes in between is found out by the receiver, piece by piece."""
    (torrent,) = await torrents_of(holder, content(200_000))
    await asyncio.to_thread(alter, blob_directory(holder.root, torrent.digest).segment(0))
    _, events = fetch(endpoint, swarm, [torrent], tmp_path, holder.swarm.port)
    await events.until(PieceRejected)
    assert not any(isinstance(event, TorrentFinished) for event in events.seen)


def alter(path: Path) -> None:
    """Change a byte in the middle of a file, which is never shorter meanwhile."""
    with path.open("r+b") as file:
        middle = path.stat().st_size // 2
        file.seek(middle)
        (byte,) = file.read(1)
        file.seek(middle)
        file.write(bytes([byte ^ 1]))


async def test_a_torrent_can_be_removed_while_it_downloads(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """Nothing more is heard of it, and it can be added again."""
    torrents = await torrents_of(holder, DATA)
    holder.swarm.limit(upload=200_000, download=0)
    directory, events = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
    await events.until(TorrentProgressed)
    for torrent in torrents:
        swarm.remove(torrent.info_hash)
        swarm.remove(torrent.info_hash)
        assert torrent.info_hash not in swarm
    heard = len(events.seen)
    holder.swarm.limit(upload=0, download=0)
    directory, again = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
    await again.finished(torrent.info_hash for torrent in torrents)
    assert joined(directory, torrents) == DATA
    assert len(events.seen) == heard


async def test_a_file_that_cannot_be_written_fails_the_torrent(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """The observer is told, and that the disk is not what is full."""
    (torrent,) = await torrents_of(holder, content(200_000))
    (directory_for(tmp_path, torrent.digest) / torrent.name).mkdir()
    _, events = fetch(endpoint, swarm, [torrent], tmp_path, holder.swarm.port)
    failed = await events.until(TorrentFailed)
    assert isinstance(failed, TorrentFailed)
    assert not failed.disk_full


async def test_a_port_in_use_names_the_flag() -> None:
    """The node does not start on another port silently."""
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"{port}.*--swarm-port"):
            await Swarm(swarm_config(port)).__aenter__()


async def test_the_port_is_free_again_after_the_session() -> None:
    """A restart finds its port; the session knows where it listens."""
    async with Swarm(swarm_config()) as first:
        port = first.port
        assert port > 0
    async with Swarm(swarm_config(port)) as second:
        assert second.port == port


async def test_a_session_can_stop_while_it_transfers(
    endpoint: AnnounceEndpoint, holder: Rig, tmp_path: Path
) -> None:
    """Stopping takes a moment, whatever is under way, and leaves no thread behind."""
    torrents = await torrents_of(holder, DATA)
    holder.swarm.limit(upload=200_000, download=0)
    async with asyncio.timeout(60), Swarm(swarm_config()) as swarm:
        _, events = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
        await events.until(TorrentProgressed)


@pytest.mark.alone
async def test_stopping_does_not_hold_up_the_event_loop(
    endpoint: AnnounceEndpoint, holder: Rig, tmp_path: Path
) -> None:
    """libtorrent says good-bye to a tracker that does not answer, meanwhile others are served."""
    torrents = await torrents_of(holder, DATA)
    gaps: list[float] = []

    async def heart() -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            gaps.append(loop.time() - before)

    with socket.create_server((LOOPBACK, 0)) as silent:
        tracker = f"http://{LOOPBACK}:{silent.getsockname()[1]}/announce"
        async with Swarm(swarm_config()) as swarm:
            _, events = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
            for torrent in torrents:
                swarm.start(torrent.info_hash, [tracker])
            await events.until(TorrentFinished)
            beating = asyncio.create_task(heart())
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)
        beating.cancel()
    assert max(gaps) < 0.5


@pytest.mark.alone
@pytest.mark.parametrize("direction", ["upload", "download"])
async def test_a_limit_counts_for_peers_on_this_host(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path, direction: str
) -> None:
    """Peers on the LAN, and on loopback, are limited like all others, with few bytes too many."""
    limit, up = 2 * MIB, direction == "upload"
    limited = holder.swarm if up else swarm
    limits = LimitsConfig(upload=limit) if up else LimitsConfig(download=limit)
    governor = Governor(limits, lambda up, down: limited.limit(upload=up, download=down))
    totals: list[int] = []
    limited.on_traffic += [
        governor.on_traffic,
        lambda traffic: totals.append(traffic.sent if up else traffic.received),
    ]
    limited.watch_traffic(GOVERN_INTERVAL_S)
    governor.start()
    torrents = await torrents_of(holder, content(14 * MIB))  # each has a connection, from the start
    _, events = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
    await events.until(TorrentProgressed)
    await asyncio.sleep(1.0)
    before, started = await moved(limited, totals)
    await asyncio.sleep(4.0)
    after, stopped = await moved(limited, totals)
    rate = (after - before) / (stopped - started)
    assert 0.7 <= rate / limit <= 1.2


async def moved(swarm: Swarm, totals: list[int]) -> tuple[int, float]:
    """Bytes on the wire up to now, and the time."""
    await swarm.refresh_traffic()
    return totals[-1], asyncio.get_running_loop().time()


async def test_traffic_is_told_on_demand(
    endpoint: AnnounceEndpoint, holder: Rig, swarm: Swarm, tmp_path: Path
) -> None:
    """Totals that are asked for include what has just been transferred."""
    told: list[Traffic] = []
    swarm.on_traffic.append(told.append)
    torrents = await torrents_of(holder, DATA)
    _, events = fetch(endpoint, swarm, torrents, tmp_path, holder.swarm.port)
    await events.finished(torrent.info_hash for torrent in torrents)
    await swarm.refresh_traffic()
    assert told[-1].received_payload >= len(DATA)
    assert told[-1].received > told[-1].received_payload
    assert hashlib.sha256(DATA).hexdigest() == torrents[0].digest[7:]
