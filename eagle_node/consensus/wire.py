"""Frames: 4 bytes of length (big-endian), then JSON; a dataclass is a list of its fields.

The shape follows from the dataclasses' annotations, in one place for messages and for what is
stored. Parsing is strict: lengths, ranges, and the number and type of fields.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar, cast

from eagle_node.base.errors import EagleError
from eagle_node.consensus.messages import Hello, Message

PROTOCOL = 1
"""Changes when an older node could not read what a newer one sends."""
MAX_FRAME = 1 << 20
"""Bytes that a frame may have; a full snapshot has less."""
HEADER = 4
MAX_TEXT = 1024
MAX_ITEMS = 4096
_LARGEST = (1 << 63) - 1
_LONGEST_S = 1e9

T = TypeVar("T")
_Reader = Callable[[Any], Any]


class Malformed(EagleError):
    """Bytes that are no message; the text names the kind that was expected."""


def frame(message: Message | Hello) -> bytes:
    """``message`` with its length before it."""
    body = render(message)
    if len(body) > MAX_FRAME:
        raise Malformed(f"a {type(message).__name__} of {len(body)} bytes is too long to send")
    return len(body).to_bytes(HEADER) + body


def frame_length(header: bytes) -> int:
    """The length of the body that follows; `Malformed` when it is none."""
    length = int.from_bytes(header)
    if len(header) != HEADER or not 0 < length <= MAX_FRAME:
        raise Malformed(f"a frame of {length} bytes")
    return length


def parse_message(body: bytes) -> Message:
    """The message that a frame holds."""
    return cast(Message, _parse_tagged(body, Message))


def parse_hello(body: bytes) -> Hello:
    """The hello that the first frame holds."""
    return cast(Hello, _parse_tagged(body, Hello))


def render(value: object) -> bytes:
    """A dataclass, its name first."""
    return _dumped([type(value).__name__, _plain(value)])


def render_plain(value: object) -> bytes:
    """A dataclass whose kind the reader knows."""
    return _dumped(_plain(value))


def parse_plain(kind: type[T], body: bytes) -> T:
    """The opposite of `render_plain`."""
    return cast(T, _guarded(body, kind, _reader(cast(Any, kind))))


def parse_union(union: Any, body: bytes) -> Any:
    """A member of a union of dataclasses, as `render` made it."""
    return _parse_tagged(body, union)


def _dumped(plain: Any) -> bytes:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return [_field(value, field, tagged) for field, tagged in _fields(cast(Any, type(value)))]
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _field(value: Any, name: str, tagged: bool) -> Any:
    inner = getattr(value, name)
    return [type(inner).__name__, _plain(inner)] if tagged else _plain(inner)


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, bool], ...]:
    """Names, and whether the field is one of several dataclasses."""
    hints = typing.get_type_hints(kind)
    return tuple((f.name, _is_choice(hints[f.name])) for f in dataclasses.fields(kind))


def _is_choice(hint: Any) -> bool:
    return len(_alternatives(hint)) > 1


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union but None; of anything else, nothing."""
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return ()
    return tuple(each for each in typing.get_args(hint) if each is not types.NoneType)


def _parse_tagged(body: bytes, hint: Any) -> Any:
    members = _alternatives(hint) or (hint,)
    return _guarded(body, hint, _choice(members))


def _guarded(body: bytes, hint: Any, reader: _Reader) -> Any:
    try:
        return reader(json.loads(body.decode("utf-8", "strict")))
    except (ValueError, TypeError, RecursionError) as error:
        name = getattr(hint, "__name__", "message")
        raise Malformed(f"not a {name}: {str(error)[:200]}") from error


@functools.cache
def _choice(members: tuple[Any, ...]) -> _Reader:
    readers = {member.__name__: _reader(member) for member in members}

    def read(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
            raise ValueError("expected a name and its fields")
        if value[0] not in readers:
            raise ValueError(f"unknown kind {value[0][:40]!r}")
        return readers[value[0]](value[1])

    return read


@functools.cache
def _reader(hint: Any) -> _Reader:
    """Turns parsed JSON into a value of the annotated kind."""
    if isinstance(hint, typing.NewType):
        return _reader(hint.__supertype__)
    if members := _alternatives(hint):
        inner = _reader(members[0]) if len(members) == 1 else _choice(members)
        if types.NoneType in typing.get_args(hint):
            return lambda value: None if value is None else inner(value)
        return inner
    if typing.get_origin(hint) is tuple:
        return functools.partial(_tuple, _reader(typing.get_args(hint)[0]))
    if dataclasses.is_dataclass(hint):
        return _record(cast(type, hint))
    return _SCALARS[hint]


def _record(kind: type) -> _Reader:
    hints = typing.get_type_hints(kind)
    readers = [(f.name, _reader(hints[f.name])) for f in dataclasses.fields(kind)]

    def read(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            raise ValueError(f"expected the {len(readers)} fields of {kind.__name__}")
        fields = zip(readers, value, strict=True)
        return kind(**{name: reader(each) for (name, reader), each in fields})

    return read


def _tuple(reader: _Reader, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise ValueError(f"expected a list of at most {MAX_ITEMS}")
    return tuple(reader(each) for each in value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"expected a text of at most {MAX_TEXT} characters")
    value.encode("utf-8")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError("expected an integer from 0 to 2^63 - 1")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= _LONGEST_S:
        raise ValueError("expected a number of seconds")
    return float(value)


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("expected true or false")
    return value


_SCALARS: dict[Any, _Reader] = {str: _text, int: _integer, float: _number, bool: _boolean}
