"""The opening that libtorrent dials with: message stream encryption, up to plain text.

It hides nothing from who knows the info-hash, and is answered because who is hung up on dials in
plain text only a second later. Constants and order of messages: the specification "Message Stream
Encryption" of Azureus and uTorrent (2006). After it the stream is plain (``crypto_select`` 1).
"""

from __future__ import annotations

import hashlib
import secrets
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable

from eagle_node.base.ids import InfoHash
from eagle_node.swarm.peer_wire import HANDSHAKE_LENGTH, BadPeer

_PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
_GENERATOR = 2
_SECRET_BITS = 160
KEY_LENGTH = 96
_HASH = 20
_MOST_PADDING = 512
_DISCARDED = 1024
"""Bytes of each cipher's stream that are not used."""
_PLAIN = 1
"""Of ``crypto_provide`` and ``crypto_select``: no cipher after the opening."""


def disguised(info_hash: InfoHash) -> bytes:
    """What stands for a torrent in an opening."""
    return _sha1(b"req2", info_hash)


async def answer(
    reader: StreamReader,
    writer: StreamWriter,
    key: bytes,
    find: Callable[[bytes], InfoHash | None],
) -> bytes:
    """Answer a peer whose public ``key`` has been read; its handshake, in plain text.

    ``find`` knows torrents by what `disguised` makes of them. `BadPeer`.
    """
    own = secrets.randbits(_SECRET_BITS)
    writer.write(pow(_GENERATOR, own, _PRIME).to_bytes(KEY_LENGTH, "big"))
    shared = pow(int.from_bytes(key, "big"), own, _PRIME).to_bytes(KEY_LENGTH, "big")
    await _skip_to(reader, _sha1(b"req1", shared))
    masked = await reader.readexactly(_HASH)
    mask = _sha1(b"req3", shared)
    info_hash = find(bytes(a ^ b for a, b in zip(masked, mask, strict=True)))
    if info_hash is None:
        raise BadPeer("it wants what is not offered")
    hear = _Cipher(_sha1(b"keyA", shared, info_hash))
    say = _Cipher(_sha1(b"keyB", shared, info_hash))
    head = hear(await reader.readexactly(14))
    padding = int.from_bytes(head[12:14], "big")
    if any(head[:8]) or not head[11] & _PLAIN or padding > _MOST_PADDING:
        raise BadPeer("no opening that allows plain text")
    tail = hear(await reader.readexactly(padding + 2))
    length = int.from_bytes(tail[-2:], "big")
    if length > HANDSHAKE_LENGTH:
        raise BadPeer(f"an opening with {length} bytes behind it")
    first = hear(await reader.readexactly(length))
    writer.write(say(bytes(8) + _PLAIN.to_bytes(4, "big") + bytes(2)))
    return first + await reader.readexactly(HANDSHAKE_LENGTH - length)


async def _skip_to(reader: StreamReader, mark: bytes) -> None:
    """Read padding of unknown length, and what ends it."""
    seen = await reader.readexactly(len(mark))
    while not seen.endswith(mark):
        if len(seen) > _MOST_PADDING + len(mark):
            raise BadPeer("no handshake of BitTorrent")
        seen += await reader.readexactly(1)


class _Cipher:
    """RC4, its first bytes discarded; used for a few dozen bytes only."""

    def __init__(self, key: bytes) -> None:
        self._state = state = list(range(256))
        at = 0
        for index in range(256):
            at = (at + state[index] + key[index % len(key)]) & 255
            state[index], state[at] = state[at], state[index]
        self._at = self._other = 0
        self(bytes(_DISCARDED))

    def __call__(self, data: bytes) -> bytes:
        state, at, other = self._state, self._at, self._other
        found = bytearray(data)
        for index in range(len(found)):
            at = (at + 1) & 255
            other = (other + state[at]) & 255
            state[at], state[other] = state[other], state[at]
            found[index] ^= state[(state[at] + state[other]) & 255]
        self._at, self._other = at, other
        return bytes(found)


def _sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()
