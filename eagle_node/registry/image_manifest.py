"""Which blobs an image's manifest names (OCI image-spec, manifest.md; docker's schema 2). No IO."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.errors import BadDigest
from eagle_node.blobs.segments import MAX_SIZE

_LARGEST = 512 << 10
"""Bytes of a manifest that is read here; one of the 127 layers that docker allows has 30 KiB."""
_LARGEST_CONFIG = 4 << 20
"""Bytes; as registries limit manifests."""
_MOST = 256
"""Blobs of one image that are named."""
_FOREIGN = ("foreign", "nondistributable")
"""Words in the media types of layers that are not at the registry (OCI image-spec, layer.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBlob:
    """A config or a layer."""

    digest: Digest
    size: int
    """Bytes, as the manifest says."""


def named_blobs(body: bytes) -> Sequence[NamedBlob]:
    """Config and layers in the order in which clients ask for them, each once.

    Nothing for what is no image's manifest: an index names manifests, of which a client wants one.
    Blobs that are fetched elsewhere, or whose description is malformed, are left out.
    """
    if len(body) > _LARGEST:
        return ()
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(document, dict) or not isinstance(document.get("layers"), list):
        return ()
    found: dict[Digest, NamedBlob] = {}
    for blob in _described([document.get("config"), *document["layers"]]):
        found.setdefault(blob.digest, blob)
    return list(found.values())[:_MOST]


def named_config(body: bytes) -> NamedBlob | None:
    """The config of an image's manifest; None where there is none of a size to be read whole."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    found = next(_described([document.get("config")]), None)
    return found if found is not None and found.size <= _LARGEST_CONFIG else None


def _described(descriptors: Sequence[object]) -> Iterator[NamedBlob]:
    for descriptor in descriptors:
        match descriptor:
            case {"mediaType": str(media_type), "digest": str(text), "size": int(size), **others}:
                foreign = "urls" in others or any(word in media_type for word in _FOREIGN)
                if foreign or not 0 <= size <= MAX_SIZE:
                    continue
                try:
                    digest = parse_digest(text)
                except BadDigest:
                    continue
                yield NamedBlob(digest=digest, size=size)
