"""Marked blocks in TOML files that others write too. No IO.

A block is whole lines between two marks. It may stand in for one line of theirs, which it keeps as
a comment. Taking it out again needs nothing but the text, and gives back their bytes, also after
they have changed other parts of the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eagle_node.mirror.model import MirrorError

BEGIN = (
    "# >>> eagle-node mirror: from here to the end mark; `eagle-node mirror uninstall` removes it"
)
END = "# <<< eagle-node mirror"
_NEW = " [new file]"
"""There was no file: once nothing else is in it, it can go."""
_OPEN = " [no newline]"
"""The line before, or the kept one, was the last and had no newline."""
_KEPT = "# was: "

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines of ours and where they go."""

    line: int
    """Index of the line that they are put before; the number of lines: after all."""
    body: Sequence[str]
    replaces: bool = False
    """Whether they stand in for the line at `line`."""


def parse(content: bytes, path: str) -> Document:
    """The document; `MirrorError` names the file and the line when it is none."""
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MirrorError(f"{path} is not TOML ({error}); mend it first") from error


def new_file(body: Sequence[str]) -> bytes:
    """A file that holds nothing but a block."""
    return "\n".join([BEGIN + _NEW, *body, END, ""]).encode()


def inserted(text: str, block: Block) -> str:
    """``text`` with a block."""
    lines = split(text)
    before, after = lines[: block.line], lines[block.line :]
    kept: list[str] = []
    is_open = False
    if block.replaces:
        is_open = not after[0].endswith("\n")
        kept = [_KEPT + after[0].removesuffix("\n")]
        after = after[1:]
    elif before and not before[-1].endswith("\n"):
        is_open = True
        before = [*before[:-1], before[-1] + "\n"]
    ours = [BEGIN + (_OPEN if is_open else ""), *kept, *block.body, END]
    return "".join([*before, *(f"{line}\n" for line in ours), *after])


def stripped(content: bytes, path: str) -> bytes | None:
    """``content`` without our blocks; None when the file was made for one and holds nothing else.

    `MirrorError` when an end mark lacks.
    """
    lines = split(content.decode("utf-8", "surrogateescape"))
    result: list[str] = []
    was_new, open_end, number = False, -1, 0
    while number < len(lines):
        line = lines[number]
        if not line.startswith(BEGIN):
            result.append(line)
            number += 1
            continue
        end = _end(lines, number, path)
        flags, body = line.rstrip("\r\n").removeprefix(BEGIN), lines[number + 1 : end]
        was_new |= flags == _NEW
        result += [each.removeprefix(_KEPT) for each in body if each.startswith(_KEPT)]
        number = end + 1
        if flags == _OPEN:
            open_end = len(result)
    if result and open_end == len(result):  # nobody has written after us
        result[-1] = result[-1].removesuffix("\n")
    left = "".join(result).encode("utf-8", "surrogateescape")
    return None if was_new and not left else left


def merged(text: str, blocks: Iterable[Block], meant: Document) -> str | None:
    """``text`` with the first block that gives it the meaning ``meant``; None when none does."""
    for block in blocks:
        candidate = inserted(text, block)
        try:
            if tomllib.loads(candidate) == meant:
                return candidate
        except tomllib.TOMLDecodeError:
            continue
    return None


def headers(lines: Sequence[str]) -> Iterator[tuple[int, Document]]:
    """Lines that look like a table's header, with what each alone means."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("["):
            continue
        try:
            yield number, tomllib.loads(line.strip())
        except tomllib.TOMLDecodeError:
            continue


def above_comments(lines: Sequence[str], number: int) -> Iterator[int]:
    """Where a block before line ``number`` may go: above the comment that belongs to it, or not."""
    top = number
    while top and lines[top - 1].lstrip().startswith("#") and not lines[top - 1].startswith(END):
        top -= 1
    yield top
    yield number


def split(text: str) -> list[str]:
    """Lines with their newlines (only ``\\n`` ends one: TOML allows ``\\r`` before it)."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def indent_of(line: str) -> str:
    """The blanks that a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def _end(lines: Sequence[str], begin: int, path: str) -> int:
    for number in range(begin + 1, len(lines)):
        if lines[number].startswith(END):
            return number
        if lines[number].startswith(BEGIN):
            break
    raise MirrorError(
        f"{path}, line {begin + 1}: the block of eagle-node mirror has no end mark; put the line "
        f"{END!r} after it, or take the block out by hand"
    )
