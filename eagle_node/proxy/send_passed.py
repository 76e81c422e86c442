"""Sends a client what other nodes give and this one does not keep."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from aiohttp import web

from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError, Unavailable, WrongContent
from eagle_node.base.ranges import ByteRange
from eagle_node.metrics.instruments import Metrics

log = logging.getLogger(__name__)


class Passed(Protocol):
    """A blob of ``size`` bytes on its way through."""

    @property
    def size(self) -> int:
        """Bytes of the blob."""
        ...

    def chunks(self, run: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes of ``run`` in order; raises an `EagleError` when no more come."""
        ...


async def send_passed(
    request: web.BaseRequest,
    response: web.StreamResponse,
    digest: Digest,
    passed: Passed,
    run: ByteRange,
    metrics: Metrics,
) -> web.StreamResponse:
    """Send ``run``; what fails before the first byte is raised, later the connection is cut.

    The last chunk of a whole blob is held back until the digest is known to be right, so that no
    client ever sees the clean end of a wrong body.
    """
    async with aclosing(passed.chunks(run)) as chunks:
        held = await anext(chunks, b"")
        if not held:
            raise Unavailable(f"nothing of {digest} came")
        hashed = hashlib.sha256(held)
        response.content_length = run.length
        await response.prepare(request)
        try:
            async for chunk in chunks:
                hashed.update(chunk)
                await response.write(held)
                metrics.served("swarm", len(held))
                held = chunk
            if run.length == passed.size and f"sha256:{hashed.hexdigest()}" != digest:
                metrics.wrong_content.labels("swarm").inc()
                raise WrongContent(
                    f"asked for {digest} but the bytes are sha256:{hashed.hexdigest()}"
                )
        except EagleError as error:
            log.warning("cut off a client of %s: %s", digest, error)
            if request.transport is not None:
                request.transport.close()
            return response
        await response.write(held)
        metrics.served("swarm", len(held))
    await response.write_eof()
    return response
