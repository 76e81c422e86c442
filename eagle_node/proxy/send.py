"""Sends blobs to a client: kernel to kernel (sendfile), as the bytes become readable."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from eagle_node.base.errors import EagleError
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.reader import BlobReader
from eagle_node.metrics.instruments import Metrics

log = logging.getLogger(__name__)


async def send_blob(
    request: web.BaseRequest,
    response: web.StreamResponse,
    reader: BlobReader,
    wanted: ByteRange,
    metrics: Metrics,
) -> web.StreamResponse:
    """Send ``wanted`` bytes after the headers of ``response``, which promise their number.

    When they cannot all be delivered the connection is closed short of Content-Length: an
    unexpected end, which clients resume or fail on, and never a clean end of a short body.
    """
    response.content_length = wanted.length
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    transport = request.transport
    try:
        async for part in reader.slices(wanted):
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client has gone")
            await loop.sendfile(transport, part.file, part.offset, part.length)
            metrics.served(reader.source, part.length)
    except EagleError as error:
        log.warning("cut off a client of %s: %s", reader.digest, error)
        if transport is not None:
            transport.close()
        return response
    await response.write_eof()
    return response
