"""One port for datagrams and for connections, IPv4, IPv6 or both."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from eagle_node.base.errors import StartError
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp

_MOST_DATAGRAM = 65_536
_BATCH = 256
"""Datagrams that are taken in one turn of the loop, before timers get theirs: answers that waited
while this process stood still must count before their deadlines do."""
_RECEIVE_BUFFER = 1 << 20
"""Bytes of datagrams that the kernel keeps for a process that stands still, as far as it allows."""
_PORT_ATTEMPTS = 20
_MAPPED = "::ffff:"

Receiver = Callable[[bytes, Address], None]


class Endpoint:
    """A UDP socket and a TCP listener on the same port."""

    def __init__(self, listen: Address, *, flag: str) -> None:
        """Bind both; `StartError` names address and reason, and ``flag`` as the way out."""
        for attempt in range(_PORT_ATTEMPTS):
            self.listener = listen_tcp(listen, flag=flag)
            self.address = bound_address(self.listener)
            try:
                self._datagrams = self._bind_datagrams()
            except OSError as error:
                self.listener.close()
                free = listen.port == 0 and attempt + 1 < _PORT_ATTEMPTS
                if free and error.errno == errno.EADDRINUSE:
                    continue
                raise StartError(
                    f"cannot listen on {self.address} (UDP): {error.strerror}; stop what uses it "
                    f"or choose another with {flag}"
                ) from error
            return

    def start(self, receiver: Receiver) -> None:
        """Hand each datagram, with its source, to ``receiver``."""
        self._receiver = receiver
        asyncio.get_running_loop().add_reader(self._datagrams, self.drain)

    def drain(self) -> None:
        """Take what has arrived, up to a batch."""
        for _ in range(_BATCH):
            try:
                data, source = self._datagrams.recvfrom(_MOST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # An ICMP error of an earlier datagram; the socket goes on.
            host = source[0].removeprefix(_MAPPED) if "." in source[0] else source[0]
            self._receiver(data, Address(host, source[1]))

    def send(self, to: Address, data: bytes) -> bool:
        """Send a datagram; False when the kernel cannot take it or knows no way.

        A datagram may be lost at any time, so nothing more is done about it.
        """
        host = to.host
        if self._datagrams.family == socket.AF_INET6 and ":" not in host:
            host = _MAPPED + host
        try:
            self._datagrams.sendto(data, (host, to.port))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Free the port."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._datagrams)
        self._datagrams.close()
        self.listener.close()

    def _bind_datagrams(self) -> socket.socket:
        made = socket.socket(self.listener.family, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if made.family == socket.AF_INET6:
                both = self.listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, both)
            made.bind(self.listener.getsockname())
        except OSError:
            made.close()
            raise
        return made
