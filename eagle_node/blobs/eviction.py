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
    if needed <= 0:
        return []
    kept = set(pinned)
    chosen: list[Digest] = []
    for digest in sorted(residents, key=lambda each: residents[each].used):
        if digest in kept:
            continue
        chosen.append(digest)
        needed -= residents[digest].size
        if needed <= 0:
            return chosen
    return None
