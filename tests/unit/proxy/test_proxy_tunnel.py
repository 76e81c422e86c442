"""HTTPS through the proxy: tunnels that pass everything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eagle_node.base.errors import Denied
from eagle_node.config.hosts import TunnelPolicy
from eagle_node.config.tree import ProxyConfig
from eagle_node.metrics.instruments import Metrics, by_label
from eagle_node.proxy.dial import dial, is_inner
from eagle_node.proxy.tunnel import Tunnel
from eagle_node.runtime.lookup import Resolver
from eagle_node.runtime.sockets import Address
from tests.unit.proxy.https import (
    BLOB,
    ESTABLISHED,
    connect,
    connecting,
    free_port,
    listening,
    origin,
    refusal,
)
from tests.unit.proxy.rig import Rig, proxying


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Rig]:
    """A proxy without a CA."""
    async with proxying(tmp_path, origin) as rig:
        yield rig


async def test_a_tunnel_is_the_connection_itself(proxy: Rig) -> None:
    """Bytes pass both ways as they are, and each end can finish before the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read()
        writer.write(received[::-1])
        writer.close()

    async with listening(serve) as target, connecting(proxy, target) as (reader, writer):
        writer.write(BLOB)
        writer.write_eof()
        assert await reader.read() == BLOB[::-1]
    assert by_label(proxy.metrics.tunnel_bytes) == {
        "from_client": len(BLOB),
        "from_server": len(BLOB),
    }


async def test_bytes_that_come_with_the_head_are_passed_on(proxy: Rig) -> None:
    """A client need not wait for the proxy's answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(10))
        writer.close()

    async with (
        listening(serve) as target,
        connecting(proxy, target, early=b"early") as (reader, writer),
    ):
        writer.write(b" late")
        assert await reader.read() == b"early late"


async def test_the_server_may_speak_first(proxy: Rig) -> None:
    """As in protocols that are not TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()

    async with listening(serve) as target, connecting(proxy, target) as (reader, _):
        assert await reader.read() == b"220 hello\r\n"


async def test_a_reset_is_passed_on_as_a_reset(proxy: Rig) -> None:
    """A client that is cut off does not see a clean end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        made = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with listening(serve) as target, connecting(proxy, target) as (reader, writer):
        writer.write(b"go")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_client_that_vanishes_takes_the_tunnel_along(proxy: Rig) -> None:
    """The server's connection does not stay behind."""
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        try:
            await reader.read()
        except ConnectionError as error:
            ended.set_result(error)
        else:
            ended.set_result(None)
        writer.close()

    async with listening(serve) as target, connecting(proxy, target) as (reader, writer):
        await reader.readexactly(5)
        made = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
        assert isinstance(await ended, ConnectionResetError)


async def test_a_slow_reader_slows_the_sender(proxy: Rig) -> None:
    """What is under way is bounded: the proxy does not take in what nobody reads."""
    size = 64 << 20
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        for _ in range(size >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()
            written += 1 << 20
        writer.close()

    async with listening(serve) as target, connecting(proxy, target) as (reader, _):
        await reader.readexactly(1)
        before = -1
        while before != written:  # until nothing moves
            before = written
            await asyncio.sleep(0.2)
        assert written < size
        received = 1
        while chunk := await reader.read(1 << 20):
            received += len(chunk)
        assert received == size


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (connect("nowhere.invalid:443"), 502),
        (connect("no-port"), 400),
        (b"CONNECT http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT " + b"x" * 20_000, 400),
        (connect("evil\xff.test:443"), 400),
    ],
)
async def test_what_leads_nowhere_is_refused(proxy: Rig, request_bytes: bytes, status: int) -> None:
    """In the status line too, which is all that clients in Go show; and the proxy goes on."""
    answered, text = await refusal(proxy, request_bytes)
    assert answered == status
    assert text.endswith("\n")
    async with proxy.client.get(f"{proxy.url}/v2/") as answer:
        assert answer.status == 200


async def test_a_server_that_is_down_is_a_502(proxy: Rig) -> None:
    """That names it, and why."""
    target = f"127.0.0.1:{free_port()}"
    status, text = await refusal(proxy, connect(target))
    assert (status, text) == (502, f"cannot connect to {target}: Connection refused\n")


async def test_tunnels_may_be_forbidden(tmp_path: Path) -> None:
    """The refusal names the host and the options."""
    config = ProxyConfig(tunnel=TunnelPolicy.INTERCEPTED)
    async with proxying(tmp_path, origin, config=config) as rig:
        status, text = await refusal(rig, connect("other.test:443"))
    assert status == 403
    assert "--intercept other.test:443" in text


async def test_connect_comes_first_on_a_connection(proxy: Rig) -> None:
    """After other requests it is refused, since their reader cannot let go of the connection."""
    reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
    async with asyncio.timeout(30):
        writer.write(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" + connect("a.test:443"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(2)
        assert (await reader.readline()).startswith(b"HTTP/1.1 501 ")
    writer.close()


@pytest.mark.parametrize("size", [1, 3, 9])
@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 "),
        (connect("no-port"), b"HTTP/1.1 400 "),
    ],
)
async def test_a_head_may_come_in_pieces(
    proxy: Rig, size: int, request_bytes: bytes, answer: bytes
) -> None:
    """Whatever the request is."""
    reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
    async with asyncio.timeout(30):
        for start in range(0, len(request_bytes), size):
            writer.write(request_bytes[start : start + size])
            await writer.drain()
        assert (await reader.readline()).startswith(answer)
    writer.close()


async def test_a_silent_tunnel_is_closed(tmp_path: Path) -> None:
    """A connection that nobody uses any more does not live for ever."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except ConnectionError:
            ended.set()
        writer.close()

    async with listening(serve) as target, listening(serve) as other:
        loop = asyncio.get_running_loop()
        host, _, port = target.partition(":")
        client, _ = await loop.create_connection(asyncio.Protocol, host, int(port))
        client.pause_reading()
        server = socket.create_connection((host, int(other.partition(":")[2])))
        server.setblocking(False)
        tunnel = Tunnel(Metrics(), idle_s=0.05)
        async with asyncio.timeout(30):
            await tunnel.join(client, server, b"")
            await tunnel.ended
            await ended.wait()


async def test_a_proxy_that_stops_ends_its_tunnels(tmp_path: Path) -> None:
    """No connection keeps it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except ConnectionError:
            pass
        writer.close()

    async with listening(serve) as target:
        async with proxying(tmp_path, origin) as rig:
            reader, writer = await asyncio.open_connection(rig.address.host, rig.address.port)
            writer.write(connect(target))
            assert await reader.readexactly(len(ESTABLISHED)) == ESTABLISHED
        async with asyncio.timeout(30):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        writer.close()


async def test_a_remote_client_does_not_reach_the_inside_of_the_host() -> None:
    """Loopback and link-local addresses mean the proxy's host, not the client's."""
    for target in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "169.254.169.254", "::ffff:7f00:1"):
        with pytest.raises(Denied) as caught:
            await dial(Address(target, 80), inner_allowed=False, resolver=Resolver())
        assert caught.value.status == 403
    assert not is_inner("10.0.0.5")
    assert not is_inner("2001:db8::7")
