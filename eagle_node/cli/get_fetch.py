"""Verified downloads from the node's proxy: resumed, and under their final name only when whole."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

import aiohttp
from yarl import URL

from eagle_node.base.digest import Digest, digest_of, parse_digest
from eagle_node.base.errors import EagleError, Unavailable, WrongContent
from eagle_node.registry.image_reference import ImageReference
from eagle_node.registry.names import Repository
from eagle_node.runtime.sockets import in_words

_SILENCE_S = 120.0
"""A node that sends nothing for so long is given up; it has tried all its sources by then."""
_CHUNK = 1 << 20
_ATTEMPTS = 3
"""For a download that breaks off; each goes on where the one before it ended."""
MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

Progress = Callable[[int], None]
"""Hears of each run of bytes."""


class Refused(EagleError):
    """The node, or the origin behind it, does not give what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """As it came, verified."""

    digest: Digest
    media_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where at the proxy something is, and what it is."""

    path: str
    query: Mapping[str, str]
    digest: Digest
    size: int | None = None
    """Bytes, where that is known."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a file is."""

    digest: Digest
    size: int
    trust: str
    """``first``: recorded by this very call; ``recorded`` before; ``new``: recorded anew."""


def blob_source(repository: Repository, digest: Digest, size: int | None = None) -> Source:
    """A blob of a repository."""
    return Source(
        f"/v2/{repository.name}/blobs/{digest}", {"ns": repository.registry}, digest, size
    )


def file_source(url: str, digest: Digest, size: int | None = None) -> Source:
    """A file of an HTTP server."""
    return Source("/eagle/v1/file", {"url": url, "digest": digest}, digest, size)


