"""Images made of this system's own files: real content, the same bytes on every run here."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.layers import Layer, system_files, write_layer, write_random_layer
from tests.support.process import run
from tests.support.registry import Registry

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's names (OCI image-spec, config.md) for the kernel's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A blob or manifest of an image (OCI image-spec, descriptor.md)."""

    media_type: str
    digest: str
    size: int

    def to_json(self) -> dict[str, Any]:
        """The descriptor as manifests hold it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in an OCI layout, where it is named ``image``."""

    layout: Path
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return self.manifest.digest

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers: what a pull fetches from ``/blobs/``."""
        return (self.config, *self.layers)

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)

    def content(self, blob: Descriptor) -> Path:
        """The file that holds a blob's bytes."""
        return _blobs(self.layout) / blob.digest.removeprefix("sha256:")


def files_image(
    layout: Path, layer_sizes: Sequence[int], *, seed: str = "a", compression: int = 1
) -> Image:
    """An image whose layers are at least ``layer_sizes`` bytes long, compressed, and little more.

    Layers differ from each other and from those of another ``seed``. ``compression`` is gzip's
    level; 0 stores, which is quick.
    """
    _blobs(layout).mkdir(parents=True, exist_ok=True)
    files = system_files()
    layers = [
        write_layer(
            _blobs(layout),
            ((f"opt/{seed}/{number}{path}", path) for path in files),
            size=size,
            compression=compression,
        )
        for number, size in enumerate(layer_sizes)
    ]
    return _write_image(layout, layers)


def random_image(layout: Path, layer_sizes: Sequence[int], *, seed: str = "a") -> Image:
    """An image whose layers have exactly these sizes, whole tar blocks, and do not compress."""
    _blobs(layout).mkdir(parents=True, exist_ok=True)
    layers = [
        write_random_layer(_blobs(layout), size=size, seed=f"{seed}-{number}")
        for number, size in enumerate(layer_sizes)
    ]
    return _write_image(layout, layers, layer_type=PLAIN_LAYER_TYPE)


def many_layers_image(
    layout: Path, *, count: int = 14, size: int = 4 << 20, seed: str = "many"
) -> Image:
    """An image of ``count`` layers from tiny to large, about ``size`` bytes together.

    Clients that unpack it copy all lower layers for each: that takes much longer than the pull.
    """
    weights = [1 + number * number % 17 for number in range(count)]
    sizes = [size * weight // sum(weights) for weight in weights]
    return files_image(layout, sizes, seed=seed)


def runnable_image(layout: Path) -> Image:
    """A small image whose command, ``/bin/true``, runs: the program and its shared libraries."""
    _blobs(layout).mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["ldd", "/bin/true"], capture_output=True, text=True, check=True)
    names = ["/bin/true", *re.findall(r"(/\S+) \(0x", listed.stdout)]
    return _write_image(
        layout, [write_layer(_blobs(layout), [(name, Path(name)) for name in names])]
    )


async def push(image: Image, registry: Registry, repository: str, tag: str = "latest") -> str:
    """Push with skopeo and return the reference, ``host:port/repository:tag``; digests stay."""
    reference = f"{registry.address}/{repository}:{tag}"
    auth = registry.auth
    credentials = ["--dest-creds", f"{auth.user}:{auth.password}"] if auth else []
    await run(
        [
            *["skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests"],
            *["--dest-tls-verify=false", *credentials],
            *[f"oci:{image.layout}:image", f"docker://{reference}"],
        ],
        namespace=registry.namespace,
        timeout=300,
    )
    return reference


def _write_image(layout: Path, layers: Sequence[Layer], *, layer_type: str = LAYER_TYPE) -> Image:
    """Config, manifest and index over ``layers`` that are in the layout already."""
    config = _write_json(
        layout,
        CONFIG_TYPE,
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        },
    )
    descriptors = tuple(
        Descriptor(media_type=layer_type, digest=layer.digest, size=layer.size) for layer in layers
    )
    manifest = _write_json(
        layout,
        MANIFEST_TYPE,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in descriptors],
        },
    )
    named = {
        **manifest.to_json(),
        "annotations": {"org.opencontainers.image.ref.name": "image"},
    }
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return Image(layout=layout, manifest=manifest, config=config, layers=descriptors)


def _write_json(layout: Path, media_type: str, document: dict[str, Any]) -> Descriptor:
    content = json.dumps(document, separators=(",", ":")).encode()
    digest = hashlib.sha256(content).hexdigest()
    (_blobs(layout) / digest).write_bytes(content)
    return Descriptor(media_type=media_type, digest=f"sha256:{digest}", size=len(content))


def _blobs(layout: Path) -> Path:
    return layout / "blobs" / "sha256"
