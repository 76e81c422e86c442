"""qBittorrent: one at a time, though tests run side by side."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = "eagle-node-tests-qbittorrent.lock"


@contextmanager
def only_instance() -> Iterator[None]:
    """No other test has one meanwhile: a user's second one hands its torrents to the first."""
    with (Path(tempfile.gettempdir()) / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
