"""The key file of a running node: read again when it changes, so that keys can be rotated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from eagle_node.base.errors import UsageError
from eagle_node.trust.key import ClusterKey, load_key_file

log = logging.getLogger(__name__)

_LOOK_S = 2.0
"""Between looks at the file: an operator who has changed it everywhere need not wait longer."""


class KeyFile:
    """The keys in a file; run `follow` as a task to have them follow it.

    A file that is wrong, or gone, changes nothing: the last good keys stay, and the log says so.
    """

    def __init__(self, path: Path, *, look_s: float = _LOOK_S) -> None:
        """Read the file; `UsageError` when that fails."""
        self._path = path
        self._look_s = look_s
        self._broken = False
        self.keys = load_key_file(path)
        self.on_change: list[Callable[[ClusterKey], None]] = []
        """Called with the new keys, in the loop."""

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._look_s)
            await self.look()

    async def look(self) -> None:
        """Read the file now."""
        try:
            keys = await asyncio.to_thread(load_key_file, self._path)
        except UsageError as error:
            if not self._broken:
                self._broken = True
                log.error("keeping the cluster keys as they are: %s", error)
            return
        if self._broken:
            self._broken = False
            log.info("the cluster key file %s is in order again", self._path)
        if keys != self.keys:
            self.keys = keys
            log.info("the cluster key file %s has changed: %s", self._path, _told(keys))
            for callback in tuple(self.on_change):
                callback(keys)


def _told(keys: ClusterKey) -> str:
    others = f", {len(keys.others)} more accepted" if keys.others else ""
    return f"key {keys.key_id()} is in use{others}"
