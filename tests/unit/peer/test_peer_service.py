"""The peer as the proxy sees it: rights, joined fetches, clients that go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, NoSpace, Unavailable, WrongContent
from eagle_node.blobs.reader import BlobReader
from eagle_node.peer.service import Peer
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.transfer import Source
from tests.integration.seeder.clients import RIGHT, Checker, access_by, refusal
from tests.integration.swarm.rig import Rig, Script, rig
from tests.unit.blobs.builders import MIB, content, ingest

SIZE = 3 * MIB + 9
DATA = content(SIZE)
BLOB = BlobRef(Repository("registry.test", "team/app"), digest_of(DATA))
WRONG = "Basic wrong"


class Client:
    """A peer over a rig that has no other nodes, with a scripted origin."""

    def __init__(self, node: Rig) -> None:
        self.node = node
        self.checker = Checker()
        self.script = Script(DATA)
        self.source: Callable[[str | None], Source] = lambda who: self.script
        self.use(access_by(self.checker))

    def use(self, access: Access) -> None:
        """Rights are remembered otherwise."""
        self.peer = Peer(
            cache=self.node.cache,
            transfers=self.node.transfers,
            access=access,
            means=None,
            origin=lambda blob, who: self.source(who),
            seeders=lambda: [Address("192.0.2.1", 1), Address("192.0.2.2", 1)],
            is_self=lambda address: False,
        )

    async def open(
        self, who: str | None = RIGHT, *, whole: bool = True, blob: BlobRef = BLOB
    ) -> BlobReader:
        """A client opens the blob."""
        return await self.peer.open(blob, who, whole=whole)

    async def body(self, who: str | None = RIGHT) -> bytes:
        """A client opens and reads the blob."""
        reader = await self.open(who)
        try:
            return await reader.read()
        finally:
            reader.close()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with rig(tmp_path / "cache") as node:
        yield Client(node)


async def test_a_cold_blob_is_fetched_in_the_clients_name(client: Client) -> None:
    """Its success is the proof of the right: no further question is asked."""
    assert await client.body() == DATA
    assert client.checker.asked == []


async def test_a_cached_blob_is_given_only_to_whom_the_origin_would_give_it(
    client: Client,
) -> None:
    """Nobody reads a byte on somebody else's credentials."""
    await ingest(client.node.cache, DATA)
    assert await client.body() == DATA
    for who in (WRONG, None):
        with pytest.raises(Denied):
            await client.open(who)
    assert client.script.calls == 0


async def test_a_blob_on_its_way_is_given_only_to_whom_the_origin_would_give_it(
    client: Client,
) -> None:
    """Joining a fetch needs the right as well."""
    client.script.may_begin.clear()
    first = asyncio.create_task(client.body())
    await client.script.called.wait()
    with pytest.raises(Denied):
        await client.open(WRONG)
    client.script.may_begin.set()
    assert await first == DATA


async def test_joining_a_fetch_makes_an_old_right_no_newer(client: Client) -> None:
    """Else who reads on and on would never be asked for again."""
    now = [0.0]
    access = Access(client.checker, AccessMemory(300.0, 10.0, 0.0, clock=lambda: now[0]))
    client.use(access)
    client.script.may_write.clear()
    (await client.open()).close()
    for now[0] in (200.0, 400.0):
        (await client.open()).close()
    assert client.checker.asked == [RIGHT]
    client.script.may_write.set()


async def test_a_refusal_is_for_the_client_that_began_the_fetch_only(client: Client) -> None:
    """Who has joined it, with better credentials, gets a fetch of its own."""
    refusing = Script(b"", error=refusal())
    refusing.may_begin.clear()
    client.source = lambda who: client.script if who == RIGHT else refusing
    stranger = asyncio.create_task(client.body(WRONG))
    await refusing.called.wait()
    friend = asyncio.create_task(client.body())
    await client.checker.was_asked.wait()
    await asyncio.sleep(0.02)
    refusing.may_begin.set()
    with pytest.raises(Denied):
        await stranger
    assert await friend == DATA


async def test_a_client_that_goes_away_takes_nobody_with_it(client: Client) -> None:
    """While the blob is being opened; the others get it, and nothing stays pinned."""
    client.script.may_begin.clear()
    clients = [asyncio.create_task(client.body()) for _ in range(5)]
    await client.script.called.wait()
    await asyncio.sleep(0.02)
    for task in clients[:3]:
        task.cancel()
    client.script.may_begin.set()
    results = await asyncio.gather(*clients, return_exceptions=True)
    assert [type(result) for result in results[:3]] == [asyncio.CancelledError] * 3
    assert results[3:] == [DATA, DATA]
    transfer = client.node.transfers.get(BLOB.digest)
    if transfer is not None:
        await transfer.wait_finished()
    assert await client.node.cache.drop(BLOB.digest)


async def test_wrong_bytes_for_an_empty_blob_are_not_promised(client: Client) -> None:
    """None of them could be held back: it is opened once it is verified."""
    client.script = Script(b"")
    with pytest.raises(WrongContent):
        await client.open()
    empty = BlobRef(BLOB.repository, digest_of(b""))
    reader = await client.open(blob=empty)
    assert (reader.size, await reader.read()) == (0, b"")
    reader.close()


@pytest.mark.parametrize("error", [Unavailable("down"), NoSpace("full"), refusal()])
async def test_errors_come_before_the_first_byte(client: Client, error: Exception) -> None:
    """So that the client gets a status, and can turn elsewhere."""
    client.script = Script(b"", error=error)
    with pytest.raises(type(error)):
        await client.open()
    assert not client.node.transfers.running()


async def test_the_size_of_a_blob_moves_no_bytes(client: Client) -> None:
    """It is what the origin tells, or else what is here."""
    assert await client.peer.size(BLOB, RIGHT) is None
    client.checker.size = 77
    assert await client.peer.size(BLOB, RIGHT) == 77
    client.checker.size = None
    await ingest(client.node.cache, DATA)
    assert await client.peer.size(BLOB, RIGHT) == SIZE
    assert client.script.calls == 0
    with pytest.raises(Denied):
        await client.peer.size(BLOB, WRONG)


async def test_all_nodes_ask_the_same_seeder_first(client: Client) -> None:
    """The order is a function of the digest and of who is there."""
    order = client.peer.order(BLOB.digest)
    assert sorted(order, key=str) == [Address("192.0.2.1", 1), Address("192.0.2.2", 1)]
    firsts = {client.peer.order(digest_of(bytes([n])))[0] for n in range(32)}
    assert len(firsts) == 2
