"""What goes over a host's link, as the kernel hands it to a packet socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support import http
from tests.support.netns import Host

_ALL = 0x0003
"""ETH_P_ALL, linux/if_ether.h."""
_LARGEST = 1 << 17
"""Bytes: the kernel joins segments of a stream (GRO) up to 64 KiB."""
_BUFFER = 64 << 20
_ADDRESSES = slice(26, 34)
"""Source and destination of an IPv4 packet in an Ethernet frame (RFC 791 section 3.1)."""


class Capture:
    """Frames to and from one host of the network, in their order."""

    def __init__(self, other: Host) -> None:
        self._other = socket.inet_aton(other.address)
        self.frames: list[bytes] = []

    def add(self, frame: bytes) -> None:
        """Keep a frame that is the other host's."""
        if self._other in (frame[_ADDRESSES][:4], frame[_ADDRESSES][4:]):
            self.frames.append(frame)

    def holds(self, text: str) -> bool:
        """Whether a frame holds ``text``; short requests are never split between two."""
        return any(text.encode() in frame for frame in self.frames)


@asynccontextmanager
async def capture(host: Host, *, other: Host) -> AsyncIterator[Capture]:
    """All that passes between ``host`` and ``other`` while the block lasts."""
    with http.entered(host.namespace):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    with link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        link.bind(("eth0", _ALL))
        link.setblocking(False)
        found, loop = Capture(other), asyncio.get_running_loop()

        def read() -> None:
            while True:
                try:
                    found.add(link.recv(_LARGEST))
                except BlockingIOError:
                    return

        loop.add_reader(link.fileno(), read)
        try:
            yield found
        finally:
            loop.remove_reader(link.fileno())
