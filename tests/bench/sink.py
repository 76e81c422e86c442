"""The cheapest client: a process that asks for a URL when told to and drops the body in the kernel.

Run as ``python -m tests.bench.sink [--sha256] URL``. It writes ``ready``, waits for a line on its
standard input, fetches, and writes the monotonic times of the request and of the last byte, the CPU
seconds between them, and with ``--sha256`` the body's digest, which it then reads and hashes.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import socket
import time
from urllib.parse import urlsplit

CHUNK = 4 << 20
HASHED_CHUNK = 1 << 20
"""Bytes that are hashed at a time: they stay in the processor's caches."""


def main() -> None:
    """Fetch once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sha256", action="store_true")
    parser.add_argument("url")
    arguments = parser.parse_args()
    url = urlsplit(arguments.url)
    hasher = hashlib.sha256() if arguments.sha256 else None
    request = f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: */*\r\n\r\n"
    print("ready", flush=True)
    input()
    started, cpu_before = time.monotonic(), time.process_time()
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(request.encode())
        _drain(connection, hasher)
    finished, cpu_s = time.monotonic(), time.process_time() - cpu_before
    print(started, finished, cpu_s, hasher.hexdigest() if hasher else "", flush=True)


def _drain(connection: socket.socket, hasher: hashlib._Hash | None) -> None:
    """Read one answer to its end; ``MSG_TRUNC`` drops bytes without a copy (tcp(7))."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += _some(connection.recv(1 << 14))
    headers, _, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", headers)
    if not headers.startswith(b"HTTP/1.1 200") or length is None:
        raise SystemExit(f"unexpected answer: {headers.decode(errors='replace')}")
    missing = int(length[1]) - len(body)
    buffer = memoryview(bytearray(HASHED_CHUNK if hasher else CHUNK))
    if hasher:
        hasher.update(body)
    while missing:
        wanted = min(missing, len(buffer))
        count = connection.recv_into(buffer, wanted, 0 if hasher else socket.MSG_TRUNC)
        if not count:
            raise SystemExit(f"the answer ended {missing} bytes short")
        if hasher:
            hasher.update(buffer[:count])
        missing -= count


def _some(data: bytes) -> bytes:
    if not data:
        raise SystemExit("the connection was closed before the answer")
    return data


if __name__ == "__main__":
    main()
