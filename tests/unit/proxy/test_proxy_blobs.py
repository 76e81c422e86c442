"""Blobs, as an HTTP client sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, NoSpace, Unavailable, WrongContent
from eagle_node.metrics.instruments import by_label
from eagle_node.registry.names import BadName
from tests.support.waiting import until
from tests.unit.blobs.builders import MIB, bring, content, ingest, write_segment
from tests.unit.proxy.rig import Rig, ScriptedPassed, oci_code, proxying, raw

SIZE = 3 * MIB + 1000
DATA = content(SIZE)
DIGEST = digest_of(DATA)
ETAG = f'"{DIGEST}"'
DENIED = Denied("who are you", status=401, code="UNAUTHORIZED", challenge='Bearer realm="r"')


async def origin(request: web.Request) -> web.StreamResponse:
    """Serves the blob to clients without credentials or with the right ones."""
    if request.headers.get("Authorization") == "Basic wrong":
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    return web.Response(body=DATA)


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Rig]:
    async with proxying(tmp_path, origin) as rig:
        yield rig


@pytest.fixture
async def cached(proxy: Rig) -> Rig:
    await ingest(proxy.cache, DATA)
    return proxy


async def test_a_whole_blob_is_a_200_with_all_that_clients_look_for(cached: Rig) -> None:
    """Length, digest, tag and ranges are told; nothing is encoded."""
    headers = {"Accept-Encoding": "gzip, zstd"}
    async with cached.client.get(cached.blob(DIGEST), headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(SIZE)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Docker-Content-Digest"] == DIGEST
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["ETag"] == ETAG
        assert not answer.headers.keys() & {"Content-Encoding", "Transfer-Encoding"}
        assert await answer.read() == DATA
    assert cached.opener.asked == [(None, True)]
    cached.opener.size_of = SIZE
    async with cached.client.head(cached.blob(DIGEST)):
        assert by_label(cached.metrics.served_bytes) == {"local": SIZE}


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, SIZE - 1),
        ("bytes=-500", SIZE - 500, SIZE - 1),
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=0-1", 0, 1),
        (f"bytes=1048570-{MIB + 10}", MIB - 6, MIB + 10),
        (f"bytes={SIZE - 1}-{SIZE + 5000}", SIZE - 1, SIZE - 1),
    ],
)
async def test_a_range_is_a_206_of_exactly_these_bytes(
    cached: Rig, header: str, first: int, last: int
) -> None:
    """Content-Range and Content-Length agree with the body."""
    async with cached.client.get(cached.blob(DIGEST), headers={"Range": header}) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer.headers["Content-Length"] == str(last - first + 1)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert await answer.read() == DATA[first : last + 1]


@pytest.mark.parametrize(
    ("header", "whole"),
    [
        (None, True),
        ("bytes=0-", True),
        ("bytes=0-1", False),
        ("bytes=5-", False),
    ],
)
async def test_only_who_reads_all_of_it_makes_all_of_it_come(
    cached: Rig, header: str | None, whole: bool
) -> None:
    """containerd 2.1 puts ``bytes=0-`` on every GET; a lazy puller's range brings no more."""
    headers = {"Range": header} if header else {}
    async with cached.client.get(cached.blob(DIGEST), headers=headers) as answer:
        await answer.read()
    assert cached.opener.asked == [(None, whole)]


async def test_a_range_beyond_the_end_is_a_416(cached: Rig) -> None:
    """With the size that there is, and an error that a registry's client can read."""
    headers = {"Range": f"bytes={SIZE}-"}
    async with cached.client.get(cached.blob(DIGEST), headers=headers) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
        assert oci_code(await answer.read()) == "SIZE_INVALID"
    assert await cached.cache.drop(DIGEST)


@pytest.mark.parametrize("header", ["bytes=5-4", "bytes=0-1,x", "lines=0-1", "bytes=x-y"])
async def test_a_range_that_is_malformed_is_ignored(cached: Rig, header: str) -> None:
    """The whole is a correct answer to it (RFC 9110 14.2)."""
    async with cached.client.get(cached.blob(DIGEST), headers={"Range": header}) as answer:
        assert answer.status == 200
        assert await answer.read() == DATA


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), ('"another"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200), (f"W/{ETAG}", 200)],
)
async def test_if_range_gives_the_range_of_the_same_blob_only(
    cached: Rig, condition: str, status: int
) -> None:
    """A strong comparison (RFC 9110 13.1.5)."""
    headers = {"Range": "bytes=1-2", "If-Range": condition}
    async with cached.client.get(cached.blob(DIGEST), headers=headers) as answer:
        assert answer.status == status
        assert await answer.read() == (DATA[1:3] if status == 206 else DATA)


