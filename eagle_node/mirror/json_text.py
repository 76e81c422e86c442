"""One string more, or less, in a list of a JSON object that others write too. No IO.

All other bytes of the text stay as they are, blanks and order included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eagle_node.mirror.model import MirrorError

_BLANKS = " \t\n\r"


@dataclass(frozen=True, slots=True)
class _Span:
    """A member of an object or an element of a list."""

    key: str
    """Of a member."""
    start: int
    value: int
    end: int
    """Of its value; a comma may follow."""


def parse(content: bytes, path: str) -> dict[str, Any]:
    """The object; an empty file is an empty one. `MirrorError` when it is something else."""
    try:
        text = content.decode()
        document = json.loads(text, object_pairs_hook=_unique) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise MirrorError(f"{path} is not JSON ({error}); mend it first") from error
    if not isinstance(document, dict):
        raise MirrorError(f"{path} holds no JSON object; mend it first")
    return document


def put_first(text: str, key: str, item: str) -> str:
    """``text`` with ``item`` as the first string of the list ``key``, which is made if need be."""
    if not text.strip():
        return "{\n" + f"  {json.dumps(key)}: [{json.dumps(item)}]\n" + "}\n"
    open_brace = text.index("{")
    members = list(_spans(text, open_brace, is_object=True))
    found = next((each for each in members if each.key == key), None)
    if found is not None:
        items = list(_spans(text, found.value, is_object=False))
        at, comma = found.value + 1, ""
        if items:
            at, comma = items[0].start, "," + (text[found.value + 1 : items[0].start] or " ")
        return text[:at] + json.dumps(item) + comma + text[at:]
    member = f"{json.dumps(key)}: [{json.dumps(item)}]"
    if not members:
        return text[: open_brace + 1] + f"\n  {member}\n" + text[open_brace + 1 :]
    at = members[-1].end
    return text[:at] + "," + _blank_before(text, members[-1].start) + member + text[at:]


def taken_out(text: str, key: str, item: str, *, list_was_there: bool) -> str:
    """``text`` without ``item`` in the list ``key``; the opposite of `put_first`.

    A list that is empty then goes too, unless it was there before.
    """
    if not text.strip():
        return text
    members = list(_spans(text, text.index("{"), is_object=True))
    found = next((n for n, each in enumerate(members) if each.key == key), None)
    if found is None or text[members[found].value] != "[":
        return text
    items = list(_spans(text, members[found].value, is_object=False))
    values = [json.loads(text[each.value : each.end]) for each in items]
    mine = [number for number, value in enumerate(values) if value == item]
    if not mine:
        return text
    if len(items) > 1 or list_was_there:
        return _without(text, items, mine[0])
    return _without(text, members, found)


def _without(text: str, spans: list[_Span], number: int) -> str:
    """``text`` without one of ``spans`` and the comma that belongs to it."""
    span = spans[number]
    if number + 1 < len(spans) and number == 0:
        return text[: span.start] + text[spans[1].start :]
    if number:
        return text[: spans[number - 1].end] + text[span.end :]
    start, end = span.start, span.end
    if text[:start].endswith("{\n  ") and text[end : end + 1] == "\n":
        return text[: start - 3] + text[end + 1 :]
    return text[:start] + text[end:]


def _spans(text: str, opening: int, *, is_object: bool) -> Iterator[_Span]:
    """Members or elements between the bracket at ``opening`` and its closing one."""
    decoder = json.JSONDecoder()
    at = _skip(text, opening + 1)
    while text[at] not in "]}":
        start, key = at, ""
        if is_object:
            key, at = decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        _, end = decoder.raw_decode(text, at)
        yield _Span(key, start, at, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at


def _blank_before(text: str, at: int) -> str:
    """The blanks before ``at``, for a further member like the one there; one blank if none."""
    start = at
    while text[start - 1] in _BLANKS:
        start -= 1
    return text[start:at] or " "


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return document
