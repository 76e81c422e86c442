"""Byte ranges of HTTP requests (RFC 9110 section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\Z", re.IGNORECASE)


class Unsatisfiable(Exception):
    """A well-formed range that holds no byte of the representation: 416."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Half-open interval ``[start, stop)`` of bytes, never empty unless the whole blob is."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.stop - self.start


def resolve_range(header: str | None, size: int) -> ByteRange | None:
    """The part of ``size`` bytes that a ``Range`` header asks for; None: the whole, as a 200.

    A malformed header or an unknown unit is ignored (RFC 9110 14.2), and so is a list of ranges, as
    a server may; a range beyond the end raises `Unsatisfiable`; one that reaches over it is clamped.
    """
    match = _RANGE.match(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if len(first) > 19 or len(last) > 19:
        raise Unsatisfiable
    if first == "":
        if int(last) == 0 or size == 0:
            raise Unsatisfiable
        return ByteRange(max(0, size - int(last)), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return ByteRange(start, min(int(last) + 1, size) if last else size)
