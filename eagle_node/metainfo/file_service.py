"""Puts what a seeder tells of files behind a gRPC server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from eagle_node.base.errors import EagleError
from eagle_node.metainfo.errors import encode_error
from eagle_node.metainfo.file_messages import (
    LOOK,
    LookReply,
    LookRequest,
    decode_look_request,
    encode_look_reply,
)
from eagle_node.metainfo.service import abort, call_span, malformed
from eagle_node.runtime.tracing import Tracer

if TYPE_CHECKING:
    import grpc.aio


class FileHandler(Protocol):
    """What a seeder answers for files; its `EagleError`s reach the client as they are."""

    def look(self, request: LookRequest) -> AsyncGenerator[LookReply, None]:
        """Signs of life, then what the file is; closed when the client goes away."""
        ...


def add_file_service(
    server: grpc.aio.Server, handler: FileHandler, tracer: Tracer | None = None
) -> None:
    """Let ``server`` answer the Files service of ``metainfo.proto`` with ``handler``."""
    import grpc

    async def look(raw: bytes, context: Any) -> None:
        try:
            request = decode_look_request(raw)
            with call_span(tracer, LOOK, context):
                async with aclosing(handler.look(request)) as replies:
                    async for reply in replies:
                        await context.write(encode_look_reply(reply))
        except EagleError as error:
            await abort(context, encode_error(error))
        except ValueError as error:
            await abort(context, malformed(error))

    service, name = LOOK.strip("/").split("/")
    method = grpc.unary_stream_rpc_method_handler(look)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: method})])
