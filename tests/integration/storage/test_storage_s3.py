"""S3, against a server on loopback (moto)."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from eagle_node.base.errors import Unavailable, UsageError
from eagle_node.storage.conformance import NAME, StorageConformance
from eagle_node.storage.interface import Storage
from eagle_node.storage.obstore_driver import ObstoreStorage
from eagle_node.storage.open import open_storage

MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an S3 server; credentials for it are in the environment."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    with _environment(AWS_ACCESS_KEY_ID="eagle", AWS_SECRET_ACCESS_KEY="secret"):
        yield f"http://{host}:{port}"
    moto.stop()


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
async def storage(server: str) -> AsyncIterator[Storage]:
    """A store with a prefix in an empty bucket."""
    await _request(server, "POST", "/moto-api/reset")
    await _request(server, "PUT", "/blobs")
    async with open_storage(_url(server)) as storage:
        yield storage


def _url(server: str) -> str:
    return f"s3://blobs/eagle/node?endpoint={server}&allow_http=true&region=us-east-1"


async def _request(server: str, method: str, path: str) -> str:
    request = urllib.request.Request(server + path, method=method)

    def call() -> str:
        with urllib.request.urlopen(request) as response:
            return str(response.read().decode())

    return await asyncio.to_thread(call)


class TestS3(StorageConformance):
    """``s3://``"""


async def test_objects_lie_below_the_prefix(storage: Storage, server: str) -> None:
    """Several clusters can share a bucket."""
    await storage.upload(NAME, _chunks(1), size=MIB)
    assert f"<Key>eagle/node/{NAME}</Key>" in await _request(server, "GET", "/blobs")


@pytest.mark.parametrize("error", [RuntimeError("boom"), None], ids=["failed", "cancelled"])
async def test_an_upload_that_ends_early_leaves_no_parts(
    storage: Storage, server: str, error: Exception | None
) -> None:
    """Parts of an upload that is never completed would be invisible, and paid for."""
    sent = asyncio.Event()
    source = _chunks(20, then=error, sent=sent)
    upload = asyncio.ensure_future(storage.upload(NAME, source, size=30 * MIB))
    await sent.wait()
    if error is None:
        upload.cancel()
    await asyncio.wait({upload})
    assert upload.cancelled() or upload.exception() is error
    assert "<UploadId>" not in await _request(server, "GET", "/blobs?uploads")


async def test_a_missing_bucket_is_a_fault_of_the_store(storage: Storage, server: str) -> None:
    """An upload to nowhere is `Unavailable`: the blob was never the problem."""
    await _request(server, "DELETE", "/blobs")
    with pytest.raises(Unavailable, match="does not exist"):
        await storage.upload(NAME, _chunks(1), size=MIB)
    with pytest.raises(Unavailable, match="does not exist"):
        await storage.upload(NAME, _chunks(12), size=12 * MIB)


async def test_a_dead_store_fails_quickly() -> None:
    """A refused connection is `Unavailable` within seconds, for uploads of any size too."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    begun = time.monotonic()
    url = f"s3://blobs?endpoint=http://127.0.0.1:{port}&allow_http=true&skip_signature=true"
    async with open_storage(url) as storage:
        with pytest.raises(Unavailable):
            await storage.stat(NAME)
        with pytest.raises(Unavailable):
            await storage.upload(NAME, _chunks(1), size=MIB)
        with pytest.raises(Unavailable):
            await storage.upload(NAME, _chunks(12), size=12 * MIB)
        with pytest.raises(Unavailable):
            assert [info async for info in storage.list()] == []
    assert time.monotonic() - begun < 30


async def test_a_silent_store_is_given_up() -> None:
    """A store that accepts connections and never answers does not hang its caller."""
    from obstore.store import S3Store

    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        store = S3Store(
            "blobs", endpoint=endpoint, skip_signature=True, client_options={"allow_http": True}
        )
        storage = ObstoreStorage(store, stall_s=0.2)
        with pytest.raises(Unavailable, match="does not answer"):
            await storage.stat(NAME)
        with pytest.raises(Unavailable, match="does not answer"):
            await storage.metainfo(NAME)
        with pytest.raises(Unavailable, match="does not answer"):
            await storage.delete(NAME)
        with pytest.raises(Unavailable, match="does not answer"):
            assert [info async for info in storage.list()] == []


async def _chunks(
    count: int, *, then: Exception | None = None, sent: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(MIB)
    if sent is not None:
        sent.set()
        if then is not None:
            raise then
        await asyncio.Event().wait()


async def test_a_host_without_certificate_authorities_is_told(server: str, tmp_path: Path) -> None:
    """Not even a plain-HTTP bucket opens without them; the error says what is missing."""
    nothing = {"SSL_CERT_FILE": str(tmp_path / "none"), "SSL_CERT_DIR": str(tmp_path)}
    with _environment(**nothing), pytest.raises(UsageError, match="no certificate authorities"):
        open_storage(_url(server))
