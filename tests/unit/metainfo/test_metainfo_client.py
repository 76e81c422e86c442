"""The client and the service over real channels on loopback."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator

import grpc.aio
import pytest

from eagle_node.base.errors import (
    BadDigest,
    Denied,
    EagleError,
    NoSpace,
    Unavailable,
    Unreachable,
    WrongContent,
)
from eagle_node.metainfo.client import AVOID_S, MetaInfoClient
from eagle_node.metainfo.messages import FETCH, PREFETCH, FetchReply, InlineEvent
from eagle_node.runtime.sockets import Address
from tests.unit.metainfo.examples import PREFETCH_REQUEST, REPLIES, REQUEST, Handler, serving

GRPC_CONNECT_S = 20.0
"""What gRPC gives a connection by default, at the least."""


@pytest.fixture
def refusing() -> Address:
    """Nobody listens here."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return Address("127.0.0.1", probe.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[Address]:
    """Connections are made, and nothing is ever said: what a black hole looks like to gRPC."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Address("127.0.0.1", listener.getsockname()[1])


async def _collect(replies: AsyncIterator[FetchReply]) -> list[FetchReply]:
    return [reply async for reply in replies]


async def test_a_stream_arrives_as_it_was_sent() -> None:
    """The handler sees the request, the caller the replies in order and their end."""
    handler = Handler(*REPLIES)
    async with serving(handler) as seeder, MetaInfoClient(lambda: [seeder]) as client:
        assert await _collect(client.fetch(REQUEST)) == list(REPLIES)
    assert handler.requests == [REQUEST]


async def test_the_first_reply_does_not_wait_for_the_second() -> None:
    """A segment is known to peers the moment that the seeder names it."""
    async with (
        serving(Handler(REPLIES[0], hang=True)) as seeder,
        MetaInfoClient(lambda: [seeder]) as client,
    ):
        replies = client.fetch_from(seeder, REQUEST)
        assert await anext(replies) == REPLIES[0]
        await replies.aclose()


async def test_a_seeder_that_falls_silent_is_gone() -> None:
    """Its connection looks well; the call on it ends, so that the next seeder can be asked."""
    handler = Handler(REPLIES[0], hang=True)
    async with (
        serving(handler) as seeder,
        MetaInfoClient(lambda: [seeder], silent_s=0.2) as client,
    ):
        replies = client.fetch_from(seeder, REQUEST)
        assert await anext(replies) == REPLIES[0]
        with pytest.raises(Unreachable, match=f"{seeder} is silent"):
            await anext(replies)
        await asyncio.wait_for(handler.cancelled.wait(), 60)


async def test_a_seeder_may_take_its_time_to_the_first_word() -> None:
    """It may be hashing what it holds."""
    async with (
        serving(Handler(hang=True)) as seeder,
        MetaInfoClient(lambda: [seeder], silent_s=0.1) as client,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(client.fetch_from(seeder, REQUEST)), 0.5)


@pytest.mark.parametrize(
    "error",
    [
        Denied(
            "token wanted\nfor ü",
            status=401,
            code="UNAUTHORIZED",
            challenge='Bearer realm="https://auth.example/token",service="ü"',
        ),
        Denied("slow down", status=429, code="TOOMANYREQUESTS", retry_after="30"),
        Denied("", status=404, code="BLOB_UNKNOWN"),
        BadDigest("no digest"),
        WrongContent("other bytes"),
        Unavailable("origin is down"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_seeders_error_is_raised_here(error: EagleError) -> None:
    """Class and fields are the same on both sides, after the replies that preceded the error."""
    async with (
        serving(Handler(REPLIES[0], error=error)) as seeder,
        MetaInfoClient(lambda: [seeder]) as client,
    ):
        replies = client.fetch_from(seeder, REQUEST)
        assert await anext(replies) == REPLIES[0]
        with pytest.raises(type(error)) as raised:
            await anext(replies)
    assert type(raised.value) is type(error)
    assert vars(raised.value) == vars(error)
    assert str(error) in str(raised.value)


async def test_a_seeders_want_of_room_is_not_ours() -> None:
    """Another seeder, or this node, may have some."""
    async with (
        serving(Handler(error=NoSpace("the disk is full"))) as seeder,
        MetaInfoClient(lambda: [seeder]) as client,
    ):
        with pytest.raises(Unavailable, match="the disk is full") as raised:
            await anext(client.fetch_from(seeder, REQUEST))
    assert not isinstance(raised.value, NoSpace)
    assert str(seeder) in str(raised.value)


async def test_a_caller_that_leaves_cancels_the_handler() -> None:
    """Closing the stream ends the seeder's work for it."""
    handler = Handler(REPLIES[0], hang=True)
    async with serving(handler) as seeder, MetaInfoClient(lambda: [seeder]) as client:
        replies = client.fetch_from(seeder, REQUEST)
        await anext(replies)
        await replies.aclose()
        await asyncio.wait_for(handler.cancelled.wait(), 60)


