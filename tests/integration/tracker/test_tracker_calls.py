"""Nodes and trackers over real HTTP."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import libtorrent as lt
import pytest

from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.base.rendezvous import ranked
from eagle_node.metrics.instruments import total
from eagle_node.runtime.sockets import parse_address
from eagle_node.tracker.bitmap import pack
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import HOLD_S, Advert, Plan, PlanRequest, parse_holders
from tests.integration.tracker.support import RunningTracker, tracker
from tests.support.waiting import until
from tests.unit.tracker.builders import BLOB, SEGMENTS, SIZE, blob, holds, info_hash, node, node_id

NOWHERE = "http://127.0.0.1:9"


def request(number: int, *, digest: str = "blob") -> PlanRequest:
    """The ``number``-th node asks for a plan."""
    return PlanRequest(node=node(number), digest=blob(digest), size=SIZE)


def peers_of(plan: Plan) -> list[list[NodeId]]:
    """Whom a plan names, per stripe."""
    return [[peer.node_id for peer in peers] for peers in plan.stripes]


def announcement(info: bytes, *, port: int = 7000, extra: str = "") -> str:
    """An announce as a client sends it."""
    return f"/announce?info_hash={quote(info)}&peer_id={'p' * 20}&port={port}&left=1{extra}"


@asynccontextmanager
async def clients(*urls: Sequence[str]) -> AsyncIterator[list[TrackerClient]]:
    """A client per list of trackers; their time stands still."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                TrackerClient(lambda known=known: known, clock=lambda: 0.0)  # type: ignore[misc]
            )
            for known in urls
        ]


async def get(server: RunningTracker, path: str) -> tuple[int, bytes, str]:
    """Status, body and content type of a raw GET."""
    from yarl import URL

    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(server.url + path, encoded=True)) as response,
    ):
        return response.status, await response.read(), response.content_type


async def announced(server: RunningTracker, path: str) -> Any:
    """The decoded reply of an announce or scrape; always status 200."""
    status, body, _ = await get(server, path)
    assert status == 200
    return lt.bdecode(body)


async def test_plan_and_advertise() -> None:
    """A node gets those who advertised, and is handed out in turn."""
    async with tracker() as server, clients([server.url + "/"]) as (client,):
        assert await client.advertise(holds(node(1), BLOB))
        assert not await client.advertise(holds(node(1), BLOB, full=True))
        first = await client.plan(request(2))
        assert peers_of(first) == [[node_id(1)]]
        assert first.interval_s == 30.0
        second = await client.plan(request(3))
        assert peers_of(second) == [[node_id(2), node_id(1)]]
        assert total(server.metrics.tracker_plans) == 2


async def test_holders_are_listed() -> None:
    """Whole and partial holders of a group are told; silent ones are gone."""
    async with tracker(interval_s=10) as server, clients([server.url]) as (client,):
        await client.advertise(holds(node(1), BLOB))
        await client.advertise(holds(node(2), BLOB, have=pack([3], SEGMENTS)))
        await client.advertise(holds(node(3, group="g"), BLOB))
        _, body, _ = await get(server, f"/v1/holders/{BLOB}")
        found = {holder.peer.node_id: holder.have for holder in parse_holders(body)}
        assert found == {node_id(1): None, node_id(2): pack([3], SEGMENTS)}
        _, body, _ = await get(server, f"/v1/holders/{BLOB}?group=g")
        assert [holder.peer.node_id for holder in parse_holders(body)] == [node_id(3)]
        server.now = 21
        await server.service.expire()
        assert parse_holders((await get(server, f"/v1/holders/{BLOB}"))[1]) == ()


async def test_a_node_is_told_of_the_holders_near_it() -> None:
    """Its rack, its zone, then others; a few of many, seeders after those as near."""
    async with tracker() as server, clients([server.url]) as (client,):
        asker = node(1, zone="a", rack="r1")
        await client.advertise(Advert(node=asker, full=True))
        await client.advertise(holds(node(2, zone="b"), BLOB))
        await client.advertise(holds(node(3, zone="a", rack="r1"), BLOB))
        await client.advertise(holds(node(4, zone="a", rack="r2"), BLOB))
        await client.advertise(holds(node(5, zone="a", rack="r2", group="g"), BLOB))
        found = await client.holders(BLOB, asker)
        assert [each.peer.node_id for each in found] == [node_id(3), node_id(4), node_id(2)]
        for number in range(10, 40):
            await client.advertise(holds(node(number, zone="c"), BLOB))
        assert len(found := await client.holders(BLOB, asker)) == 16
        assert found[0].peer.node_id == node_id(3)


