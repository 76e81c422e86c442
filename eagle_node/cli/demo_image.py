"""A real container image out of this machine's own files, the same bytes on every run."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import sysconfig
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import StartError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"

SHARES = (0.45, 0.25, 0.15, 0.1, 0.05)
"""The layers' parts of the image's size."""
_MAX_FILE = 8 << 20
"""Bytes of a source file: larger ones would make layers overshoot their size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A layer or config, as a file."""

    media_type: str
    digest: Digest
    size: int
    path: Path

    @property
    def descriptor(self) -> dict[str, Any]:
        """As manifests name it (OCI image-spec, descriptor.md)."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A manifest and the blobs that it names."""

    manifest: bytes
    blobs: tuple[Blob, ...]
    """The config, then the layers."""

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return digest_of(self.manifest)

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)


def build_image(directory: Path, size: int) -> Image:
    """An image of about ``size`` bytes, its blobs in ``directory``.

    It is smaller when this machine has too few files; `StartError` when it has none.
    """
    files = source_files()
    layers = [
        layer
        for number, share in enumerate(SHARES)
        if (layer := _write_layer(directory / f"layer-{number}", files, int(size * share)))
    ]
    if not layers:
        raise StartError("found no files to make an image of in /usr and Python's library")
    config = _write_config(directory / "config", [layer.diff_id for layer in layers])
    blobs = (config, *(layer.blob for layer in layers))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.descriptor,
        "layers": [layer.blob.descriptor for layer in layers],
    }
    return Image(manifest=_encoded(manifest), blobs=blobs)


def source_files() -> Iterator[Path]:
    """Readable regular files of this system, in a stable order."""
    for root in (Path(sysconfig.get_path("stdlib")), Path("/usr/share"), Path("/usr/lib")):
        for directory, names, files in os.walk(root):
            names[:] = sorted(name for name in names if name != "__pycache__")
            for name in sorted(files):
                path = Path(directory) / name
                if _is_usable(path):
                    yield path


def _is_usable(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    regular = stat.S_ISREG(found.st_mode) and 0 < found.st_size <= _MAX_FILE
    return regular and os.access(path, os.R_OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    blob: Blob
    diff_id: Digest
    """Digest of the tar before compression (OCI image-spec, config.md)."""


class _Hashing(io.RawIOBase):
    """Passes bytes on and hashes them."""

    def __init__(self, target: gzip.GzipFile) -> None:
        self._target = target
        self.hash = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self._target.write(data)


def _write_layer(path: Path, files: Iterator[Path], size: int) -> _Layer | None:
    """A gzipped tar of the next ``files`` until it is ``size`` bytes long; None without files."""
    count = 0
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as zipped,
    ):
        hashed = _Hashing(zipped)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            while (not count or raw.tell() < size) and (file := next(files, None)) is not None:
                _add(tar, file)
                count += 1
    if not count:
        path.unlink()
        return None
    diff_id = Digest("sha256:" + hashed.hash.hexdigest())
    return _Layer(blob=_blob(path, LAYER_TYPE), diff_id=diff_id)


def _add(tar: tarfile.TarFile, path: Path) -> None:
    content = path.read_bytes()
    entry = tarfile.TarInfo(str(path).lstrip("/"))
    entry.size = len(content)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(content))


def _write_config(path: Path, diff_ids: Sequence[Digest]) -> Blob:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }
    path.write_bytes(_encoded(config))
    return _blob(path, CONFIG_TYPE)


def _blob(path: Path, media_type: str) -> Blob:
    with path.open("rb") as file:
        digest = Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
    return Blob(media_type=media_type, digest=digest, size=path.stat().st_size, path=path)


def _encoded(document: object) -> bytes:
    return json.dumps(document, indent=1).encode()
