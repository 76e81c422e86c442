"""What a node's cache holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """A blob in the cache, on its way there, or in containerd's store."""

    digest: str
    size: int
    have_bytes: int
    """Verified bytes; ``size`` once the blob is whole."""
    image: str = ""
    """An image that it belongs to, as this node was last asked for it; empty: not known."""
    pinned: bool = False
    """Whether it stays until it is unpinned."""
    whole: bool = True
    """False: it is on its way."""
    source: str = "cache"
    """Where it lies: ``cache``, or ``containerd`` when only containerd's store has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """``/v1/blobs``: one page of what was asked for."""

    blobs: tuple[BlobRow, ...]
    total: int = 0
    """Blobs that match, on all pages."""
    total_bytes: int = 0
    """Their sizes together."""
    offset: int = 0
    """Matching blobs before this page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobAction:
    """What came of an action on a blob."""

    digest: str
    action: str
    """``pin``, ``unpin``, ``evict`` or ``verify``."""
    text: str
    """For people."""
