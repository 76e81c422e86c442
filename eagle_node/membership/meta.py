"""What a member says of itself: at most 512 bytes, so that several fit a datagram.

Fields are tagged; a reader skips tags of newer versions and takes the default for absent ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from eagle_node.base.errors import UsageError
from eagle_node.membership.packing import Malformed, Reader, pack_blob, pack_text, pack_u16

MAX_META = 512
"""Bytes of an encoded `Meta`: with an address, an id and a seal, two fit a datagram of 1400."""
_CACHED = 4096

_TEXTS = ("zone", "rack", "group", "version", "host")
_NAMES = ("roles", "never", "pinned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """Roles, ports and place of a member; `UsageError` when it is larger than `MAX_META`.

    Tuples of names and pairs are kept sorted, so that equal content is equal. ``load`` and
    ``labels`` are told to every member each time that they change: round the one, be sparing with
    the other.
    """

    roles: tuple[str, ...] = ()
    """Roles that it holds now."""
    never: tuple[str, ...] = ()
    """Roles that it must not be given."""
    pinned: tuple[str, ...] = ()
    """Roles that its flags gave it: no lease is needed, none takes them away."""
    ports: tuple[tuple[str, int], ...] = ()
    """Listeners by name: ``swarm``, ``ssl``, ``metainfo``, ``tracker``, ``api``, ``raft``."""
    zone: str = ""
    rack: str = ""
    group: str = ""
    version: str = ""
    host: str = ""
    """What tells hosts apart when several members share one; empty: the address's IP does."""
    load: int = 0
    """0, idle, to 255, overloaded."""
    voter: bool = False
    """Whether it votes in the cluster's consensus."""
    upload_rate: int = 0
    """Bytes/s that it can or may send; 0 is unknown."""
    labels: tuple[tuple[str, str], ...] = ()
    """Further short facts by name, such as the consensus's cluster id."""
    name: str = ""
    """What people call it; several may have the same."""

    def __post_init__(self) -> None:
        for name in (*_NAMES, "ports", "labels"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        try:
            size = len(_encoded(self))
        except ValueError as error:
            raise UsageError(f"a node's description cannot be sent: {error}") from error
        if size > MAX_META:
            raise UsageError(
                f"a node's description has {size} bytes, at most {MAX_META} can be sent; shorten "
                "--name, --zone, --rack or --group"
            )

    def port(self, name: str) -> int:
        """The port of a listener; 0 when it has none."""
        return dict(self.ports).get(name, 0)

    def label(self, name: str) -> str:
        """A further fact; empty when it is not told."""
        return dict(self.labels).get(name, "")


@lru_cache(_CACHED)
def encode_meta(meta: Meta) -> bytes:
    """``meta`` as bytes."""
    return _encoded(meta)


@lru_cache(_CACHED)
def decode_meta(data: bytes) -> Meta:
    """The opposite of `encode_meta`; `Malformed` if it is none."""
    reader = Reader(data)
    values: dict[str, object] = {}
    while reader.left:
        tag = reader.byte()
        field = Reader(reader.blob(MAX_META))
        if tag >= len(_FIELDS):
            continue
        name = _FIELDS[tag]
        values[name] = _read(name, field)
        field.end()
    if len(data) > MAX_META:
        raise Malformed(f"description of {len(data)} bytes")
    try:
        return Meta(**values)  # type: ignore[arg-type]
    except UsageError as error:
        raise Malformed(str(error)) from error


_FIELDS = (*_TEXTS, *_NAMES, "ports", "labels", "load", "voter", "upload_rate", "name")
"""By tag: a wire constant, to be extended at the end only."""


def _encoded(meta: Meta) -> bytes:
    out = bytearray()
    for tag, name in enumerate(_FIELDS):
        if value := getattr(meta, name):
            out.append(tag)
            out += pack_blob(_pack(name, value))
    return bytes(out)


def _pack(name: str, value: object) -> bytes:
    match value:
        case str():
            return pack_text(value)
        case bool():
            return b"\1"
        case int():
            width = 1 if name == "load" else 8
            if not 0 <= value < 1 << 8 * width:
                raise ValueError(f"{name} {value} is out of range")
            return value.to_bytes(width)
        case tuple():
            return _pack_all(value)
    raise ValueError(f"{name} is of an unknown kind")


def _pack_all(values: Iterable[object]) -> bytes:
    out = bytearray()
    for value in values:
        match value:
            case str():
                out += pack_text(value)
            case (str(key), int(port)):
                out += pack_text(key) + _port(port)
            case (str(key), str(text)):
                out += pack_text(key) + pack_text(text)
            case _:
                raise ValueError(f"{value!r} is of an unknown kind")
    return bytes(out)


def _port(port: int) -> bytes:
    if not 0 < port < 1 << 16:
        raise ValueError(f"{port} is not a port")
    return pack_u16(port)


def _read(name: str, field: Reader) -> object:
    if name in (*_TEXTS, "name"):
        return field.text()
    if name == "load":
        return field.byte()
    if name == "voter":
        return field.byte() == 1
    if name == "upload_rate":
        return field.u64()
    values: list[object] = []
    while field.left:
        key = field.text()
        if name in _NAMES:
            values.append(key)
        else:
            values.append((key, _read_port(field) if name == "ports" else field.text()))
    return tuple(values)


def _read_port(field: Reader) -> int:
    port = field.u16()
    if port == 0:
        raise Malformed("port 0")
    return port
