"""Files to clients by sendfile(2), at few instructions a turn."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import BinaryIO

_TURN = 4 << 20
"""Bytes of one turn, so that a client that takes everything at once leaves some to the others; also
what Linux lets a socket buffer grow to (tcp(7), ``tcp_wmem``)."""


async def send_file(transport: asyncio.Transport, file: BinaryIO, offset: int, length: int) -> int:
    """Send ``length`` bytes of ``file`` from ``offset``; how many, fewer when the file is shorter.

    asyncio's own sendfile tells epoll twice of every buffer that it fills. `ConnectionError` when
    the client has gone.
    """
    if transport.get_write_buffer_size():
        # It waits until what was written before is out.
        return await asyncio.get_running_loop().sendfile(transport, file, offset, length)
    sending = _Sending(transport, file.fileno(), offset, length)
    try:
        return await sending.result
    finally:
        sending.close()


class _Sending:
    """One run of bytes; writes whenever the socket has room.

    asyncio refuses to watch the descriptor of a transport; it watches a duplicate.
    """

    def __init__(self, transport: asyncio.Transport, file: int, offset: int, length: int) -> None:
        client: socket.socket = transport.get_extra_info("socket")
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._file = file
        self._offset, self._stop, self._start = offset, offset + length, offset
        self.result: asyncio.Future[int] = self._loop.create_future()
        self._socket = os.dup(client.fileno())
        self._loop.add_writer(self._socket, self._more)

    def close(self) -> None:
        """Leave the socket to its transport."""
        self._loop.remove_writer(self._socket)
        os.close(self._socket)

    def _more(self) -> None:
        if self.result.done():
            return
        if self._transport.is_closing():
            self.result.set_exception(ConnectionResetError("the client has gone"))
            return
        wanted = min(_TURN, self._stop - self._offset)
        try:
            sent = os.sendfile(self._socket, self._file, self._offset, wanted)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.result.set_exception(error)
            return
        self._offset += sent
        if not sent or self._offset == self._stop:
            self.result.set_result(self._offset - self._start)
