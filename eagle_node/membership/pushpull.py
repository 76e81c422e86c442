"""Push-pulls over TCP: each side tells the other all members that it knows.

::

    dialled ──► challenge (16)
    dialling ─► length (4) │ sealed: dialling side's challenge (16), exchange
    dialled ──► length (4) │ sealed: exchange

The seals are bound to the other side's challenge, so a recorded push-pull is worth nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable

from eagle_node.base.errors import Unavailable
from eagle_node.membership.packing import Malformed
from eagle_node.membership.seal import OVERHEAD, Foreign, Reason, Seal
from eagle_node.membership.wire import MAX_EXCHANGE, Exchange, decode_exchange, encode_exchange
from eagle_node.runtime.sockets import Address, in_words

_CHALLENGE = 16
_ASK, _ANSWER = b"push-pull ask", b"push-pull answer"
_TIMEOUT_S = 10.0
"""For a whole push-pull: a loaded cluster's tables take a fraction of a second."""

Count = Callable[[str, int], None]
"""Told the direction, ``sent`` or ``received``, and bytes."""


async def dial(address: Address, offer: Exchange, seal: Seal, count: Count) -> Exchange:
    """Tell ``address`` our side, for its side; `Unavailable` or `Foreign` when there is none."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                theirs = await reader.readexactly(_CHALLENGE)
                ours = secrets.token_bytes(_CHALLENGE)
                sealed = seal.seal(ours + encode_exchange(offer), _ASK + theirs)
                await _write(writer, sealed, count)
                return _decoded(seal.open(await _read(reader, count), _ANSWER + ours))
            finally:
                writer.close()
    except EOFError as error:
        raise Unavailable(
            f"{address} closes the connection: its cluster key or the name of its cluster differs"
        ) from error
    except (OSError, TimeoutError, UnicodeError) as error:
        reason = in_words(error) if str(error) else f"nothing heard for {_TIMEOUT_S:g} s"
        raise Unavailable(f"no member answers at {address}: {reason}") from error


async def answer(
    reader: StreamReader,
    writer: StreamWriter,
    seal: Seal,
    count: Count,
    exchanged: Callable[[Exchange], Exchange],
) -> None:
    """Serve one that has dialled; `Unavailable` or `Foreign` when it is no member."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            ours = secrets.token_bytes(_CHALLENGE)
            writer.write(ours)
            asked = seal.open(await _read(reader, count), _ASK + ours)
            if len(asked) < _CHALLENGE:
                raise Foreign(Reason.MALFORMED)
            ours_told = exchanged(_decoded(asked[_CHALLENGE:]))
            sealed = seal.seal(encode_exchange(ours_told), _ANSWER + asked[:_CHALLENGE])
            await _write(writer, sealed, count)
    except (OSError, EOFError, TimeoutError) as error:
        raise Unavailable(f"a push-pull broke off: {error}") from error


def _decoded(content: bytes) -> Exchange:
    try:
        return decode_exchange(content)
    except Malformed as error:
        raise Foreign(Reason.MALFORMED) from error


async def _read(reader: StreamReader, count: Count) -> bytes:
    length = int.from_bytes(await reader.readexactly(4))
    if not 0 < length <= MAX_EXCHANGE + OVERHEAD + _CHALLENGE:
        raise Foreign(Reason.GARBAGE)
    data = await reader.readexactly(length)
    count("received", 4 + length)
    return data


async def _write(writer: StreamWriter, data: bytes, count: Count) -> None:
    writer.write(len(data).to_bytes(4) + data)
    await writer.drain()
    count("sent", 4 + len(data))