async def test_a_cancelled_caller_cancels_the_handler() -> None:
    """Cancelling the task that reads the stream is enough."""
    handler = Handler(REPLIES[0], hang=True)
    async with serving(handler) as seeder, MetaInfoClient(lambda: [seeder]) as client:
        replies = client.fetch_from(seeder, REQUEST)
        await anext(replies)
        reader = asyncio.ensure_future(anext(replies))
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await asyncio.wait_for(handler.cancelled.wait(), 60)


async def test_callers_that_hang_up_are_no_faults(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the seeder is about to send them; readers that jump around do it all the time."""
    handler = Handler(*[InlineEvent(data=bytes(1 << 20))] * 8)
    async with serving(handler) as seeder, MetaInfoClient(lambda: [seeder]) as client:
        for _ in range(20):
            replies = client.fetch_from(seeder, REQUEST)
            await anext(replies)
            await replies.aclose()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_a_seeder_that_dies_ends_the_stream_as_unreachable() -> None:
    """The reader is not left waiting when the server stops, and knows that it did."""
    async with MetaInfoClient(list) as client:
        async with serving(Handler(REPLIES[0], hang=True)) as seeder:
            replies = client.fetch_from(seeder, REQUEST)
            await anext(replies)
        with pytest.raises(Unreachable):
            await asyncio.wait_for(anext(replies), 60)


async def test_closing_the_client_ends_its_streams() -> None:
    """A reader gets `Unavailable`, not a cancellation that nobody asked for."""
    async with serving(Handler(REPLIES[0], hang=True)) as seeder:
        async with MetaInfoClient(list) as client:
            replies = client.fetch_from(seeder, REQUEST)
            await anext(replies)
            reader = asyncio.ensure_future(anext(replies))
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(reader, 60)


async def test_a_refusing_port_fails_at_once(refusing: Address) -> None:
    """A dead process costs its peers no time, however many ask."""
    begun = time.monotonic()
    async with MetaInfoClient(list) as client:
        outcomes = await asyncio.gather(
            *(_collect(client.fetch_from(refusing, REQUEST)) for _ in range(8)),
            return_exceptions=True,
        )
    assert all(isinstance(outcome, Unreachable) for outcome in outcomes)
    assert time.monotonic() - begun < GRPC_CONNECT_S / 2


async def test_a_silent_port_fails_within_the_time_for_connecting(silent: Address) -> None:
    """A dead host costs the configured seconds, not gRPC's twenty."""
    begun = time.monotonic()
    async with MetaInfoClient(list, connect_timeout_s=0.3) as client:
        with pytest.raises(Unavailable):
            await _collect(client.fetch_from(silent, REQUEST))
    assert time.monotonic() - begun < GRPC_CONNECT_S / 2


async def test_a_seeder_that_comes_back_is_reached_at_once(refusing: Address) -> None:
    """A failed attempt leaves no back-off behind."""
    async with MetaInfoClient(list) as client:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await _collect(client.fetch_from(refusing, REQUEST))
        async with serving(Handler(*REPLIES), port=refusing.port):
            assert await _collect(client.fetch_from(refusing, REQUEST)) == list(REPLIES)


async def test_a_restarted_seeder_is_reached_again() -> None:
    """A channel whose connection was lost connects anew."""
    async with MetaInfoClient(list) as client:
        async with serving(Handler(*REPLIES)) as seeder:
            await _collect(client.fetch_from(seeder, REQUEST))
        async with serving(Handler(*REPLIES), port=seeder.port):
            assert await _collect(client.fetch_from(seeder, REQUEST)) == list(REPLIES)


async def test_a_dead_seeder_comes_last_for_some_seconds(refusing: Address) -> None:
    """Peers do not run into the same dead seeder again and again, but do not forget it either."""
    now = 0.0
    other = Address("127.0.0.1", 1)
    order = [refusing, other]
    async with MetaInfoClient(lambda: order, clock=lambda: now) as client:
        before = client.owners(REQUEST.digest)
        with pytest.raises(Unavailable):
            await _collect(client.fetch_from(refusing, REQUEST))
        assert client.owners(REQUEST.digest) == [other, refusing]
        now = AVOID_S
        assert client.owners(REQUEST.digest) == before


async def test_fetch_asks_the_next_seeder_after_a_dead_one(refusing: Address) -> None:
    """A caller that asks again gets the stand-in."""
    async with serving(Handler(*REPLIES)) as seeder, MetaInfoClient(list) as client:
        order = [refusing, seeder]
        with pytest.raises(Unavailable):
            await _collect(client.fetch(REQUEST, order=order))
        assert await _collect(client.fetch(REQUEST, order=order)) == list(REPLIES)


async def test_without_seeders_calls_are_unavailable() -> None:
    """A node that knows no seeder goes straight to the origin."""
    async with MetaInfoClient(list) as client:
        with pytest.raises(Unavailable, match="no seeder"):
            await _collect(client.fetch(REQUEST))
        with pytest.raises(Unavailable, match="no seeder"):
            await client.get_metainfo("https://registry.example/v2/a/blobs/sha256:0")


async def test_get_metainfo_takes_turns_and_fails_over(refusing: Address) -> None:
    """The unary call spreads over the seeders, and a dead one is skipped."""
    one, two = Handler(), Handler()
    async with (
        serving(one) as first,
        serving(two) as second,
        MetaInfoClient(lambda: [first, refusing, second]) as client,
    ):
        for number in range(6):
            assert await client.get_metainfo(f"https://r/{number}") == b"d4:infodee"
    assert len(one.urls) >= 2
    assert len(two.urls) >= 2
    assert sorted(one.urls + two.urls) == [f"https://r/{number}" for number in range(6)]


async def test_get_metainfo_does_not_ask_around_after_a_denial() -> None:
    """The origin's no is the same through every seeder."""
    denial = Denied("no", status=403, code="DENIED")
    one, two = Handler(error=denial), Handler(error=denial)
    async with (
        serving(one) as first,
        serving(two) as second,
        MetaInfoClient(lambda: [first, second]) as client,
    ):
        with pytest.raises(Denied):
            await client.get_metainfo("https://r/1")
    assert len(one.urls + two.urls) == 1


async def test_a_seeder_is_told_what_may_be_wanted_soon(refusing: Address) -> None:
    """It takes note and answers; errors are the same as those of the other calls."""
    handler, failing = Handler(), Handler(error=Unavailable("origin is down"))
    async with (
        serving(handler) as seeder,
        serving(failing) as other,
        MetaInfoClient(list) as client,
    ):
        await client.prefetch(seeder, PREFETCH_REQUEST)
        for address in (other, refusing):
            with pytest.raises(Unavailable):
                await client.prefetch(address, PREFETCH_REQUEST)
    assert handler.prefetched == [PREFETCH_REQUEST]


async def test_a_seeder_that_does_not_know_the_call_is_unavailable_for_it() -> None:
    """Seeders of an older release answer UNIMPLEMENTED."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with MetaInfoClient(list) as client:
        with pytest.raises(Unavailable):
            await client.prefetch(Address("127.0.0.1", port), PREFETCH_REQUEST)
    await server.stop(None)


async def test_a_large_torrent_arrives() -> None:
    """Metainfo of a huge blob is more than gRPC's default limit of 4 MiB."""
    metainfo = bytes(6 << 20)
    async with (
        serving(Handler(metainfo=metainfo)) as seeder,
        MetaInfoClient(lambda: [seeder]) as client,
    ):
        assert await client.get_metainfo("https://r/1") == metainfo


@pytest.mark.parametrize("raw", [b"\xff", b"\x1a\x03md5"], ids=["no message", "no digest"])
async def test_a_malformed_request_is_the_callers_fault(raw: bytes) -> None:
    """The answer is INVALID_ARGUMENT, and the handler never hears of it."""
    handler = Handler(*REPLIES)
    async with serving(handler) as seeder, grpc.aio.insecure_channel(str(seeder)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in channel.unary_stream(FETCH)(raw):
                pass
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert handler.requests == []


@pytest.mark.parametrize("raw", [b"\xff", b"\x1a\x02\x0a\x00"], ids=["no message", "no digest"])
async def test_a_malformed_notice_is_the_callers_fault(raw: bytes) -> None:
    """The handler never hears of it either."""
    handler = Handler()
    async with serving(handler) as seeder, grpc.aio.insecure_channel(str(seeder)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary(PREFETCH)(raw)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert handler.prefetched == []


async def test_a_port_in_use_is_an_error() -> None:
    """Two servers never share a port silently (gRPC would let them by default)."""
    async with serving(Handler()) as seeder:
        with pytest.raises(RuntimeError):
            async with serving(Handler(), port=seeder.port):
                pass
