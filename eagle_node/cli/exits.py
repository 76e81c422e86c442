"""Exit codes."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What the command's exit status tells."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    INTERRUPTED = 130
    """128 + SIGINT, as shells have it."""
