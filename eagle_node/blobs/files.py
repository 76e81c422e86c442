"""The cache on disk: one directory per blob, one file per segment, a marker once it is whole.

    CACHE/ab/<hex>/<hex>.0000 …   segment files, as BitTorrent names them
    CACHE/ab/<hex>/<hex>.0007.parts  of a segment of which only parts are here, with holes
    CACHE/ab/<hex>/torrents       the segments' metainfo, a bencoded list
    CACHE/ab/<hex>/whole          JSON; appears by an atomic rename once verified

A directory without ``whole`` is a blob on its way. Paths never change, so an open torrent survives
the commit.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from eagle_node.base.digest import Digest, digest_hex, parse_digest
from eagle_node.base.errors import BadDigest
from eagle_node.blobs.segments import LAYOUT_VERSION, layout_of

_MARKER = "whole"


@dataclass(frozen=True, slots=True)
class BlobDirectory:
    """Where one blob lies or arrives."""

    path: Path
    digest: Digest

    def segment(self, index: int) -> Path:
        """The file of segment ``index``."""
        return self.path / segment_name(self.digest, index)

    def part(self, index: int) -> Path:
        """The file of the parts of segment ``index``, each where it lies in the segment."""
        return self.path / f"{segment_name(self.digest, index)}.parts"

    @property
    def torrents(self) -> Path:
        """The file that keeps the segments' metainfo."""
        return self.path / "torrents"

    def write_atomically(self, path: Path, data: bytes) -> None:
        """Write a small file next to the segments; seen whole or not at all."""
        part = path.with_suffix(".part")
        part.write_bytes(data)
        os.replace(part, path)

    def commit(self, size: int, torrents: bytes) -> None:
        """Make the blob visible: all of its segments are here and verified."""
        self.write_atomically(self.torrents, torrents)
        marker = json.dumps({"size": size, "layout": LAYOUT_VERSION}).encode()
        self.write_atomically(self.path / _MARKER, marker)

    def withdraw(self) -> None:
        """Make the blob invisible; its files may still be there."""
        (self.path / _MARKER).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete everything of the blob; the marker goes first."""
        self.withdraw()
        shutil.rmtree(self.path, ignore_errors=True)

    def prune(
        self, size: int, segments: Iterable[int], parts: Iterable[int] = ()
    ) -> frozenset[int]:
        """Delete everything but ``segments`` of a blob of ``size`` bytes; those that are intact.

        The part files of the segments ``parts`` stay as well.
        """
        parted = {self.part(index) for index in parts}
        wanted = set(segments)
        kept = {
            self.segment(segment.index): segment.index
            for segment in layout_of(size).segments
            if segment.index in wanted and _length(self.segment(segment.index)) == segment.length
        }
        self.path.mkdir(parents=True, exist_ok=True)
        for entry in self.path.iterdir():
            if entry not in kept and entry not in parted:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return frozenset(kept.values())

    def committed_size(self) -> int | None:
        """Bytes of a whole blob of this layout version; None for anything else."""
        size, layout = self._marked()
        if size is None or layout != LAYOUT_VERSION:
            return None
        try:
            segments = layout_of(size).segments
        except ValueError:
            return None
        if any(_length(self.segment(each.index)) != each.length for each in segments):
            return None
        return size

    def outdated_size(self) -> int | None:
        """Bytes of a blob that was whole in another layout version; None for anything else."""
        size, layout = self._marked()
        return None if layout == LAYOUT_VERSION else size

    def _marked(self) -> tuple[int | None, object]:
        """Size and layout version by the marker; a size of None: there is no marker of ours."""
        try:
            marker = json.loads((self.path / _MARKER).read_bytes())
            size, layout = marker["size"], marker["layout"]
        except (OSError, ValueError, KeyError, TypeError):
            return None, None
        return (size, layout) if isinstance(size, int) else (None, None)

    def sync(self) -> None:
        """Flush data and names to the disk (power loss, not kill -9, is what this is for)."""
        for entry in (*self.path.iterdir(), self.path):
            descriptor = os.open(entry, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _length(path: Path) -> int:
    """Bytes of a file; -1 when it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def segment_name(digest: Digest, index: int) -> str:
    """Name of a segment's file and torrent: it carries the digest and the segment's number."""
    return f"{digest_hex(digest)}.{index:04d}"


def blob_directory(root: Path, digest: Digest) -> BlobDirectory:
    """The place of ``digest`` under the cache's ``root``."""
    name = digest_hex(digest)
    return BlobDirectory(root / name[:2] / name, digest)


def scan(root: Path) -> Iterator[BlobDirectory]:
    """Every blob directory under ``root``; what does not belong there is passed over."""
    for shelf in sorted(root.glob("[0-9a-f][0-9a-f]/")):
        for entry in sorted(shelf.iterdir()):
            try:
                yield BlobDirectory(entry, parse_digest(f"sha256:{entry.name}"))
            except BadDigest:
                continue


def allocate(root: Path, size: int) -> BinaryIO:
    """A file without a name under ``root`` that has its room on the disk; `OSError`."""
    file = cast(BinaryIO, tempfile.TemporaryFile(dir=root))  # noqa: SIM115
    try:
        if size:
            os.posix_fallocate(file.fileno(), 0, size)
    except BaseException:
        file.close()
        raise
    return file


def boot_id() -> str:
    """Identifier of this boot of the machine: what was only in its memory died with the last."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def boot_and_layout(layout: int = LAYOUT_VERSION) -> str:
    """For how long to believe what is kept of segments that were not flushed to the disk.

    Numbers of another layout name other bytes, sometimes as many.
    """
    return f"{boot_id()} layout {layout}"