@pytest.mark.parametrize("condition", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
async def test_who_has_the_blob_gets_a_304(cached: Rig, condition: str) -> None:
    """Without a body and without opening it; the right to it is checked like any other."""
    url, headers = cached.blob(DIGEST), {"If-None-Match": condition}
    async with cached.client.get(url, headers=headers) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
        assert answer.headers["ETag"] == ETAG
    assert cached.opener.asked == []
    headers["Authorization"] = "Basic wrong"
    async with cached.client.get(url, headers=headers) as answer:
        assert answer.status == 401


async def test_who_has_another_blob_gets_this_one(cached: Rig) -> None:
    """The tag is the digest."""
    headers = {"If-None-Match": '"another"'}
    async with cached.client.get(cached.blob(DIGEST), headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, DATA)


async def test_head_tells_the_size_and_moves_nothing(proxy: Rig) -> None:
    """The connection is good for the next request."""
    proxy.opener.size_of = SIZE
    for _ in range(2):
        async with proxy.client.head(proxy.blob(DIGEST)) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Length"] == str(SIZE)
            assert answer.headers["Docker-Content-Digest"] == DIGEST
            assert answer.headers["Accept-Ranges"] == "bytes"
    assert proxy.opener.asked == []


async def test_head_has_no_ranges(proxy: Rig) -> None:
    """Range is defined for GET alone (RFC 9110 14.2): lazy pullers learn the size by a HEAD."""
    proxy.opener.size_of = SIZE
    async with proxy.client.head(proxy.blob(DIGEST), headers={"Range": "bytes=0-1"}) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(SIZE))
        assert "Content-Range" not in answer.headers


async def test_head_without_a_known_size_tells_none(proxy: Rig) -> None:
    """A length of 0 would be a lie."""
    async with proxy.client.head(proxy.blob(DIGEST)) as answer:
        assert answer.status == 200
        assert "Content-Length" not in answer.headers
        assert "Transfer-Encoding" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-"}])
async def test_an_empty_blob_is_an_empty_200(proxy: Rig, headers: dict[str, str]) -> None:
    """Whatever range is asked for."""
    digest = await ingest(proxy.cache, b"")
    async with proxy.client.get(proxy.blob(digest), headers=headers) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "0")
        assert await answer.read() == b""


async def test_bytes_go_out_while_the_blob_arrives(proxy: Rig) -> None:
    """The client has the first part before the second one is here."""
    arrival = await proxy.cache.arrive(DIGEST, SIZE)
    verifier = asyncio.create_task(arrival.verify())
    async with proxy.client.get(proxy.blob(DIGEST)) as answer:
        write_segment(arrival, DATA, 0, count=1000)
        arrival.grew(0, 1000)
        assert await answer.content.readexactly(1000) == DATA[:1000]
        await bring(proxy.cache, arrival, DATA)
        assert await answer.read() == DATA[1000:]
    await verifier
    await proxy.cache.commit(arrival, b"le")


@pytest.mark.parametrize("error", [Unavailable("gone"), WrongContent("bad")])
async def test_an_error_half_way_is_an_incomplete_body(
    proxy: Rig, error: Unavailable | WrongContent
) -> None:
    """The connection closes short of Content-Length: clients resume, or fail, never accept it."""
    arrival = await proxy.cache.arrive(DIGEST, SIZE)
    await bring(proxy.cache, arrival, DATA, [0])
    async with proxy.client.get(proxy.blob(DIGEST)) as answer:
        first = arrival.layout.segments[0].stop
        assert await answer.content.readexactly(first) == DATA[:first]
        arrival.fail(error)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert not arrival.demand
    assert arrival.readers == 0


async def test_a_file_that_is_cut_underneath_is_an_incomplete_body(cached: Rig) -> None:
    """The client does not wait for bytes that nobody has."""
    path = cached.cache.directory(DIGEST).segment(1)
    await asyncio.to_thread(path.write_bytes, DATA[MIB : MIB + 10])
    async with asyncio.timeout(60), cached.client.get(cached.blob(DIGEST)) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_client_that_disconnects_lets_go_of_the_blob(proxy: Rig) -> None:
    """Its pin and its demand go while the blob still arrives."""
    arrival = await proxy.cache.arrive(DIGEST, SIZE)
    await bring(proxy.cache, arrival, DATA, [0])
    answer = await proxy.client.get(proxy.blob(DIGEST))
    assert await answer.content.readexactly(1000) == DATA[:1000]
    assert arrival.readers == 1
    answer.close()
    async with asyncio.timeout(60):
        while arrival.readers or arrival.demand:
            await arrival.changed()


async def test_a_client_that_disconnects_in_the_middle_of_a_slow_body_lets_go_of_it(
    cached: Rig,
) -> None:
    """Also when it is the socket that is waited for."""
    reader, writer = await asyncio.open_connection(cached.address.host, cached.address.port)
    big = content(40 * MIB, 1)
    digest = await ingest(cached.cache, big)
    path = cached.blob(digest).removeprefix(cached.url)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await cached.opener.was_asked.wait()
    assert not await cached.cache.drop(digest)
    writer.transport.abort()
    await until(lambda: cached.cache.drop(digest), what="the pin to go")


