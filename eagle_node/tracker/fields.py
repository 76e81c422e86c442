"""Typed access to parsed JSON. Every error says which field is wrong, and how."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

from eagle_node.base.errors import EagleError

MAX_BODY = 8 << 20
"""Bytes that a JSON message may have."""
_MAX_TEXT = 255


class Malformed(EagleError):
    """A message breaks its grammar; the text names the field."""


class Fields:
    """A JSON object at ``path`` of a message; unknown fields, of newer nodes, are ignored."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    @classmethod
    def of(cls, body: bytes) -> Self:
        """The object that ``body`` spells."""
        if len(body) > MAX_BODY:
            raise Malformed(f"body: longer than {MAX_BODY} bytes")
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"body: not JSON ({error})") from error
        if not isinstance(values, dict):
            raise Malformed("body: not a JSON object")
        return cls(values)

    def text(self, name: str) -> str:
        """A string of at most 255 characters; absent is empty."""
        value = self._values.get(name, "")
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise self.wrong(name, f"expected a string of at most {_MAX_TEXT} characters")
        return value

    def integer(self, name: str, low: int, high: int, *, default: int | None = None) -> int:
        """An integer from ``low`` to ``high``."""
        value = self._values.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(name, f"expected an integer from {low} to {high}")
        return value

    def number(self, name: str, *, zero: bool = False) -> float:
        """A finite number above zero, or zero where it may be that."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            value = None
        if value is None or not (value or zero):
            raise self.wrong(name, f"expected a number {'from' if zero else 'above'} 0")
        return float(value)

    def boolean(self, name: str) -> bool:
        """True or false; absent is false."""
        value = self._values.get(name, False)
        if type(value) is not bool:
            raise self.wrong(name, "expected true or false")
        return value

    def binary(self, name: str) -> bytes | None:
        """Base64 bytes; None when absent or null."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            if not isinstance(value, str):
                raise self.wrong(name, "expected base64")
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise self.wrong(name, "expected base64") from error

    def inner(self, name: str) -> Fields:
        """A nested object."""
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "expected an object")
        return Fields(value, f"{self._path}{name}.")

    def objects(self, name: str) -> Iterator[Fields]:
        """The objects of a list; absent is empty."""
        for index, value in enumerate(self._list(name)):
            if not isinstance(value, dict):
                raise self.wrong(f"{name}[{index}]", "expected an object")
            yield Fields(value, f"{self._path}{name}[{index}].")

    def texts(self, name: str) -> Iterator[str]:
        """The strings of a list; absent is empty."""
        for index, value in enumerate(self._list(name)):
            if not isinstance(value, str) or len(value) > _MAX_TEXT:
                raise self.wrong(f"{name}[{index}]", "expected a short string")
            yield value

    def wrong(self, name: str, why: str) -> Malformed:
        """The error that field ``name`` is not what it should be."""
        return Malformed(f"{self._path}{name}: {why}")

    def _list(self, name: str) -> list[Any]:
        value = self._values.get(name, [])
        if not isinstance(value, list):
            raise self.wrong(name, "expected a list")
        return value


def base64_text(data: bytes) -> str:
    """``data`` as `Fields.binary` reads it."""
    return base64.b64encode(data).decode("ascii")
