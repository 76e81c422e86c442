"""Writes an in-order stream of bytes into the segment files of a transfer."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from eagle_node.blobs.parts import disk_error
from eagle_node.blobs.segments import Segment
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.swarm.transfer import Transfer


class SegmentWriter:
    """Appends to one segment after the other, from a segment's start or from where it left off.

    Bytes are readable as soon as they are written; a segment is offered to peers once it is whole.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._segment: Segment | None = None
        self._file = -1
        self._written = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._segment is not None:
            self._transfer.arrival.lost(self._segment.index)
        self._close()

    @property
    def position(self) -> int | None:
        """Offset of the next byte of the open segment; None between segments."""
        return None if self._segment is None else self._segment.start + self._written

    def open(self, index: int) -> None:
        """Start a segment afresh; a file that somebody else may still write to is left behind."""
        transfer = self._transfer
        transfer.reserve(index)
        path = transfer.arrival.directory.segment(index)
        try:
            path.unlink(missing_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_error(error, str(path)) from error
        self._segment = transfer.arrival.layout.segments[index]
        self._written = 0
        transfer.arrival.writing.add(index)

    async def write(self, data: bytes) -> bytes:
        """Append; returns what is left over once the open segment is whole (and now closed)."""
        segment = self._segment
        assert segment is not None, "open() comes first"
        count = min(len(data), segment.length - self._written)
        try:
            await finish_in_thread(_append, self._file, memoryview(data)[:count])
        except OSError as error:
            path = self._transfer.arrival.directory.segment(segment.index)
            raise disk_error(error, str(path)) from error
        self._written += count
        if self._written < segment.length:
            self._transfer.arrival.grew(segment.index, self._written)
            return b""
        self._close()
        await self._transfer.segment_written(segment.index)
        return data[count:]

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._segment = None


def _append(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]
