"""What a seeder tells peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import BadDigest, Denied, EagleError, Unavailable, WrongContent
from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import LAYOUT_VERSION, layout_of
from eagle_node.metainfo.messages import (
    BeatEvent,
    FetchReply,
    FetchRequest,
    InlineEvent,
    LayoutEvent,
    PrefetchBlob,
    PrefetchRequest,
    SegmentEvent,
)
from eagle_node.registry.names import BadName, BlobRef
from eagle_node.runtime.budget import ByteBudget
from eagle_node.seeder.ahead import Prefetcher
from eagle_node.seeder.service import SeederService
from eagle_node.seeder.turns import Turns
from eagle_node.swarm.transfer import INLINE_LIMIT, Source, Transfer
from tests.integration.seeder.clients import RIGHT, Checker, access_by, refusal
from tests.integration.swarm.rig import Rig, Script, rig
from tests.unit.blobs.builders import MIB, content, ingest, write_segment

SIZE = 4 * MIB + 9
DATA = content(SIZE)
DIGEST = digest_of(DATA)
COUNT = len(layout_of(SIZE).segments)
ALL = list(range(COUNT))
PORT = 4321


class Seeder:
    """A seeder service over a rig, whose origin is scripted."""

    def __init__(self, node: Rig) -> None:
        self.node = node
        self.checker = Checker()
        self.source: Callable[[BlobRef, str | None], Source] = lambda blob, who: Script(DATA)
        self.reports = 0
        self.upload = ByteBudget(0)
        access = access_by(self.checker)
        self.prefetcher = Prefetcher(
            limit=64 * MIB,
            cache=node.cache,
            transfers=node.transfers,
            access=access,
            origin=lambda blob, who: self.source(blob, who),
            turns=Turns(),
            metrics=node.metrics,
        )
        self.service = SeederService(
            cache=node.cache,
            transfers=node.transfers,
            access=access,
            origin=lambda blob, who: self.source(blob, who),
            prefetcher=self.prefetcher,
            turns=Turns(),
            registry_at=lambda url: "registry.test",
            announce_urls=lambda: ["http://192.0.2.1:6969/announce"],
            report=self.report,
            swarm_port=PORT,
            upload=self.upload,
            node_id=NodeId("5" * 32),
            metrics=node.metrics,
        )

    async def report(self) -> None:
        """Tell the tracker."""
        self.reports += 1

    def fetch(self, **fields: Any) -> AsyncIterator[FetchReply]:
        """A peer's call, with the right credentials unless told otherwise."""
        return self.service.fetch(request(**fields))

    async def all(self, **fields: Any) -> list[FetchReply]:
        """All that a peer is told but beats."""
        return [each async for each in self.fetch(**fields) if not isinstance(each, BeatEvent)]


def request(**fields: Any) -> FetchRequest:
    defaults: dict[str, Any] = {
        "registry": "registry.test",
        "repository": "team/app",
        "digest": DIGEST,
        "authorization": RIGHT,
        "node_id": NodeId("0" * 32),
        "layout_version": LAYOUT_VERSION,
    }
    return FetchRequest(**(defaults | fields))


def numbers(replies: list[FetchReply]) -> list[int]:
    return [reply.index for reply in replies if isinstance(reply, SegmentEvent)]


def aged(reply: FetchReply, age_ms: int) -> FetchReply:
    """The same, resting on a word of another age."""
    assert isinstance(reply, LayoutEvent | InlineEvent)
    return replace(reply, age_ms=age_ms)


@pytest.fixture
async def seeder(tmp_path: Path) -> AsyncIterator[Seeder]:
    async with rig(tmp_path / "cache") as node:
        running = Seeder(node)
        yield running
        running.prefetcher.check()
        await running.prefetcher.aclose()


async def test_layout_first_then_every_segment_as_it_becomes_ready(seeder: Seeder) -> None:
    """The client's right to a cold blob is proven by the fetch in its name."""
    replies = await seeder.all()
    assert aged(replies[0], 0) == LayoutEvent(size=SIZE, version=LAYOUT_VERSION, swarm_port=PORT)
    assert sorted(numbers(replies)) == ALL
    assert DIGEST in seeder.node.cache
    assert seeder.checker.asked == []
    assert seeder.reports == 1


