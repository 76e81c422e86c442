"""Puts a seeder's handler behind a gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from eagle_node.base.errors import EagleError
from eagle_node.metainfo.errors import TRAILER, RpcStatus, encode_error
from eagle_node.metainfo.hash_messages import HASHES, HashesReply, encode_hashes_reply
from eagle_node.metainfo.messages import (
    FETCH,
    GET_METAINFO,
    PREFETCH,
    READ,
    FetchReply,
    FetchRequest,
    PrefetchRequest,
    ReadRequest,
    decode_fetch_request,
    decode_metainfo_request,
    decode_prefetch_request,
    decode_read_request,
    encode_fetch_reply,
    encode_metainfo_reply,
    encode_prefetch_reply,
    encode_read_reply,
)
from eagle_node.runtime.tracing import TRACE_HEADERS, Tracer, note, serving

if TYPE_CHECKING:
    import grpc.aio

R = TypeVar("R", FetchRequest, ReadRequest)
A = TypeVar("A")

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_send_message_length", 64 << 20),
)
"""For `grpc.aio.server`: a port in use is an error, our clients' keep-alive pings are not."""


class MetaInfoHandler(Protocol):
    """What a seeder answers; its `EagleError`s reach the client as they are."""

    async def get_metainfo(self, url: str) -> bytes:
        """The bencoded torrent of the blob at ``url``, once the blob is whole here."""
        ...

    def fetch(self, request: FetchRequest) -> AsyncIterator[FetchReply]:
        """Layout, then segments as they become ready; cancelled when the client goes away."""
        ...

    async def prefetch(self, request: PrefetchRequest) -> None:
        """Take note of what may be wanted soon; returns before any of it is fetched."""
        ...

    def read(self, request: ReadRequest) -> AsyncIterator[bytes]:
        """The bytes asked for, in order; cancelled when the client goes away."""
        ...

    async def hashes(self, request: ReadRequest) -> HashesReply:
        """What the bytes asked for hash to; `Unavailable` when they are not here."""
        ...


def add_metainfo_service(
    server: grpc.aio.Server, handler: MetaInfoHandler, tracer: Tracer | None = None
) -> None:
    """Let ``server`` answer the services for blobs of ``metainfo.proto`` with ``handler``."""
    import grpc

    calls = _Calls(handler, tracer)
    methods = {
        GET_METAINFO: grpc.unary_unary_rpc_method_handler(calls.get_metainfo),
        FETCH: grpc.unary_stream_rpc_method_handler(calls.fetch),
        PREFETCH: grpc.unary_unary_rpc_method_handler(calls.prefetch),
        READ: grpc.unary_stream_rpc_method_handler(calls.read),
        HASHES: grpc.unary_unary_rpc_method_handler(calls.hashes),
    }
    for path, method in methods.items():
        service, name = path.strip("/").split("/")
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {name: method})]
        )


class _Calls:
    """Methods over raw bytes, so that malformed requests get our error."""

    def __init__(self, handler: MetaInfoHandler, tracer: Tracer | None) -> None:
        self._handler = handler
        self._tracer = tracer

    async def get_metainfo(self, raw: bytes, context: Any) -> bytes:
        try:
            url = decode_metainfo_request(raw)
            with call_span(self._tracer, GET_METAINFO, context):
                return encode_metainfo_reply(await self._handler.get_metainfo(url))
        except EagleError as error:
            await abort(context, encode_error(error))
        except ValueError as error:
            await abort(context, malformed(error))

    async def prefetch(self, raw: bytes, context: Any) -> bytes:
        try:
            request = decode_prefetch_request(raw)
            with call_span(self._tracer, PREFETCH, context):
                note({"eagle.request_id": request.request_id, "eagle.node": request.node_id})
                await self._handler.prefetch(request)
        except EagleError as error:
            await abort(context, encode_error(error))
        except ValueError as error:
            await abort(context, malformed(error))
        return encode_prefetch_reply()

    async def hashes(self, raw: bytes, context: Any) -> bytes:
        try:
            request = decode_read_request(raw)
            with call_span(self._tracer, HASHES, context):
                note({"eagle.request_id": request.request_id, "eagle.node": request.node_id})
                return encode_hashes_reply(await self._handler.hashes(request))
        except EagleError as error:
            await abort(context, encode_error(error))
        except ValueError as error:
            await abort(context, malformed(error))

    async def fetch(self, raw: bytes, context: Any) -> None:
        await self._stream(
            FETCH, raw, context, decode_fetch_request, self._handler.fetch, encode_fetch_reply
        )

    async def read(self, raw: bytes, context: Any) -> None:
        await self._stream(
            READ, raw, context, decode_read_request, self._handler.read, encode_read_reply
        )

    async def _stream(
        self,
        path: str,
        raw: bytes,
        context: Any,
        decode: Callable[[bytes], R],
        answer: Callable[[R], AsyncIterator[A]],
        encode: Callable[[A], bytes],
    ) -> None:
        try:
            request = decode(raw)
        except EagleError as error:
            await abort(context, encode_error(error))
        except ValueError as error:
            await abort(context, malformed(error))
        replies = answer(request)
        try:
            with call_span(self._tracer, path, context):
                note({"eagle.request_id": request.request_id, "eagle.node": request.node_id})
                async for reply in replies:
                    await _write(context, encode(reply))
        except EagleError as error:
            await abort(context, encode_error(error))
        finally:
            if isinstance(replies, AsyncGenerator):
                await replies.aclose()


async def _write(context: Any, message: bytes) -> None:
    """Send a message; a caller that has hung up meanwhile cancels the call.

    gRPC tells of that by a cancellation a moment later, and logs the failed write as a fault.
    """
    import grpc.aio

    try:
        await context.write(message)
    except grpc.aio.InternalError as gone:
        raise asyncio.CancelledError("the caller has hung up") from gone


def call_span(tracer: Tracer | None, path: str, context: Any) -> AbstractContextManager[None]:
    """The block answers a call of the method at ``path``, in the trace of its caller."""
    if tracer is None:
        return nullcontext()
    headers = {key: value for key, value in context.invocation_metadata() if key in TRACE_HEADERS}
    service, method = path.strip("/").split("/")
    about = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    return serving(tracer, f"seeder {method}", headers, about)


def malformed(error: ValueError) -> RpcStatus:
    """How a request that cannot be read fails."""
    return RpcStatus(status="INVALID_ARGUMENT", message=str(error), trailer=b"")


async def abort(context: Any, failed: RpcStatus) -> NoReturn:
    """End a call with an error; raises what gRPC wants raised then."""
    import grpc

    trailer = ((TRAILER, failed.trailer),) if failed.trailer else ()
    await context.abort(grpc.StatusCode[failed.status], failed.message, trailer)
    raise AssertionError("abort() raises")
