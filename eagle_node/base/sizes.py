"""Sizes and rates as people write them: ``50M`` and ``50MiB`` count by 1024, ``50MB`` by 1000."""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(
    r"\s*([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*(?:([kmgt])(i?b)?|b)?(?:/s)?\s*\Z", re.IGNORECASE
)


def parse_size(text: str) -> int:
    """Bytes (or bytes/s) that ``text`` spells; `ValueError` names the forms that are accepted."""
    match = _SIZE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 500000, 50M, 50MB or 50MiB")
    number, unit, suffix = (group or "" for group in match.groups())
    base = 1000 if suffix.lower() == "b" else 1024
    return int(Fraction(number) * base ** _UNITS[unit.lower()])


def format_size(count: float) -> str:
    """``count`` bytes for people, by 1024: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def spell_size(count: int) -> str:
    """``count`` bytes as options take them, exactly: ``50MB``, ``20GiB``, ``1234567``."""
    for suffix, base in (("iB", 1024), ("B", 1000)):
        for unit, power in zip("TGMK", (4, 3, 2, 1), strict=True):
            if count and count % base**power == 0:
                letter = unit.lower() if base == 1000 and power == 1 else unit
                return f"{count // base**power}{letter}{suffix}"
    return str(count)
