"""Large blobs that other nodes wait for come one after the other where that is quicker for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import cast

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.demand import demand_for
from eagle_node.config.tree import SeederConfig
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.answer import NoRanges
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.upstream import BlobInfo, Upstream
from eagle_node.seeder.origins import Origins
from eagle_node.seeder.turns import Turns
from eagle_node.swarm.transfer import Transfer
from tests.integration.seeder.byte_source import MemorySource, Stream
from tests.integration.seeder.clients import RIGHT, Checker, refusal
from tests.integration.swarm.rig import Rig, read_range, rig
from tests.unit.blobs.builders import MIB, content

SIZE = 3 * MIB + 7
RATE = MIB
"""Bytes/s of the link, as far as the seeder knows it."""
REPOSITORY = Repository("registry.test", "team/app")
UNTIL_LOOKED_S = 0.25
"""Real seconds in which whoever waits has looked at the clock again."""


class Registry:
    """The part of `Upstream` that a seeder needs; every blob has a scripted source of its own."""

    def __init__(self) -> None:
        self.sources: dict[Digest, MemorySource] = {}
        self.asked_size: list[Digest] = []
        self.refusal: EagleError | None = None

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """By a HEAD."""
        self.asked_size.append(blob.digest)
        if self.refusal is not None:
            raise self.refusal
        return BlobInfo(size=len(self.sources[blob.digest].data))

    def open_blob(
        self, blob: BlobRef, *, start: int, stop: int | None, authorization: str | None
    ) -> AbstractAsyncContextManager[Stream]:
        """By a GET."""
        return self.sources[blob.digest].open(start, stop)


class Seeder:
    """Fetches blobs of `Registry`, each of which holds at its first MiB."""

    def __init__(self, node: Rig) -> None:
        self.node = node
        self.now = 0.0
        self.registry = Registry()
        access = Access(Checker(), AccessMemory(60.0, 60.0, 60.0))
        upstream = cast(Upstream, self.registry)
        self.origins = Origins(upstream, access, SeederConfig(), None)
        self.turns = self.origins.turns = Turns(lambda: self.now)
        self.turns.link_rate = lambda: RATE

    async def ask(self, seed: int, *, size: int = SIZE) -> tuple[Transfer, MemorySource]:
        """Somebody wants a blob."""
        data = content(size, seed)
        source = self.registry.sources[digest_of(data)] = MemorySource(data)
        source.hold_at = MIB
        source.may_send.clear()
        blob = BlobRef(REPOSITORY, digest_of(data))
        fill = self.origins.source(blob, RIGHT)
        transfer = await self.node.transfers.start(blob.digest, fill, whole=True)
        assert transfer is not None
        return transfer, source

    async def draw(self, seed: int) -> tuple[Transfer, MemorySource]:
        """The same, and its first MiB comes."""
        transfer, source = await self.ask(seed)
        await source.until(lambda source: source.sent >= MIB)
        return transfer, source

    async def pass_time(self, seconds: float) -> None:
        """The seeder's clock goes on, and whoever waits sees it."""
        self.now += seconds
        await asyncio.sleep(UNTIL_LOOKED_S)

    async def pass_with_link_full(self, seconds: float) -> None:
        """The same, while what draws fills the link."""
        for _ in range(round(seconds)):
            self.now += 1.0
            self.turns.took(RATE)
            await asyncio.sleep(UNTIL_LOOKED_S)


@pytest.fixture
async def seeder(tmp_path: Path) -> AsyncIterator[Seeder]:
    async with rig(tmp_path / "cache") as node:
        running = Seeder(node)
        yield running
        await running.origins.aclose()


@pytest.fixture
def listener(seeder: Seeder) -> Iterator[None]:
    """Another node is told of segments."""
    with ExitStack() as stack:
        stack.enter_context(seeder.turns.listening())
        yield


def goes(source: MemorySource) -> None:
    """Have what is left come."""
    source.may_send.set()


async def come(sources: Iterable[MemorySource], transfers: Iterable[Transfer]) -> None:
    """Have what is left come, and wait for the ends of transfers."""
    for source in sources:
        goes(source)
    async with asyncio.timeout(30):
        for transfer in transfers:
            await transfer.wait_finished()


@pytest.mark.usefixtures("listener")
async def test_while_one_fills_the_link_the_next_waits_with_its_size_known(seeder: Seeder) -> None:
    """No connection is open that would have the kernel's buffers filled; then all of it comes."""
    first, fills = await seeder.draw(1)
    second, later = await seeder.ask(2)
    arrival = await second.wait_opened()
    await seeder.pass_time(1.0)
    assert (arrival.layout.size, later.opened) == (SIZE, [])
    assert seeder.turns.awaits(second)
    assert not seeder.turns.awaits(first)
    await come((fills, later), (first, second))
    assert later.opened == [(0, None)]
    assert seeder.registry.asked_size == [second.digest]


@pytest.mark.usefixtures("listener")
async def test_turns_come_in_the_order_of_asking(seeder: Seeder) -> None:
    """With the first one at its end the second is asked for, and no other."""
    _, fills = await seeder.draw(1)
    second, later = await seeder.ask(2)
    third, last = await seeder.ask(3)
    await second.wait_opened()
    await third.wait_opened()
    goes(fills)
    await later.until(lambda source: source.sent >= MIB)
    await seeder.pass_time(0.5)
    assert last.opened == []
    await come((later, last), (second, third))


