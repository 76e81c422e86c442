"""Directories, S3, Google Cloud Storage and Azure Blob Storage, through the obstore library.

Large blobs go up in parts and come down in windows, so that memory is bounded and no single request
has to last longer than its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from eagle_node.base.errors import StartError, Unavailable, UsageError
from eagle_node.storage.interface import COMPANION, BlobNotFound, ObjectInfo, check_name
from eagle_node.storage.obstore_errors import first_line, translated
from eagle_node.storage.store_urls import BucketUrl, parse_bucket_url, parse_file_url
from eagle_node.storage.upload_source import UploadSource

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

T = TypeVar("T")

_PART = 8 << 20
"""Bytes of an uploaded part (S3 wants 5 MiB at least), and the most that goes up in one request."""
_PARTS = 9_000
"""Parts of a blob at the most (S3 allows 10,000)."""
_UPLOADS = 4
"""Parts on their way at a time."""
_WINDOW = 64 << 20
"""Bytes that one download request asks for."""
_CHUNK = 256 << 10
"""Bytes that a download yields at a time, at least."""
_STALL_S = 15.0
"""Seconds without a byte, or without an answer to a small request, that end it."""
_ABORT_S = 3.0
"""Seconds that a cancelled upload has to take its parts back."""
_REQUEST_S = 300.0
"""Seconds that a part or a window may take."""


class ObstoreStorage:
    """A `Storage` over any obstore store."""

    def __init__(self, store: ObjectStore, *, stall_s: float = _STALL_S) -> None:
        self._store = store
        self._stall_s = stall_s

    async def create_with_metainfo(self, name: str, metainfo: bytes) -> None:
        await self._put(check_name(name) + COMPANION, metainfo)

    async def metainfo(self, name: str) -> bytes:
        import obstore

        companion = check_name(name) + COMPANION
        with translated(companion):
            async with asyncio.timeout(self._stall_s):
                found = await obstore.get_async(self._store, companion)
                return bytes(await found.bytes_async())

    async def stat(self, name: str) -> ObjectInfo:
        import obstore

        with translated(check_name(name)):
            async with asyncio.timeout(self._stall_s):
                meta = await obstore.head_async(self._store, name)
        return ObjectInfo(name=name, size=meta["size"])

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int) -> None:
        source = UploadSource(check_name(name), chunks, size=size)
        try:
            if size <= _PART:
                await self._put(name, b"".join([chunk async for chunk in source]))
            else:
                await self._put_parts(name, source, size)
        except BlobNotFound as error:
            if error is source.error:
                raise
            raise Unavailable(f"the place for {name} does not exist: {error}") from error
        finally:
            source.stop()

    async def download(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        size = (await self.stat(name)).size
        stop = size if stop is None else min(stop, size)
        for offset in range(start, stop, _WINDOW):
            async for chunk in self._window(name, offset, min(offset + _WINDOW, stop)):
                yield chunk

    async def delete(self, name: str) -> None:
        import obstore

        for each in (check_name(name), name + COMPANION):
            try:
                with translated(each):
                    async with asyncio.timeout(self._stall_s):
                        await obstore.delete_async(self._store, each)
            except BlobNotFound:
                pass

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        import obstore

        below = check_name(prefix) if prefix else None
        with translated(f"{prefix}/"):
            batches = aiter(obstore.list(self._store, below))
            while (batch := await self._next(batches)) is not None:
                for meta in batch:
                    if not meta["path"].endswith(COMPANION):
                        yield ObjectInfo(name=meta["path"], size=meta["size"])

    async def aclose(self) -> None:
        """Connections belong to the library's own pool, which closes idle ones."""

    async def _put(self, name: str, content: bytes) -> None:
        import obstore

        with translated(name):
            async with asyncio.timeout(_REQUEST_S):
                await obstore.put_async(self._store, name, content, use_multipart=False)

    async def _put_parts(self, name: str, source: UploadSource, size: int) -> None:
        import obstore

        upload = asyncio.ensure_future(
            obstore.put_async(
                self._store,
                name,
                source,
                chunk_size=max(_PART, -(-size // _PARTS)),
                max_concurrency=_UPLOADS,
            )
        )
        try:
            await asyncio.wait({upload})
        except asyncio.CancelledError:
            source.stop()
            await asyncio.wait({upload}, timeout=_ABORT_S)
            raise
        finally:
            upload.cancel()
        if source.error is not None:
            raise source.error from upload.exception()
        with translated(name):
            upload.result()

    async def _window(self, name: str, start: int, stop: int) -> AsyncIterator[bytes]:
        import obstore

        with translated(name):
            async with asyncio.timeout(self._stall_s):
                found = await obstore.get_async(self._store, name, options={"range": (start, stop)})
            left = stop - start
            chunks = aiter(found.stream(min_chunk_size=_CHUNK))
            while (chunk := await self._next(chunks)) is not None:
                left -= len(chunk)
                yield bytes(chunk)
        if left:
            raise Unavailable(f"{name} became shorter while it was read")

    async def _next(self, items: AsyncIterator[T]) -> T | None:
        """The next item; None: there is no more. TimeoutError when it does not come."""
        async with asyncio.timeout(self._stall_s):
            return await anext(items, None)


def open_file(url: str) -> AbstractAsyncContextManager[ObstoreStorage]:
    """``file:///DIRECTORY``, which is made if it is not there; `StartError` when it cannot be."""
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore

    directory = parse_file_url(url)
    try:
        return aclosing(ObstoreStorage(LocalStore(str(directory), mkdir=True)))
    except (BaseError, OSError) as error:
        raise StartError(
            f"cannot use blob store {directory} (--storage): {first_line(error)}"
        ) from error


def open_s3(url: str) -> AbstractAsyncContextManager[ObstoreStorage]:
    """``s3://BUCKET/PREFIX``; credentials and region from ``AWS_*`` or the instance's role."""
    from obstore.store import S3Store

    place = parse_bucket_url(url)
    settings: dict[str, Any] = {**place.settings}
    if place.endpoint is not None:
        settings["endpoint"] = place.endpoint
    return _opened(S3Store, place, place.host, place.path, settings)


def open_gcs(url: str) -> AbstractAsyncContextManager[ObstoreStorage]:
    """``gs://BUCKET/PREFIX``; credentials from ``GOOGLE_*`` or the instance's service account."""
    from obstore.store import GCSStore

    place = parse_bucket_url(url)
    settings: dict[str, Any] = {} if place.endpoint is None else {"base_url": place.endpoint}
    if place.skip_signature:
        # Without it the library asks the instance's metadata server for a token all the same.
        settings["credential_provider"] = _no_token
    return _opened(GCSStore, place, place.host, place.path, settings)


def open_azure(url: str) -> AbstractAsyncContextManager[ObstoreStorage]:
    """``az://ACCOUNT/CONTAINER/PREFIX``; credentials from ``AZURE_*`` or the managed identity."""
    from obstore.store import AzureStore

    place = parse_bucket_url(url)
    container, _, prefix = place.path.partition("/")
    if not container:
        raise UsageError(f"--storage {url!r} names no container; write az://ACCOUNT/CONTAINER")
    settings = {"account_name": place.host}
    if place.endpoint is not None:
        settings["endpoint"] = place.endpoint
    return _opened(AzureStore, place, container, prefix, settings)


def _no_token() -> dict[str, Any]:
    return {"token": "", "expires_at": None}


def _opened(
    kind: Any, place: BucketUrl, bucket: str, prefix: str, settings: dict[str, Any]
) -> AbstractAsyncContextManager[ObstoreStorage]:
    """Environment variables come first: an option that is not in the URL must not be passed on."""
    from obstore.exceptions import BaseError

    client: ClientConfig = {
        "allow_http": place.allow_http,
        "connect_timeout": timedelta(seconds=3),
        "timeout": timedelta(seconds=_REQUEST_S),
        "user_agent": "eagle-node",
    }
    retries: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
    if place.skip_signature:
        settings["skip_signature"] = True
    try:
        store: ObjectStore = kind(
            bucket,
            prefix=prefix or None,
            client_options=client,
            retry_config=retries,
            **settings,
        )
    except (BaseError, ValueError) as error:
        raise UsageError(f"--storage cannot be opened: {first_line(error)}") from error
    return aclosing(ObstoreStorage(store))
