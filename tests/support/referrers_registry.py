"""A small registry in memory that knows referrers (OCI distribution-spec 1.1), which Debian's
does not: their list by filter and by page, and the subject of what is pushed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from eagle_node.base.digest import digest_of

_INDEX = "application/vnd.oci.image.index.v1+json"


class ReferrersRegistry:
    """A running registry; whoever asks may read and write."""

    def __init__(self, *, referrers: bool) -> None:
        self.url = ""
        self._knows_referrers = referrers
        self._blobs: dict[str, bytes] = {}
        self._manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        """Media type and content by repository and reference."""
        self._referrers: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """Descriptors by repository and subject, in the order of their digests."""
        self.asked: list[str] = []
        """Paths and queries of requests for referrers."""

    def routes(self) -> list[web.RouteDef]:
        """What it answers."""
        name = "/v2/{name:.+}"
        return [
            web.get("/v2/", self._ping),
            web.post(name + "/blobs/uploads/", self._upload),
            web.put(name + "/blobs/uploads/{session}", self._put_blob),
            web.get(name + "/blobs/{digest}", self._blob),
            web.put(name + "/manifests/{reference}", self._put_manifest),
            web.get(name + "/manifests/{reference}", self._manifest),
            web.get(name + "/referrers/{digest}", self._list),
        ]

    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _upload(self, request: web.Request) -> web.Response:
        location = f"/v2/{request.match_info['name']}/blobs/uploads/session-1"
        return web.Response(status=202, headers={"Location": location})

    async def _put_blob(self, request: web.Request) -> web.Response:
        content = await request.read()
        digest = request.query["digest"]
        if digest_of(content) != digest:
            return _error(400, "DIGEST_INVALID")
        self._blobs[digest] = content
        location = f"/v2/{request.match_info['name']}/blobs/{digest}"
        return web.Response(status=201, headers={"Location": location})

    async def _blob(self, request: web.Request) -> web.Response:
        content = self._blobs.get(request.match_info["digest"])
        return _error(404, "BLOB_UNKNOWN") if content is None else web.Response(body=content)

    async def _put_manifest(self, request: web.Request) -> web.Response:
        name, content = request.match_info["name"], await request.read()
        digest, media_type = digest_of(content), request.headers["Content-Type"]
        document = json.loads(content)
        for reference in (digest, request.match_info["reference"]):
            self._manifests[name, reference] = (media_type, content)
        headers = {"Docker-Content-Digest": digest}
        subject = document.get("subject", {}).get("digest")
        if subject and self._knows_referrers:
            headers["OCI-Subject"] = subject
            known = self._referrers.setdefault((name, subject), [])
            known.append(
                {
                    "mediaType": media_type,
                    "digest": digest,
                    "size": len(content),
                    "artifactType": document.get("artifactType", ""),
                }
            )
            known.sort(key=lambda each: str(each["digest"]))
        return web.Response(status=201, headers=headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        found = self._manifests.get((request.match_info["name"], request.match_info["reference"]))
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN")
        headers = {"Content-Type": found[0], "Docker-Content-Digest": digest_of(found[1])}
        return web.Response(body=found[1], headers=headers)

    async def _list(self, request: web.Request) -> web.Response:
        if not self._knows_referrers:
            return _error(404, "UNSUPPORTED")
        self.asked.append(request.raw_path)
        name, digest = request.match_info["name"], request.match_info["digest"]
        found = self._referrers.get((name, digest), [])
        headers = {"Content-Type": _INDEX}
        if wanted := request.query.get("artifactType"):
            found = [each for each in found if each["artifactType"] == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        found = [each for each in found if each["digest"] > request.query.get("last", "")]
        most = int(request.query.get("n", len(found)))
        if len(found) > most:
            more = request.url.update_query(last=found[most - 1]["digest"])
            headers["Link"] = f'<{more.raw_path_qs}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": found[:most]}
        return web.Response(body=json.dumps(index).encode(), headers=headers)


def _error(status: int, code: str) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": code.lower()}]}, status=status)


@asynccontextmanager
async def referrers_registry(*, referrers: bool = True) -> AsyncIterator[ReferrersRegistry]:
    """A registry on a loopback port; without ``referrers`` clients use the fallback tag."""
    registry = ReferrersRegistry(referrers=referrers)
    app = web.Application()
    app.add_routes(registry.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        registry.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield registry
    finally:
        await runner.cleanup()
