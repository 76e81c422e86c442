"""gRPC channels to seeders: one each, kept alive, given up quickly when nobody is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from eagle_node.base.errors import Unreachable
from eagle_node.runtime.sockets import Address

if TYPE_CHECKING:
    import grpc

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # A dead host behind an open connection is noticed after both times together.
    ("grpc.keepalive_time_ms", 10_000),
    # Bandwidth estimation costs the seeder a packet per message and node.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Without its own pool a new channel would inherit the back-off of the one that has failed.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_metadata_size", 32 << 10),
)


class Channels:
    """Connected channels by address; `close` ends them and the calls on them."""

    def __init__(
        self,
        *,
        credentials: grpc.ChannelCredentials | None,
        server_name: str | None,
        connect_timeout_s: float,
    ) -> None:
        self._credentials = credentials
        self._server_name = server_name
        self._connect_timeout_s = connect_timeout_s
        self._channels: dict[Address, Any] = {}

    async def connected(self, address: Address) -> Any:
        """A channel that is ready; `Unreachable` when it is not within the time for connecting.

        gRPC itself would wait 20 s for a dead end, then longer each time; so a channel that fails
        to connect is thrown away, and the next call begins anew.
        """
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = self._open(address)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                ready = await _ready(channel)
        except TimeoutError:
            ready = False
        if not ready:
            await self._discard(address, channel)
            raise Unreachable(f"seeder {address} does not accept connections")
        return channel

    async def close(self) -> None:
        """Close every channel."""
        while self._channels:
            _, channel = self._channels.popitem()
            await channel.close()

    def _open(self, address: Address) -> Any:
        import grpc.aio

        if self._credentials is None:
            return grpc.aio.insecure_channel(str(address), options=_OPTIONS)
        options = _OPTIONS
        if self._server_name is not None:
            options += (("grpc.ssl_target_name_override", self._server_name),)
        return grpc.aio.secure_channel(str(address), self._credentials, options=options)

    async def _discard(self, address: Address, channel: Any) -> None:
        if address in self._channels and self._channels[address] is channel:
            del self._channels[address]
            await channel.close()


async def _ready(channel: Any) -> bool:
    """Whether the attempt to connect that is under way, or begins now, succeeds."""
    import grpc

    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (
            grpc.ChannelConnectivity.TRANSIENT_FAILURE,
            grpc.ChannelConnectivity.SHUTDOWN,
        ):
            return False
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
    return True
