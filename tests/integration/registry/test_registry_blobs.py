"""Blobs from origins that behave, and from those that do not."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.config.tree import RegistryConfig
from eagle_node.metrics.instruments import Metrics, by_label, total
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.blob_stream import BlobStream
from eagle_node.registry.file_ref import FileRef, FileState
from eagle_node.registry.upstream import BlobInfo, Upstream
from eagle_node.runtime.budget import ByteBudget
from tests.integration.registry.origin import (
    BLOB,
    CONTENT,
    NAME,
    ORIGIN,
    USER_AGENT,
    at,
    honest,
    read,
    serving,
    upstream,
)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (7, None), (0, 10), (7, 10), (100_000, 10**9)]
)
async def test_the_bytes_that_were_asked_for_come(start: int, stop: int | None) -> None:
    """Whole or in part, with the size of the whole; nothing else is asked of the origin."""
    async with (
        serving(honest) as origin,
        upstream(at(origin)) as client,
        client.open_blob(BLOB, start=start, stop=stop) as stream,
    ):
        body = b"".join([chunk async for chunk in stream.chunks()])
        assert (stream.size, stream.start) == (len(CONTENT), start)
    assert body == CONTENT[start:stop]
    [seen] = origin.seen
    assert (seen.method, seen.target) == ("GET", BLOB.path)
    assert seen.headers["Accept-Encoding"] == "identity"
    assert seen.headers["User-Agent"] == USER_AGENT


async def test_a_head_tells_the_size() -> None:
    """Without a byte of the body."""
    metrics = Metrics()
    async with serving(honest) as origin, upstream(at(origin), metrics=metrics) as client:
        assert await client.check_blob(BLOB, None) == BlobInfo(size=len(CONTENT))
    assert [seen.method for seen in origin.seen] == ["HEAD"]
    assert total(metrics.origin_bytes) == 0


async def test_requests_and_bytes_are_counted() -> None:
    """Each by its method, and what came of the body."""
    metrics = Metrics()
    async with serving(honest) as origin, upstream(at(origin), metrics=metrics) as client:
        await client.check_blob(BLOB, None)
        await read(client)
        await read(client, start=1000)
    assert by_label(metrics.origin_requests) == {"HEAD": 1, "GET": 2}
    assert total(metrics.origin_bytes) == 2 * len(CONTENT) - 1000


async def test_the_download_limit_holds() -> None:
    """Bytes are taken from the node's budget before they are handed on, with their headers'."""
    budget = ByteBudget(10 * len(CONTENT))
    async with serving(honest) as origin, upstream(at(origin), download=budget) as client:
        await read(client)
    assert len(CONTENT) < budget.taken < 1.05 * len(CONTENT)


async def test_a_server_without_ranges_serves_starts_only() -> None:
    """A 200 to ``0-9`` is cut off after ten bytes; a 200 to a later start is no answer."""

    async def whole(_: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    async with serving(whole) as origin, upstream(at(origin)) as client:
        assert await read(client, start=0, stop=10) == CONTENT[:10]
        with pytest.raises(Unavailable, match=r"origin\.test does not do ranges"):
            await read(client, start=10)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Content-Range": "bytes 0-9/100"}, "sent bytes 0-9 of 100"),
        ({"Content-Range": "bytes 5-9/*"}, "without a range"),
        ({}, "without a range"),
    ],
)
async def test_a_wrong_range_is_not_used(headers: dict[str, str], reason: str) -> None:
    """Its bytes would be spliced in at the wrong place."""

    async def wrong(_: web.Request) -> web.Response:
        return web.Response(status=206, body=CONTENT[:5], headers=headers)

    async with serving(wrong) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match=reason):
            await read(client, start=5, stop=10)


async def test_a_login_page_is_no_blob_and_no_permission() -> None:
    """Captive portals answer 200 to everything: neither a fetch nor a check believes them."""

    async def portal(_: web.Request) -> web.Response:
        return web.Response(text="<h1>Welcome to the hotel</h1>", content_type="text/html")

    async with serving(portal) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match="web page"):
            await read(client)
        with pytest.raises(Unavailable, match="web page"):
            await client.check_blob(BLOB, None)


async def test_an_encoded_body_is_no_blob() -> None:
    """Digests are of the bytes as they are stored."""

    async def gzipped(_: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})

    async with serving(gzipped) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match="Content-Encoding gzip"):
            await read(client)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "UNAUTHORIZED"), (403, "DENIED"), (404, "BLOB_UNKNOWN"), (429, "TOOMANYREQUESTS")],
)
async def test_a_refusal_is_the_origins_own(status: int, code: str) -> None:
    """By GET and by HEAD, with challenge and retry time."""

    async def refuse(_: web.Request) -> web.Response:
        headers = {"Retry-After": "30", "WWW-Authenticate": 'Digest realm="r"'}
        return web.Response(status=status, headers=headers)

    async with serving(refuse) as origin, upstream(at(origin)) as client:
        for attempt in (read(client), client.check_blob(BLOB, None)):
            with pytest.raises(Denied) as caught:
                await attempt
            assert (caught.value.status, caught.value.code) == (status, code)
            assert caught.value.challenge == ('Digest realm="r"' if status == 401 else None)
            assert caught.value.retry_after == ("30" if status == 429 else None)


async def test_an_origin_in_trouble_is_unavailable() -> None:
    """5xx, and the status is in the message, with the origin's own words."""

    async def trouble(_: web.Request) -> web.Response:
        return web.json_response(
            {"errors": [{"code": "UNKNOWN", "message": "disk on fire"}]}, status=503
        )

    async with serving(trouble) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match=r"origin\.test answered 503 .*: disk on fire"):
            await read(client)


