"""A blob's bytes on their way from the origin."""

from __future__ import annotations

from collections.abc import AsyncIterator

from eagle_node.base.errors import Unavailable
from eagle_node.registry.file_ref import validator_of
from eagle_node.registry.transport import Reply


class BlobStream:
    """The bytes ``[start, stop)`` of a blob of ``size`` bytes, once."""

    def __init__(self, reply: Reply, *, subject: str, start: int, stop: int, size: int) -> None:
        self._reply = reply
        self._subject = subject
        self.start = start
        """Offset in the blob of the first byte."""
        self.stop = stop
        """Offset behind the last byte."""
        self.size = size
        """Bytes of the whole blob."""
        self.validator = validator_of(reply.headers)
        """What tells this state of it from others; empty: the server gives nothing."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes in order, exactly ``stop - start`` of them; they are not verified here.

        `Unavailable` when the origin stalls, breaks off or sends another number of bytes; the bytes
        yielded before that are good to resume from.
        """
        wanted, came = self.stop - self.start, 0
        try:
            async for chunk in self._reply.chunks():
                part = chunk[: wanted - came]
                came += len(part)
                if part:
                    yield part
                if came == wanted:
                    return
        except Unavailable as error:
            raise Unavailable(
                f"{error}; {came} of {wanted} bytes of {self._subject} came"
            ) from error
        if came < wanted:
            raise Unavailable(
                f"{self._reply.name} ended early; {came} of {wanted} bytes of {self._subject} came"
            )
