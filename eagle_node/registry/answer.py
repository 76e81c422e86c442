"""Whether an answer to a blob request holds the bytes that were asked for (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.base.errors import Unavailable
from eagle_node.registry.headers import parse_length

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})\Z", re.IGNORECASE)
_WEB_PAGES = frozenset({"text/html", "application/xhtml+xml"})


class NoRanges(Unavailable):
    """The server sends all when asked for a part; the part can only be had by reading up to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The interval ``[start, stop)`` of a blob; ``stop`` None is its end."""

    start: int
    stop: int | None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise ValueError(f"no range of bytes: {self.start} to {self.stop}")

    def header(self) -> str | None:
        """The ``Range`` value, or None if the whole is asked for."""
        if self.start == 0 and self.stop is None:
            return None
        return f"bytes={self.start}-{'' if self.stop is None else self.stop - 1}"


def refuse_disguise(headers: Mapping[str, str], *, source: str, subject: str) -> None:
    """Raise `Unavailable` if a success cannot be what was asked for: a web page, or encoded."""
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type in _WEB_PAGES:
        raise Unavailable(
            f"{source} sent a web page ({media_type}) instead of {subject}: is a login page or a "
            "proxy in between?"
        )
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise Unavailable(
            f"{source} sent {subject} in Content-Encoding {encoding[:40]}, which was not asked for"
        )


def whole_size(
    asked: Asked, status: int, headers: Mapping[str, str], *, source: str, subject: str
) -> int | None:
    """The size of the whole blob, if an answer of status 200 or 206 starts at ``asked.start``.

    None: a 200 whose length is not told. A 200 is good for any range that starts at 0, since the
    reader stops early; later starts raise `NoRanges`, and 206 answers other than the one asked for
    `Unavailable`.
    """
    length = parse_length(headers.get("Content-Length"))
    if status == 200:
        if asked.start:
            raise NoRanges(f"{source} does not do ranges: it sent all of {subject}")
        return length
    match = _CONTENT_RANGE.match(headers.get("Content-Range", "").strip())
    if asked.header() is None or match is None:
        raise Unavailable(f"{source} sent a part of {subject} without a range that was asked for")
    first, last, size = (int(number) for number in match.groups())
    stop = size if asked.stop is None else min(asked.stop, size)
    if (first, last + 1) != (asked.start, stop) or length not in (None, stop - first):
        raise Unavailable(
            f"{source} sent bytes {first}-{last} of {size} of {subject} when asked for "
            f"{asked.header()}"
        )
    return size
