"""The cheapest client: a process that asks for a URL when told to and drops the body in the kernel.

Run as ``python -m tests.bench.sink URL``. It writes ``ready``, waits for a line on its standard
input, fetches, and writes the monotonic times of the request and of the last byte.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from urllib.parse import urlsplit

CHUNK = 4 << 20


def main() -> None:
    """Fetch once."""
    url = urlsplit(sys.argv[1])
    buffer = bytearray(CHUNK)
    request = f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: */*\r\n\r\n"
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.monotonic()
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(request.encode())
        _drain(connection, buffer)
    print(started, time.monotonic(), flush=True)


def _drain(connection: socket.socket, buffer: bytearray) -> None:
    """Read one answer to its end; ``MSG_TRUNC`` drops bytes without a copy (tcp(7))."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += _some(connection.recv(1 << 14))
    headers, _, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", headers)
    if not headers.startswith(b"HTTP/1.1 200") or length is None:
        raise SystemExit(f"unexpected answer: {headers.decode(errors='replace')}")
    missing = int(length[1]) - len(body)
    while missing:
        count = connection.recv_into(buffer, min(missing, CHUNK), socket.MSG_TRUNC)
        if not count:
            raise SystemExit(f"the answer ended {missing} bytes short")
        missing -= count


def _some(data: bytes) -> bytes:
    if not data:
        raise SystemExit("the connection was closed before the answer")
    return data


if __name__ == "__main__":
    main()
