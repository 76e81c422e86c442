"""The check image: a tiny image that only a node serves, so that its pull proves who was asked.

Its repository is reserved in every registry. Each tag is an image of its own, one empty layer and a
config that holds the tag, so that a runtime which has one of them must still ask for the next.
"""

from __future__ import annotations

import gzip
import json
import platform
import re
from dataclasses import dataclass

from eagle_node.base.digest import Digest, digest_of

REPOSITORY = "eagle-node/mirror-check"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
NOWHERE = "mirror-check.eagle-node.invalid"
"""A registry that nobody has (RFC 6761 6.4), for runtimes that ask the node for all of them."""

_TAG = re.compile(r"check-[0-9a-f]{16}\Z")
_EMPTY_TAR = bytes(1024)
"""The end-of-archive mark (POSIX pax): two blocks of zeros."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""Go's names (OCI image-spec, config.md) for the kernel's, where they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckImage:
    """One tag's image."""

    manifest: bytes
    config: bytes
    layer: bytes

    @property
    def blobs(self) -> dict[Digest, bytes]:
        """Config and layer by digest."""
        return {digest_of(self.config): self.config, digest_of(self.layer): self.layer}


def is_check_tag(tag: str) -> bool:
    """Whether the repository has such a tag: ``check-`` and 16 hex digits, any of them."""
    return bool(_TAG.match(tag))


def check_image(tag: str) -> CheckImage:
    """The image of a tag, for this machine's architecture."""
    machine = platform.machine()
    layer = gzip.compress(_EMPTY_TAR, mtime=0)
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Labels": {"eagle-node.check": tag}},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(_EMPTY_TAR)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
        }
    )
    return CheckImage(manifest=manifest, config=config, layer=layer)


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
