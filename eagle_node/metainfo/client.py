"""Asks seeders for metainfo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Self

from eagle_node.base.errors import EagleError, NoSpace, Unavailable, Unreachable
from eagle_node.base.rendezvous import rendezvous
from eagle_node.metainfo.channels import Channels
from eagle_node.metainfo.descriptors import message
from eagle_node.metainfo.errors import TRAILER, RpcStatus, decode_error
from eagle_node.metainfo.file_messages import (
    LOOK,
    LookReply,
    LookRequest,
    decode_look_reply,
    encode_look_request,
)
from eagle_node.metainfo.hash_messages import HASHES, HashesReply, decode_hashes_reply
from eagle_node.metainfo.messages import (
    FETCH,
    GET_METAINFO,
    PREFETCH,
    READ,
    FetchReply,
    FetchRequest,
    PrefetchRequest,
    ReadRequest,
    decode_fetch_reply,
    decode_metainfo_reply,
    decode_read_reply,
    encode_fetch_request,
    encode_metainfo_request,
    encode_prefetch_request,
    encode_read_request,
)
from eagle_node.metainfo.registry_messages import (
    CHECK,
    MANIFEST,
    CheckReply,
    CheckRequest,
    ManifestReply,
    ManifestRequest,
    decode_check_reply,
    decode_manifest_reply,
    encode_check_request,
    encode_manifest_request,
)
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tracing import trace_headers

if TYPE_CHECKING:
    import grpc

AVOID_S = 5.0
"""Seconds for which a seeder that did not accept a connection comes last."""
_TELL_S = 5.0
"""Seconds in which a seeder has to take note of what may be wanted soon."""
SILENT_S = 4.0
"""Seconds without a word from one that tells of a blob, and beats once a second: its process stands
still behind a connection that looks well, or its host is cut off."""
_CUT_OFF = ("UNAVAILABLE", "CANCELLED")
"""What gRPC itself calls the end of a connection; seeders' own errors come with a trailer."""
TAKEN_S = 5.0
"""Seconds in which a seeder has to take a question for a registry; its event loop does no more."""
ANSWERED_S = 40.0
"""Seconds in which it has to answer: a registry that is silent is given up sooner than that."""


