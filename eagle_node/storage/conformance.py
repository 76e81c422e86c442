"""What every blob store does, as tests.

For a driver's own test suite (pytest with pytest-asyncio in auto mode)::

    class TestMyStorage(StorageConformance):
        @pytest.fixture
        async def storage(self) -> AsyncIterator[Storage]:
            async with open_mine("mine://…") as storage:
                yield storage

Each test gets a store that is empty. Needs no pytest to be imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from eagle_node.base.errors import EagleError, Unavailable
from eagle_node.storage.interface import BlobNotFound, ObjectInfo, Storage

MIB = 1 << 20
NAME = "sha256/ab/" + "ab" * 32
LARGE = bytes(range(256)) * (20 * MIB // 256) + b"tail"
"""More than any driver sends in one piece."""


class StorageConformance:
    """Subclass it, name the subclass ``Test…``, and give it a fixture ``storage``."""

    async def test_a_blob_comes_back_as_it_was_stored(self, storage: Storage) -> None:
        """Upload, stat and download agree."""
        await storage.upload(NAME, _cut(b"blob", 1), size=4)
        assert await storage.stat(NAME) == ObjectInfo(name=NAME, size=4)
        assert await _read(storage.download(NAME)) == b"blob"

    async def test_a_large_blob_comes_back_as_it_was_stored(self, storage: Storage) -> None:
        """Blobs of many parts, cut at odd places, are put together in order."""
        await storage.upload(NAME, _cut(LARGE, MIB + 7), size=len(LARGE))
        assert (await storage.stat(NAME)).size == len(LARGE)
        assert await _read(storage.download(NAME)) == LARGE
        assert (
            await _read(storage.download(NAME, start=9 * MIB - 1, stop=17 * MIB))
            == (LARGE[9 * MIB - 1 : 17 * MIB])
        )

    async def test_an_empty_blob_is_a_blob(self, storage: Storage) -> None:
        """Nothing can be stored, and is found."""
        await storage.upload(NAME, _cut(b"", 1), size=0)
        assert (await storage.stat(NAME)).size == 0
        assert await _read(storage.download(NAME)) == b""

    async def test_ranges_are_slices(self, storage: Storage) -> None:
        """Any range gives what a slice of the blob would."""
        blob = b"0123456789"
        await storage.upload(NAME, _cut(blob, 3), size=10)
        ranges = [(0, None), (0, 1), (3, 7), (9, 10), (4, None), (4, 99), (5, 5), (10, None)]
        ranges += [(10, 12), (11, None), (50, 60)]
        for start, stop in ranges:
            assert await _read(storage.download(NAME, start=start, stop=stop)) == blob[start:stop]

    async def test_what_is_not_there_is_not_found(self, storage: Storage) -> None:
        """Stat, download and metainfo of an unknown name raise `BlobNotFound`."""
        with _raises(BlobNotFound):
            await storage.stat(NAME)
        with _raises(BlobNotFound):
            await _read(storage.download(NAME))
        with _raises(BlobNotFound):
            await _read(storage.download(NAME, start=5, stop=5))
        with _raises(BlobNotFound):
            await storage.metainfo(NAME)

    async def test_an_upload_replaces(self, storage: Storage) -> None:
        """The last upload of a name wins, whatever the sizes."""
        await storage.upload(NAME, _cut(b"longer", 2), size=6)
        await storage.upload(NAME, _cut(b"new", 2), size=3)
        assert await _read(storage.download(NAME)) == b"new"

    async def test_a_failed_upload_leaves_nothing(self, storage: Storage) -> None:
        """The source's own error arrives, and no part of the blob is visible."""
        for good in (1, 12):
            with _raises(_SourceError):
                await storage.upload(NAME, _failing(good), size=20 * MIB)
            with _raises(BlobNotFound):
                await storage.stat(NAME)
        assert await _names(storage) == []

    async def test_a_failed_upload_leaves_what_was_there(self, storage: Storage) -> None:
        """A blob is not harmed by a later upload that fails."""
        await storage.upload(NAME, _cut(b"old", 1), size=3)
        with _raises(_SourceError):
            await storage.upload(NAME, _failing(12), size=20 * MIB)
        assert await _read(storage.download(NAME)) == b"old"

    async def test_an_upload_of_another_size_leaves_nothing(self, storage: Storage) -> None:
        """Too few or too many bytes are refused, in small blobs and in large ones."""
        for blob, size in ((b"four", 3), (b"four", 5), (LARGE, len(LARGE) + 1), (LARGE, 9 * MIB)):
            with _raises(Unavailable):
                await storage.upload(NAME, _cut(blob, MIB), size=size)
            with _raises(BlobNotFound):
                await storage.stat(NAME)

    async def test_a_cancelled_upload_leaves_nothing(self, storage: Storage) -> None:
        """Stopping the node in the middle of an upload leaves no part of a blob visible."""
        begun = asyncio.Event()
        upload = asyncio.ensure_future(storage.upload(NAME, _hanging(12, begun), size=len(LARGE)))
        await begun.wait()
        upload.cancel()
        await asyncio.wait([upload])
        assert upload.cancelled()
        with _raises(BlobNotFound):
            await storage.stat(NAME)
        assert await _names(storage) == []

    async def test_metainfo_is_kept_beside_its_blob(self, storage: Storage) -> None:
        """The companion comes before or after the blob, is replaced, and is no blob itself."""
        await storage.create_with_metainfo(NAME, b"d4:infodee")
        with _raises(BlobNotFound):
            await storage.stat(NAME)
        await storage.upload(NAME, _cut(b"blob", 4), size=4)
        assert await storage.metainfo(NAME) == b"d4:infodee"
        await storage.create_with_metainfo(NAME, b"")
        assert await storage.metainfo(NAME) == b""
        assert await _read(storage.download(NAME)) == b"blob"
        assert await _names(storage) == [NAME]

    async def test_delete_removes_blob_and_metainfo(self, storage: Storage) -> None:
        """Nothing of a deleted blob is left, and deleting it again is no error."""
        await storage.upload(NAME, _cut(b"blob", 4), size=4)
        await storage.create_with_metainfo(NAME, b"d4:infodee")
        for _ in range(2):
            await storage.delete(NAME)
            with _raises(BlobNotFound):
                await storage.stat(NAME)
            with _raises(BlobNotFound):
                await storage.metainfo(NAME)
        assert await _names(storage) == []

    async def test_list_knows_whole_segments(self, storage: Storage) -> None:
        """A prefix names a level, not the beginning of a name."""
        for name in ("a/b/1", "a/b/2", "a/bc/3", "d"):
            await storage.upload(name, _cut(name.encode(), 9), size=len(name))
        assert await _names(storage) == ["a/b/1", "a/b/2", "a/bc/3", "d"]
        assert await _names(storage, "a") == ["a/b/1", "a/b/2", "a/bc/3"]
        assert await _names(storage, "a/b") == ["a/b/1", "a/b/2"]
        assert await _names(storage, "a/b/1") == []
        assert await _names(storage, "nothing/here") == []
        assert [info async for info in storage.list("a/bc")] == [ObjectInfo(name="a/bc/3", size=6)]

    async def test_list_is_complete(self, storage: Storage) -> None:
        """More blobs than fit into one answer are all listed, once."""
        names = [f"many/{number:04}" for number in range(150)]
        await asyncio.gather(*(storage.upload(name, _cut(b"x", 1), size=1) for name in names))
        assert await _names(storage, "many") == names

    async def test_names_stay_inside(self, storage: Storage) -> None:
        """What cannot name an object is refused before anything is touched."""
        for name in (
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "../a",
            "a/../b",
            "a\\b",
            "a\0",
            "ä",
            "a?b",
            "a%2e",
        ):
            with _raises(ValueError):
                await storage.stat(name)
            with _raises(ValueError):
                await storage.upload(name, _cut(b"", 1), size=0)
            with _raises(ValueError):
                await storage.delete(name)

    async def test_many_at_once(self, storage: Storage) -> None:
        """Concurrent uploads and downloads do not mix."""
        blobs = {f"c/{number}": bytes([number]) * (number * 1000) for number in range(20)}
        await asyncio.gather(
            *(storage.upload(name, _cut(blob, 999), size=len(blob)) for name, blob in blobs.items())
        )
        read = await asyncio.gather(*(_read(storage.download(name)) for name in blobs))
        assert read == list(blobs.values())

    async def test_concurrent_uploads_of_one_name_leave_one_of_them(self, storage: Storage) -> None:
        """Two seeders that keep the same blob at once: one succeeds, the other may be told no."""
        one, two = b"1" * (9 * MIB), b"2" * (9 * MIB)
        ends = await asyncio.gather(
            *(storage.upload(NAME, _cut(blob, MIB), size=len(blob)) for blob in (one, two)),
            return_exceptions=True,
        )
        assert None in ends
        assert all(end is None or isinstance(end, Unavailable) for end in ends)
        assert await _read(storage.download(NAME)) in (one, two)

    async def test_a_download_can_be_left(self, storage: Storage) -> None:
        """A reader that goes away early disturbs nobody."""
        await storage.upload(NAME, _cut(LARGE, MIB), size=len(LARGE))
        async for _ in storage.download(NAME):
            break
        assert await _read(storage.download(NAME, stop=3)) == LARGE[:3]


class _SourceError(EagleError):
    """What the source of an upload raises."""


@contextmanager
def _raises(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


async def _cut(blob: bytes, length: int) -> AsyncIterator[bytes]:
    for offset in range(0, len(blob), length):
        yield blob[offset : offset + length]


async def _failing(good: int) -> AsyncIterator[bytes]:
    for _ in range(good):
        yield bytes(MIB)
    raise _SourceError("the source failed")


async def _hanging(good: int, begun: asyncio.Event) -> AsyncIterator[bytes]:
    for _ in range(good):
        yield bytes(MIB)
    begun.set()
    await asyncio.Event().wait()


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def _names(storage: Storage, prefix: str = "") -> list[str]:
    return sorted([info.name async for info in storage.list(prefix)])
