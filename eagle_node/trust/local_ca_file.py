"""The local CA of a running node: it may be made, replaced, trusted or removed at any time."""

from __future__ import annotations

import asyncio
import datetime
import logging
from pathlib import Path

from eagle_node.base.errors import EagleError, UsageError
from eagle_node.trust.leaves import Clock, Leaves, utc_now
from eagle_node.trust.local_ca import is_trusted, load, trust_marker

log = logging.getLogger(__name__)

_EXPIRES_SOON = datetime.timedelta(days=60)
_Version = tuple[tuple[int, int, int] | None, ...]
"""Inode, change time and size of each file: others mean other content; None: it is not there."""


class CannotOpen(EagleError):
    """There is no CA, or none that clients would believe; the text says what to do."""


class LocalCaFile:
    """Certificates of the CA in a file, as the file is when they are asked for."""

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._files = (path, trust_marker(path))
        self._version: _Version | None = None
        self._leaves: Leaves | CannotOpen = CannotOpen()
        self._reading = asyncio.Lock()

    async def leaves(self, host: str) -> Leaves:
        """Certificates that clients of ``host`` will believe; else `CannotOpen`."""
        async with self._reading:
            version = await asyncio.to_thread(_version, self._files)
            if version != self._version:
                self._leaves = await asyncio.to_thread(self._read)
                self._version = version
        leaves = self._leaves
        if isinstance(leaves, CannotOpen):
            raise CannotOpen(str(leaves))
        if self._clock() >= leaves.ca.expires:
            raise CannotOpen(f"the local CA has expired; make a new one: {self._command('init')}")
        if not leaves.ca.permits(host):
            raise CannotOpen(
                f"the local CA was made for other hosts; make a new one: {self._command('init')}"
            )
        return leaves

    def _read(self) -> Leaves | CannotOpen:
        try:
            ca = load(self._path)
        except UsageError as error:
            return CannotOpen(str(error))
        if ca is None:
            return CannotOpen(f"there is no local CA; make one: {self._command('init')}")
        if not is_trusted(ca, self._path):
            return CannotOpen(
                "this host's programs do not trust the local CA yet; have them: "
                f"{self._command('trust')}"
            )
        log.info("opening HTTPS with the local CA %s (%s)", self._path, ca.fingerprint)
        if ca.expires - self._clock() < _EXPIRES_SOON:
            log.warning(
                "the local CA expires on %s; make a new one in time: %s",
                f"{ca.expires:%Y-%m-%d}",
                self._command("init"),
            )
        return Leaves(ca, clock=self._clock)

    def _command(self, action: str) -> str:
        """What to run; a CA that is there must be replaced."""
        command = f"eagle-node ca {action} --data-dir {self._path.parent}"
        return f"{command} --replace" if action == "init" and self._path.exists() else command


def _version(files: tuple[Path, ...]) -> _Version:
    return tuple(map(_stat, files))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size
