"""A plain file server: answers every GET with one file, by sendfile(2).

Run as ``python -m tests.bench.file_server ADDRESS PORT FILE``: one client at a time, which is what
a benchmark has.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path


def main() -> None:
    """Serve until killed."""
    address, port, name = sys.argv[1:]
    with socket.create_server((address, int(port))) as server:
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(ConnectionError):  # clients may leave early
                _answer(connection, Path(name))


def _answer(connection: socket.socket, path: Path) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(1 << 14)
        if not data:
            return
        head += data
    size = path.stat().st_size
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    connection.sendall(answer.encode())
    with path.open("rb") as file:
        connection.sendfile(file)


if __name__ == "__main__":
    main()
