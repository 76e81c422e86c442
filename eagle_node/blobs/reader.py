"""Bytes of a blob, whole or arriving, as slices of open files that a socket can send directly."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival
from eagle_node.blobs.demand import demand_for
from eagle_node.blobs.files import BlobDirectory
from eagle_node.blobs.segments import Layout, Segment
from eagle_node.metrics.instruments import Source


@dataclass(frozen=True, slots=True)
class FileSlice:
    """``length`` bytes of an open file from ``offset``; valid until the next slice is asked for."""

    file: BinaryIO
    offset: int
    length: int


class BlobReader:
    """One client's view of a blob; close it to let go of the pin."""

    def __init__(
        self,
        directory: BlobDirectory,
        layout: Layout,
        arrival: Arrival | None,
        release: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._layout = layout
        self._arrival = arrival
        self._release: Callable[[], None] | None = release
        if arrival is not None:
            arrival.readers += 1

    @property
    def digest(self) -> Digest:
        """The blob's digest."""
        return self._directory.digest

    @property
    def size(self) -> int:
        """Bytes of the whole blob."""
        return self._layout.size

    @property
    def source(self) -> Source:
        """Where the bytes come from at this moment."""
        return "local" if self._arrival is None else self._arrival.source

    def close(self) -> None:
        """Let go of the pin; harmless when repeated."""
        if self._release is not None:
            self._release()
            self._release = None
            if self._arrival is not None:
                self._arrival.readers -= 1
                self._arrival.woke()

    @contextmanager
    def expecting(self, ranges: Sequence[ByteRange]) -> Iterator[None]:
        """While the block lasts all of ``ranges`` are fetched, not only the one being read."""
        wanted = {object(): demand_for(each) for each in ranges} if len(ranges) > 1 else {}
        if self._arrival is None or not wanted:
            yield
            return
        self._arrival.demand.update(wanted)
        self._arrival.woke()
        try:
            yield
        finally:
            for key in wanted:
                del self._arrival.demand[key]
            self._arrival.woke()

    async def slices(self, wanted: ByteRange) -> AsyncGenerator[FileSlice, None]:
        """The bytes of ``wanted`` in order, as they become readable; use it with `aclosing`.

        Raises the arrival's error, or `Unavailable` when a file has been taken away underneath, or
        when a segment of which bytes were given is written anew: they may have been other bytes.
        """
        offset = wanted.start
        with self._demand(wanted):
            while offset < wanted.stop:
                segment = self._layout.at(offset)
                if self._arrival is not None:
                    await self._arrival.readable(offset, wanted.stop)
                rewrites = self._rewrites(segment.index)
                place = self._place(segment, offset)
                with _open(place) as file:
                    last = min(segment.stop, wanted.stop)
                    while offset < last:
                        run = await self._run(offset, last)
                        if self._rewrites(segment.index) != rewrites:
                            raise Unavailable(f"the source of {self.digest} was replaced")
                        if self._place(segment, offset) != place:
                            break
                        yield FileSlice(file, run.start - segment.start, run.length)
                        offset = run.stop
                        self._advance(offset)

    async def read(self, wanted: ByteRange | None = None) -> bytes:
        """The bytes of ``wanted`` (default: all) in memory; for small blobs."""
        parts = []
        async with aclosing(self.slices(wanted or ByteRange(0, self.size))) as slices:
            async for part in slices:
                part.file.seek(part.offset)
                parts.append(part.file.read(part.length))
        return b"".join(parts)

    def _rewrites(self, index: int) -> int:
        return 0 if self._arrival is None else self._arrival.rewrites(index)

    async def _run(self, offset: int, stop: int) -> ByteRange:
        if self._arrival is None:
            return ByteRange(offset, stop)
        return await self._arrival.readable(offset, stop)

    @contextmanager
    def _demand(self, wanted: ByteRange) -> Iterator[None]:
        if self._arrival is not None:
            if wanted.length == self.size:
                self._arrival.want_whole()
            self._arrival.demand[self] = demand_for(wanted)
            self._arrival.woke()
        try:
            yield
        finally:
            if self._arrival is not None:
                self._arrival.demand.pop(self, None)
                self._arrival.woke()

    def _advance(self, offset: int) -> None:
        if self._arrival is not None:
            self._arrival.demand[self].offset = offset

    def _place(self, segment: Segment, offset: int) -> Path:
        if self._arrival is not None:
            return self._arrival.place(offset)
        return self._directory.segment(segment.index)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unavailable(f"cached segment {path.name} cannot be read: {error}") from error
    with file:
        yield file
