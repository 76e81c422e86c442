"""Images from the node's proxy: which blobs there are, and where they go."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from eagle_node.base.digest import digest_hex
from eagle_node.base.errors import EagleError, Unavailable
from eagle_node.cli.get_fetch import Fetcher, Manifest, blob_source
from eagle_node.cli.get_progress import Progress
from eagle_node.preheat.platforms import (
    ALL,
    check_config,
    index_entries,
    parse_platform,
    wanted_entries,
)
from eagle_node.registry.image_manifest import NamedBlob, named_blobs, named_config
from eagle_node.registry.image_reference import ImageReference

_AT_ONCE = 4
"""Blobs that are fetched at a time."""
_OCI_LAYOUT = json.dumps({"imageLayoutVersion": "1.0.0"})
_REF_NAME = "org.opencontainers.image.ref.name"
_FULL_NAME = "io.containerd.image.name"
"""What containerd, docker and podman take for an image's name when they load an archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """An image's manifests and the blobs that they name."""

    image: ImageReference
    top: Manifest
    """What the layout's index names: the manifest, or the index of several."""
    manifests: tuple[Manifest, ...]
    """Of images; all of them are verified."""
    blobs: tuple[NamedBlob, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes of the blobs."""
        return sum(blob.size for blob in self.blobs)


async def resolve(fetcher: Fetcher, image: ImageReference, platform: str) -> Pulled:
    """The manifests of ``image`` for a platform, or for ``all``; empty: for this host.

    An image for one platform is what it is, unless another platform was asked for.
    """
    wanted = parse_platform(platform)
    top = await fetcher.manifest(image)
    entries = index_entries(top.body)
    if entries is None:
        manifests = [top]
        if platform and wanted != ALL:
            check_config(await _config(fetcher, image, top), wanted, image=str(image))
    else:
        chosen = wanted_entries(entries, wanted)
        references = [ImageReference(image.repository, each.digest) for each in chosen]
        manifests = [await fetcher.manifest(each) for each in dict.fromkeys(references)]
        if wanted != ALL:
            top = manifests[0]
            manifests = manifests[:1]
    blobs = {blob.digest: blob for each in manifests for blob in named_blobs(each.body)}
    if not blobs:
        raise Unavailable(f"{image} is no image: its manifest names no blobs")
    return Pulled(image=image, top=top, manifests=tuple(manifests), blobs=tuple(blobs.values()))


async def to_layout(fetcher: Fetcher, pulled: Pulled, directory: Path, progress: Progress) -> None:
    """Write an OCI image layout, or add to the one that is there (OCI image-spec, image-layout.md).

    Blobs that are there already are kept; ``index.json``, which names the image, is written last.
    """
    blobs = directory / "blobs" / "sha256"
    try:
        _prepare(directory)
        await _fetch_all(fetcher, pulled, blobs, progress)
        for each in (pulled.top, *pulled.manifests):
            _write(blobs / digest_hex(each.digest), each.body)
        _write(directory / "index.json", _index(directory / "index.json", pulled))
    except OSError as error:
        raise EagleError(f"cannot write {directory}: {error.strerror}") from error


async def to_archive(
    fetcher: Fetcher, pulled: Pulled, out: Path | BinaryIO, progress: Progress
) -> None:
    """Write what ``docker load`` reads: a tar of an OCI layout with docker's ``manifest.json``.

    What a file is made of lies in ``.NAME.parts`` beside it until it is whole; a later call goes on
    with that.
    """
    if len(pulled.manifests) != 1:
        raise EagleError("an archive holds one platform; name it with --platform")
    if not isinstance(out, Path):
        with tempfile.TemporaryDirectory(prefix=".eagle-get-") as name:
            await asyncio.to_thread(
                _pack, await _docker_layout(fetcher, pulled, name, progress), out
            )
        return
    parts = out.with_name(f".{out.name}.parts")
    try:
        parts.mkdir(exist_ok=True)
        layout, packed = await _docker_layout(fetcher, pulled, parts, progress), parts / "image.tar"
        with packed.open("wb") as file:
            await asyncio.to_thread(_pack, layout, file)
        os.replace(packed, out)
        await asyncio.to_thread(shutil.rmtree, parts)
    except OSError as error:
        raise EagleError(f"cannot write {out}: {error.strerror}") from error


async def _docker_layout(
    fetcher: Fetcher, pulled: Pulled, parent: Path | str, progress: Progress
) -> Path:
    """The layout in ``parent`` that becomes the archive; what is there of it already is kept."""
    layout = Path(parent) / digest_hex(pulled.top.digest)
    await to_layout(fetcher, pulled, layout, progress)
    (layout / "manifest.json").write_text(json.dumps([_docker_entry(pulled)]))
    return layout


async def to_cache(fetcher: Fetcher, pulled: Pulled, progress: Progress) -> None:
    """Read every blob to its end, so that the node has all of them."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def read(blob: NamedBlob) -> None:
        async with places:
            source = blob_source(pulled.image.repository, blob.digest, blob.size)
            with progress.item(blob.digest, blob.size) as moved:
                await fetcher.to_stream(source, None, moved)

    await _together([read(blob) for blob in pulled.blobs])


async def _config(fetcher: Fetcher, image: ImageReference, manifest: Manifest) -> bytes:
    """What the manifest calls its config; empty: it has none that would be one."""
    if (named := named_config(manifest.body)) is None:
        return b""
    content = io.BytesIO()
    source = blob_source(image.repository, named.digest, named.size)
    await fetcher.to_stream(source, content, lambda _: None)
    return content.getvalue()


def _prepare(directory: Path) -> None:
    """An empty layout, or the one that is there; anything else is left alone."""
    if directory.exists() and not (directory / "oci-layout").exists():
        empty = directory.is_dir() and not any(directory.iterdir())
        if not empty:
            raise EagleError(f"{directory} is there and is no OCI layout; choose another -o")
    (directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    _write(directory / "oci-layout", _OCI_LAYOUT.encode())


async def _fetch_all(fetcher: Fetcher, pulled: Pulled, blobs: Path, progress: Progress) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def bring(blob: NamedBlob) -> None:
        async with places:
            path = blobs / digest_hex(blob.digest)
            with progress.item(blob.digest, blob.size) as moved:
                if await asyncio.to_thread(_is_whole, path, blob):
                    moved(blob.size)
                    return
                source = blob_source(pulled.image.repository, blob.digest, blob.size)
                await fetcher.to_file(source, path, moved)

    await _together([bring(blob) for blob in pulled.blobs])


def _is_whole(path: Path, blob: NamedBlob) -> bool:
    """Whether an earlier fetch has left it there: the right bytes, not only as many."""
    try:
        if path.stat().st_size != blob.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest_hex(blob.digest)
    except FileNotFoundError:
        return False


async def _together(work: Sequence[Any]) -> None:
    """All of it; the first error as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as failed:
        error: BaseException = failed
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _index(path: Path, pulled: Pulled) -> bytes:
    """The layout's index with this image in it; one of the same name is replaced."""
    name = str(pulled.image.reference)
    kept: list[Any] = []
    if path.exists():
        try:
            kept = json.loads(path.read_text())["manifests"]
        except (ValueError, LookupError, TypeError) as error:
            raise EagleError(f"{path} is no index of an OCI layout; choose another -o") from error
    kept = [each for each in kept if _name_of(each) != name]
    named = {
        "mediaType": pulled.top.media_type,
        "digest": pulled.top.digest,
        "size": len(pulled.top.body),
        "annotations": {_REF_NAME: name, _FULL_NAME: str(pulled.image)},
    }
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [*kept, named],
    }
    return json.dumps(document, indent=2).encode()


def _name_of(descriptor: Any) -> str:
    annotations = descriptor.get("annotations") if isinstance(descriptor, dict) else None
    return str(annotations.get(_REF_NAME, "")) if isinstance(annotations, dict) else ""


def _docker_entry(pulled: Pulled) -> dict[str, Any]:
    """The image in ``manifest.json`` (docker's image specification v1.2)."""
    document = json.loads(pulled.manifests[0].body)
    layers = [f"blobs/sha256/{digest_hex(layer['digest'])}" for layer in document["layers"]]
    tagged = ":" not in pulled.image.reference
    return {
        "Config": f"blobs/sha256/{digest_hex(document['config']['digest'])}",
        "RepoTags": [str(pulled.image)] if tagged else None,
        "Layers": layers,
    }


def _pack(layout: Path, out: BinaryIO) -> None:
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(layout.rglob("*")):
            if path.is_file():
                tar.add(path, arcname=str(path.relative_to(layout)), filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