async def test_a_cached_blob_is_told_of_after_a_check_wanted_segments_first(
    seeder: Seeder,
) -> None:
    """Metainfo of what is here comes at once, in the order that the peer asked for."""
    await ingest(seeder.node.cache, DATA)
    replies = await seeder.all(first=(3, 1))
    assert isinstance(replies[0], LayoutEvent)
    assert numbers(replies) == [1, 3, 0, 2, *range(4, COUNT)]
    assert seeder.checker.asked == [RIGHT]


async def test_nobody_is_told_without_the_right_to_read(seeder: Seeder) -> None:
    """Neither of a cached blob nor of one that is on its way."""
    await ingest(seeder.node.cache, DATA)
    with pytest.raises(Denied):
        await seeder.all(authorization="Basic wrong")
    with pytest.raises(Denied):
        await seeder.all(authorization="")


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT])
@pytest.mark.parametrize("cached", [False, True])
async def test_small_blobs_travel_with_the_answer(seeder: Seeder, size: int, cached: bool) -> None:
    """Up to and including the limit, the empty one too; only once they are verified."""
    data = DATA[:size]
    seeder.source = lambda blob, who: Script(data)
    if cached:
        await ingest(seeder.node.cache, data)
    [reply] = await seeder.all(digest=digest_of(data))
    assert aged(reply, 0) == InlineEvent(data=data)


@pytest.mark.parametrize("size", [SIZE, 1000])
@pytest.mark.parametrize("cached", [False, True])
async def test_the_age_of_the_word_is_told(seeder: Seeder, size: int, cached: bool) -> None:
    """Of a blob that is here it is the registry's word to this client; of one that comes from
    another seeder, the word that was told there."""
    data, told_s = DATA[:size], 299.0

    async def another(transfer: Transfer) -> None:
        transfer.rests_on(told_s)
        await Script(data)(transfer)

    seeder.source = lambda blob, who: another
    if cached:
        await ingest(seeder.node.cache, data)
        seeder.checker.age_s = told_s
    reply = (await seeder.all(digest=digest_of(data)))[0]
    assert isinstance(reply, LayoutEvent | InlineEvent)
    assert told_s * 1000 <= reply.age_ms < (told_s + 60) * 1000


async def test_who_waits_for_the_upload_limit_hears_that_the_seeder_lives(seeder: Seeder) -> None:
    """One small blob after the other goes out; to a silent seeder nobody would stay."""
    data = DATA[:1000]
    await ingest(seeder.node.cache, data)
    seeder.upload.rate = 1
    replies = seeder.fetch(digest=digest_of(data))
    async with asyncio.timeout(60):
        assert await anext(replies) == BeatEvent(received=len(data))
        seeder.upload.rate = 0
        told = [each async for each in replies if not isinstance(each, BeatEvent)]
    assert [type(reply) for reply in told] == [InlineEvent]


async def test_one_byte_more_travels_in_the_swarm(seeder: Seeder) -> None:
    """With a layout and a torrent."""
    data = DATA[: INLINE_LIMIT + 1]
    seeder.source = lambda blob, who: Script(data)
    replies = await seeder.all(digest=digest_of(data))
    assert [type(reply) for reply in replies] == [LayoutEvent, SegmentEvent]


async def test_many_peers_cause_one_fetch(seeder: Seeder) -> None:
    """All of them are told of all segments."""
    sources: list[Script] = []

    def origin(blob: BlobRef, who: str | None) -> Script:
        sources.append(Script(DATA))
        return sources[-1]

    seeder.source = origin
    told = await asyncio.gather(*(seeder.all() for _ in range(20)))
    assert all(sorted(numbers(replies)) == ALL for replies in told)
    assert sum(source.calls for source in sources) == 1