async def test_a_body_that_breaks_off_says_how_far_it_came() -> None:
    """The bytes before that were handed on, for somebody to resume from."""

    async def truncated(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(CONTENT)
        await response.prepare(request)
        await response.write(CONTENT[:5000])
        assert request.transport is not None
        request.transport.close()
        return response

    came = bytearray()

    async def collect(stream: BlobStream) -> None:
        async for chunk in stream.chunks():
            came.extend(chunk)

    async with (
        serving(truncated) as origin,
        upstream(at(origin)) as client,
        client.open_blob(BLOB) as stream,
    ):
        with pytest.raises(Unavailable, match=rf"5000 of {len(CONTENT)} bytes"):
            await collect(stream)
    assert came == CONTENT[:5000]


async def test_a_silent_body_is_given_up() -> None:
    """Silence is measured from the last byte, not from the start."""

    async def stalling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(CONTENT)
        await response.prepare(request)
        await response.write(CONTENT[:5000])
        await request.app[ORIGIN].closing.wait()
        return response

    async with serving(stalling) as origin, upstream(at(origin), timeout_s=0.3) as client:
        with pytest.raises(Unavailable, match=r"nothing came for 0\.3 s; 5000 of"):
            await read(client)


async def test_a_silent_server_is_given_up() -> None:
    """Before its headers, too."""

    async def silent(request: web.Request) -> web.StreamResponse:
        await request.app[ORIGIN].closing.wait()
        return web.Response()

    async with serving(silent) as origin, upstream(at(origin), timeout_s=0.3) as client:
        with pytest.raises(Unavailable, match=r"registry origin\.test: nothing came for 0\.3 s"):
            await client.check_blob(BLOB, None)


async def test_a_size_that_the_get_hides_is_asked_for_by_head() -> None:
    """A chunked body is read against the size that HEAD tells; without one it is refused."""

    async def chunked(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(body=CONTENT)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(CONTENT[: 5000 if "Cut" in request.headers["Authorization"] else None])
        return response

    async with serving(chunked) as origin, upstream(at(origin)) as client:
        assert await read(client, authorization="Whole x") == CONTENT
        with pytest.raises(Unavailable, match=rf"5000 of {len(CONTENT)} bytes"):
            await read(client, authorization="Cut x")


async def test_a_size_that_nobody_tells_is_no_blob() -> None:
    """Its end could not be told from a dropped connection."""

    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        return response

    async with serving(chunked) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match="does not tell the size"):
            await read(client)


@pytest.mark.parametrize("status", [400, 403, 405, 501])
async def test_a_url_that_was_signed_for_get_only_is_asked_by_get(status: int) -> None:
    """The server signs the method: its no to a HEAD says nothing. The first byte proves the right
    and tells the size; a registry's no to a HEAD for a blob of its own is a no."""

    async def get_only(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=status)
        response = await honest(request)
        response.headers["ETag"] = '"1"'
        return response

    file = FileRef(NAME, "/models/a.bin?X-Amz-Signature=1")
    async with serving(get_only) as origin, upstream(at(origin)) as client:
        state = await client.file_state(file, ANYBODY)
        assert state == FileState(size=len(CONTENT), validator='"1"')
        info = await client.check_blob(file.blob(BLOB.digest), ANYBODY)
        assert info == BlobInfo(size=len(CONTENT))
        assert {seen.headers.get("Range") for seen in origin.seen} == {None, "bytes=0-0"}
        origin.seen.clear()
        with pytest.raises((Denied, Unavailable), match=f"answered {status}"):
            await client.check_blob(BLOB, ANYBODY)
        assert [seen.method for seen in origin.seen] == ["HEAD"]


async def test_a_signed_url_that_is_refused_is_refused() -> None:
    """By the GET as well as by the HEAD."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=403)

    async with serving(refuse) as origin, upstream(at(origin)) as client:
        with pytest.raises(Denied, match="answered 403"):
            await client.file_state(FileRef(NAME, "/a.bin?X-Amz-Signature=1"), ANYBODY)
    assert [seen.method for seen in origin.seen] == ["HEAD", "GET"]


async def test_a_signed_url_whose_size_nobody_tells_is_asked_a_few_times() -> None:
    """GET, HEAD, and the first byte: then it is given up, and its state has no size."""

    async def chunked(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=403)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        return response

    file = FileRef(NAME, "/a.bin?X-Amz-Signature=1")
    async with serving(chunked) as origin, upstream(at(origin)) as client, asyncio.timeout(5):
        with pytest.raises(Unavailable, match="does not tell the size"):
            async with client.open_file(file, start=0, authorization=ANYBODY):
                pass
        assert [seen.method for seen in origin.seen] == ["GET", "HEAD", "GET"]
        assert await client.file_state(file, ANYBODY) == FileState(size=None, validator="")


async def test_a_refused_connection_names_registry_and_reason() -> None:
    """So does a name that does not resolve."""
    async with serving(honest) as origin:
        closed = at(origin)
    nowhere = RegistryConfig(name="nowhere.test", url="http://nowhere.invalid")
    async with upstream(closed, nowhere) as client:
        with pytest.raises(Unavailable, match=r"registry origin\.test: cannot connect: .*refused"):
            await read(client)
        with pytest.raises(Unavailable, match=r"nowhere\.test: host name nowhere\.invalid"):
            async with client.forward("GET", "nowhere.test", "/v2/", {}, None, None):
                pass


async def test_a_dropped_keep_alive_connection_is_dialled_again() -> None:
    """Servers close idle connections at the moment when they are used next."""
    connections = 0

    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(one_each, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with upstream(RegistryConfig(name=NAME, url=url)) as client:
            for _ in range(2):
                assert await client.check_blob(BLOB, None) == BlobInfo(size=3)
    assert connections == 2


async def test_garbage_is_no_answer() -> None:
    """What is not HTTP is a fault of the origin."""

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with upstream(RegistryConfig(name=NAME, url=url)) as client:
            with pytest.raises(Unavailable, match=r"registry origin\.test"):
                await client.check_blob(BLOB, None)


async def test_outages_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A line when it breaks and a line when it recovers, not one for each request."""
    caplog.set_level("INFO", "eagle_node.registry")
    async with serving(honest) as origin:
        config, port = at(origin), int(origin.host.rpartition(":")[2])
    async with upstream(config) as client:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await read(client)
        async with serving(honest, port=port):
            await read(client)
            await read(client)
    assert caplog.messages == [
        "registry origin.test: cannot connect: Connection refused",
        f"127.0.0.1:{port} answers again",
    ]


async def test_a_reader_that_leaves_takes_its_connection_along() -> None:
    """Cancelled in the middle of a body, nothing goes on in its name."""
    left = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nfirst bytes")
        assert await reader.read() == b""
        left.set()
        writer.close()

    async with await asyncio.start_server(endless, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        arrived = asyncio.Event()

        async def reading(client: Upstream) -> None:
            async with client.open_blob(BLOB) as stream:
                async for _ in stream.chunks():
                    arrived.set()

        async with upstream(RegistryConfig(name=NAME, url=url)) as client:
            reader = asyncio.create_task(reading(client))
            await arrived.wait()
            reader.cancel()
            await left.wait()
            await asyncio.wait([reader])
    assert reader.cancelled()
