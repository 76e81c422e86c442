"""Which blobs to drop when room is needed: least recently used first, never one that is pinned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eagle_node.base.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A committed blob as the policy sees it."""

    size: int
    """Bytes."""
    used: int
    """Recency: larger is later."""


def victims(
    residents: Mapping[Digest, Resident], pinned: Iterable[Digest], needed: int
) -> list[Digest] | None:
    """The blobs to evict to free ``needed`` bytes, oldest first; None when that is impossible."""
    chosen = as_far_as_possible(residents, pinned, needed)
    return chosen if sum(residents[digest].size for digest in chosen) >= needed else None


def as_far_as_possible(
    residents: Mapping[Digest, Resident], pinned: Iterable[Digest], needed: int
) -> list[Digest]:
    """The blobs to evict to free ``needed`` bytes, or all that may be, oldest first."""
    kept = set(pinned)
    chosen: list[Digest] = []
    for digest in sorted(residents, key=lambda each: residents[each].used):
        if needed <= 0:
            break
        if digest not in kept:
            chosen.append(digest)
            needed -= residents[digest].size
    return chosen
