"""Query parameters of the control API's routes. No IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.base.errors import UsageError

BLOB_ORDERS = ("recency", "size", "image", "digest")
MOST_BLOBS = 1000
"""Blobs on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobQuery:
    """Which blobs to tell of, in which order."""

    text: str = ""
    """Part of the digest or of the image's name, in any case."""
    order: str = "recency"
    """One of `BLOB_ORDERS`."""
    descending: bool = False
    limit: int = MOST_BLOBS
    offset: int = 0


def parse_blob_query(query: Mapping[str, str]) -> BlobQuery:
    """``q``, ``sort`` (a minus before it: descending), ``limit`` and ``offset``.

    `UsageError` names a value that is none, and what may be written.
    """
    sort = query.get("sort", "recency")
    order = sort.removeprefix("-")
    if order not in BLOB_ORDERS:
        orders = ", ".join(BLOB_ORDERS)
        raise UsageError(f"sort: {sort[:40]!r} is none of {orders}, with or without a minus")
    return BlobQuery(
        text=query.get("q", ""),
        order=order,
        descending=sort.startswith("-"),
        limit=_number(query, "limit", MOST_BLOBS, least=1, most=MOST_BLOBS),
        offset=_number(query, "offset", 0, least=0, most=1 << 31),
    )


def _number(query: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not least <= int(text) <= most:
        raise UsageError(f"{name}: {text[:40]!r} is not a number from {least} to {most}")
    return int(text)
