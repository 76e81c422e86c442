"""What a downloader gets, by what it advertises: enough to see that it is not as slow as thought.

Never that it is slow: it may wait for others.
"""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import unpack

_LEAST_S = 2.0
_LEAST_SEGMENTS = 4
"""Whole segments are seen only: so many make the error a quarter."""


@dataclass(frozen=True, slots=True)
class Had:
    """How much of a blob a node had, and when."""

    segments: int
    size: int
    """Bytes."""
    at: float


def had(blob_size: int, have: bytes, now: float) -> Had:
    """What a bitmap stands for."""
    segments = layout_of(blob_size).segments
    numbers = unpack(have)
    return Had(len(numbers), sum(segments[number].length for number in numbers), now)


def gained(since: Had, until: Had) -> int | None:
    """Bytes/s in between; None: it is too short to tell."""
    elapsed_s = until.at - since.at
    if elapsed_s < _LEAST_S or until.segments - since.segments < _LEAST_SEGMENTS:
        return None
    return int((until.size - since.size) / elapsed_s)
