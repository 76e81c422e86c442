"""What lies on the disk at the start of a cache, and whether it is what its name says."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from eagle_node.base.digest import Digest
from eagle_node.blobs import files
from eagle_node.blobs.index import ArrivingRow, CommittedRow
from eagle_node.blobs.segments import layout_of

log = logging.getLogger(__name__)

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a cache may go on with."""

    whole: Mapping[Digest, int]
    """Sizes of whole blobs."""
    resumable: Mapping[Digest, ArrivingRow]
    """Blobs of which whole segments are here."""
    outdated: Mapping[Digest, int]
    """Sizes of blobs that were whole in another layout, and have been deleted."""


def survey(
    root: Path,
    committed: Mapping[Digest, CommittedRow],
    arriving: Mapping[Digest, ArrivingRow],
) -> Survey:
    """Compare the disk with what the index knows; deletes what is of no use. Blocks; `OSError`."""
    whole: dict[Digest, int] = {}
    resumable: dict[Digest, ArrivingRow] = {}
    outdated: dict[Digest, int] = {}
    for directory in files.scan(root):
        digest, size = directory.digest, directory.committed_size()
        row, begun = committed.get(digest), arriving.get(digest)
        known = row is not None and row.durable
        if size is not None and (known or content_is_right(directory, size)):
            whole[digest] = size
        elif begun is not None and (intact := directory.prune(begun.size, begun.segments)):
            resumable[digest] = replace(begun, segments=intact)
        else:
            if (former := directory.outdated_size()) is not None:
                outdated[digest] = former
            directory.remove()
    return Survey(whole=whole, resumable=resumable, outdated=outdated)


def content_is_right(directory: files.BlobDirectory, size: int) -> bool:
    """Whether a blob that a crash of the machine may have torn still has its digest; blocks."""
    digest = hashlib.sha256()
    try:
        for segment in layout_of(size).segments:
            with directory.segment(segment.index).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
    except OSError as error:
        log.warning("cannot read %s: %s", directory.path, error)
        return False
    return f"sha256:{digest.hexdigest()}" == directory.digest
