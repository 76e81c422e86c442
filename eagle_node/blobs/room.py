"""How much fits into a cache: under its limit, and above the reserve of the file system."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from eagle_node.base.errors import NoSpace
from eagle_node.base.sizes import format_size
from eagle_node.blobs.reservations import Reservations
from eagle_node.blobs.residents import Residents
from eagle_node.config.tree import CacheConfig


class Room:
    """Compares what is used with what may be; every look at the disk may raise `NoSpace`."""

    def __init__(
        self, config: CacheConfig, root: Path, residents: Residents, reserved: Reservations
    ) -> None:
        self._config = config
        self._root = root
        self._residents = residents
        self._reserved = reserved
        self.held = 0
        """Bytes of files that have no digest yet."""

    @property
    def limit(self) -> int:
        """Bytes; 0 is none."""
        return self._config.size

    @limit.setter
    def limit(self, size: int) -> None:
        self._config = replace(self._config, size=size)

    @property
    def used(self) -> int:
        """Bytes of committed blobs, of what arrivals have reserved, and of what is held."""
        return self.held + self._reserved.size + self._residents.size

    def short(self, needed: int, resumable: int) -> int:
        """Bytes that have to go for ``needed`` more, beside ``resumable``; none if not positive."""
        return max(self.above(needed + resumable), self._under_reserve(needed))

    def above(self, more: int) -> int:
        """Bytes by which what is used, and ``more``, is over the limit; none if not positive."""
        return self.used + more - self.limit if self.limit else 0

    def check(self) -> None:
        """Raise `NoSpace` when not even a byte could be taken in."""
        reserve = self._config.reserve
        if reserve and self._free() < reserve and not self._residents:
            raise NoSpace(
                f"the disk of {self._root} has {format_size(self._free())} free, less than the "
                f"reserve of {format_size(reserve)} (--cache-reserve)"
            )

    def refusal(self, needed: int, wanted_for: str) -> NoSpace:
        """Why nothing that could be evicted makes room for ``needed`` bytes."""
        return NoSpace(
            f"no room for {format_size(needed)} of {wanted_for}: the cache holds "
            f"{format_size(self.used)} of {format_size(self.limit)} (--cache-size), the disk "
            f"of {self._root} has {format_size(self._free())} free, of which "
            f"{format_size(self._config.reserve)} are reserved (--cache-reserve), and what "
            "could be evicted is in use or pinned"
        )

    def _under_reserve(self, needed: int) -> int:
        if not needed:
            return 0
        return self._config.reserve + self._reserved.outstanding + needed - self._free()

    def _free(self) -> int:
        try:
            disk = os.statvfs(self._root)
        except OSError as error:
            raise NoSpace(f"cannot use cache directory {self._root}: {error.strerror}") from error
        return disk.f_bavail * disk.f_frsize
