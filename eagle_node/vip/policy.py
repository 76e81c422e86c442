"""How long the kernel may keep the address, and when neighbours are told. No IO."""

from __future__ import annotations

import math
from collections.abc import Iterator

ANSWER_S = 0.25
"""The kernel must have taken a lifetime over this long after it was computed."""
LATE_S = ANSWER_S + 1.0
"""The kernel has taken an address away this long after its lease has ended, at the latest: it
looks at lifetimes once a second at most (``ADDRCONF_TIMER_FUZZ_MAX`` of Linux), so that a look for
another address's sake puts ours off."""
CONFLICT_GRACE_S = LATE_S + 0.75
"""Seconds after the end of a former holder's lease in which its kernel may still answer. Who
answers for the address after that is no former holder."""

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