async def test_announces_answer_holders_of_the_segment() -> None:
    """Each segment's info-hash leads to the nodes that have that segment, and to strangers."""
    async with tracker() as server, clients([server.url]) as (client,):
        hashes = (info_hash(1), info_hash(2))
        await client.advertise(holds(node(1), BLOB, hashes=hashes))
        await client.advertise(holds(node(2), BLOB, have=pack([1], SEGMENTS)))
        reply = await announced(server, announcement(info_hash(1)))
        assert reply[b"peers"] == bytes([10, 0, 0, 1]) + (61007).to_bytes(2, "big")
        assert (reply[b"interval"], reply[b"complete"], reply[b"incomplete"]) == (30, 1, 1)
        reply = await announced(server, announcement(info_hash(2), port=7001))
        assert (len(reply[b"peers"]), reply[b"complete"]) == (12, 2)
        reply = await announced(server, announcement(info_hash(2), port=7002))
        assert len(reply[b"peers"]) == 18
        files = (await announced(server, f"/scrape?info_hash={quote(info_hash(2))}"))[b"files"]
        assert files == {info_hash(2): {b"complete": 2, b"incomplete": 2, b"downloaded": 0}}
        assert total(server.metrics.tracker_announces) == 3


async def test_announces_fail_in_bencoding() -> None:
    """Unknown torrents and broken queries get a failure reason, with status 200."""
    async with tracker() as server:
        for path, reason in (
            (announcement(info_hash(5)), b"unknown torrent"),
            ("/announce?port=1", b"info_hash: expected 20 percent-encoded bytes"),
            ("/scrape", b"info_hash: from 1 to 74 are scraped at a time"),
        ):
            assert (await announced(server, path))[b"failure reason"] == reason
        assert await announced(server, f"/scrape?info_hash={quote(info_hash(5))}") == {b"files": {}}


async def test_errors_are_problem_documents() -> None:
    """Calls of nodes fail with RFC 9457 JSON that names the field."""
    async with tracker() as server, aiohttp.ClientSession() as session:
        for path, body, status in (
            ("/v1/plan", b"{}", 400),
            ("/v1/advertise", b"[]", 400),
            ("/v1/advertise", b" " * ((8 << 20) + 1), 413),
            ("/v1/nothing", b"", 404),
        ):
            async with session.post(server.url + path, data=io.BytesIO(body)) as response:
                assert response.status == status
                assert response.content_type == "application/problem+json"
                assert (await response.json(content_type=None))["status"] == status
        status, _, kind = await get(server, "/v1/holders/latest")
        assert (status, kind) == (400, "application/problem+json")
        assert (await get(server, "/healthz"))[:2] == (200, b"ok\n")


async def test_big_adverts_are_taken() -> None:
    """An advert of thousands of blobs fits into a message."""
    async with tracker() as server, clients([server.url]) as (client,):
        digests = [blob(str(number)) for number in range(5000)]
        await client.advertise(holds(node(1), *digests, full=True, hashes=(info_hash(1),)))
        plan = await client.plan(request(2, digest="4999"))
        assert peers_of(plan) == [[node_id(1)]]


async def test_a_restart_keeps_the_holdings(tmp_path: Path) -> None:
    """A tracker that comes back knows the holders until they miss two intervals."""
    path = tmp_path / "tracker.sqlite"
    async with tracker(path) as server, clients([server.url]) as (client,):
        await client.advertise(holds(node(1), BLOB))
    async with tracker(path) as server, clients([server.url]) as (client,):
        assert peers_of(await client.plan(request(2))) == [[node_id(1)]]
        server.now = 61
        await server.service.expire()
        assert peers_of(await client.plan(request(3))) == [[]]


async def test_a_table_that_cannot_be_written_for_a_while_stops_no_expiry(tmp_path: Path) -> None:
    """Who is gone leaves the plans at once, and the table once that can be written again."""
    path = tmp_path / "tracker.sqlite"
    async with tracker(path, interval_s=0.05) as server, clients([server.url]) as (client,):
        await client.advertise(holds(node(1), BLOB))
        with _broken(path):
            server.now = 1.0

            async def expired() -> bool:
                return not await client.nodes()

            await until(expired, what="the node to expire")
            await asyncio.sleep(0.1)
            assert _stored(path) == 1

        async def forgotten() -> bool:
            return not _stored(path)

        await until(forgotten, what="the table to forget it")


@contextmanager
def _broken(path: Path) -> Iterator[None]:
    """No node can be deleted from the table."""
    trigger = "CREATE TRIGGER broken BEFORE DELETE ON node BEGIN SELECT RAISE(FAIL, 'broken'); END"
    with closing(sqlite3.connect(path, isolation_level=None)) as table:
        table.execute(trigger)
        yield
        table.execute("DROP TRIGGER broken")


def _stored(path: Path) -> int:
    with closing(sqlite3.connect(path)) as table:
        return int(table.execute("SELECT count(*) FROM node").fetchone()[0])


async def test_all_nodes_ask_the_same_tracker() -> None:
    """The digest picks the tracker, whatever the order in which a node knows them."""
    urls = [f"http://t{number}:6969" for number in range(5)]
    async with clients(urls, urls[::-1]) as (one, other):
        orders = [one.order(blob(str(number))) for number in range(40)]
        assert orders == [other.order(blob(str(number))) for number in range(40)]
        assert len({order[0] for order in orders}) == 5


