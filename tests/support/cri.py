"""The kubelet's call for an image, with the pull secret that goes with it (CRI ``runtime.v1``)."""

from __future__ import annotations

from pathlib import Path

import grpc.aio

from tests.support.process import CommandFailed

_PULL = "/runtime.v1.ImageService/PullImage"


async def pull_with_secret(socket: Path, reference: str, user: str = "") -> str:
    """Pull; the image's id. ``user`` is ``name:password``; fails as `CommandFailed`."""
    image_spec = _field(1, reference.encode())
    name, _, password = user.partition(":")
    auth = _field(1, name.encode()) + _field(2, password.encode())
    request = _field(1, image_spec) + (_field(2, auth) if user else b"")
    async with grpc.aio.insecure_channel(f"unix://{socket}") as channel:
        try:
            reply: bytes = await channel.unary_unary(_PULL)(request, timeout=300)
        except grpc.aio.AioRpcError as error:
            raise CommandFailed(f"CRI cannot pull {reference}: {error.details()}") from error
    return reply[2:].decode()


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field (protobuf, "Encoding")."""
    size, varint = len(content), b""
    while size > 0x7F:
        varint += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + varint + bytes([size]) + content
