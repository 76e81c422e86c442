"""Puts what a seeder knows of registries behind a gRPC server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from eagle_node.base.errors import EagleError
from eagle_node.metainfo.errors import encode_error
from eagle_node.metainfo.registry_messages import (
    CHECK,
    MANIFEST,
    CheckReply,
    CheckRequest,
    ManifestReply,
    ManifestRequest,
    decode_check_request,
    decode_manifest_request,
    encode_check_reply,
    encode_manifest_reply,
)
from eagle_node.metainfo.service import abort, call_span, malformed
from eagle_node.runtime.tracing import Tracer

if TYPE_CHECKING:
    import grpc.aio


class RegistryHandler(Protocol):
    """What a seeder answers for registries; its `EagleError`s reach the client as they are."""

    async def manifest(self, request: ManifestRequest) -> ManifestReply:
        """The manifest, as the registry gives it to this reader."""
        ...

    async def check(self, request: CheckRequest) -> CheckReply:
        """Return if the registry gives the blob to this reader."""
        ...


def add_registry_service(
    server: grpc.aio.Server, handler: RegistryHandler, tracer: Tracer | None = None
) -> None:
    """Let ``server`` answer the Registry service of ``metainfo.proto`` with ``handler``."""
    import grpc

    async def manifest(raw: bytes) -> bytes:
        return encode_manifest_reply(await handler.manifest(decode_manifest_request(raw)))

    async def check(raw: bytes) -> bytes:
        return encode_check_reply(await handler.check(decode_check_request(raw)))

    for path, answer in ((MANIFEST, manifest), (CHECK, check)):
        service, name = path.strip("/").split("/")
        method = grpc.unary_unary_rpc_method_handler(_call(answer, path, tracer))
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {name: method})]
        )


def _call(
    answer: Callable[[bytes], Awaitable[bytes]], path: str, tracer: Tracer | None
) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """A method over raw bytes, which tells at once that it was called."""

    async def call(raw: bytes, context: Any) -> bytes:
        await context.send_initial_metadata(())
        try:
            with call_span(tracer, path, context):
                return await answer(raw)
        except EagleError as error:
            await abort(context, encode_error(error))
        except ValueError as error:
            await abort(context, malformed(error))

    return call
