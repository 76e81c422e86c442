"""How long the kernel may keep the address, and when neighbours are told. No IO."""

from __future__ import annotations

import math
from collections.abc import Iterator

LATE_S = 0.25
"""The kernel takes an address away at most this long after its lifetime has ended."""
CONFLICT_GRACE_S = 1.0
"""Seconds in which a former holder's address may still end: its kernel is at most `LATE_S` behind
its lease. Who answers for the address after that is no former holder."""

_BURST_S = (0.1, 0.3, 0.6, 1.0, 3.0)
"""Pauses after the first announcement: frames get lost, and a switch may just be learning."""
_REFRESH_S = 30.0
"""Pause between later announcements: neighbours behind a partition heard none of the first."""


def lifetime_s(remaining_s: float) -> int | None:
    """Whole seconds that the kernel may keep the address, which end within the lease.

    None when less than a second of it is left, the kernel's smallest lifetime.
    """
    whole = math.floor(remaining_s)
    return whole if whole >= 1 else None


def announcement_pauses() -> Iterator[float]:
    """Seconds from each announcement to the next, without end."""
    yield from _BURST_S
    while True:
        yield _REFRESH_S
