"""Several ranges in one answer: ``multipart/byteranges`` (RFC 9110 section 14.6)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from eagle_node.base.ranges import ByteRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes of a blob, and what goes before them on the wire."""

    before: bytes
    content: ByteRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body made of parts of a blob; ``after`` ends it."""

    parts: tuple[Part, ...]
    after: bytes = b""

    @property
    def length(self) -> int:
        """Bytes of all."""
        parts = sum(len(part.before) + part.content.length for part in self.parts)
        return parts + len(self.after)


def plain_body(content: ByteRange) -> Body:
    """The bytes and nothing else."""
    return Body(parts=(Part(before=b"", content=content),))


def multipart_body(ranges: Sequence[ByteRange], size: int, content_type: str) -> tuple[str, Body]:
    """The ``Content-Type`` of the answer, and its body.

    The boundary is random, so that no content can hold it by design.
    """
    boundary = secrets.token_hex(16)
    parts = tuple(
        Part(before=_header(boundary, each, size, content_type), content=each) for each in ranges
    )
    body = Body(parts=parts, after=f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/byteranges; boundary={boundary}", body


def content_range(part: ByteRange, size: int) -> str:
    """The value of ``Content-Range`` for a part of ``size`` bytes (RFC 9110 section 14.4)."""
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def _header(boundary: str, part: ByteRange, size: int, content_type: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
        f"Content-Range: {content_range(part, size)}\r\n\r\n"
    ).encode()
