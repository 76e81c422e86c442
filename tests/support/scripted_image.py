"""An image at a scripted origin, and pulls of it by plain HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from tests.support import http
from tests.support.images import MANIFEST_TYPE
from tests.support.node import Node
from tests.support.origin import Origin
from tests.support.pulls import manifest_url, pull_blob

KIB = 1 << 10
SIZES = (400 * KIB, 3 * KIB)


class ScriptedImage:
    """A manifest under a tag, and its blobs."""

    def __init__(self, origin: Origin, tag: str) -> None:
        seed = sum(map(ord, tag))
        self.tag = tag
        self.blobs = [origin.add_random(size, seed=seed + n) for n, size in enumerate(SIZES)]
        layers = [
            {"mediaType": "layer", "digest": blob, "size": size}
            for blob, size in zip(self.blobs, SIZES, strict=True)
        ]
        body = json.dumps({"mediaType": MANIFEST_TYPE, "layers": layers}).encode()
        self.digest = origin.add_manifest(tag, body)
        origin.add_manifest(self.digest, body)

    @property
    def names(self) -> list[str]:
        """All that the origin may be asked for."""
        return [self.tag, self.digest, *self.blobs]

    async def manifest(
        self, node: Node, reference: str, headers: Mapping[str, str] | None = None
    ) -> http.Download:
        """Through a node; the digest is checked."""
        return await http.download(
            manifest_url(node, reference), digest=self.digest, headers=headers
        )

    async def pull(self, node: Node) -> list[str | None]:
        """By tag, by digest, then the blobs; the ``Warning`` of both manifests."""
        manifests = [await self.manifest(node, each) for each in (self.tag, self.digest)]
        await asyncio.gather(*(pull_blob(node, blob) for blob in self.blobs))
        return [each.headers.get("Warning") for each in manifests]
