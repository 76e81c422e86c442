"""From an image's name to its blobs, asked of its registry."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import Denied, Unavailable, WrongContent
from eagle_node.preheat.platforms import ALL, check_config, index_entries, wanted_entries
from eagle_node.registry.image_manifest import NamedBlob, named_blobs, named_config
from eagle_node.registry.image_reference import ImageReference
from eagle_node.registry.names import BlobRef
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
    strict: bool = False,
) -> ResolvedImage:
    """The blobs of ``image`` for ``platform``, each once; `Denied` or `Unavailable` otherwise.

    ``announced``: it was just pushed, so that a registry that does not know it yet is asked again.
    ``strict``: an image without an index, too, must be of ``platform``, as its config says.
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
    if entries is None:
        if strict and platform != ALL:
            config = await _config(upstream, image, body, authorization)
            check_config(config, platform, image=str(image))
    else:
        wanted = wanted_entries(entries, platform)
        bodies = [await manifest(each) for each in dict.fromkeys(e.digest for e in wanted)]
    found = {blob.digest: blob for each in bodies for blob in named_blobs(each)}
    if not found:
        raise Unavailable(f"{image} is no image: its manifest names no blobs")
    return ResolvedImage(digest=digest_of(body), blobs=tuple(found.values()))


async def _config(
    upstream: Upstream, image: ImageReference, manifest: bytes, authorization: str | None
) -> bytes:
    """What the manifest calls its config; empty: it has none that would be one."""
    named = named_config(manifest)
    if named is None:
        return b""
    blob = BlobRef(image.repository, named.digest)
    async with upstream.open_blob(blob, authorization=authorization) as stream:
        content = b"".join([chunk async for chunk in stream.chunks()])
    if digest_of(content) != named.digest:
        raise WrongContent(f"{image.repository.registry} sent other bytes than {blob}")
    return content
