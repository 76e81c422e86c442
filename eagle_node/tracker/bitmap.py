"""Sets of segment numbers as bytes, most significant bit first, spare bits zero (BEP 3)."""

from __future__ import annotations

from collections.abc import Iterable


def pack(numbers: Iterable[int], count: int) -> bytes:
    """The bitmap over ``count`` segments with the bits of ``numbers`` set."""
    bits = bytearray((count + 7) // 8)
    for number in numbers:
        if not 0 <= number < count:
            raise ValueError(f"segment {number} is not one of {count}")
        bits[number >> 3] |= 0x80 >> (number & 7)
    return bytes(bits)


def unpack(bits: bytes) -> list[int]:
    """The numbers whose bits are set, ascending."""
    return [number for number in range(len(bits) * 8) if contains(bits, number)]


def count(bits: bytes) -> int:
    """How many bits are set."""
    return int.from_bytes(bits).bit_count()


def contains(bits: bytes, number: int) -> bool:
    """Whether the bit of ``number`` is set; numbers beyond the bitmap are not."""
    return number >> 3 < len(bits) and bool(bits[number >> 3] & (0x80 >> (number & 7)))


def fits(bits: bytes, count: int) -> bool:
    """Whether ``bits`` is a bitmap over ``count`` segments: right length, spare bits zero."""
    if len(bits) != (count + 7) // 8:
        return False
    return count % 8 == 0 or not bits[-1] & (0xFF >> (count % 8))
