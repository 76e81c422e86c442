"""The local CA of a running node: it may be made, replaced or removed at any time."""

from __future__ import annotations

import asyncio
import datetime
import logging
from pathlib import Path

from eagle_node.base.errors import UsageError
from eagle_node.trust.leaves import Clock, Leaves, utc_now
from eagle_node.trust.local_ca import load

log = logging.getLogger(__name__)

_EXPIRES_SOON = datetime.timedelta(days=60)
_Version = tuple[int, int, int]
"""Inode, change time and size of a file: another one means other content."""


class LocalCaFile:
    """Certificates of the CA in a file, as the file is when they are asked for."""

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self.path = path
        self._clock = clock
        self._version: _Version | None = None
        self._leaves: Leaves | None = None
        self._reading = asyncio.Lock()

    async def leaves(self) -> Leaves | None:
        """None: there is no CA, or none that can be used; the log says why, once."""
        async with self._reading:
            version = await asyncio.to_thread(_version, self.path)
            if version != self._version:
                self._leaves = await asyncio.to_thread(self._read)
                self._version = version
        leaves = self._leaves
        if leaves is not None and self._clock() >= leaves.ca.expires:
            log.error(
                "the local CA %s has expired, and what it opened is tunnelled; make a new one: "
                "eagle-node ca init --replace",
                self.path,
            )
            leaves = self._leaves = None
        return leaves

    def _read(self) -> Leaves | None:
        try:
            ca = load(self.path)
        except UsageError as error:
            log.error("intercepted hosts are tunnelled: %s", error)
            return None
        if ca is None:
            return None
        log.info("opening HTTPS with the local CA %s (%s)", self.path, ca.fingerprint)
        if ca.expires - self._clock() < _EXPIRES_SOON:
            log.warning(
                "the local CA %s expires on %s; make a new one in time: eagle-node ca init "
                "--replace",
                self.path,
                f"{ca.expires:%Y-%m-%d}",
            )
        return Leaves(ca, clock=self._clock)


def _version(path: Path) -> _Version | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size