async def test_a_plan_fails_over() -> None:
    """The next tracker answers for a dead one, which is asked last for a while."""
    async with tracker() as server, clients([server.url, NOWHERE]) as (client,):
        await client.advertise(holds(node(1), BLOB))
        for number in range(10):
            await client.plan(request(2, digest=str(number)))
        assert all(client.order(blob(str(n))) == [server.url, NOWHERE] for n in range(10))


async def test_a_blob_stays_with_the_tracker_that_plans_it() -> None:
    """One that is elected meanwhile does not know the wave; it is asked once the other is gone."""
    async with tracker() as server, tracker() as late:
        urls, now = [server.url], [0.0]
        async with TrackerClient(lambda: urls, clock=lambda: now[0]) as client:
            blobs = [str(number) for number in range(20)]
            for each in blobs:
                await client.plan(request(1, digest=each))
            now[0] = 11.0
            urls.append(late.url)
            assert any(client.order(blob(each))[0] == late.url for each in blobs)
            for each in blobs:
                await client.plan(request(1, digest=each))
            assert total(late.metrics.tracker_plans) == 0
            urls.remove(server.url)
            await client.plan(request(1, digest=blobs[0]))
            assert total(late.metrics.tracker_plans) == 1


async def test_nodes_agree_on_one_of_trackers_that_come_together() -> None:
    """While several are elected, who has heard of one alone leaves it for the one that is first."""
    async with tracker() as first, tracker() as second:
        urls = [first.url]
        async with TrackerClient(lambda: urls, clock=lambda: 0.0) as client:
            both = [first.url, second.url]
            digest = next(d for d in map(str, range(99)) if ranked(blob(d), both)[0] == second.url)
            await client.advertise(holds(node(2), blob(digest)))
            plan = await client.plan(request(1, digest=digest))
            held = replace(request(1, digest=digest), after=plan.revision)
            asked: list[str] = []

            def done() -> int:
                asked.append(urls[-1])
                return 0

            async with asyncio.timeout(HOLD_S / 2), asyncio.TaskGroup() as group:
                group.create_task(client.plan(held, done=done))
                await asyncio.sleep(0)
                urls.append(second.url)
            assert total(second.metrics.tracker_plans) == 1
            assert asked == [first.url, second.url], "each is told how much is here by then"


async def test_a_tracker_that_comes_back_is_as_new() -> None:
    """A node is its own for a moment as it starts; elected later, it must not keep to itself."""
    async with tracker() as first, tracker() as second:
        urls, now = [first.url], [0.0]
        async with TrackerClient(lambda: urls, clock=lambda: now[0]) as client:
            both = [first.url, second.url]
            digest = next(d for d in map(str, range(99)) if ranked(blob(d), both)[0] == second.url)
            await client.advertise(holds(node(2), blob(digest)))
            for moment, known in ((20.0, []), (40.0, [first.url]), (41.0, both)):
                urls[:], now[0] = known, moment
                if known:
                    await client.plan(request(1, digest=digest))
                else:
                    assert client.with_errands() == []
            assert total(first.metrics.tracker_plans) == 1
            assert total(second.metrics.tracker_plans) == 1


async def test_no_tracker_at_all() -> None:
    """Plans and adverts are `Unavailable` when nobody answers, or nobody is known."""
    async with clients([NOWHERE], []) as (dead, lonely):
        for client in (dead, lonely):
            with pytest.raises(Unavailable):
                await client.plan(request(1))
            with pytest.raises(Unavailable):
                await client.advertise(holds(node(1), BLOB))


async def test_a_tracker_that_missed_something_wants_everything() -> None:
    """A tracker that was away gets a full advert once it is back, and only then is satisfied."""
    now = [0.0]
    async with tracker() as server, tracker() as other:
        urls = [server.url]
        async with TrackerClient(lambda: urls, clock=lambda: now[0]) as client:
            assert not await client.advertise(holds(node(1), BLOB, full=True))
            urls.append(other.url)
            assert await client.advertise(holds(node(1), blob("b")))
            assert not await client.advertise(holds(node(1), BLOB, blob("b"), full=True))


async def test_a_resting_tracker_is_left_out_and_then_caught_up() -> None:
    """After a failure a tracker rests; what it missed is made up for by a full advert."""
    now = [0.0]
    async with tracker() as server:
        async with tracker() as away:
            address = parse_address(away.url.removeprefix("http://"))
        urls = [server.url, away.url]
        async with TrackerClient(lambda: urls, clock=lambda: now[0]) as client:
            assert not await client.advertise(holds(node(1), BLOB, full=True))
            async with tracker(address=address) as back:
                assert not await client.advertise(holds(node(1), blob("b")))
                assert parse_holders((await get(back, f"/v1/holders/{blob('b')}"))[1]) == ()
                now[0] = 1.5
                assert await client.advertise(Advert(node=node(1)))
                assert not await client.advertise(holds(node(1), BLOB, blob("b"), full=True))
                assert len(parse_holders((await get(back, f"/v1/holders/{BLOB}"))[1])) == 1
