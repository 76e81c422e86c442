"""Fetching ahead of demand: bounded, in the pauses, in the client's name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied
from eagle_node.config.tree import SeederConfig
from eagle_node.metrics.instruments import by_label
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.seeder.ahead import CACHE_SHARE, MOST_AT_ONCE, UNCLAIMED_S, Prefetcher
from eagle_node.seeder.origin import InOrderFill
from eagle_node.seeder.turns import InTurn, Turns
from eagle_node.swarm.transfer import Source, Transfer
from tests.integration.seeder.byte_source import MemorySource
from tests.integration.seeder.clients import RIGHT, Checker, refusal
from tests.integration.swarm.rig import Rig, read_range, read_whole, rig
from tests.unit.blobs.builders import MIB, content, ingest

SIZE = 3 * MIB + 7
REPOSITORY = Repository("registry.test", "team/app")
LIMIT = 10 * SIZE


class Seeder:
    """A prefetcher over a rig; every blob has a scripted source of its own."""

    def __init__(self, node: Rig, limit: int = LIMIT) -> None:
        self.node = node
        self.now = 0.0
        self.turns = Turns()
        self.checker = Checker()
        self.access = Access(self.checker, AccessMemory(60.0, 60.0, 60.0))
        self.data = [content(SIZE, seed) for seed in range(12)]
        self.blobs = [BlobRef(REPOSITORY, digest_of(data)) for data in self.data]
        self.sources = {digest_of(data): MemorySource(data) for data in self.data}
        self.fetched_as: list[str | None] = []
        self.prefetcher = Prefetcher(
            limit=limit,
            cache=node.cache,
            transfers=node.transfers,
            access=self.access,
            origin=self.origin,
            turns=self.turns,
            metrics=node.metrics,
            clock=lambda: self.now,
        )

    def origin(self, blob: BlobRef, authorization: str | None) -> Source:
        """As `Origins` makes it, with bytes from memory."""
        source = self.sources[blob.digest]

        async def fill(transfer: Transfer) -> None:
            self.fetched_as.append(authorization)
            with self.turns.filling(transfer):
                in_turn = InTurn(source, self.turns, transfer)
                await InOrderFill(in_turn, SeederConfig())(transfer)

        return fill

    def source(self, number: int) -> MemorySource:
        """The source of the n-th blob."""
        return self.sources[self.blobs[number].digest]

    def note(self, *numbers: int, size: int = SIZE, who: str = RIGHT) -> None:
        """A manifest that names these blobs was read."""
        for number in numbers:
            self.prefetcher.note(self.blobs[number], size, who)
            self.prefetcher.check()

    async def ask(self, number: int) -> Transfer:
        """Somebody wants the n-th blob now."""
        blob = self.blobs[number]
        self.prefetcher.claim(blob.digest)
        transfer = await self.node.transfers.start(
            blob.digest, self.origin(blob, RIGHT), whole=True
        )
        assert transfer is not None
        return transfer

    async def until_cached(self, *numbers: int) -> None:
        """Wait for commits."""
        wanted = {self.blobs[number].digest for number in numbers}
        committed = asyncio.Event()
        self.node.cache.on_commit.append(lambda _: committed.set())
        async with asyncio.timeout(60):
            while not all(digest in self.node.cache for digest in wanted):
                committed.clear()
                await committed.wait()

    def outcomes(self) -> dict[str, int]:
        """What became of the blobs that were noted."""
        return by_label(self.node.metrics.prefetches)


@pytest.fixture
async def seeder(tmp_path: Path) -> AsyncIterator[Seeder]:
    async with rig(tmp_path / "cache") as node:
        running = Seeder(node)
        yield running
        running.prefetcher.check()
        await running.prefetcher.aclose()


def sent(count: int) -> Callable[[MemorySource], bool]:
    """Whether so many bytes have left the source."""
    return lambda source: source.sent >= count


def hold(source: MemorySource, at: int = MIB) -> None:
    """Have a source stand still."""
    source.hold_at = at
    source.may_send.clear()


async def some_turns() -> None:
    """Whatever could move has moved."""
    for _ in range(50):
        await asyncio.sleep(0.002)


async def test_a_lazy_reader_ends_what_is_fetched_ahead(seeder: Seeder) -> None:
    """It asks for ranges and for nothing else; who asks for the whole afterwards gets it."""
    source = seeder.source(0)
    hold(source)
    seeder.note(0)
    await source.until(sent(MIB))
    blob = seeder.blobs[0]
    transfer = await seeder.node.transfers.start(
        blob.digest, seeder.origin(blob, RIGHT), whole=False
    )
    assert transfer is not None
    source.may_send.set()
    await transfer.wait_opened()
    place = SIZE - 100
    body = await read_range(seeder.node, blob.digest, place, SIZE)
    assert body == source.data[place:]
    assert source.sent <= 2 * MIB
    assert await read_whole(seeder.node, await seeder.ask(0)) == source.data


async def test_what_is_noted_is_fetched_once_whole_and_as_the_client(seeder: Seeder) -> None:
    """Notices of a whole wave are one fetch; the fetch proves the client's right to read."""
    for _ in range(20):
        seeder.note(0, 1)
    await seeder.until_cached(0, 1)
    seeder.note(0, 1)
    assert [seeder.source(number).opened for number in (0, 1)] == [[(0, None)]] * 2
    assert seeder.fetched_as == [RIGHT, RIGHT]
    assert seeder.outcomes() == {"begun": 2}
    await seeder.access.check(seeder.blobs[0], RIGHT)
    assert seeder.checker.asked == []


