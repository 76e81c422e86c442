"""Links that are measured: from one session to another, and who measures when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.config.tree import SwarmConfig
from eagle_node.metrics.instruments import Metrics, total
from eagle_node.peer.links import LinkGauge
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.blocks import BlockClient
from eagle_node.swarm.gauge import SIZE, gauge, make_gauge
from eagle_node.swarm.session import Swarm, TorrentIdentity
from eagle_node.tracker.schema import PeerAddress
from eagle_node.trust.certificates import NodeIdentity, node_identity
from eagle_node.trust.key import new_key
from tests.integration.swarm.holder import claiming
from tests.integration.swarm.rig import LOOPBACK
from tests.support.waiting import until
from tests.unit.tracker.builders import node, node_id

ELSEWHERE = "127.0.0.2"
"""As good as another host."""
UNTOLD = SIZE / 0.03
"""Bytes/s above which nothing is told apart."""


@asynccontextmanager
async def offering(
    directory: Path, host: str = ELSEWHERE, identity: NodeIdentity | None = None
) -> AsyncIterator[Swarm]:
    """A session that offers its gauge."""
    ours = _torrent_identity(identity) if identity else None
    async with Swarm(SwarmConfig(port=0, ssl_port=0, listen_host=host), identity=ours) as swarm:
        torrent = make_gauge(directory, root_certificate=swarm.root_certificate)
        swarm.seed_apart(torrent, directory)
        assert not len(swarm), "it is no segment"
        yield swarm


def _torrent_identity(identity: NodeIdentity) -> TorrentIdentity:
    files = identity.torrent_identity()
    return TorrentIdentity(
        root=files.root,
        certificate=files.certificate,
        key=files.key,
        dh_params=files.dh_params,
    )


async def test_a_fast_way_is_as_fast_as_can_be_told(tmp_path: Path) -> None:
    """Over and over, also when several measure at a time."""
    torrent = make_gauge(tmp_path / "here")
    async with offering(tmp_path) as swarm, BlockClient(None) as client:
        at = Address(ELSEWHERE, swarm.port)

        async def is_offered() -> bool:
            try:
                return await gauge(client, at, torrent, download=ByteBudget(0)) > 0
            except Unavailable:
                return False

        await until(is_offered, what="the gauge to be offered")
        rates = await asyncio.gather(
            *(gauge(client, at, torrent, download=ByteBudget(0)) for _ in range(3))
        )
        assert all(0 < rate <= UNTOLD for rate in rates)


async def test_a_slow_way_is_told(tmp_path: Path) -> None:
    """What the other end may send is what is found, a burst at the beginning left out."""
    torrent = make_gauge(tmp_path / "here")
    async with offering(tmp_path) as swarm, BlockClient(None) as client:
        swarm.limit(upload=400_000, download=0)
        at = Address(ELSEWHERE, swarm.port)
        found: list[int] = []

        async def is_slow() -> bool:
            try:
                found.append(await gauge(client, at, torrent, download=ByteBudget(0)))
            except Unavailable:
                return False
            return 0 < found[-1] < UNTOLD / 4

        await until(is_slow, what="the limit to be found", timeout=30)


async def test_a_limit_holds_for_measurements_too(tmp_path: Path) -> None:
    """A node that may not use its link finds it as slow as it may be."""
    torrent = make_gauge(tmp_path / "here")
    async with offering(tmp_path) as swarm, BlockClient(None) as client:
        at, budget = Address(ELSEWHERE, swarm.port), ByteBudget(1_000_000)

        async def is_offered() -> bool:
            try:
                return await gauge(client, at, torrent, download=budget) > 0
            except Unavailable:
                return False

        await until(is_offered, what="the gauge to be offered")
        assert await gauge(client, at, torrent, download=budget) < UNTOLD / 4


async def test_members_of_a_cluster_measure_under_its_key(tmp_path: Path) -> None:
    """Nobody else does."""
    key = new_key()
    ours, theirs = node_identity(key), node_identity(key)
    async with offering(tmp_path, identity=ours) as swarm:
        torrent = make_gauge(tmp_path / "here", root_certificate=ours.root)
        at = Address(ELSEWHERE, swarm.port)
        async with BlockClient(theirs.ssl_context(server=False)) as client:

            async def is_offered() -> bool:
                try:
                    return await gauge(client, at, torrent, download=ByteBudget(0)) > 0
                except Unavailable:
                    return False

            await until(is_offered, what="the gauge to be offered")
        async with BlockClient(None) as client:
            with pytest.raises(Unavailable, match=str(at)):
                await gauge(client, at, torrent, download=ByteBudget(0))


async def test_who_has_no_gauge_says_so(tmp_path: Path) -> None:
    """Nodes of former versions, closed ports, and peers that hang up or lie."""
    torrent = make_gauge(tmp_path)
    async with (
        Swarm(SwarmConfig(port=0, ssl_port=0, listen_host=ELSEWHERE)) as swarm,
        claiming(lambda *_: bytes(7)) as liar,
        BlockClient(None) as client,
    ):
        for at in (Address(ELSEWHERE, swarm.port), liar.address, Address(ELSEWHERE, 9)):
            with pytest.raises(Unavailable, match=str(at)):
                await gauge(client, at, torrent, download=ByteBudget(0))


def test_a_gauge_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """By the file's name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"cannot write .*file"):
        make_gauge(tmp_path / "file")


async def test_a_node_measures_when_nothing_uses_its_link(tmp_path: Path) -> None:
    """It remembers what came, also that nothing did; nodes on its own host it leaves out."""
    busy, metrics = True, Metrics()
    async with (
        offering(tmp_path / "other") as other,
        Swarm(SwarmConfig(port=0, ssl_port=0, listen_host=LOOPBACK)) as swarm,
        BlockClient(None) as client,
    ):
        links = LinkGauge(
            node=lambda: node(1, host=LOOPBACK),
            swarm=swarm,
            blocks=client,
            directory=tmp_path / "gauge",
            is_idle=lambda: not busy,
            download=ByteBudget(0),
            metrics=metrics,
        )
        running = asyncio.create_task(links.run(), name="links")
        peers = [
            PeerAddress(node_id=node_id(2), host=ELSEWHERE, port=other.port),
            PeerAddress(node_id=node_id(3), host=ELSEWHERE, port=9),
            PeerAddress(node_id=node_id(4), host=LOOPBACK, port=other.port),
        ]
        links.measure(peers)
        await links.settled()
        assert links.results == ()
        busy = False

        found: dict[NodeId, int] = {}

        async def are_known() -> bool:
            links.measure(peers)
            await links.settled()
            found.update({each.node_id: each.rate for each in links.results})
            return found.get(node_id(2), 0) > 0

        await until(are_known, what="the gauge to be offered", timeout=30)
        assert found.keys() == {node_id(2), node_id(3)}
        assert found[node_id(3)] == 0
        assert total(metrics.link_rate_bytes) == found[node_id(2)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_node_without_room_for_its_gauge_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once."""
    (tmp_path / "file").write_text("")
    async with (
        Swarm(SwarmConfig(port=0, ssl_port=0, listen_host=LOOPBACK)) as swarm,
        BlockClient(None) as client,
    ):
        links = LinkGauge(
            node=lambda: node(1, host=LOOPBACK),
            swarm=swarm,
            blocks=client,
            directory=tmp_path / "file",
            is_idle=lambda: True,
            download=ByteBudget(0),
            metrics=Metrics(),
        )
        await links.run()
    assert caplog.text.count("links are not measured: cannot write") == 1
