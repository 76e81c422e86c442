"""Links as pipes of fluid: how much each of many flows gets in one step of time.

A flow passes several bottlenecks (its sender's uplink, its receiver's downlink, a border). Each
deals its capacity equally to the flows that want more; what one cannot use goes to the others in
further rounds, which comes near to max-min fairness, as TCP does on equal round-trip times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

TRIFLE = 1e-3
"""Bytes that are not worth a flow."""
_ROUNDS = 3
"""Of dealing: what is still unused is below a percent in every wave that was tried."""


def deal(wanted: Floats, bottlenecks: Sequence[tuple[Indices, Floats]]) -> Floats:
    """Bytes that each flow gets of what it wants.

    A bottleneck is the number of each flow's pipe, and what each of its pipes carries in this step.
    """
    given: Floats = np.zeros_like(wanted)
    left = wanted.copy()
    free = [capacity.copy() for _, capacity in bottlenecks]
    for _ in range(_ROUNDS):
        active = left > TRIFLE
        if not active.any():
            break
        step = np.where(active, left, 0.0)
        for (pipe, _), room in zip(bottlenecks, free, strict=True):
            sharers = np.bincount(pipe[active], minlength=len(room))
            np.minimum(step, (room / np.maximum(1, sharers))[pipe], out=step)
        for (pipe, _), room in zip(bottlenecks, free, strict=True):
            room -= np.bincount(pipe, weights=step, minlength=len(room))
            np.maximum(room, 0.0, out=room)
        given += step
        left -= step
        left[step <= TRIFLE] = 0.0
    return given
