"""Whole blobs in files of the cache's own: how recently used, read by whom, to be kept (no IO)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from eagle_node.base.digest import Digest
from eagle_node.blobs.eviction import Resident, as_far_as_possible, victims


class Residents:
    """Invariant: who is kept is here, who is awaited is not; readers may outlive a blob."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, Resident] = {}
        self._pins: Counter[Digest] = Counter()
        self._kept: set[Digest] = set()
        self._awaited: set[Digest] = set()
        """To be kept once they are here."""
        self._latest = 0
        """Recency of the blob that was used last."""
        self._touched: dict[Digest, int] = {}

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._blobs

    def __len__(self) -> int:
        return len(self._blobs)

    def __getitem__(self, digest: Digest) -> Resident:
        return self._blobs[digest]

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(each.size for each in self._blobs.values())

    def by_use(self) -> dict[Digest, Resident]:
        """All, most recently used last."""
        return dict(sorted(self._blobs.items(), key=lambda item: item[1].used))

    def restore(self, digest: Digest, resident: Resident) -> None:
        """One that was here before, with its recency of then."""
        self._blobs[digest] = resident
        self._latest = max(self._latest, resident.used)

    def add(self, digest: Digest, size: int) -> int:
        """A blob is whole; its recency."""
        self._latest += 1
        self._blobs[digest] = Resident(size=size, used=self._latest)
        if digest in self._awaited:
            self._awaited.discard(digest)
            self._kept.add(digest)
        return self._latest

    def touch(self, digest: Digest) -> None:
        """A blob is used."""
        self._touched[digest] = self.add(digest, self._blobs[digest].size)

    def take_touched(self) -> dict[Digest, int]:
        """Recency of those that were used since the last call."""
        touched, self._touched = self._touched, {}
        return touched

    def put_back(self, touched: Mapping[Digest, int]) -> None:
        """What was taken could not be noted: the next call has it again, unless it is outdated."""
        here = {digest: used for digest, used in touched.items() if digest in self._blobs}
        self._touched = {**here, **self._touched}

    def remove(self, digest: Digest) -> None:
        """A blob is dropped."""
        del self._blobs[digest]
        self._touched.pop(digest, None)
        self._kept.discard(digest)

    def pin(self, digest: Digest) -> None:
        """Somebody reads it, whole or arriving."""
        self._pins[digest] += 1

    def unpin(self, digest: Digest) -> None:
        """He has finished."""
        self._pins[digest] -= 1
        if not self._pins[digest]:
            del self._pins[digest]

    def is_pinned(self, digest: Digest) -> bool:
        """Whether somebody reads it."""
        return digest in self._pins

    def keep(self, digests: Iterable[Digest], *, kept: bool) -> None:
        """Never choose these as victims, or do so again; those that are not here once they are."""
        for digest in digests:
            self._kept.discard(digest)
            self._awaited.discard(digest)
            if kept:
                (self._kept if digest in self._blobs else self._awaited).add(digest)

    def is_awaited(self, digest: Digest) -> bool:
        """Whether a blob that is not here is to be kept once it is."""
        return digest in self._awaited

    def is_kept(self, digest: Digest) -> bool:
        """Whether it is never a victim, because somebody said so."""
        return digest in self._kept

    @property
    def kept_size(self) -> int:
        """Bytes of those that are never victims."""
        return sum(self._blobs[digest].size for digest in self._kept)

    def as_far_as_possible(self, needed: int) -> list[Digest]:
        """Those to evict to free so many bytes, or all that may be, oldest first."""
        return as_far_as_possible(self._blobs, {*self._pins, *self._kept}, needed)

    def victims(self, needed: int) -> list[Digest] | None:
        """Those to evict to free so many bytes, oldest first; None when that is impossible."""
        return victims(self._blobs, {*self._pins, *self._kept}, needed)
