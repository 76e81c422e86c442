"""A lazy puller: a blob as a file that can be sought in, over HTTP ranges of every form."""

from __future__ import annotations

import email
import email.message
import random
from dataclasses import dataclass

import aiohttp
from yarl import URL


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekableBlob:
    """Reads at offsets of a blob of ``size`` bytes; each way raises for what is no good answer."""

    session: aiohttp.ClientSession
    url: URL | str
    size: int

    async def span(self, start: int, stop: int) -> bytes:
        """``bytes=START-LAST``, as stargz and nydus ask."""
        return await self._part(f"bytes={start}-{stop - 1}", start, stop)

    async def suffix(self, count: int) -> bytes:
        """``bytes=-COUNT``: where footers and tables of contents are."""
        return await self._part(f"bytes=-{count}", self.size - count, self.size)

    async def chunk(self, start: int, stop: int) -> bytes:
        """``bytes=START-``, hung up upon once the chunk is here, as containerd 2.x does."""
        async with self.session.get(self.url, headers={"Range": f"bytes={start}-"}) as answer:
            _check(answer, start, self.size, self.size)
            body = await answer.content.readexactly(stop - start)
            answer.close()
            return body

    async def several(self, *spans: tuple[int, int]) -> dict[tuple[int, int], bytes]:
        """Spans that lie apart, in one request."""
        wanted = ",".join(f"{start}-{stop - 1}" for start, stop in spans)
        async with self.session.get(self.url, headers={"Range": f"bytes={wanted}"}) as answer:
            assert answer.status == 206
            head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
            parsed = email.message_from_bytes(head + await answer.read())
        found = {}
        for part in parsed.get_payload():
            assert isinstance(part, email.message.Message)
            body = part.get_payload(decode=True)
            assert isinstance(body, bytes)
            start, last = part["Content-Range"].split()[1].partition("/")[0].split("-")
            found[int(start), int(last) + 1] = body
        return found

    async def _part(self, header: str, start: int, stop: int) -> bytes:
        async with self.session.get(self.url, headers={"Range": header}) as answer:
            _check(answer, start, stop, self.size)
            return await answer.read()


async def jump_around(blob: SeekableBlob, content: bytes, *, seed: int, reads: int) -> int:
    """Read at random places in every form; the bytes that were asked for, all of them right."""
    generator, asked = random.Random(seed), 0
    for _ in range(reads):
        length = min(blob.size // 8, 1 << generator.randrange(1, 21))
        start = generator.randrange(blob.size - length)
        match generator.randrange(5):
            case 0:
                assert await blob.suffix(length) == content[-length:]
            case 1:
                assert await blob.chunk(start, start + length) == content[start : start + length]
            case 2:
                gap = generator.randrange(1, blob.size // 8)
                other = (start + length + gap) % (blob.size - length)
                if start <= other + length and other <= start + length:
                    continue
                spans = [(start, start + length), (other, other + length)]
                found = await blob.several(*spans)
                assert found == {(first, stop): content[first:stop] for first, stop in spans}
                asked += length
            case _:
                assert await blob.span(start, start + length) == content[start : start + length]
        asked += length
    return asked


def _check(answer: aiohttp.ClientResponse, start: int, stop: int, size: int) -> None:
    assert answer.status == 206, answer.status
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.headers["Content-Type"] == "application/octet-stream"
