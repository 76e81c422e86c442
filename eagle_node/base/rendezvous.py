"""Rendezvous hashing: everybody who knows the same nodes orders them alike, without talking.

Highest random weight (Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
1998): when a node leaves, only the keys that it was first for get another first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def rendezvous(key: str, nodes: Iterable[T], *, name: Callable[[T], str] = str) -> list[T]:
    """``nodes`` in the order in which they own ``key``: the owner first, then its stand-ins.

    A node's weight is SHA-256(key, NUL, name) as a big-endian number, the highest first. Depends on
    the set of names only, not on their order; ``key`` must hold no NUL.
    """

    def weight(node: T) -> tuple[bytes, str]:
        text = name(node)
        return hashlib.sha256(f"{key}\0{text}".encode()).digest(), text

    return sorted(nodes, key=weight, reverse=True)


def ranked(key: str, names: Iterable[str]) -> list[str]:
    """`rendezvous` over names that may repeat; the result holds each of them once."""
    return rendezvous(key, set(names))
