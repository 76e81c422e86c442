"""Several ranges in one request, as lazy pullers ask for them."""

from __future__ import annotations

import asyncio
import email
import email.message
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Unavailable
from eagle_node.base.ranges import MOST_RANGES, ByteRange, joined
from eagle_node.blobs.demand import BLOCK
from eagle_node.metrics.instruments import by_label
from eagle_node.proxy.multipart import multipart_body
from tests.unit.blobs.builders import MIB, bring, content, ingest
from tests.unit.proxy.rig import Rig, oci_code, proxying

SIZE = 3 * MIB + 1000
DATA = content(SIZE)
DIGEST = digest_of(DATA)


async def origin(_: web.Request) -> web.StreamResponse:
    """Never asked for bytes here."""
    return web.Response(status=200)


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Rig]:
    async with proxying(tmp_path, origin) as rig:
        yield rig


@pytest.fixture
async def cached(proxy: Rig) -> Rig:
    await ingest(proxy.cache, DATA)
    return proxy


def parts_of(headers: Mapping[str, str], body: bytes) -> dict[str, bytes]:
    """Content by Content-Range, as the standard library's MIME parser reads it."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    parsed = email.message_from_bytes(head + body)
    assert parsed.get_content_type() == "multipart/byteranges"
    found: dict[str, bytes] = {}
    for part in parsed.get_payload():
        assert isinstance(part, email.message.Message)
        assert part.get_content_type() == "application/octet-stream"
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found[str(part["Content-Range"])] = payload
    return found


async def get(rig: Rig, header: str) -> tuple[aiohttp.ClientResponse, bytes]:
    """An answer with its body."""
    async with rig.client.get(rig.blob(DIGEST), headers={"Range": header}) as answer:
        return answer, await answer.read()


async def test_several_ranges_are_one_multipart_answer(cached: Rig) -> None:
    """Each part says where it belongs; the length is told in advance; only content is counted."""
    answer, body = await get(cached, f"bytes=0-1, {MIB - 5}-{MIB + 4}, -3")
    assert answer.status == 206
    assert answer.headers["Content-Length"] == str(len(body))
    assert "Content-Range" not in answer.headers
    assert parts_of(answer.headers, body) == {
        f"bytes 0-1/{SIZE}": DATA[:2],
        f"bytes {MIB - 5}-{MIB + 4}/{SIZE}": DATA[MIB - 5 : MIB + 5],
        f"bytes {SIZE - 3}-{SIZE - 1}/{SIZE}": DATA[-3:],
    }
    assert by_label(cached.metrics.served_bytes) == {"local": 2 + 10 + 3}
    assert cached.opener.asked == [(None, False)]


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=10-19,15-29", 10, 29),
        ("bytes=20-29,10-19", 10, 29),
        (f"bytes=10-19,{SIZE}-", 10, 19),
        (f"bytes=5-5{',5-5' * 100}", 5, 5),
    ],
)
async def test_what_comes_down_to_one_range_is_a_plain_206(
    cached: Rig, header: str, first: int, last: int
) -> None:
    """No byte is sent twice, however often it is asked for."""
    answer, body = await get(cached, header)
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert body == DATA[first : last + 1]


async def test_ranges_that_are_all_beyond_the_end_are_a_416(cached: Rig) -> None:
    """As one is."""
    answer, _ = await get(cached, f"bytes={SIZE}-,{SIZE + 5}-{SIZE + 9}")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


async def test_too_many_ranges_are_refused(cached: Rig) -> None:
    """With the 400 upon which lazy pullers ask for one range at a time."""
    header = "bytes=" + ",".join(f"{3 * n}-{3 * n}" for n in range(MOST_RANGES + 1))
    answer, body = await get(cached, header)
    assert (answer.status, oci_code(body)) == (400, "SIZE_INVALID")
    answer, body = await get(cached, header.rpartition(",")[0])
    assert answer.status == 206
    assert len(parts_of(answer.headers, body)) == MOST_RANGES


async def test_if_range_goes_for_lists_too(cached: Rig) -> None:
    """Of another blob there is the whole."""
    headers = {"Range": "bytes=0-1,5-6", "If-Range": '"another"'}
    async with cached.client.get(cached.blob(DIGEST), headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, DATA)


async def test_all_ranges_of_a_blob_on_its_way_are_wanted_at_once(proxy: Rig) -> None:
    """The second does not wait for the first to be sent; nothing between them is wanted."""
    arrival = await proxy.cache.arrive(DIGEST, SIZE)
    last = arrival.layout.segments[-1].index
    header = {"Range": f"bytes=0-1,{SIZE - 2}-{SIZE - 1}"}
    async with proxy.client.get(proxy.blob(DIGEST), headers=header) as answer:
        while not arrival.demand:
            await arrival.changed()
        wanted = [each.start for each in arrival.missing_parts()]
        assert wanted == [0, SIZE - 1 - (SIZE - 1) % BLOCK]
        await bring(proxy.cache, arrival, DATA, [last, 0])
        parts = parts_of(answer.headers, await answer.read())
    assert list(parts.values()) == [DATA[:2], DATA[-2:]]
    assert not arrival.demand


async def test_a_part_that_does_not_come_is_an_incomplete_body(proxy: Rig) -> None:
    """Never a clean end: the boundary that ends the body is not sent."""
    arrival = await proxy.cache.arrive(DIGEST, SIZE)
    await bring(proxy.cache, arrival, DATA, [0])
    header = {"Range": f"bytes=0-1,{SIZE - 2}-{SIZE - 1}"}
    async with proxy.client.get(proxy.blob(DIGEST), headers=header) as answer:
        await answer.content.readuntil(DATA[:2])
        arrival.fail(Unavailable("gone"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_the_connection_is_good_for_the_next_request(cached: Rig) -> None:
    """Multipart, plain, multipart on one connection."""
    path = cached.blob(DIGEST).removeprefix(cached.url)
    reader, writer = await asyncio.open_connection(cached.address.host, cached.address.port)
    for wanted in ("0-1,5-6", "7-8", "0-1,-1"):
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes={wanted}\r\n\r\n"
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 206")
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        assert len(await reader.readexactly(length)) == length
    writer.close()


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9_999), st.integers(1, 500)), min_size=2, max_size=20))
def test_a_multipart_body_is_as_long_as_it_says(runs: list[tuple[int, int]]) -> None:
    """And a standard parser finds every part in it."""
    blob = content(10_500)
    ranges = joined(ByteRange(start, start + length) for start, length in runs)
    media_type, body = multipart_body(ranges, len(blob), "application/octet-stream")
    wire = b"".join(
        part.before + blob[part.content.start : part.content.stop] for part in body.parts
    )
    wire += body.after
    assert len(wire) == body.length
    found = parts_of({"Content-Type": media_type}, wire)
    assert list(found.values()) == [blob[each.start : each.stop] for each in ranges]
