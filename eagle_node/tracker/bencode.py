"""Bencoding (BEP 3): the encoder that tracker replies need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Bencodable: TypeAlias = "int | bytes | Sequence[Bencodable] | Mapping[bytes, Bencodable]"


def bencode(value: Bencodable) -> bytes:
    """``value`` in its only encoding: keys sorted as raw bytes."""
    parts: list[bytes] = []
    _append(value, parts)
    return b"".join(parts)


def _append(value: Bencodable, parts: list[bytes]) -> None:
    if isinstance(value, int):
        parts.append(b"i%de" % value)
    elif isinstance(value, bytes):
        parts += (b"%d:" % len(value), value)
    elif isinstance(value, Mapping):
        parts.append(b"d")
        for key in sorted(value):
            _append(key, parts)
            _append(value[key], parts)
        parts.append(b"e")
    else:
        parts.append(b"l")
        for item in value:
            _append(item, parts)
        parts.append(b"e")
