"""Rates of the last minutes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """``/v1/history``: bytes/s in intervals of equal length, oldest first; equally many of each."""

    interval_s: float
    from_origin: tuple[int, ...]
    """Received from registries."""
    from_peers: tuple[int, ...]
    """Received from other nodes."""
    to_peers: tuple[int, ...]
    """Sent to other nodes."""
    served: tuple[int, ...]
    """Sent to clients."""
