"""A small registry (OCI distribution-spec, "Pulling") of one image, which counts what it sends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from eagle_node.base.digest import Digest
from eagle_node.base.ranges import Unsatisfiable, resolve_range
from eagle_node.cli.demo_image import MANIFEST_TYPE, Blob, Image
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp

REPOSITORY = "demo/files"
TAG = "latest"
_CHUNK = 256 * 1024


class DemoRegistry:
    """Serves ``image`` as ``demo/files:latest``."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._blobs = {blob.digest: blob for blob in image.blobs}
        self.address = Address("127.0.0.1", 0)
        """Where it listens, while it is served."""
        self.sent: Counter[Digest] = Counter()
        """Bytes sent of each blob."""

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{self.address}"

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Serve on a free port of loopback while the block lasts."""
        app = web.Application()
        app.router.add_get("/v2/", self._ping)
        app.router.add_get(f"/v2/{REPOSITORY}/manifests/{{reference}}", self._manifest)
        app.router.add_get(f"/v2/{REPOSITORY}/blobs/{{digest}}", self._blob)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            listener = listen_tcp(self.address, flag="a free port")
            self.address = bound_address(listener)
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()

    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _manifest(self, request: web.Request) -> web.Response:
        if request.match_info["reference"] not in (TAG, self._image.digest):
            return _unknown("MANIFEST_UNKNOWN", "this registry holds one image only")
        headers = {"Content-Type": MANIFEST_TYPE, "Docker-Content-Digest": self._image.digest}
        return web.Response(body=self._image.manifest, headers=headers)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        blob = self._blobs.get(Digest(request.match_info["digest"]))
        if blob is None:
            return _unknown("BLOB_UNKNOWN", "this registry holds one image only")
        try:
            part = resolve_range(request.headers.get("Range"), blob.size)
        except Unsatisfiable:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{blob.size}"})
        start, stop = (part.start, part.stop) if part else (0, blob.size)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(stop - start),
            "Accept-Ranges": "bytes",
            "Docker-Content-Digest": blob.digest,
        }
        if part:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
        response = web.StreamResponse(status=206 if part else 200, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            await self._send(response, blob, start, stop)
        return response

    async def _send(self, response: web.StreamResponse, blob: Blob, start: int, stop: int) -> None:
        with blob.path.open("rb") as file:
            file.seek(start)
            while start < stop:
                chunk = await asyncio.to_thread(file.read, min(_CHUNK, stop - start))
                await response.write(chunk)
                self.sent[blob.digest] += len(chunk)
                start += len(chunk)


def _unknown(code: str, message: str) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=404)