class Fetcher:
    """Asks the proxy at ``proxy``; an async context. ``authorization`` is shown to the origin."""

    def __init__(self, proxy: str, *, authorization: str | None = None) -> None:
        self._proxy = proxy.rstrip("/")
        self._headers = {"X-Eagle-Node": "get", "Accept-Encoding": "identity"}
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=_SILENCE_S)
        self._session = aiohttp.ClientSession(
            timeout=timeout, headers=self._headers, read_bufsize=_CHUNK, auto_decompress=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def manifest(self, image: ImageReference) -> Manifest:
        """A manifest or index; `Refused`, `Unavailable` or `WrongContent`."""
        path = f"/v2/{image.repository.name}/manifests/{image.reference}"
        query = {"ns": image.repository.registry}
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        async with self._get(path, query, headers) as answer:
            body, media_type = await answer.read(), answer.content_type
        digest = digest_of(body)
        if ":" in image.reference and digest != image.reference:
            raise WrongContent(f"asked for {image} and got {digest}")
        return Manifest(digest=digest, media_type=media_type, body=body)

    async def look(self, url: str, *, trust_new: bool, progress: Callable[[int], None]) -> Looked:
        """What the file at ``url`` is, as it was at its first fetch; `Refused` if it is not.

        ``progress`` hears how many bytes have come so far, where it has to be read for that.
        """
        assert self._session is not None, "used outside of its `async with`"
        query = {"url": url, **({"trust": "new"} if trust_new else {})}
        with self._translated():
            answer = await self._session.post(URL(self._proxy + "/eagle/v1/look").with_query(query))
        try:
            await self._refuse(answer)
            while True:
                with self._translated():
                    line = await answer.content.readline()
                match json.loads(line or b"{}"):
                    case {"received": int(received)}:
                        progress(received)
                    case {"digest": str(digest), "size": int(size), "trust": str(trust)}:
                        return Looked(parse_digest(digest), size, trust)
                    case {"error": str(told), "status": int(status)}:
                        raise (Unavailable if status >= 500 else Refused)(told)
                    case _:
                        raise Unavailable(f"{self._proxy} broke off before it told the digest")
        finally:
            answer.release()

    async def to_file(self, source: Source, path: Path, progress: Progress) -> int:
        """Bring ``source`` to ``path``; what is there of it already is kept. Its size.

        Until it is whole and verified it is ``.NAME.part`` beside it, which a later call goes on
        with; what has the wrong digest is removed.
        """
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("a+b") as file:
                _claim(file, path)
                try:
                    size = await self._fill(source, file, progress)
                    file.flush()
                    await asyncio.to_thread(os.fsync, file.fileno())
                    os.replace(part, path)
                except WrongContent:
                    part.unlink(missing_ok=True)
                    raise
                finally:
                    if not os.fstat(file.fileno()).st_size:
                        part.unlink(missing_ok=True)
        except OSError as error:
            raise EagleError(f"cannot write {part}: {error.strerror}") from error
        return size

    async def to_stream(self, source: Source, stream: BinaryIO | None, progress: Progress) -> int:
        """Write ``source`` to ``stream`` as it comes, or nowhere; its size.

        `WrongContent` can come only after the last byte.
        """
        digest, size = hashlib.sha256(), 0
        async with self._get(source.path, source.query, {}) as answer:
            async for chunk in self._chunks(answer):
                digest.update(chunk)
                size += len(chunk)
                if stream is not None:
                    await asyncio.to_thread(stream.write, chunk)
                progress(len(chunk))
        _check(source, digest.hexdigest())
        return size

    async def _fill(self, source: Source, file: BinaryIO, progress: Progress) -> int:
        digest, size = await asyncio.to_thread(_hash_of, file)
        progress(size)
        for attempt in range(_ATTEMPTS):
            try:
                if source.size is None or size < source.size:
                    headers = {"Range": f"bytes={size}-"} if size else {}
                    async with self._get(source.path, source.query, headers) as answer:
                        if answer.status != 206 and size:
                            file.truncate(0)
                            progress(-size)
                            digest, size = hashlib.sha256(), 0
                        async for chunk in self._chunks(answer):
                            file.write(chunk)
                            digest.update(chunk)
                            size += len(chunk)
                            progress(len(chunk))
                break
            except _PastTheEnd:
                break
            except Unavailable:
                if attempt == _ATTEMPTS - 1:
                    raise
        _check(source, digest.hexdigest())
        return size

    async def _chunks(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        while True:
            with self._translated():
                chunk = await answer.content.read(_CHUNK)
            if not chunk:
                return
            yield chunk

    @contextlib.asynccontextmanager
    async def _get(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "used outside of its `async with`"
        url = URL(self._proxy + path).with_query(query)
        with self._translated():
            answer = await self._session.get(url, headers=headers)
        try:
            await self._refuse(answer)
            yield answer
        finally:
            answer.release()

    async def _refuse(self, answer: aiohttp.ClientResponse) -> None:
        """Raise what an unsuccessful answer means."""
        if answer.status == 416:
            raise _PastTheEnd
        if answer.status not in (200, 206):
            with self._translated():
                told = _message(await answer.read())
            kind = Unavailable if answer.status >= 500 else Refused
            raise kind(f"{answer.status} {answer.reason}: {told}")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(
                f"no node answers at {self._proxy}: {in_words(error)}; start one with "
                "eagle-node run, or name another with --proxy"
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{self._proxy}: {error or 'nothing came for long'}") from error


class _PastTheEnd(EagleError):
    """All bytes are here already."""


def _claim(file: BinaryIO, path: Path) -> None:
    """Have it alone, or say that somebody else writes it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise EagleError(f"another eagle-node get is writing {path}") from error


def _hash_of(file: BinaryIO) -> tuple[hashlib._Hash, int]:
    """Of what a former call left, and its size; the file is at its end then."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest, size


def _check(source: Source, found: str) -> None:
    if f"sha256:{found}" != source.digest:
        raise WrongContent(f"asked for {source.digest} and got sha256:{found}; discarded")


def _message(body: bytes) -> str:
    """The message of an OCI error answer, or its beginning."""
    try:
        return str(json.loads(body)["errors"][0]["message"])
    except (ValueError, LookupError, TypeError):
        return repr(body[:200])
