"""Whether a history of reads and writes of one register could have happened one after another.

The search of Wing and Gong ("Testing and verifying concurrent objects", 1993), with the memory of
failed states that Lowe added ("Testing for linearizability", 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A write of ``wrote`` or a read that gave ``read``; times are of one clock."""

    start: float
    end: float | None
    """None: nobody knows whether it happened, or when; reads of that kind are left out."""
    wrote: str | None
    read: str | None


def is_linearizable(history: Sequence[Operation], *, initial: str = "") -> bool:
    """Whether each operation can have had its effect at one moment between its start and end."""
    operations = sorted(history, key=lambda each: each.start)
    ends = [float("inf") if each.end is None else each.end for each in operations]
    everything = (1 << len(operations)) - 1
    optional = sum(1 << n for n, each in enumerate(operations) if each.end is None)
    tried: set[tuple[int, str]] = set()
    stack = [(0, initial)]
    while stack:
        done, value = state = stack.pop()
        if done | optional == everything:
            return True
        if state in tried:
            continue
        tried.add(state)
        open_ = [n for n in range(len(operations)) if not done >> n & 1]
        horizon = min(ends[n] for n in open_)
        for n in open_:
            operation = operations[n]
            if operation.start > horizon:
                break
            if operation.wrote is not None:
                stack.append((done | 1 << n, operation.wrote))
            elif operation.read == value:
                stack.append((done | 1 << n, value))
    return False
