"""How often this data directory's node has been started: the high half of its incarnations."""

from __future__ import annotations

import os
from pathlib import Path

from eagle_node.base.errors import StartError

LIFE_SHIFT = 32
"""Bits of an incarnation that count refutations and descriptions within one life."""
_MOST_LIVES = 1 << 29


def begin_life(path: Path) -> int:
    """The first incarnation of this start: greater than any that an earlier start can have used.

    The count is on disk before it is used. A file that cannot be read as a number counts as none:
    the node then hears from others what it has been, and refutes.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        text = ""
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from error
    life = int(text) % _MOST_LIVES + 1 if text.isdecimal() and len(text) < 20 else 1
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="ascii") as file:
            file.write(f"{life}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
    return life << LIFE_SHIFT
