"""The clients of a wave's nodes: plain HTTP, or containerd with its content store."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from tests.support import http
from tests.support.clients import Route
from tests.support.clients.containerd import Containerd, containerd
from tests.support.images import Image
from tests.support.process import CommandFailed

REGISTRY = "origin.test"
REPOSITORY = "wave/image"
REFERENCE = f"{REGISTRY}/{REPOSITORY}:latest"
RUNTIMES = ("http", "containerd")
LOOK_S = 0.2
"""Seconds between two looks at the progress of a client that does not tell."""

Progress = Callable[[int], None]
"""Told, now and then, how many bytes have come so far."""


class PullFailed(Exception):
    """A client did not get the image, or not the right bytes."""


class Client(Protocol):
    """Pulls the image once."""

    tells_first_byte: bool
    """Whether the first call of a `Progress` is the arrival of the first byte."""

    async def pull(self, progress: Progress) -> None:
        """All layers; `PullFailed`."""
        ...

    async def verify(self) -> None:
        """Look at what is held after a pull, outside of measured time; `PullFailed`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a client runs, and what it pulls from."""

    directory: Path
    """For the client's files; made when needed."""
    namespace: str
    address: str
    """``host:port`` of a node's proxy, or of the origin."""


@asynccontextmanager
async def client(runtime: str, image: Image, place: Place) -> AsyncIterator[Client]:
    """A client of one of `RUNTIMES`, with nothing pulled yet."""
    if runtime == "http":
        yield HttpClient(image, place)
        return
    route = Route(name=REGISTRY, mirror=place.address)
    async with containerd(place.directory, route, namespace=place.namespace) as running:
        yield ContainerdClient(running, image)


class HttpClient:
    """Fetches all layers at once by digest and hashes them as they come."""

    tells_first_byte = True

    def __init__(self, image: Image, place: Place) -> None:
        self._digests = [layer.digest for layer in image.layers]
        self._base = f"http://{place.address}/v2/{REPOSITORY}/blobs"
        self._namespace = place.namespace

    async def pull(self, progress: Progress) -> None:
        """All layers, with the right digests."""
        received = 0

        def count(more: int) -> None:
            nonlocal received
            received += more
            progress(received)

        fetches = [asyncio.ensure_future(self._fetch(each, count)) for each in self._digests]
        try:
            await asyncio.gather(*fetches)
        except (aiohttp.ClientError, TimeoutError, http.BadAnswer, OSError) as error:
            raise PullFailed(f"{type(error).__name__}: {error}") from None
        finally:
            for fetch in fetches:
                fetch.cancel()

    async def verify(self) -> None:
        """Nothing is held: digests were checked as the bytes came."""

    async def _fetch(self, digest: str, count: Callable[[int], None]) -> None:
        hasher, url = hashlib.sha256(), f"{self._base}/{digest}"
        async with http.client(namespace=self._namespace) as session, session.get(url) as answer:
            if answer.status != 200:
                raise http.BadAnswer(f"{url}: {answer.status}: {await answer.text()}")
            async for chunk in answer.content.iter_any():
                hasher.update(chunk)
                count(len(chunk))
        if f"sha256:{hasher.hexdigest()}" != digest:
            raise http.BadAnswer(f"{url}: wrong digest")


class ContainerdClient:
    """Pulls manifest, config and layers by tag into containerd's content store."""

    tells_first_byte = False

    def __init__(self, running: Containerd, image: Image) -> None:
        self._containerd = running
        self._digests = {image.digest, *(blob.digest for blob in image.blobs)}

    async def pull(self, progress: Progress) -> None:
        """The whole image, not unpacked; containerd checks the digests that it commits."""
        watch = asyncio.ensure_future(self._watch(progress))
        try:
            await self._containerd.fetch(REFERENCE, timeout=3600)
        except CommandFailed as error:
            lines = str(error).splitlines()
            raise PullFailed(f"containerd: {lines[-1] if lines else error}") from None
        finally:
            watch.cancel()

    async def verify(self) -> None:
        """Hash the content store's files: the manifest, the config and each layer are there."""
        missing = self._digests - await asyncio.to_thread(self._containerd.stored)
        if missing:
            raise PullFailed(f"not in containerd's content store: {', '.join(sorted(missing))}")

    async def _watch(self, progress: Progress) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            progress(await asyncio.to_thread(self._containerd.received))
