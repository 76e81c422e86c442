"""Sends blobs to a client, as the bytes become readable.

Kernel to kernel (sendfile); on opened connections, whose bytes must be encrypted, through memory.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import aclosing

from aiohttp import web

from eagle_node.base.errors import EagleError, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.reader import BlobReader, FileSlice
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.multipart import Body
from eagle_node.runtime.sendfile import send_file

log = logging.getLogger(__name__)

_CHUNK = 256 << 10
"""Bytes read at a time: what TLS encrypts in one go (asyncio's sslproto), worth a thread's turn."""


async def send_blob(
    request: web.BaseRequest,
    response: web.StreamResponse,
    reader: BlobReader,
    body: Body,
    metrics: Metrics,
) -> web.StreamResponse:
    """Send ``body`` after the headers of ``response``, which promise its length.

    When they cannot all be delivered the connection is closed short of Content-Length: an
    unexpected end, which clients resume or fail on, and never a clean end of a short body.
    """
    response.content_length = body.length
    await response.prepare(request)
    transport = request.transport
    try:
        with reader.expecting([part.content for part in body.parts]):
            for part in body.parts:
                if part.before:
                    await response.write(part.before)
                await _send_range(transport, response, reader, part.content, metrics)
    except EagleError as error:
        log.warning("cut off a client of %s: %s", reader.digest, error)
        if transport is not None:
            transport.close()
        return response
    await response.write_eof(body.after)
    return response


async def _send_range(
    transport: asyncio.Transport | None,
    response: web.StreamResponse,
    reader: BlobReader,
    wanted: ByteRange,
    metrics: Metrics,
) -> None:
    async with aclosing(reader.slices(wanted)) as slices:
        async for part in slices:
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client has gone")
            if transport.get_extra_info("sslcontext") is None:
                sent = await send_file(transport, part.file, part.offset, part.length)
            else:
                sent = await _write_slice(response, part)
            metrics.served(reader.source, sent)
            if sent < part.length:
                raise Unavailable(f"a segment of {reader.digest} became shorter")


async def _write_slice(response: web.StreamResponse, part: FileSlice) -> int:
    """Bytes sent of a slice: all, unless its file has become shorter."""
    offset, stop = part.offset, part.offset + part.length
    while offset < stop:
        chunk = await asyncio.to_thread(
            os.pread, part.file.fileno(), min(_CHUNK, stop - offset), offset
        )
        if not chunk:
            break
        await response.write(chunk)
        offset += len(chunk)
    return offset - part.offset