@pytest.mark.usefixtures("listener")
async def test_where_one_does_not_fill_the_link_the_next_joins_it(seeder: Seeder) -> None:
    """A registry may limit each connection; a look takes a second."""
    first, fills = await seeder.draw(1)
    second, later = await seeder.ask(2)
    await second.wait_opened()
    await seeder.pass_time(0.5)
    assert later.opened == []
    await seeder.pass_time(1.5)
    await later.until(lambda source: source.live == 1)
    assert fills.live == 1
    await come((fills, later), (first, second))


async def test_a_host_that_pulls_alone_has_its_layers_side_by_side(seeder: Seeder) -> None:
    """Nobody waits for segments; until a second has passed others may be about to ask."""
    first, fills = await seeder.draw(1)
    second, later = await seeder.ask(2)
    await second.wait_opened()
    await seeder.pass_time(1.0)
    await later.until(lambda source: source.live == 1)
    await come((fills, later), (first, second))


def _of_unknown_link(seeder: Seeder) -> int:
    seeder.turns.link_rate = lambda: 0
    return SIZE


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("size", [lambda seeder: RATE - 1, _of_unknown_link])
async def test_what_waits_for_nobody(seeder: Seeder, size: Callable[[Seeder], int]) -> None:
    """Small blobs, and any where nobody knows what the link carries."""
    first, fills = await seeder.draw(1)
    second, now = await seeder.ask(2, size=size(seeder))
    await now.until(lambda source: source.live == 1)
    await come((fills, now), (first, second))


@pytest.mark.usefixtures("listener")
async def test_whoever_reads_a_range_does_not_wait_for_pulls(seeder: Seeder) -> None:
    """It asks for what it needs now, of a blob that others want as a whole."""
    first, fills = await seeder.draw(1)
    second, now = await seeder.ask(2)
    arrival = await second.wait_opened()
    arrival.demand[object()] = demand_for(ByteRange(2 * MIB, SIZE))
    await now.until(lambda source: source.live > 0)
    await come((fills, now), (first, second))


@pytest.mark.usefixtures("listener")
async def test_who_may_not_read_a_blob_hears_so_before_its_turn(seeder: Seeder) -> None:
    """The question for the size is the proof of the right."""
    first, fills = await seeder.draw(1)
    seeder.registry.refusal = refusal()
    second, later = await seeder.ask(2)
    with pytest.raises(Denied):
        await second.wait_opened()
    assert later.opened == []
    await come((fills,), (first,))


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize(
    "answer", [Denied("no HEAD", status=405, code="UNSUPPORTED"), Unavailable("no answer")]
)
async def test_a_registry_that_tells_no_size_is_asked_for_the_blob(
    seeder: Seeder, answer: EagleError
) -> None:
    """Readers want their headers, so nothing waits without them."""
    first, fills = await seeder.draw(1)
    seeder.registry.refusal = answer
    second, now = await seeder.ask(2)
    await now.until(lambda source: source.live == 1)
    await come((fills, now), (first, second))


@pytest.mark.usefixtures("listener")
async def test_readers_of_what_waits_are_shown_that_it_lives(seeder: Seeder) -> None:
    """A segment now and then, by a request that ends with it; the rest is asked for at the turn."""
    first, fills = await seeder.draw(1)
    second, later = await seeder.ask(2)
    arrival = await second.wait_opened()
    await seeder.pass_with_link_full(12.0)
    async with asyncio.timeout(10):
        while not arrival.have:
            await arrival.changed()
    segment = arrival.layout.segments[0]
    assert later.opened == [(0, segment.stop)]
    assert seeder.turns.awaits(second)
    await come((fills, later), (first, second))
    assert later.opened == [(0, segment.stop), (segment.stop, SIZE)]


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("break_with", [None, Unavailable("the connection broke")])
async def test_a_sign_of_life_that_breaks_off_is_resumed(
    seeder: Seeder, break_with: EagleError | None
) -> None:
    """From the byte where it broke, in the same file: who reads the segment here reads on."""
    first, fills = await seeder.draw(1)
    second, later = await seeder.ask(2)
    later.break_at = lambda number: 100 << 10 if number == 0 else None
    later.break_with = break_with
    arrival = await second.wait_opened()
    segment = arrival.layout.segments[0]
    reading = asyncio.create_task(
        read_range(seeder.node, second.digest, segment.start, segment.stop)
    )
    await seeder.pass_with_link_full(12.0)
    async with asyncio.timeout(10):
        assert await reading == later.data[segment.start : segment.stop]
    assert later.opened == [(0, segment.stop), (100 << 10, segment.stop)]
    await come((fills, later), (first, second))


@pytest.mark.usefixtures("listener")
async def test_a_registry_without_ranges_is_asked_for_the_whole_instead(seeder: Seeder) -> None:
    """Nothing else would come of what waits."""
    first, fills = await seeder.draw(1)
    second, later = await seeder.ask(2)
    later.refuse = lambda number: NoRanges("only the whole is sent") if number == 0 else None
    await second.wait_opened()
    await seeder.pass_with_link_full(12.0)
    await later.until(lambda source: source.live == 1)
    await come((fills, later), (first, second))
    assert later.opened[1:] == [(0, None)]
