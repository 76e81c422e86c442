"""What a connection that carries nothing tells of a peer: whether it lives, how far away it is."""

from __future__ import annotations

import asyncio
import socket
import sys

from eagle_node.swarm.peer_wire import HANDSHAKE_LENGTH, PROTOCOL
from eagle_node.tracker.schema import PeerAddress

_TIMEOUT_S = 1.5
_HANDSHAKE = PROTOCOL + bytes(HANDSHAKE_LENGTH - len(PROTOCOL))
"""For a torrent that does not exist."""
_RTT = slice(68, 72)
"""Of ``struct tcp_info`` (linux/tcp.h): ``tcpi_rtt``, microseconds."""


async def answers(peer: PeerAddress) -> bool:
    """Whether the process behind a swarm port does anything: it hangs up on a handshake of nothing.

    Only a kernel accepts connections to a stopped process.
    """
    writer = None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(peer.host, peer.port)
            writer.write(_HANDSHAKE)
            await reader.read(1)
    except ConnectionResetError:
        return writer is not None
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()
    return True


async def round_trip_s(peer: PeerAddress) -> float | None:
    """Seconds between a connection's first two packets, by the kernel's clock; None: no answer."""
    writer = None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(peer.host, peer.port)
            wire = writer.get_extra_info("socket")
            info = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.stop)
            return int.from_bytes(info[_RTT], sys.byteorder) / 1e6
    except (OSError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.close()
