"""Byte ranges of HTTP requests (RFC 9110 section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]*)[ \t]*-[ \t]*([0-9]*)\Z", re.IGNORECASE)
_BEYOND = 1 << 63
"""Stands for every number that is larger: no blob has so many bytes."""


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
    a server may; a range beyond the end raises `Unsatisfiable`, one that reaches over it is cut.
    Of an empty blob there is only the whole: clients that put ``bytes=0-`` on every request get it.
    """
    match = _RANGE.match(header.strip(" \t")) if header and size else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = (_number(digits) for digits in match.groups())
    if first is None:
        if not last:
            raise Unsatisfiable
        return ByteRange(max(0, size - last), size)
    if last is not None and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return ByteRange(first, size if last is None else min(last + 1, size))


def _number(digits: str) -> int | None:
    """Their value, `_BEYOND` at the most; None when there are none."""
    significant = digits.lstrip("0")
    if len(significant) > 18:
        return _BEYOND
    return int(significant or "0") if digits else None
