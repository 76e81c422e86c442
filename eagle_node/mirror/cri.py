"""The kubelet's side of a runtime (CRI, ``runtime.v1``): enough of it to pull an image.

The three messages used have one field each, so they are written here rather than generated from the
whole of Kubernetes' ``api.proto``: ``PullImageRequest`` and ``RemoveImageRequest`` hold an
``ImageSpec`` as field 1, and that holds the image's name as field 1.
"""

from __future__ import annotations

from pathlib import Path

from eagle_node.mirror.pull import NotServed, PullFailed

_PULL = "/runtime.v1.ImageService/PullImage"
_REMOVE = "/runtime.v1.ImageService/RemoveImage"


async def pull_image(socket: Path, reference: str, *, timeout_s: float) -> None:
    """Pull an image as a kubelet does.

    Raises `NotServed` when there is no CRI behind the socket, `PullFailed` with the runtime's words
    when the pull fails.
    """
    await _call(socket, _PULL, reference, timeout_s)


async def remove_image(socket: Path, reference: str, *, timeout_s: float) -> None:
    """Remove an image, which need not be there; raises as `pull_image` does."""
    await _call(socket, _REMOVE, reference, timeout_s)


async def _call(socket: Path, method: str, reference: str, timeout_s: float) -> None:
    import grpc

    async with grpc.aio.insecure_channel(f"unix://{socket}") as channel:
        try:
            await channel.unary_unary(method)(_image_request(reference), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE):
                raise NotServed(f"{socket}: {error.details()}") from error
            raise PullFailed(error.details() or str(error.code())) from error


def _image_request(reference: str) -> bytes:
    """Either request, for an image: lengths below 128 are one byte (protobuf, "Encoding")."""
    name = reference.encode()
    assert len(name) < 126, "the names of check images are short"
    image_spec = bytes([0x0A, len(name)]) + name
    return bytes([0x0A, len(image_spec)]) + image_spec
