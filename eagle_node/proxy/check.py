"""Serves the check image, and tells which of its tags have been pulled from here."""

from __future__ import annotations

from aiohttp import hdrs, web

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.check_image import MANIFEST_TYPE, REPOSITORY, check_image, is_check_tag
from eagle_node.base.digest import Digest, digest_of
from eagle_node.proxy.conditional import head_response
from eagle_node.registry.route import BlobRoute, ManifestRoute, Route, TagsRoute

_MOST = 64
"""Tags that are remembered; a check looks at its own within seconds."""


class CheckAnswers:
    """Answers requests for the reserved repository, which every registry has here.

    The list of its tags holds those whose config has been fetched, of whatever registry.
    """

    def __init__(self) -> None:
        self._blobs: BoundedDict[Digest, tuple[bytes, str]] = BoundedDict(3 * _MOST)
        self._pulled: BoundedDict[str, None] = BoundedDict(_MOST)

    def answer(self, request: web.BaseRequest, route: Route) -> web.StreamResponse | None:
        """The answer; None when the request is for something else."""
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            return None
        match route:
            case TagsRoute(repository) if repository.name == REPOSITORY:
                return web.json_response({"name": REPOSITORY, "tags": list(self._pulled)})
            case ManifestRoute(repository, reference) if repository.name == REPOSITORY:
                return self._manifest(request, str(reference))
            case BlobRoute(blob) if blob.repository.name == REPOSITORY:
                return self._blob(request, blob.digest)
        return None

    def _manifest(self, request: web.BaseRequest, reference: str) -> web.StreamResponse | None:
        content, tag = self._blobs.get(Digest(reference), (b"", reference))
        if not content:
            if not is_check_tag(tag):
                return None
            image = check_image(tag)
            content = image.manifest
            for blob in (image.manifest, image.config, image.layer):
                self._blobs[digest_of(blob)] = (blob, tag)
        headers = {
            hdrs.CONTENT_TYPE: MANIFEST_TYPE,
            "Docker-Content-Digest": digest_of(content),
            "Docker-Distribution-Api-Version": "registry/2.0",
        }
        return _response(request, headers, content)

    def _blob(self, request: web.BaseRequest, digest: Digest) -> web.StreamResponse | None:
        content, tag = self._blobs.get(digest, (b"", ""))
        if not content:
            return None
        if request.method == hdrs.METH_GET and content == check_image(tag).config:
            self._pulled[tag] = None
        headers = {
            hdrs.CONTENT_TYPE: "application/octet-stream",
            "Docker-Content-Digest": digest,
        }
        return _response(request, headers, content)


def _response(
    request: web.BaseRequest, headers: dict[str, str], content: bytes
) -> web.StreamResponse:
    if request.method == hdrs.METH_HEAD:
        return head_response(headers, len(content))
    return web.Response(headers=headers, body=content)
