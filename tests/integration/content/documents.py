"""Manifests of every kind that registries hold, over blobs that are nothing in particular."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from eagle_node.base.digest import digest_of
from tests.support.registry import Registry
from tests.support.upload import upload_blob, upload_manifest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
EMPTY = b"{}"
"""The content of ``application/vnd.oci.empty.v1+json`` (OCI image-spec, manifest.md)."""
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b\x08\x00"
MAGIC = {"gzip": GZIP, "zstd": ZSTD}


def descriptor(media_type: str, content: bytes, **fields: Any) -> dict[str, Any]:
    """What names ``content`` in a manifest."""
    named = {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
    return named | fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest as bytes, and the blobs that it names."""

    media_type: str
    body: bytes
    blobs: tuple[bytes, ...] = ()

    async def push(self, registry: Registry, repository: str, tag: str = "") -> None:
        """Blobs, then the manifest under ``tag`` (default: its digest)."""
        for blob in self.blobs:
            await upload_blob(registry, repository, blob)
        await upload_manifest(registry, repository, self.body, self.media_type, tag)


def image(seed: str, *, docker: bool = False, compression: str = "gzip") -> Document:
    """An image of one layer; gzip or zstd by its first bytes and its media type."""
    kinds = (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
    if not docker:
        kinds = (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    layer = MAGIC[compression] + random.Random(seed).randbytes(300_000)
    config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
    separator = "." if docker else "+"
    return _manifest(
        kinds[0],
        descriptor(kinds[1], config),
        [descriptor(kinds[2] + separator + compression, layer)],
        (config, layer),
    )


def artifact(artifact_type: str, config_type: str, *layers: tuple[str, bytes]) -> Document:
    """A manifest that is no image: Helm's charts, what ORAS pushes, in-toto statements."""
    return _manifest(
        OCI_MANIFEST,
        descriptor(config_type, EMPTY),
        [descriptor(media_type, content) for media_type, content in layers],
        (EMPTY, *(content for _, content in layers)),
        artifactType=artifact_type,
        annotations={"org.opencontainers.image.title": artifact_type},
    )


def referring(subject: Document, content: bytes) -> Document:
    """A signature, by its ``subject`` field."""
    return _manifest(
        OCI_MANIFEST,
        descriptor("application/vnd.oci.empty.v1+json", EMPTY),
        [descriptor("application/vnd.example.signature", content)],
        (EMPTY, content),
        artifactType="application/vnd.example.signature",
        subject=descriptor(subject.media_type, subject.body),
    )


def index(media_type: str, *entries: dict[str, Any]) -> Document:
    """An index or a manifest list."""
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries)}
    return Document(media_type=media_type, body=json.dumps(document, indent=3).encode())


def entry(document: Document, architecture: str, **fields: Any) -> dict[str, Any]:
    """What an index holds of a manifest."""
    platform = {"os": "unknown" if architecture == "unknown" else "linux"}
    platform["architecture"] = architecture
    return descriptor(document.media_type, document.body, platform=platform, **fields)


def _manifest(
    media_type: str,
    config: dict[str, Any],
    layers: list[dict[str, Any]],
    blobs: tuple[bytes, ...],
    **fields: Any,
) -> Document:
    document = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}
    return Document(
        media_type=media_type, body=json.dumps(document | fields, indent=1).encode(), blobs=blobs
    )