async def test_a_slow_peer_misses_no_segment(seeder: Seeder) -> None:
    """Segments that become ready while the last reply is being sent are told next."""
    may_go_on = asyncio.Event()

    async def origin(transfer: Transfer) -> None:
        arrival = await transfer.begin(SIZE)
        for index in ALL:
            transfer.reserve(index)
            write_segment(arrival, DATA, index)
            await transfer.segment_written(index)
            if index == 0:
                await may_go_on.wait()

    seeder.source = lambda blob, who: origin
    told: list[FetchReply] = []
    async with asyncio.timeout(60):
        async for reply in seeder.fetch():
            told.append(reply)
            if numbers(told) == [0] and not may_go_on.is_set():
                may_go_on.set()
                transfer = seeder.node.transfers.get(DIGEST)
                assert transfer is not None
                await transfer.wait_finished()
    assert sorted(numbers(told)) == ALL


async def test_what_another_seeder_told_is_passed_on_before_its_bytes_are_here(
    seeder: Seeder,
) -> None:
    """A peer may be the one from whom a new seeder gets the segment."""
    may_end = asyncio.Event()

    async def swarm(transfer: Transfer) -> None:
        arrival = await transfer.begin(SIZE)
        transfer.reserve(0)
        write_segment(arrival, DATA, 0)
        await transfer.segment_written(0)
        other = arrival.layout.segments[3]
        transfer.learnt[3] = replace(transfer.torrents[0], segment=other)
        transfer.publish()
        await may_end.wait()
        raise Unavailable("this ends here")

    seeder.source = lambda blob, who: swarm
    told: list[FetchReply] = []

    async def listen() -> None:
        async for reply in seeder.fetch():
            told.append(reply)
            if sorted(numbers(told)) == [0, 3]:
                may_end.set()

    with pytest.raises(Unavailable):
        await asyncio.wait_for(listen(), 60)
    assert sorted(numbers(told)) == [0, 3]


async def test_a_refusal_is_for_whom_the_blob_was_asked_only(seeder: Seeder) -> None:
    """A peer that joins a fetch that the origin refuses to somebody else gets one of its own."""
    refusing = Script(b"", error=refusal())
    refusing.may_begin.clear()
    seeder.source = lambda blob, who: Script(DATA) if who == RIGHT else refusing
    stranger = asyncio.create_task(seeder.all(authorization="Basic wrong"))
    await refusing.called.wait()
    friend = asyncio.create_task(seeder.all())
    await seeder.checker.was_asked.wait()
    await asyncio.sleep(0.05)
    refusing.may_begin.set()
    with pytest.raises(Denied):
        await stranger
    assert sorted(numbers(await friend)) == ALL


async def test_a_peer_that_is_checked_again_hears_that_the_seeder_lives(seeder: Seeder) -> None:
    """It has joined a fetch that was refused, and the registry takes its time to say yes to it."""
    refusing = Script(b"", error=refusal())
    refusing.may_begin.clear()
    seeder.source = lambda blob, who: refusing
    stranger = asyncio.create_task(seeder.all(authorization="Basic wrong"))
    await refusing.called.wait()
    replies = seeder.fetch()
    async with asyncio.timeout(60):
        assert isinstance(await anext(replies), BeatEvent)
        await ingest(seeder.node.cache, DATA)
        seeder.checker.may_answer.clear()
        refusing.may_begin.set()
        with pytest.raises(Denied):
            await stranger
        assert isinstance(await anext(replies), BeatEvent)
        assert seeder.checker.asked == [RIGHT, RIGHT]
        seeder.checker.may_answer.set()
        assert sorted(numbers([each async for each in replies])) == ALL


async def test_a_blob_that_is_committed_during_the_check_is_told_of(seeder: Seeder) -> None:
    """The cache is looked into again afterwards: nothing is fetched twice."""
    source = Script(DATA)
    source.may_write.clear()
    seeder.source = lambda blob, who: source
    seeder.checker.may_answer.clear()
    first = asyncio.create_task(seeder.all())
    await source.called.wait()
    second = asyncio.create_task(seeder.all())
    await seeder.checker.was_asked.wait()
    source.may_write.set()
    await first
    seeder.checker.may_answer.set()
    assert numbers(await second) == ALL
    assert source.calls == 1


