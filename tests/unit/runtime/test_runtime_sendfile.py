"""Files to real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from eagle_node.runtime.sendfile import send_file

Answer = Callable[[asyncio.Transport], Awaitable[None]]


@asynccontextmanager
async def client_of(answer: Answer) -> AsyncIterator[asyncio.StreamReader]:
    """A connection whose other end ``answer`` has, and closes."""
    failures: list[BaseException] = []
    finished = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        try:
            await answer(transport)
        except AssertionError as error:
            failures.append(error)
        finally:
            writer.close()
            finished.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader
        finally:
            writer.close()
            async with asyncio.timeout(30):
                await finished.wait()
    assert not failures, failures


async def send_for_ever(transport: asyncio.Transport, file: BinaryIO, length: int) -> None:
    while True:
        await send_file(transport, file, 0, length)


@pytest.fixture
def content() -> bytes:
    return random.Random(7).randbytes(9 << 20)


@pytest.fixture
def file(tmp_path: Path, content: bytes) -> BinaryIO:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path.open("rb")


async def test_a_run_of_a_file_arrives_after_what_was_written(
    file: BinaryIO, content: bytes
) -> None:
    """Bytes that wait in the transport come first, however many; so do those written afterwards."""
    before = bytes(7 << 20)

    async def answer(transport: asyncio.Transport) -> None:
        transport.write(before)
        assert await send_file(transport, file, 5, 100) == 100
        assert await send_file(transport, file, 1000, 8 << 20) == 8 << 20
        transport.write(b"after")

    async with client_of(answer) as reader:
        received = await reader.read(-1)
    file.close()
    assert received == before + content[5:105] + content[1000 : 1000 + (8 << 20)] + b"after"


async def test_a_file_that_is_shorter_gives_what_it_has(file: BinaryIO, content: bytes) -> None:
    """The caller sees it in the count; nothing is made up."""

    async def answer(transport: asyncio.Transport) -> None:
        assert await send_file(transport, file, len(content) - 10, 1 << 20) == 10
        assert await send_file(transport, file, len(content), 1) == 0

    async with client_of(answer) as reader:
        assert await reader.read(-1) == content[-10:]
    file.close()


async def test_a_client_that_leaves_ends_it(file: BinaryIO, content: bytes) -> None:
    """While its buffers were full."""
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def answer(transport: asyncio.Transport) -> None:
        with pytest.raises(ConnectionError):
            await send_for_ever(transport, file, len(content))
        ended.set_result(True)

    async with client_of(answer) as reader:
        assert await reader.readexactly(10) == content[:10]
    file.close()
    assert ended.done()


async def test_a_transfer_that_is_cancelled_leaves_the_connection_usable(
    file: BinaryIO, content: bytes
) -> None:
    """The transport's own socket is watched as before."""
    asked = asyncio.Event()

    async def answer(transport: asyncio.Transport) -> None:
        sending = asyncio.create_task(send_file(transport, file, 0, len(content)), name="sending")
        await asked.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        transport.write(b"the end")

    async with client_of(answer) as reader:
        await reader.readexactly(1)
        asked.set()
        received = await reader.read(-1)
    file.close()
    assert received.endswith(b"the end")
    assert received[:-7] == content[1 : len(received) - 6]