async def test_few_blobs_are_fetched_at_a_time_in_order(seeder: Seeder) -> None:
    """The others wait for their turn, the first in the manifest come first."""
    for number in range(6):
        hold(seeder.source(number))
    seeder.note(*range(6))
    begun = list(range(MOST_AT_ONCE))
    for number in begun:
        await seeder.source(number).until(sent(MIB))
    await some_turns()
    assert [number for number in range(6) if seeder.source(number).opened] == begun
    seeder.source(begun[-1]).may_send.set()
    await seeder.source(begun[-1] + 1).until(sent(MIB))
    assert not seeder.source(begun[-1] + 2).opened
    for number in range(6):
        seeder.source(number).may_send.set()
    await seeder.until_cached(*range(6))


async def test_demand_comes_first(seeder: Seeder) -> None:
    """While a blob that was asked for moves, not a byte of the others does; then they go on."""
    ahead, asked = seeder.source(0), seeder.source(1)
    hold(ahead)
    hold(asked)
    seeder.note(0)
    await ahead.until(sent(MIB))
    demanded = await seeder.ask(1)
    await asked.until(sent(MIB))
    before = ahead.sent
    ahead.may_send.set()
    seeder.note(2)
    await some_turns()
    assert ahead.sent <= before + ahead.chunk
    assert seeder.source(2).opened == []
    asked.may_send.set()
    await demanded.wait_finished()
    await seeder.until_cached(0, 1, 2)
    assert ahead.opened == [(0, None)]


async def test_a_blob_that_is_asked_for_meanwhile_goes_on_at_once(seeder: Seeder) -> None:
    """On its connection, beside the one that it had made way for."""
    ahead, asked = seeder.source(0), seeder.source(1)
    hold(ahead)
    hold(asked)
    seeder.note(0)
    await ahead.until(sent(MIB))
    await seeder.ask(1)
    await asked.until(sent(MIB))
    ahead.may_send.set()
    await some_turns()
    joined = await seeder.ask(0)
    await joined.wait_finished()
    assert ahead.opened == [(0, None)]
    assert asked.live == 1
    asked.may_send.set()


async def test_a_blob_that_waits_for_its_turn_is_fetched_at_once_when_it_is_asked_for(
    seeder: Seeder,
) -> None:
    """As if it had not been noted, and only once."""
    hold(seeder.source(0))
    await seeder.ask(0)
    seeder.note(1)
    await (await seeder.ask(1)).wait_finished()
    seeder.source(0).may_send.set()
    await seeder.until_cached(0, 1)
    await some_turns()
    assert seeder.source(1).opened == [(0, None)]
    assert seeder.outcomes() == {}