async def test_wrong_content_ends_every_stream_with_an_error(seeder: Seeder) -> None:
    """Peers know then that the segments they have are worth nothing."""
    seeder.source = lambda blob, who: Script(content(SIZE, 1))
    results = await asyncio.gather(*(seeder.all() for _ in range(3)), return_exceptions=True)
    assert {type(result) for result in results} == {WrongContent}
    assert len(seeder.node.swarm) == 0


async def test_a_peer_that_goes_away_takes_nobody_with_it(seeder: Seeder) -> None:
    """At any moment of its call; the fetch goes on for the others."""
    source = Script(DATA)
    source.may_begin.clear()
    seeder.source = lambda blob, who: source
    staying = asyncio.create_task(seeder.all())
    await source.called.wait()

    async def leave(after: int) -> None:
        replies = seeder.fetch()
        for _ in range(after):
            await anext(replies)

    leaving = [asyncio.create_task(leave(after)) for after in (1, 2, 3)]
    waiting = asyncio.create_task(seeder.service.get_metainfo(f"http://r.test/v2/a/blobs/{DIGEST}"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    leaving[0].cancel()
    source.may_begin.set()
    assert sorted(numbers(await staying)) == ALL
    await asyncio.gather(waiting, *leaving, return_exceptions=True)


async def test_the_torrent_of_a_whole_blob_by_its_url(seeder: Seeder) -> None:
    """As clients of the older contract ask for it: once the blob is whole here."""
    seeder.checker.may_answer.set()
    metainfo = await seeder.service.get_metainfo(f"http://r.test:5000/v2/team/app/blobs/{DIGEST}")
    info = lt.load_torrent_buffer(metainfo)
    decoded: Any = lt.bdecode(metainfo)
    assert decoded[b"info"][b"private"] == 1
    assert len(decoded[b"info"][b"file tree"]) == COUNT
    assert list(info.trackers) == ["http://192.0.2.1:6969/announce"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "http://",
        "http://r.test/",
        "http://r.test/v2/",
        "http://r.test/v2/app/manifests/latest",
        "http://[::1/v2/app/blobs/sha256:0",
        "/v2/a/blobs/" + DIGEST,
        f"http://r.test/v2/../blobs/{DIGEST}",
        "http://r.test/v2/a/blobs/sha256:short",
    ],
)
async def test_what_is_no_blobs_url_is_refused(seeder: Seeder, url: str) -> None:
    """With an error that says so."""
    with pytest.raises((BadName, BadDigest)):
        await seeder.service.get_metainfo(url)


@pytest.mark.parametrize(
    "fields",
    [
        {"registry": ""},
        {"registry": "http://r.test"},
        {"repository": "../etc"},
        {"repository": ""},
        {"path": "no slash"},
        {"path": "/a\nb"},
    ],
)
async def test_malformed_names_are_refused(seeder: Seeder, fields: dict[str, str]) -> None:
    """Names are keys, never addresses."""
    with pytest.raises(EagleError):
        await seeder.all(**fields)


async def until_told(replies: AsyncIterator[FetchReply], count: int) -> list[FetchReply]:
    """What a peer is told until it knows of so many segments, beats left out."""
    told: list[FetchReply] = []
    async with asyncio.timeout(60):
        while len(numbers(told)) < count or not told:
            reply = await anext(replies)
            if not isinstance(reply, BeatEvent):
                told.append(reply)
    return told


async def test_a_peer_that_wants_parts_has_only_these_fetched(seeder: Seeder) -> None:
    """First none, since it does not know the layout; then those that it names."""
    source = Script(DATA)
    seeder.source = lambda blob, who: source
    asking = seeder.fetch(only_first=True)
    assert isinstance((await until_told(asking, 0))[0], LayoutEvent)
    reading = seeder.fetch(only_first=True, first=(3, 1))
    assert numbers(await until_told(reading, 2)) == [1, 3]
    assert sorted(source.brought) == [1, 3]
    for replies in (asking, reading):
        assert isinstance(replies, AsyncGenerator)
        await replies.aclose()


async def test_parts_stay_on_offer_while_their_peer_listens(tmp_path: Path) -> None:
    """It needs them for as long as its download takes; without it the arrival is suspended."""
    async with rig(tmp_path / "cache", linger_s=0.05) as node:
        seeder = Seeder(node)
        replies = seeder.fetch(only_first=True, first=(2,))
        await until_told(replies, 1)
        transfer = node.transfers.get(DIGEST)
        assert transfer is not None
        await asyncio.wait([transfer.finished], timeout=0.3)
        assert not transfer.finished.done()
        assert len(node.swarm) == 1
        assert isinstance(replies, AsyncGenerator)
        await replies.aclose()
        with suppress(Unavailable):
            await transfer.wait_finished()
        assert transfer.finished.done()
        await seeder.prefetcher.aclose()


async def test_parts_become_a_whole_that_is_verified(seeder: Seeder) -> None:
    """Segments that are here are not fetched again; who has listened hears the end."""
    source = Script(DATA)
    seeder.source = lambda blob, who: source
    reading = seeder.fetch(only_first=True, first=(3,))
    await until_told(reading, 1)
    assert sorted(numbers(await seeder.all())) == ALL
    assert sorted(source.brought) == ALL
    assert [each async for each in reading if not isinstance(each, BeatEvent)] == []
    assert DIGEST in seeder.node.cache


async def test_parts_of_wrong_content_end_in_an_error(seeder: Seeder) -> None:
    """As soon as the whole shows that they are; until then they are what the origin has sent."""
    seeder.source = lambda blob, who: Script(content(SIZE, 1))
    reading = seeder.fetch(only_first=True, first=(0,))
    await until_told(reading, 1)
    with pytest.raises(WrongContent):
        await seeder.all()
    with pytest.raises(WrongContent):
        async for _ in reading:
            pass


async def test_parts_of_a_cached_blob_are_told_of_alone(seeder: Seeder) -> None:
    """And the stream ends: nothing more can come."""
    await ingest(seeder.node.cache, DATA)
    replies = await seeder.all(only_first=True, first=(2, COUNT + 7))
    assert isinstance(replies[0], LayoutEvent)
    assert numbers(replies) == [2]


async def test_parts_of_a_small_blob_are_the_whole(seeder: Seeder) -> None:
    """It travels with the answer."""
    data = DATA[:1000]
    seeder.source = lambda blob, who: Script(data)
    [reply] = await seeder.all(digest=digest_of(data), only_first=True)
    assert aged(reply, 0) == InlineEvent(data=data)


def notice(**fields: Any) -> PrefetchRequest:
    defaults: dict[str, Any] = {
        "registry": "registry.test",
        "repository": "team/app",
        "blobs": (PrefetchBlob(digest=DIGEST, size=SIZE),),
        "authorization": RIGHT,
        "node_id": NodeId("0" * 32),
    }
    return PrefetchRequest(**(defaults | fields))


async def test_a_notice_is_answered_before_anything_is_fetched(seeder: Seeder) -> None:
    """What is fetched ahead is joined by those who ask for it, if they may read it."""
    source = Script(DATA)
    source.may_begin.clear()
    seeder.source = lambda blob, who: source
    for _ in range(3):
        await seeder.service.prefetch(notice())
    await source.called.wait()
    with pytest.raises(Denied):
        await seeder.all(authorization="Basic wrong")
    source.may_begin.set()
    assert sorted(numbers(await seeder.all())) == ALL
    assert source.calls == 1


@pytest.mark.parametrize("fields", [{"registry": "http://r.test"}, {"repository": "../etc"}])
async def test_a_notice_with_malformed_names_is_refused(
    seeder: Seeder, fields: dict[str, str]
) -> None:
    """Names are keys, never addresses."""
    with pytest.raises(BadName):
        await seeder.service.prefetch(notice(**fields))
    assert not seeder.node.transfers.running()


async def test_another_layout_version_is_refused(seeder: Seeder) -> None:
    """The peer then asks another seeder."""
    with pytest.raises(Unavailable, match="layout version"):
        await seeder.all(layout_version=LAYOUT_VERSION + 1)


async def test_an_evicted_blob_is_fetched_again(seeder: Seeder) -> None:
    """Being told of once is no promise."""
    assert await seeder.all()
    assert await seeder.node.cache.drop(Digest(DIGEST))
    assert sorted(numbers(await seeder.all())) == ALL
