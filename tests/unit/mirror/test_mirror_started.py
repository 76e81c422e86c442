"""When the process behind a socket was started."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

from eagle_node.mirror.started import listener_started
from tests.support.clients.route import short_directory
from tests.support.process import running

SERVE = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    listener.accept()
"""


async def test_a_listener_has_a_start(tmp_path: Path) -> None:
    """It lies between the moments before and after, to the kernel's tick."""
    with short_directory() as directory:
        path = directory / "a b.sock"

        async def is_up() -> bool:
            return listener_started(path) is not None

        before = time.time()
        async with running(
            [sys.executable, "-c", SERVE, str(path)], log=tmp_path / "log", ready=is_up
        ):
            started = listener_started(path)
            after = time.time()
    assert started is not None
    assert before - 0.05 <= started <= after


def test_nobody_has_none(tmp_path: Path) -> None:
    """No socket, and a socket that nobody serves, tell nothing."""
    assert listener_started(tmp_path / "none") is None
    with short_directory() as directory:
        path = directory / "dead.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        assert listener_started(path) is None
