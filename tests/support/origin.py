"""A scripted origin: a registry that answers as a test tells it to, and keeps account."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from eagle_node.base.digest import Digest, digest_of

NAME = "origin.test"
"""The registry name that nodes know a scripted origin by."""
PAGE = "<html><title>Please log in</title></html>"

_CHUNK = 64 << 10
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a GET is answered; the default is: honestly, with ranges, at once."""

    cut: int | None = None
    """Close the connection after this many bytes of the body."""
    stall: int | None = None
    """Send this many bytes of the body, then nothing."""
    rate: int = 0
    """Bytes/s of the body; 0 is no limit."""
    wrong: bool = False
    """Send other bytes, as many as promised."""
    ranges: bool = True
    """Whether ranges are honoured; without, a range is answered with the whole."""
    page: bool = False
    """Answer 200 with a web page."""
    status: int = 200
    """Answer with this status and no content."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every answer."""
    redirect: str = ""
    """Base URL of the server to redirect to, by a 307."""


HONEST = Behaviour()


@dataclass(slots=True, kw_only=True)
class Seen:
    """A request, and how much of its answer's body has been sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    sent: int = 0

    @property
    def first(self) -> int:
        """The first byte that was asked for."""
        match = _RANGE.match(self.headers.get("Range", ""))
        return int(match[1]) if match else 0


class Origin:
    """A running server of blobs; ``host:port`` and all that it was asked."""

    def __init__(self) -> None:
        self.url = ""
        """Base URL without a trailing slash."""
        self.requests: list[Seen] = []
        self._blobs: dict[str, bytes] = {}
        self._manifests: dict[str, bytes] = {}
        self._always: dict[str, Behaviour] = defaultdict(lambda: HONEST)
        self._next: dict[str, deque[Behaviour]] = defaultdict(deque)
        self.closing = asyncio.Event()

    @property
    def flags(self) -> tuple[str, str]:
        """What tells a node about this origin."""
        return "--registry", f"{NAME}={self.url}"

    def add(self, content: bytes) -> Digest:
        """Have a blob."""
        digest = digest_of(content)
        self._blobs[digest] = content
        return digest

    def add_random(self, size: int, *, seed: int = 0) -> Digest:
        """Have a blob of pseudo-random bytes; the same seed and size give the same."""
        return self.add(random.Random(seed).randbytes(size))

    def add_manifest(self, reference: str, content: bytes) -> Digest:
        """Have a manifest under a tag (or under a digest that need not be its own)."""
        self._manifests[reference] = content
        return digest_of(content)

    def remove(self, digest: str) -> None:
        """Have a blob no more."""
        del self._blobs[digest]

    def content(self, digest: str) -> bytes:
        """A blob's bytes."""
        return self._blobs[digest]

    def script(self, name: str, *behaviours: Behaviour) -> None:
        """Answer the next GETs of a digest or reference like this, one each."""
        self._next[name].extend(behaviours)

    def always(self, name: str, behaviour: Behaviour) -> None:
        """Answer GETs like this once the script is over; a ``status`` goes for HEAD too."""
        self._always[name] = behaviour

    def forget_script(self, name: str) -> None:
        """Go on with what is always answered."""
        self._next[name].clear()

    def gets(self, digest: str) -> list[Seen]:
        """The GETs of a blob or manifest so far."""
        return [
            each
            for each in self.requests
            if each.method == "GET" and each.path.endswith(f"/{digest}")
        ]

    def sent(self, digest: str) -> int:
        """Body bytes of a blob so far."""
        return sum(each.sent for each in self.gets(digest))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; a client that goes away is no error."""
        try:
            return await self._answer(request)
        except ConnectionError:
            return web.Response(status=499)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(method=request.method, path=request.raw_path, headers=request.headers.copy())
        self.requests.append(seen)
        kind, _, name = request.path.rpartition("/")
        if request.path == "/v2/":
            return web.json_response({})
        behaviour = self._always[name]
        if request.method == "GET" and self._next[name]:
            behaviour = self._next[name].popleft()
        if behaviour.status != 200:
            return web.Response(status=behaviour.status, headers=behaviour.headers)
        if behaviour.redirect:
            location = {"Location": behaviour.redirect + request.raw_path}
            return web.Response(status=307, headers=location)
        if behaviour.page:
            return web.Response(text=PAGE, content_type="text/html")
        content = (self._manifests if kind.endswith("/manifests") else self._blobs).get(name)
        if content is None:
            return web.Response(status=404, headers=behaviour.headers)
        return await self._send(request, content, behaviour, seen)

    async def _send(
        self, request: web.Request, content: bytes, behaviour: Behaviour, seen: Seen
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=dict(behaviour.headers))
        response.content_type = _media_type(request.path, content)
        first, stop = 0, len(content)
        match = _RANGE.match(request.headers.get("Range", ""))
        if match and behaviour.ranges:
            first, stop = int(match[1]), min(int(match[2] or stop - 1) + 1, stop)
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {first}-{stop - 1}/{len(content)}"
        response.content_length = stop - first
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        body = bytes(reversed(content)) if behaviour.wrong else content
        end = min(
            each for each in (behaviour.cut, behaviour.stall, stop - first) if each is not None
        )
        await self._write(response, memoryview(body)[first : first + end], behaviour.rate, seen)
        if behaviour.stall is not None:
            await self.closing.wait()
        if end < stop - first and request.transport is not None:
            request.transport.close()
        return response

    async def _write(
        self, response: web.StreamResponse, body: memoryview, rate: int, seen: Seen
    ) -> None:
        for start in range(0, len(body), _CHUNK):
            chunk = bytes(body[start : start + _CHUNK])
            await response.write(chunk)
            seen.sent += len(chunk)
            if rate:
                await asyncio.sleep(len(chunk) / rate)


def _media_type(path: str, content: bytes) -> str:
    """What a manifest says of itself, if it does."""
    told: object = None
    if "/manifests/" in path and content.startswith(b"{"):
        told = json.loads(content).get("mediaType")
    return told if isinstance(told, str) and "/" in told else "application/octet-stream"


@asynccontextmanager
async def scripted_origin(*, port: int = 0) -> AsyncIterator[Origin]:
    """An origin on a loopback port, a free one unless it is given."""
    origin = Origin()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", origin.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        origin.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield origin
    finally:
        origin.closing.set()
        await runner.cleanup()
