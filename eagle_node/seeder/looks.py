"""Finds out what files of web servers are, and keeps what it fetched for that.

A file has no digest before all of it was read. So it is read once, into a file of the cache that
has no name, hashed on its way, and taken in as the blob that it then turns out to be: who asks for
it next gets it from here. What has not changed since (`FileState.validator`) is not read again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import BinaryIO, Self

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Denied, EagleError, NoSpace, Unavailable
from eagle_node.blobs.cache import Cache
from eagle_node.config.tree import SeederConfig
from eagle_node.metainfo.file_messages import FoundEvent, LookReply, LookRequest
from eagle_node.metainfo.messages import BeatEvent
from eagle_node.registry.access import Access
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.file_ref import FileFound, FileRef, FileState
from eagle_node.registry.file_store import FileStore
from eagle_node.registry.names import BadName, parse_registry
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.context import request_id
from eagle_node.runtime.singleflight import SingleFlight
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.seeder.origin import InOrderFill
from eagle_node.seeder.source import ByteStream, pause
from eagle_node.swarm.transfers import Transfers

log = logging.getLogger(__name__)

_BEAT_S = 1.0
_READ = 1 << 20


class FileLooks:
    """Looks at files, each once at a time for all who ask.

    Raises `Denied` for what the server refuses to this reader, and `Unavailable`.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        cache: Cache,
        transfers: Transfers,
        access: Access,
        store: FileStore,
        config: SeederConfig,
    ) -> None:
        self._upstream = upstream
        self._cache = cache
        self._transfers = transfers
        self._access = access
        self._store = store
        self._config = config
        self._flights: SingleFlight[str, FileFound] = SingleFlight("file-look")
        self._received: dict[str, int] = {}

    async def look(
        self, file: FileRef, authorization: str | None
    ) -> AsyncGenerator[LookReply, None]:
        """A sign of life each second, then what the file is."""
        async with TaskSet() as tasks:
            finding = tasks.spawn(self._found(file, authorization), name="file-look")
            while not finding.done():
                await asyncio.wait([finding], timeout=_BEAT_S)
                if not finding.done():
                    yield BeatEvent(received=self._received.get(file.name, 0))
            found = finding.result()
            if isinstance(found, EagleError):
                raise found
            yield FoundEvent(digest=found.digest, size=found.size)

    async def _found(self, file: FileRef, authorization: str | None) -> FileFound | EagleError:
        try:
            return await self.find(file, authorization)
        except EagleError as error:
            return error

    async def find(self, file: FileRef, authorization: str | None) -> FileFound:
        """What the file is now; what it was, as long as its server is down and may be believed."""
        try:
            state = await self._upstream.file_state(file, authorization)
        except Unavailable:
            old = await self._store.seen(file.name)
            if old is None:
                raise
            await self._access.check(file.blob(old.digest), authorization)
            return old
        found = await self._store.seen(file.name, state)
        if found is None:
            found = await self._fetched(file, authorization, state)
        self._access.remember_yes(file.blob(found.digest), authorization, size=found.size)
        return found

    async def _fetched(
        self, file: FileRef, authorization: str | None, state: FileState
    ) -> FileFound:
        """What one fetch for all finds; a refusal is for the reader in whose name that was."""
        while True:
            own = False

            def fetch() -> Awaitable[FileFound]:
                nonlocal own
                own = True
                return self._fetch(file, authorization, state)

            try:
                return await self._flights.run(file.name, fetch)
            except Denied as error:
                if own:
                    raise
                log.info("%s was refused to whoever asked for it first: %s", file, error)

    async def _fetch(self, file: FileRef, authorization: str | None, state: FileState) -> FileFound:
        if state.size is None:
            raise Unavailable(
                f"registry {file.registry} does not tell the size of file {file}; name its digest"
            )
        reading = _Reading(self._upstream, file, authorization, state.size)
        self._received[file.name] = 0
        try:
            async with self._room(file, state.size) as held:
                digest = await reading.run(held, self._config.origin_retries, self._came(file))
                if await self._upstream.file_state(file, authorization) != state:
                    raise Unavailable(f"file {file} changed while it was read; ask again")
                if held is not None:
                    await self._take_in(digest, held, state.size)
        finally:
            del self._received[file.name]
        found = FileFound(digest=digest, size=state.size)
        await self._store.saw(file.name, found, state.validator)
        log.info("file %s is %s", file, digest)
        return found

    def _came(self, file: FileRef) -> Callable[[int], None]:
        def came(count: int) -> None:
            self._received[file.name] = count

        return came

    @asynccontextmanager
    async def _room(self, file: FileRef, size: int) -> AsyncIterator[BinaryIO | None]:
        """Where the file is kept until its digest is known; nowhere when there is no room."""
        async with AsyncExitStack() as stack:
            held = None
            try:
                self._cache.check_room()
                held = await stack.enter_async_context(self._cache.hold(size))
            except NoSpace as error:
                log.warning("file %s is read but not kept: %s", file, error)
            yield held

    async def _take_in(self, digest: Digest, held: BinaryIO, size: int) -> None:
        with ExitStack() as stack:
            file = stack.enter_context(HeldFile(held, size))
            source = InOrderFill(file, self._config)
            transfer = await self._transfers.start(digest, source, whole=True)
            if transfer is None:
                return
            # It goes on when whoever looked has gone.
            unneeded = stack.pop_all().close
            transfer.finished.add_done_callback(lambda _: unneeded())
        try:
            await transfer.wait_finished()
        except NoSpace as error:
            log.warning("file %s was read and cannot be kept: %s", digest, error)


