"""The drivers that need no server pass the conformance suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eagle_node.base.errors import NoSpace, StartError, Unavailable
from eagle_node.storage.conformance import NAME, StorageConformance
from eagle_node.storage.interface import BlobNotFound, Storage
from eagle_node.storage.obstore_errors import first_line, translated
from eagle_node.storage.open import open_storage


class TestMemory(StorageConformance):
    """``memory://``"""

    @pytest.fixture
    async def storage(self) -> AsyncIterator[Storage]:
        async with open_storage("memory://") as storage:
            yield storage


class TestDirectory(StorageConformance):
    """``file://``"""

    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        async with open_storage(f"file://{tmp_path}/blob%20store") as storage:
            yield storage

    async def test_blobs_are_files_of_their_names(self, storage: Storage, tmp_path: Path) -> None:
        """An operator finds blobs where their names say, and companions beside them."""
        await storage.upload(NAME, _one(b"blob"), size=4)
        await storage.create_with_metainfo(NAME, b"de")
        assert _files(tmp_path / "blob store") == {NAME: b"blob", NAME + ".metainfo": b"de"}

    async def test_failed_uploads_leave_no_files(self, storage: Storage, tmp_path: Path) -> None:
        """Staging files of an upload in parts go with it."""
        with pytest.raises(Unavailable):
            await storage.upload(NAME, _one(bytes(12 << 20)), size=20 << 20)
        assert _files(tmp_path) == {}

    async def test_blobs_outlast_the_store(self, tmp_path: Path) -> None:
        """A restarted seeder finds what it stored."""
        url = f"file://{tmp_path}/kept"
        async with open_storage(url) as storage:
            await storage.upload(NAME, _one(b"blob"), size=4)
        async with open_storage(url) as storage:
            assert (await storage.stat(NAME)).size == 4

    async def test_a_directory_that_cannot_be_made_stops_the_start(self, tmp_path: Path) -> None:
        """The error names the directory and the flag."""
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StartError, match=r"file/below.*--storage"):
            open_storage(f"file://{tmp_path}/file/below")

    async def test_a_file_in_the_way_is_a_fault_of_the_store(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        """Another source can deliver the blob, so the fault is `Unavailable`."""
        (tmp_path / "blob store" / "sha256").write_bytes(b"")
        with pytest.raises(Unavailable, match="blob store failed"):
            await storage.upload(NAME, _one(b"blob"), size=4)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (FileNotFoundError("gone"), BlobNotFound),
        (TimeoutError(), Unavailable),
        (OSError("Unable to write: No space left on device (os error 28)"), NoSpace),
        (OSError("Unable to write: Disk quota exceeded (os error 122)"), NoSpace),
        (OSError("Unable to write: Input/output error (os error 5)"), Unavailable),
    ],
)
def test_the_librarys_errors_become_ours(raised: Exception, kind: type[Exception]) -> None:
    """Each fault has one class, whatever the driver."""
    with pytest.raises(kind) as caught, translated("a/b"):
        raise raised
    assert type(caught.value) is kind
    assert "a/b" in str(caught.value)


def test_signed_urls_do_not_reach_the_logs() -> None:
    """Queries of URLs in the library's messages are cut; so is its debug text."""
    error = OSError("GET https://a.example/c/blob?sv=1&sig=secret: 403\n\nDebug source: secret")
    assert first_line(error) == "GET https://a.example/c/blob?… 403"


async def test_a_source_that_ends_the_loop_is_passed_on() -> None:
    """A cancellation that the source raises is not mistaken for a fault of the store."""

    async def source() -> AsyncIterator[bytes]:
        yield b"x"
        raise asyncio.CancelledError

    async with open_storage("memory://") as storage:
        with pytest.raises(asyncio.CancelledError):
            await storage.upload(NAME, source(), size=5)


async def _one(blob: bytes) -> AsyncIterator[bytes]:
    yield blob


def _files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
