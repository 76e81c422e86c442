"""A small image pushed through the client itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from eagle_node.base.digest import Digest, digest_of
from eagle_node.registry.names import Repository
from eagle_node.registry.upstream import Upstream

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


async def push_blob(
    client: Upstream, repository: Repository, content: bytes, authorization: str | None = None
) -> Digest:
    """Push by the two-step upload of the distribution-spec, as a mirror's client would."""
    digest = digest_of(content)
    start = f"/v2/{repository.name}/blobs/uploads/"
    async with client.forward("POST", repository.registry, start, {}, None, authorization) as reply:
        assert reply.status == 202, reply.status
        location = reply.headers["Location"]
    joint = "&" if "?" in location else "?"
    async with client.forward(
        "PUT",
        repository.registry,
        f"{location}{joint}digest={digest}",
        {"Content-Length": str(len(content)), "Content-Type": "application/octet-stream"},
        _one(content),
        authorization,
    ) as reply:
        assert reply.status == 201, reply.status
    return digest


async def push_manifest(
    client: Upstream,
    repository: Repository,
    tag: str,
    config: Digest,
    size: int,
    authorization: str | None = None,
) -> bytes:
    """Push a manifest without layers under ``tag``; returns its bytes."""
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": config, "size": size},
            "layers": [],
        }
    ).encode()
    async with client.forward(
        "PUT",
        repository.registry,
        f"/v2/{repository.name}/manifests/{tag}",
        {"Content-Length": str(len(manifest)), "Content-Type": MANIFEST_TYPE},
        _one(manifest),
        authorization,
    ) as reply:
        assert reply.status == 201, reply.status
    return manifest


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content
