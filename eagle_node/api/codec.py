"""Frozen dataclasses to JSON documents and back. Unknown keys are ignored, as newer nodes add some.

Fields may be str, int, float, bool, ``X | None``, ``tuple[X, ...]`` and dataclasses of these. A
field that has a default may be missing.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from eagle_node.base.errors import EagleError

D = TypeVar("D")


class BadDocument(EagleError):
    """A JSON document is not what its schema says; the text names the field."""


def to_json(document: Any) -> dict[str, Any]:
    """The JSON object of a schema dataclass."""
    fields: dict[str, Any] = dataclasses.asdict(document)
    return fields


def field_names(schema: Any) -> list[str]:
    """Keys of the JSON object of a schema dataclass."""
    return [field.name for field in dataclasses.fields(schema)]


def from_json(schema: type[D], document: object) -> D:
    """The dataclass that ``document`` (decoded JSON) describes; `BadDocument` otherwise."""
    parsed: D = _object(schema, document, schema.__name__)
    return parsed


def _object(schema: Any, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise BadDocument(f"{where}: an object was expected, not {type(value).__name__}")
    hints = typing.get_type_hints(schema)
    fields = {}
    for field in dataclasses.fields(schema):
        if field.name not in value:
            if field.default is not dataclasses.MISSING:
                continue
            raise BadDocument(f"{where}.{field.name}: missing")
        fields[field.name] = _value(hints[field.name], value[field.name], f"{where}.{field.name}")
    return schema(**fields)


def _value(kind: Any, value: object, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _value(arguments[0], value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise BadDocument(f"{where}: a list was expected, not {type(value).__name__}")
        return tuple(_value(arguments[0], each, f"{where}[{n}]") for n, each in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise BadDocument(f"{where}: {kind.__name__} was expected, not {type(value).__name__}")
    return value
