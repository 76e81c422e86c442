"""Writes parts of segments, readable as they come."""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import Self

from eagle_node.base.errors import NoSpace, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.demand import BLOCK
from eagle_node.runtime.threads import finish_in_thread

_RESERVE = 1 << 20
"""Bytes that room is made for at a time: a reader may lose interest in the rest."""


class PartWriter:
    """Appends to one run of a segment's part file; a context manager."""

    def __init__(self, cache: Cache, arrival: Arrival, run: ByteRange) -> None:
        self._cache = cache
        self._arrival = arrival
        self._run = run
        self._segment = arrival.layout.at(run.start)
        self._reserved = run.start
        self._file = -1
        self.offset = run.start
        """Where the next byte goes."""

    def __enter__(self) -> Self:
        path = self._arrival.directory.part(self._segment.index)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_error(error, str(path)) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        os.close(self._file)

    @property
    def wanted(self) -> bool:
        """Whether more of the run is to come: a reader waits for its next byte.

        The last block comes in any case: leaving it would cost the connection that carries it.
        """
        left = self._run.stop - self.offset
        return 0 < left <= BLOCK or (left > 0 and self._arrival.wants_part(self.offset))

    async def write(self, data: bytes) -> None:
        """Append; bytes beyond the run are passed over. `NoSpace` or `Unavailable`."""
        data = data[: self._run.stop - self.offset]
        stop = self.offset + len(data)
        if stop > self._reserved:
            ahead = min(self._run.stop, max(stop, self.offset + _RESERVE))
            self._cache.reserve_part(self._arrival, ByteRange(self.offset, ahead))
            self._reserved = ahead
        try:
            await finish_in_thread(_write_at, self._file, data, self.offset - self._segment.start)
        except OSError as error:
            path = self._arrival.directory.part(self._segment.index)
            raise disk_error(error, str(path)) from error
        self._arrival.part_grew(ByteRange(self.offset, stop))
        self.offset = stop


def disk_error(error: OSError, path: str) -> Unavailable:
    """What a failed write means: `NoSpace` when the disk is full."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"the disk is full: cannot write {path}")
    return Unavailable(f"cannot write {path}: {error.strerror}")


def _write_at(file: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written
