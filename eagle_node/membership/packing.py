"""Typed access to the bytes of a message. Every length is checked before it is believed."""

from __future__ import annotations

import socket
import struct

from eagle_node.base.errors import EagleError
from eagle_node.base.ids import NodeId
from eagle_node.runtime.sockets import Address

_U16 = struct.Struct(">H")
_U64 = struct.Struct(">Q")
_V4, _V6 = 4, 6
_MOST_TEXT = 255


class Malformed(EagleError):
    """A message breaks its grammar; the text says where."""


class Reader:
    """Takes values off the front of a message; raises `Malformed` rather than read beyond it."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start = self._at
        if count > len(self._data) - start:
            raise Malformed(f"message ends within {count} bytes that begin at {start}")
        self._at = start + count
        return self._data[start : self._at]

    def byte(self) -> int:
        """An unsigned byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes, big-endian."""
        return int(_U16.unpack(self.take(2))[0])

    def u64(self) -> int:
        """Eight bytes, big-endian."""
        return int(_U64.unpack(self.take(8))[0])

    def blob(self, most: int) -> bytes:
        """Bytes behind their length of two bytes; more than ``most`` are malformed."""
        length = self.u16()
        if length > most:
            raise Malformed(f"{length} bytes where at most {most} may be")
        return self.take(length)

    def text(self) -> str:
        """UTF-8 of at most 255 bytes, behind one byte of length."""
        data = self.take(self.byte())
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise Malformed("text is not UTF-8") from error

    def node_id(self) -> NodeId:
        """A node id, as its 16 bytes."""
        return NodeId(self.take(16).hex())

    def address(self) -> Address:
        """An IP address and a port that is not 0."""
        family = self.byte()
        if family == _V4:
            host = socket.inet_ntop(socket.AF_INET, self.take(4))
        elif family == _V6:
            host = socket.inet_ntop(socket.AF_INET6, self.take(16))
        else:
            raise Malformed(f"address of unknown family {family}")
        port = self.u16()
        if port == 0:
            raise Malformed("address with port 0")
        return Address(host, port)

    @property
    def left(self) -> int:
        """How many bytes have not been taken."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise Malformed(f"{self.left} bytes behind the end of the message")


def pack_u16(number: int) -> bytes:
    """As `Reader.u16` reads it."""
    return _U16.pack(number)


def pack_u64(number: int) -> bytes:
    """As `Reader.u64` reads it."""
    return _U64.pack(number)


def pack_blob(data: bytes) -> bytes:
    """As `Reader.blob` reads it."""
    return _U16.pack(len(data)) + data


def pack_text(text: str) -> bytes:
    """As `Reader.text` reads it; `ValueError` for more than 255 bytes."""
    data = text.encode()
    if len(data) > _MOST_TEXT:
        raise ValueError(f"{text[:40]!r}... has more than {_MOST_TEXT} bytes")
    return bytes((len(data),)) + data


def pack_node_id(node_id: NodeId) -> bytes:
    """As `Reader.node_id` reads it."""
    return bytes.fromhex(node_id)


def pack_address(address: Address) -> bytes:
    """As `Reader.address` reads it; `ValueError` unless the host is an IP literal."""
    family, tag = (socket.AF_INET6, _V6) if ":" in address.host else (socket.AF_INET, _V4)
    try:
        packed = socket.inet_pton(family, address.host)
    except OSError as error:
        raise ValueError(f"{address} is not an IP address and a port") from error
    return bytes((tag,)) + packed + _U16.pack(address.port)


def canonical(address: Address) -> Address:
    """``address`` as it comes out of a message: IP literals have several spellings."""
    return Reader(pack_address(address)).address()
