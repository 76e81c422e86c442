"""eagle-node.oci.tar: an OCI image (image-spec 1.1) written without a container engine.

Two layers: the C library and what else the program loads from its system, which changes seldom, and
the program. There is no shell, no package manager and no Python to call in it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eagle_packaging.archive import gzipped, tree, write_tar
from eagle_packaging.elf import foreign_libraries
from eagle_packaging.place import BuildError, Place

USER = 65532
"""A number that no distribution gives to a user of its own; ``nonroot`` in many small images."""

DATA = "var/lib/eagle-node"

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

PORTS = ("43002/tcp", "43003/tcp", "61007/tcp", "61008/tcp", "55008/tcp", "6969/tcp")
PORTS_OF_CLUSTER = ("7946/tcp", "7946/udp", "7947/tcp")


def build_image(place: Place, program: Path) -> Path:
    """Write ``eagle-node.oci.tar`` around the directory ``program``."""
    layers = [
        write_tar(base_files(program).items(), epoch=place.epoch),
        write_tar(
            program_files(program, place.root).items(), epoch=place.epoch, owned={DATA: USER}
        ),
    ]
    target = place.dist / "eagle-node.oci.tar"
    target.write_bytes(layout(place, layers))
    return target


def base_files(program: Path) -> dict[str, Path | bytes | str]:
    """What the program needs of a system: the C library, authorities, a user, ``/tmp``."""
    if not AUTHORITIES.exists():
        raise BuildError(f"{AUTHORITIES} is missing; install ca-certificates")
    files: dict[str, Path | bytes | str] = {
        "etc/ssl/certs/ca-certificates.crt": AUTHORITIES,
        "etc/nsswitch.conf": b"hosts: files dns\n",
        "etc/passwd": (
            b"root:x:0:0:root:/root:/nonexistent\n"
            b"eagle-node:x:%d:%d::/var/lib/eagle-node:/nonexistent\n" % (USER, USER)
        ),
        "etc/group": b"root:x:0:\neagle-node:x:%d:\n" % USER,
        "tmp/": b"",
    }
    files |= {name[1:]: path for name, path in foreign_libraries(program).items()}
    for package in ("libc6", "zlib1g"):
        licence = Path("/usr/share/doc") / package / "copyright"
        if licence.exists():
            files[str(licence)[1:]] = licence
    return files


def program_files(program: Path, root: Path) -> dict[str, Path | bytes | str]:
    """The program, its licence, and the link that names it."""
    files: dict[str, Path | bytes | str] = dict(tree(program, "usr/lib/eagle-node/"))
    files["usr/bin/eagle-node"] = "../lib/eagle-node/eagle-node"
    files["usr/share/doc/eagle-node/LICENSE"] = root / "LICENSE"
    files[f"{DATA}/"] = b""
    return files


def layout(place: Place, layers: list[bytes]) -> bytes:
    """An OCI layout with one image, as a tar archive, which ``docker load`` takes as well."""
    blobs: dict[str, bytes] = {}

    def add(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {
            "mediaType": media_type,
            "digest": f"sha256:{digest}",
            "size": len(content),
            **more,
        }

    packed = [add(LAYER, gzipped(layer)) for layer in layers]
    platform = {"architecture": place.debian_arch, "os": "linux"}
    config = add(CONFIG, _json(_config(place, layers, platform)))
    name = f"eagle-node:{place.version}"
    manifest = add(
        MANIFEST,
        _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": packed}),
        platform=platform,
        annotations={
            "org.opencontainers.image.ref.name": name,
            "io.containerd.image.name": f"docker.io/library/{name}",
        },
    )
    legacy = {
        "Config": _blob_path(config),
        "RepoTags": [name],
        "Layers": [_blob_path(layer) for layer in packed],
    }
    files = {
        **blobs,
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]}),
        "manifest.json": _json([legacy]),
    }
    return write_tar(files.items(), epoch=place.epoch)


def _config(place: Place, layers: list[bytes], platform: dict[str, str]) -> dict[str, Any]:
    created = datetime.fromtimestamp(place.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        **platform,
        "created": created,
        "config": {
            "User": f"{USER}:{USER}",
            "Entrypoint": ["/usr/bin/eagle-node"],
            "Cmd": ["run"],
            "Env": ["PATH=/usr/bin", "EAGLE_NODE_DATA_DIR=/var/lib/eagle-node"],
            "WorkingDir": "/var/lib/eagle-node",
            "Volumes": {"/var/lib/eagle-node": {}},
            "ExposedPorts": {port: {} for port in (*PORTS, *PORTS_OF_CLUSTER)},
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "eagle-node",
                "org.opencontainers.image.version": place.version,
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.created": created,
            },
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
        },
        "history": [
            {"created": created, "created_by": "eagle_packaging.image: base"},
            {"created": created, "created_by": "eagle_packaging.image: program"},
        ],
    }


def _blob_path(descriptor: dict[str, Any]) -> str:
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
