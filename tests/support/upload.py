"""Blobs and manifests into a registry, byte by byte as they are given."""

from __future__ import annotations

import io

from eagle_node.base.digest import Digest, digest_of
from tests.support import http
from tests.support.registry import Registry


async def upload_blob(
    registry: Registry, repository: str, data: bytes, *, digest: str | None = None
) -> Digest:
    """Upload in one piece; ``digest`` when it is not to be the sha256."""
    named = Digest(digest or digest_of(data))
    async with http.client() as session:
        start = f"{registry.url}/v2/{repository}/blobs/uploads/"
        async with session.post(start) as answer:
            location = answer.headers["Location"]
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}digest={named}"
        async with session.put(url, data=io.BytesIO(data)) as answer:
            assert answer.status == 201, await answer.text()
    return named


async def upload_manifest(
    registry: Registry, repository: str, document: bytes, media_type: str, reference: str = ""
) -> Digest:
    """Put a manifest under a tag, or under its digest."""
    digest = digest_of(document)
    url = f"{registry.url}/v2/{repository}/manifests/{reference or digest}"
    headers = {"Content-Type": media_type}
    async with http.client() as session, session.put(url, data=document, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
    return digest
