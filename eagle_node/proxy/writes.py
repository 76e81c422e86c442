"""What a client changes at a registry voids what the registry said of it before."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web

from eagle_node.base.digest import looks_like_digest, parse_digest
from eagle_node.proxy.blobs import BlobHandler
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.registry.names import BlobRef
from eagle_node.registry.route import BlobRoute, ManifestRoute, Route, UploadRoute

_READS = (hdrs.METH_GET, hdrs.METH_HEAD)


class Writes:
    """Watches what is passed on; the same for the mirror's requests and the forward proxy's."""

    def __init__(self, blobs: BlobHandler, manifests: ManifestHandler) -> None:
        self._blobs = blobs
        self._manifests = manifests

    def passed(
        self, request: web.BaseRequest, route: Route, query: Mapping[str, str], status: int
    ) -> None:
        """A request was passed on and answered; only writes that succeeded have changed anything.

        ``query`` is that of the URL at the registry.
        """
        if request.method in _READS or not 200 <= status < 300:
            return
        match route:
            case ManifestRoute():
                self._manifests.written(route)
            case UploadRoute(repository):
                for name in ("digest", "mount"):
                    if looks_like_digest(digest := query.get(name, "")):
                        self._blobs.written(BlobRef(repository, parse_digest(digest)), request)
            case BlobRoute(blob):
                self._blobs.written(blob, request)