async def test_a_client_that_disconnects_while_its_blob_is_opened_is_not_waited_for(
    proxy: Rig,
) -> None:
    """The opener is cancelled."""
    proxy.opener.may_open.clear()
    asking = asyncio.create_task(proxy.client.get(proxy.blob(DIGEST)))
    await proxy.opener.was_asked.wait()
    asking.cancel()
    async with asyncio.timeout(60):
        await proxy.opener.cancelled.wait()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DENIED, 401, "UNAUTHORIZED"),
        (Denied("gone", status=404, code="BLOB_UNKNOWN"), 404, "BLOB_UNKNOWN"),
        (
            Denied("slow", status=429, code="TOOMANYREQUESTS", retry_after="7"),
            429,
            "TOOMANYREQUESTS",
        ),
        (Unavailable("down"), 502, "UNAVAILABLE"),
        (WrongContent("bad"), 502, "DIGEST_INVALID"),
        (BadName("bad"), 400, "NAME_INVALID"),
    ],
)
async def test_errors_before_the_first_byte_are_oci_errors(
    proxy: Rig, error: Denied | Unavailable, status: int, code: str
) -> None:
    """GET tells the reason, HEAD the same status without a body."""
    proxy.opener.error = error
    async with proxy.client.get(proxy.blob(DIGEST)) as answer:
        assert answer.status == status
        assert answer.content_type == "application/json"
        assert oci_code(await answer.read()) == code
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="r"'
        if status == 429:
            assert answer.headers["Retry-After"] == "7"
    async with proxy.client.head(proxy.blob(DIGEST)) as answer:
        assert (answer.status, await answer.read()) == (status, b"")


async def test_without_room_the_origin_serves_the_client_directly(proxy: Rig) -> None:
    """Unstored, but served."""
    proxy.opener.error = NoSpace("the disk is full")
    async with proxy.client.get(proxy.blob(DIGEST)) as answer:
        assert (answer.status, await answer.read()) == (200, DATA)
    assert by_label(proxy.metrics.fallbacks) == {"unstored": 1}
    assert len(proxy.cache) == 0


async def test_without_room_other_nodes_serve_the_client(proxy: Rig) -> None:
    """The whole and a range; the origin is not asked, nothing is kept."""
    proxy.opener.error = NoSpace("the disk is full")
    proxy.opener.passed = ScriptedPassed(size=SIZE, data=DATA)
    async with proxy.client.get(proxy.blob(DIGEST)) as answer:
        assert (answer.status, await answer.read()) == (200, DATA)
        assert answer.content_length == SIZE
    async with proxy.client.get(proxy.blob(DIGEST), headers={"Range": "bytes=5-2004"}) as answer:
        assert (answer.status, await answer.read()) == (206, DATA[5:2005])
    assert by_label(proxy.metrics.served_bytes)["swarm"] == SIZE + 2000
    assert proxy.origin.seen == []
    assert len(proxy.cache) == 0


@pytest.mark.parametrize(
    "passed",
    [
        ScriptedPassed(size=SIZE, data=bytes(SIZE)),
        ScriptedPassed(size=SIZE, data=DATA[:5000], error=Unavailable("they are gone")),
    ],
)
async def test_what_others_cannot_give_whole_and_right_is_cut_off(
    proxy: Rig, passed: ScriptedPassed
) -> None:
    """No client sees the clean end of a wrong or a short body."""
    proxy.opener.error = NoSpace("the disk is full")
    proxy.opener.passed = passed
    async with proxy.client.get(proxy.blob(DIGEST)) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_what_others_cannot_give_at_all_comes_from_the_origin(proxy: Rig) -> None:
    """As long as no byte was sent."""
    proxy.opener.error = NoSpace("the disk is full")
    proxy.opener.passed = ScriptedPassed(size=SIZE, data=b"", error=Unavailable("no seeder"))
    async with proxy.client.get(proxy.blob(DIGEST)) as answer:
        assert (answer.status, await answer.read()) == (200, DATA)
    assert proxy.origin.seen


async def test_parallel_ranges_make_up_the_blob(cached: Rig) -> None:
    """Some clients fetch a layer in pieces over several connections."""
    step = SIZE // 16 + 1

    async def part(start: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + step - 1}"}
        async with cached.client.get(cached.blob(DIGEST), headers=headers) as answer:
            assert answer.status == 206
            return await answer.read()

    parts = await asyncio.gather(*(part(start) for start in range(0, SIZE, step)))
    assert b"".join(parts) == DATA


async def test_one_connection_carries_many_requests(cached: Rig) -> None:
    """Blobs leave the socket at a border that the next answer can follow."""
    path = cached.blob(DIGEST).removeprefix(cached.url)
    reader, writer = await asyncio.open_connection(cached.address.host, cached.address.port)
    for start in (0, MIB - 1, SIZE - 2):
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes={start}-{start + 1}\r\n\r\n"
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 206")
        assert await reader.readexactly(2) == DATA[start : start + 2]
    writer.close()


async def test_http_1_0_is_served_too(cached: Rig) -> None:
    """With a length, and without keep-alive."""
    path = cached.blob(DIGEST).removeprefix(cached.url)
    status, headers, body = await raw(cached, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert (status, body) == (200, DATA)
    assert headers["content-length"] == str(SIZE)
