"""From an image's name to its blobs, asked of its registry."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.preheat.platforms import index_entries, wanted_entries
from eagle_node.registry.image_manifest import NamedBlob, named_blobs
from eagle_node.registry.image_reference import ImageReference
from eagle_node.registry.upstream import Upstream

ACCEPT = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_FIRST_PAUSE_S = 0.1
_ATTEMPTS = 7
"""For a manifest that was announced and is not readable yet: 6.3 seconds with doubling pauses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImage:
    """What there is to fetch."""

    digest: Digest
    """Of the manifest or index that the name led to."""
    blobs: tuple[NamedBlob, ...]


async def resolve_image(
    upstream: Upstream,
    image: ImageReference,
    *,
    platform: str,
    authorization: str | None,
    announced: bool = False,
) -> ResolvedImage:
    """The blobs of ``image`` for ``platform``, each once; `Denied` or `Unavailable` otherwise.

    ``announced``: it was just pushed, so that a registry that does not know it yet is asked again.
    """
    repository = image.repository
    attempts, pause_s = _ATTEMPTS if announced else 1, _FIRST_PAUSE_S

    async def manifest(reference: str) -> bytes:
        reply = await upstream.fetch_manifest(
            repository, reference, method="GET", accept=ACCEPT, authorization=authorization
        )
        return reply.body

    while True:
        try:
            body = await manifest(image.reference)
            break
        except Denied as error:
            attempts -= 1
            if error.status != 404 or attempts == 0:
                raise
        await asyncio.sleep(pause_s)
        pause_s *= 2
    entries = index_entries(body)
    bodies = [body]
    if entries is not None:
        wanted = wanted_entries(entries, platform)
        bodies = [await manifest(each) for each in dict.fromkeys(e.digest for e in wanted)]
    found = {blob.digest: blob for each in bodies for blob in named_blobs(each)}
    if not found:
        raise Unavailable(f"{image} is no image: its manifest names no blobs")
    return ResolvedImage(digest=digest_of(body), blobs=tuple(found.values()))
