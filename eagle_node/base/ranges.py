"""Byte ranges of HTTP requests (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_UNIT = re.compile(r"bytes[ \t]*=(.*)\Z", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]*)[ \t]*-[ \t]*([0-9]*)\Z")
_BEYOND = 1 << 63
"""Stands for every number that is larger: no blob has so many bytes."""
MOST_RANGES = 256
"""Ranges that one request may name. Each costs a part's header of about 120 bytes and a seek;
lazy pullers that are refused ask for one range at a time."""


class Unsatisfiable(Exception):
    """Well-formed ranges that hold no byte of the representation: 416."""


class TooManyRanges(Exception):
    """More ranges than `MOST_RANGES` in one request (RFC 9110 17.15 warns of such)."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Half-open interval ``[start, stop)`` of bytes, never empty unless the whole blob is."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.stop - self.start


def resolve_ranges(header: str | None, size: int) -> tuple[ByteRange, ...] | None:
    """The parts of ``size`` bytes that a ``Range`` header asks for; None: the whole, as a 200.

    In order and apart from each other: those that overlap or touch are joined (RFC 9110 15.3.7.2),
    so an answer never has a byte twice. One that reaches over the end is cut, one beyond it passed
    over; when none is left that raises `Unsatisfiable`. A malformed header or an unknown unit is
    ignored (14.2). Of an empty blob there is only the whole: clients that put ``bytes=0-`` on every
    request get it.
    """
    match = _UNIT.match(header.strip(" \t")) if header and size else None
    if match is None:
        return None
    # Empty members of a list are passed over (RFC 9110 5.6.1.2).
    members = [member for each in match[1].split(",") if (member := each.strip(" \t"))]
    if len(members) > MOST_RANGES:
        raise TooManyRanges
    wanted: list[ByteRange] = []
    for member in members:
        try:
            wanted.append(_resolve(member, size))
        except Unsatisfiable:
            continue
        except ValueError:
            return None
    if members and not wanted:
        raise Unsatisfiable
    return joined(wanted) or None


def resolve_range(header: str | None, size: int) -> ByteRange | None:
    """`resolve_ranges` for a server that ignores a list of ranges, as it may (RFC 9110 14.2)."""
    try:
        wanted = resolve_ranges(header, size)
    except TooManyRanges:
        return None
    return wanted[0] if wanted is not None and len(wanted) == 1 else None


def joined(ranges: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """The same bytes in order, each once, in as few ranges as possible."""
    found: list[ByteRange] = []
    for each in sorted(ranges, key=lambda each: each.start):
        if found and each.start <= found[-1].stop:
            found[-1] = ByteRange(found[-1].start, max(found[-1].stop, each.stop))
        else:
            found.append(each)
    return tuple(found)


def _resolve(member: str, size: int) -> ByteRange:
    """One range of a list; `ValueError` for what is none."""
    match = _RANGE.match(member)
    if match is None or match.groups() == ("", ""):
        raise ValueError(f"{member[:80]!r} is not a range")
    first, last = (_number(digits) for digits in match.groups())
    if first is None:
        if not last:
            raise Unsatisfiable
        return ByteRange(max(0, size - last), size)
    if last is not None and last < first:
        raise ValueError(f"{member[:80]!r} ends before it starts")
    if first >= size:
        raise Unsatisfiable
    return ByteRange(first, size if last is None else min(last + 1, size))


def _number(digits: str) -> int | None:
    """Their value, `_BEYOND` at the most; None when there are none."""
    significant = digits.lstrip("0")
    if len(significant) > 18:
        return _BEYOND
    return int(significant or "0") if digits else None
