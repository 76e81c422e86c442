"""A container runtime's part of the demo: pull an image through a node and check every digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import Unavailable, WrongContent
from eagle_node.cli.demo_image import MANIFEST_TYPE
from eagle_node.runtime.tasks import first_error

_PARALLEL = 3
"""Layers that are pulled at a time, as containerd does by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """An image that came whole: every blob had the digest that it was asked for by."""

    manifest: Digest
    sizes: Mapping[Digest, int]
    """Bytes that came of each blob."""
    seconds: float


async def pull(mirror: str, registry: str, repository: str, tag: str) -> Pulled:
    """Pull ``repository:tag`` of ``registry`` through the node whose proxy is at ``mirror``.

    Raises `WrongContent` for a wrong digest, `Unavailable` when anything but content comes.
    """
    started = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=1 << 20) as session:
        client = _Client(session, f"{mirror}/v2/{repository}", registry)
        try:
            manifest = await client.manifest(tag)
            async with asyncio.TaskGroup() as tasks:
                blobs = [
                    tasks.create_task(client.blob(digest), name=f"pull-{digest[7:19]}")
                    for digest in _blobs_of(manifest)
                ]
        except (BaseExceptionGroup, aiohttp.ClientError, TimeoutError) as error:
            first = first_error(error) if isinstance(error, BaseExceptionGroup) else error
            if isinstance(first, aiohttp.ClientError | TimeoutError):
                raise Unavailable(f"the pull through {mirror} failed: {first!r}") from error
            raise first from None
    return Pulled(
        manifest=digest_of(manifest),
        sizes=dict(task.result() for task in blobs),
        seconds=time.monotonic() - started,
    )


class _Client:
    """Asks one mirror for one repository."""

    def __init__(self, session: aiohttp.ClientSession, base: str, registry: str) -> None:
        self._session = session
        self._base = base
        self._query = {"ns": registry}
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def manifest(self, tag: str) -> bytes:
        """The manifest, checked against the digest that the node gives for it."""
        url, headers = f"{self._base}/manifests/{tag}", {"Accept": MANIFEST_TYPE}
        async with self._session.get(url, params=self._query, headers=headers) as answer:
            await _expect_content(answer)
            body = await answer.read()
            if digest_of(body) != answer.headers.get("Docker-Content-Digest"):
                raise WrongContent(f"{url}: the manifest is not the one that its digest names")
            return body

    async def blob(self, digest: Digest) -> tuple[Digest, int]:
        """The size of a blob, whose bytes came and are right."""
        url, count, found = f"{self._base}/blobs/{digest}", 0, hashlib.sha256()
        async with self._slots, self._session.get(url, params=self._query) as answer:
            await _expect_content(answer)
            async for chunk in answer.content.iter_any():
                count += len(chunk)
                found.update(chunk)
        if f"sha256:{found.hexdigest()}" != digest:
            raise WrongContent(f"{url}: {count} bytes came that are not this blob")
        return digest, count


async def _expect_content(answer: aiohttp.ClientResponse) -> None:
    if answer.status != 200:
        raise Unavailable(f"{answer.url} answered {answer.status}: {(await answer.text())[:300]}")


def _blobs_of(manifest: bytes) -> list[Digest]:
    document: dict[str, Any] = json.loads(manifest)
    return [Digest(each["digest"]) for each in (document["config"], *document["layers"])]