class FileLookService:
    """`FileLooks` as the handler behind the Files service; strangers show what they have."""

    def __init__(self, looks: FileLooks) -> None:
        self._looks = looks

    def look(self, request: LookRequest) -> AsyncGenerator[LookReply, None]:
        """Signs of life, then what the file is."""
        request_id.set(request.request_id)
        if not request.path.startswith("/") or not request.path.isprintable():
            raise BadName(f"{request.path[:200]!r} is not a path")
        file = FileRef(parse_registry(request.registry), request.path)
        return self._looks.look(file, request.authorization or ANYBODY)


class _Reading:
    """Reads a file from its server once, resumed where it broke off."""

    def __init__(
        self, upstream: Upstream, file: FileRef, authorization: str | None, size: int
    ) -> None:
        self._upstream = upstream
        self._file = file
        self._authorization = authorization
        self._size = size
        self._offset = 0
        self._digest = hashlib.sha256()

    async def run(self, held: BinaryIO | None, retries: int, came: Callable[[int], None]) -> Digest:
        """The digest; the bytes go to ``held``, their count to ``came``."""
        failures = 0
        while self._offset < self._size or not self._size:
            before = self._offset
            try:
                await self._connection(held, came)
                break
            except Unavailable as error:
                failures = 1 if self._offset > before else failures + 1
                if failures > retries:
                    raise
                log.info("resuming file %s at %d: %s", self._file, self._offset, error)
                await pause(failures)
        return Digest(f"sha256:{self._digest.hexdigest()}")

    async def _connection(self, held: BinaryIO | None, came: Callable[[int], None]) -> None:
        opened = self._upstream.open_file(
            self._file, start=self._offset, authorization=self._authorization
        )
        async with opened as stream:
            if stream.size != self._size:
                raise Unavailable(f"file {self._file} changed while it was read; ask again")
            async for chunk in stream.chunks():
                await finish_in_thread(self._take, held, chunk)
                came(self._offset)

    def _take(self, held: BinaryIO | None, chunk: bytes) -> None:
        self._digest.update(chunk)
        if held is not None:
            os.pwrite(held.fileno(), chunk, self._offset)
        self._offset += len(chunk)


class HeldFile:
    """A file that is here, as a `ByteSource`; a context that keeps it open."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        """``file`` is of ``size`` bytes, and may be closed before this ends."""
        self._file = os.dup(file.fileno())
        self._size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        self._file = -1

    @asynccontextmanager
    async def open(self, start: int, stop: int | None) -> AsyncIterator[ByteStream]:
        yield _HeldStream(self, start, self._size if stop is None else stop, self._size)

    def read(self, count: int, offset: int) -> bytes:
        """At most ``count`` bytes, one at least; `Unavailable` if there are none."""
        try:
            data = os.pread(self._file, count, offset)
        except OSError as error:
            raise Unavailable(f"cannot read a file that was looked at: {error.strerror}") from error
        if not data:
            raise Unavailable("a file that was looked at became shorter")
        return data


class _HeldStream:
    def __init__(self, file: HeldFile, start: int, stop: int, size: int) -> None:
        self._file = file
        self._start = start
        self._stop = min(stop, size)
        self.size = size

    async def chunks(self) -> AsyncIterator[bytes]:
        offset = self._start
        while offset < self._stop:
            wanted = min(_READ, self._stop - offset)
            chunk = await finish_in_thread(self._file.read, wanted, offset)
            offset += len(chunk)
            yield chunk