async def test_what_is_here_is_left_alone(seeder: Seeder) -> None:
    """Nobody's rights are asked for either: nothing is told of it."""
    await ingest(seeder.node.cache, seeder.data[0])
    seeder.note(0, who="Basic wrong")
    await some_turns()
    assert seeder.source(0).opened == []
    assert seeder.checker.asked == []


async def test_a_refusal_is_the_end_of_it(seeder: Seeder) -> None:
    """Who may read the blob then gets it by a fetch of his own."""
    seeder.source(0).refuse = lambda number: refusal() if number == 0 else None
    seeder.note(0, who="Basic wrong")
    await seeder.source(0).until(lambda source: len(source.opened) == 1)
    await some_turns()
    await (await seeder.ask(0)).wait_finished()
    assert seeder.fetched_as == ["Basic wrong", RIGHT]


async def test_what_nobody_may_read_is_not_tried_again_for_nobody(seeder: Seeder) -> None:
    """Nodes that may not show their clients' credentials all give the same notice."""
    seeder.source(0).refuse = lambda number: refusal()
    for _ in range(3):
        seeder.note(0, who=ANYBODY)
        await seeder.source(0).until(lambda source: len(source.opened) == 1)
        await some_turns()
    seeder.note(0)
    await seeder.source(0).until(lambda source: len(source.opened) == 2)
    await some_turns()
    seeder.now += UNCLAIMED_S + 1
    seeder.note(0, who=ANYBODY)
    await seeder.source(0).until(lambda source: len(source.opened) == 3)
    assert seeder.fetched_as == [ANYBODY, RIGHT, ANYBODY]


async def test_a_refused_client_is_not_remembered_as_a_reader(seeder: Seeder) -> None:
    """Only a fetch that began proves a right."""
    seeder.source(0).refuse = lambda number: refusal()
    seeder.note(0, who="Basic wrong")
    await seeder.source(0).until(lambda source: len(source.opened) == 1)
    await some_turns()
    with pytest.raises(Denied):
        await seeder.access.check(seeder.blobs[0], "Basic wrong")


async def test_what_nobody_asks_for_is_bounded(tmp_path: Path) -> None:
    """Somebody who only reads manifests does not drain the registry into the cache."""
    async with rig(tmp_path / "cache") as node:
        seeder = Seeder(node, limit=2 * SIZE)
        seeder.note(0, 1, 2)
        await seeder.until_cached(0, 1)
        seeder.note(2)
        assert seeder.outcomes() == {"begun": 2, "no_room": 2}
        seeder.prefetcher.claim(seeder.blobs[0].digest)
        seeder.note(2)
        await seeder.until_cached(2)
        seeder.now = UNCLAIMED_S + 1
        seeder.note(3, 4)
        await seeder.until_cached(3, 4)
        await seeder.prefetcher.aclose()


async def test_most_of_the_cache_is_left_to_demand(tmp_path: Path) -> None:
    """A share of its limit is the most that is fetched ahead, whatever is configured."""
    async with rig(tmp_path / "cache", limit=CACHE_SHARE * SIZE) as node:
        seeder = Seeder(node)
        seeder.note(0, 1)
        await seeder.until_cached(0)
        assert seeder.outcomes() == {"begun": 1, "no_room": 1}
        await seeder.prefetcher.aclose()


async def test_nothing_is_fetched_ahead_without_a_limit(tmp_path: Path) -> None:
    """0 is none."""
    async with rig(tmp_path / "cache") as node:
        seeder = Seeder(node, limit=0)
        seeder.note(0)
        await some_turns()
        assert seeder.source(0).opened == []
        await seeder.prefetcher.aclose()


async def test_stopping_ends_what_is_under_way_and_what_waits(tmp_path: Path) -> None:
    """At every moment; no connection stays open."""
    for moment in range(4):
        async with rig(tmp_path / str(moment)) as node:
            seeder = Seeder(node)
            for number in range(4):
                hold(seeder.source(number), moment * MIB)
            seeder.note(*range(4))
            await seeder.source(0).until(lambda source: len(source.opened) == 1)
            await seeder.prefetcher.aclose()
        await asyncio.sleep(0)
        assert [seeder.source(number).live for number in range(4)] == [0] * 4