class MetaInfoClient:
    """Calls to the seeders that ``seeders()`` names at the time; an async context manager.

    ``server_name`` is the name that seeders' certificates are issued to. Calls raise the error
    that the seeder raised, or `Unavailable`: `Unreachable` where no seeder is (any more), or
    one that tells of a blob has said nothing for ``silent_s``.
    """

    def __init__(
        self,
        seeders: Callable[[], Sequence[Address]],
        *,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str | None = None,
        connect_timeout_s: float = 2.0,
        silent_s: float = SILENT_S,
        clock: Clock = monotonic,
    ) -> None:
        self._seeders = seeders
        self._silent_s = silent_s
        self._clock = clock
        self._channels = Channels(
            credentials=credentials, server_name=server_name, connect_timeout_s=connect_timeout_s
        )
        self._failed_at: dict[Address, float] = {}
        self._turn = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channels.close()

    async def prepare(self) -> None:
        """Load what calls need, tens of milliseconds of a core: the first reader is not to wait."""
        await asyncio.to_thread(_load)

    def owners(self, digest: str) -> list[Address]:
        """Seeders in the order to ask for ``digest``: its owner first, dead ones last."""
        return self._live_first(rendezvous(digest, self._seeders()))

    def live_first(self, addresses: Sequence[Address]) -> list[Address]:
        """``addresses`` in their order, those that did not accept a connection just now last."""
        return self._live_first(addresses)

    async def fetch(
        self, request: FetchRequest, *, order: Sequence[Address] | None = None
    ) -> AsyncGenerator[FetchReply, None]:
        """`fetch_from` the first seeder of ``order`` (default: `owners`) that is not known dead.

        One seeder only: a caller that asks again after `Unavailable` gets the next.
        """
        asked = self.owners(request.digest) if order is None else self._live_first(order)
        if not asked:
            raise Unavailable("no seeder is known")
        async for reply in self.fetch_from(asked[0], request):
            yield reply

    async def fetch_from(
        self, address: Address, request: FetchRequest
    ) -> AsyncGenerator[FetchReply, None]:
        """What the seeder tells, until it has told everything; closing this cancels the call.

        `Unreachable` also when it falls silent after its first word, for which it may have to
        ask a registry, or hash what it holds: that patience is the caller's.
        """
        channel = await self._connected(address)
        call = channel.unary_stream(FETCH)(encode_fetch_request(request), metadata=_metadata())
        try:
            async with aclosing(
                _replies(call, address, self._silent_s, from_first=True)
            ) as replies:
                async for raw in replies:
                    with _translated(address):
                        reply = decode_fetch_reply(raw)
                    if reply is not None:
                        yield reply
        finally:
            call.cancel()

    async def prefetch(self, address: Address, request: PrefetchRequest) -> None:
        """Tell one seeder what may be wanted soon; it fetches nothing before it has answered."""
        channel = await self._connected(address)
        with _translated(address):
            await channel.unary_unary(PREFETCH)(
                encode_prefetch_request(request), timeout=_TELL_S, metadata=_metadata()
            )

    async def manifest(self, address: Address, request: ManifestRequest) -> ManifestReply:
        """What a registry answers, asked by one seeder."""
        raw = await self._question(address, MANIFEST, encode_manifest_request(request))
        with _translated(address):
            return decode_manifest_reply(raw)

    async def check(self, address: Address, request: CheckRequest) -> CheckReply:
        """Whether a registry gives a blob to a reader, asked by one seeder; a no is `Denied`."""
        raw = await self._question(address, CHECK, encode_check_request(request))
        with _translated(address):
            return decode_check_reply(raw)

    async def _question(self, address: Address, path: str, raw: bytes) -> bytes:
        """The answer of a seeder that takes the question at once; a silent one comes last then."""
        channel = await self._connected(address)
        call = channel.unary_unary(path)(raw, timeout=ANSWERED_S, metadata=_metadata())
        try:
            with _translated(address):
                async with asyncio.timeout(TAKEN_S):
                    await call.initial_metadata()
                return bytes(await call)
        except TimeoutError:
            self._failed_at[address] = self._clock()
            raise Unavailable(
                f"seeder {address} did not take a question within {TAKEN_S:g} s"
            ) from None
        finally:
            call.cancel()

    async def hashes_from(self, address: Address, request: ReadRequest) -> HashesReply:
        """What the bytes hash to; `Unavailable` also from a seeder that does not hold them."""
        channel = await self._connected(address)
        with _translated(address):
            raw = await channel.unary_unary(HASHES)(
                encode_read_request(request), timeout=_TELL_S, metadata=_metadata()
            )
            return decode_hashes_reply(raw)

    async def read_from(
        self, address: Address, request: ReadRequest, *, silence_s: float
    ) -> AsyncGenerator[bytes, None]:
        """The bytes in order; `Unreachable`, also after ``silence_s`` without any, comes last then.

        They may be fewer than were asked for: the caller counts. Closing this cancels the call.
        """
        channel = await self._connected(address)
        call = channel.unary_stream(READ)(encode_read_request(request), metadata=_metadata())
        try:
            async with aclosing(_replies(call, address, silence_s)) as replies:
                async for raw in replies:
                    with _translated(address):
                        data = decode_read_reply(raw)
                    yield data
        except Unreachable:
            self._failed_at[address] = self._clock()
            raise
        finally:
            call.cancel()

    async def look_from(
        self, address: Address, request: LookRequest, *, silence_s: float
    ) -> AsyncGenerator[LookReply, None]:
        """What one seeder tells of a file; `Unreachable` also after ``silence_s`` without a sign.

        Closing this cancels the call.
        """
        channel = await self._connected(address)
        call = channel.unary_stream(LOOK)(encode_look_request(request), metadata=_metadata())
        try:
            async with aclosing(_replies(call, address, silence_s)) as replies:
                async for raw in replies:
                    with _translated(address):
                        reply = decode_look_reply(raw)
                    if reply is not None:
                        yield reply
        finally:
            call.cancel()

    async def get_metainfo(self, url: str) -> bytes:
        """The torrent of the whole blob at ``url``; seeders take turns, and stand in for others."""
        seeders = self._seeders()
        self._turn += 1
        start = self._turn % max(1, len(seeders))
        error = Unavailable("no seeder is known")
        for address in self._live_first([*seeders[start:], *seeders[:start]]):
            try:
                channel = await self._connected(address)
                with _translated(address):
                    raw = await channel.unary_unary(GET_METAINFO)(encode_metainfo_request(url))
                    return decode_metainfo_reply(raw)
            except Unavailable as failure:
                error = failure
        raise error

    async def _connected(self, address: Address) -> Any:
        try:
            channel = await self._channels.connected(address)
        except Unavailable:
            self._failed_at[address] = self._clock()
            raise
        self._failed_at.pop(address, None)
        return channel

    def _live_first(self, addresses: Sequence[Address]) -> list[Address]:
        now = self._clock()
        self._failed_at = {
            each: failed for each, failed in self._failed_at.items() if now - failed < AVOID_S
        }
        return sorted(addresses, key=lambda each: each in self._failed_at)


async def _replies(
    call: Any, address: Address, silence_s: float, *, from_first: bool = False
) -> AsyncGenerator[bytes, None]:
    """The messages of a stream; `Unreachable` also after ``silence_s`` without any.

    ``from_first``: the first one may take its time.
    """
    replies = aiter(call)
    patience_s = None if from_first else silence_s
    while True:
        with _translated(address):
            try:
                async with asyncio.timeout(patience_s):
                    raw = await anext(replies)
            except TimeoutError as error:
                raise Unreachable(f"seeder {address} is silent") from error
            except StopAsyncIteration:
                return
        yield raw
        patience_s = silence_s


def _load() -> None:
    import grpc.aio  # noqa: F401

    message("FetchRequest")


def _metadata() -> tuple[tuple[str, str], ...]:
    """What a call bears beside its request."""
    return tuple(trace_headers().items())


@contextmanager
def _translated(address: Address) -> Iterator[None]:
    """gRPC's errors and broken replies as the error family."""
    import grpc.aio

    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _error_of(error, address) from error
    except ValueError as error:
        raise Unavailable(f"seeder {address} sent a broken reply: {error}") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Unreachable(f"the connection to seeder {address} was closed") from error


def _error_of(error: Any, address: Address) -> EagleError:
    trailer = next((value for key, value in error.trailing_metadata() or () if key == TRAILER), b"")
    message = error.details() or f"seeder {address}: {error.code().name}"
    if not trailer:
        message = f"seeder {address}: {message}"
        if error.code().name in _CUT_OFF:
            return Unreachable(message)
    failure = decode_error(RpcStatus(status=error.code().name, message=message, trailer=trailer))
    if isinstance(failure, NoSpace):  # there; here is another matter
        return Unavailable(f"seeder {address}: {failure}")
    return failure
