"""Layers: gzipped tar archives with fixed metadata, so that the same files make the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import random
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SOURCES = (Path("/usr/share"), Path("/usr/lib"), Path("/usr/bin"))
"""Trees whose regular files fill layers, in this order, again from the start when they run out."""
MAX_FILE = 16 << 20
"""Bytes; larger files are left out, so that a layer ends near its wanted size."""

GZIP = 16 + zlib.MAX_WBITS
"""zlib's window bits for a gzip container; its header then carries no time (RFC 1952)."""

END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)
"""Two blocks of zeros (POSIX pax, ustar interchange format)."""

SMALLEST_LAYER = 4 * tarfile.BLOCKSIZE
"""Bytes: a header, a block of content, the end."""
RANDOM_BLOCK = 64 << 20
"""Bytes of random content before it repeats: a bound of memory and of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A written layer."""

    digest: str
    """Of the compressed bytes."""
    size: int
    """Compressed bytes."""
    diff_id: str
    """Digest of the tar archive (OCI image-spec, config.md)."""


def system_files() -> Iterator[Path]:
    """Regular files of `SOURCES` in the order of their names, for ever."""
    return itertools.chain.from_iterable(map(_walk, itertools.cycle(SOURCES)))


def write_layer(
    blobs: Path,
    entries: Iterable[tuple[str, Path]],
    *,
    size: int | None = None,
    compression: int = 1,
) -> Layer:
    """Pack files under the given names into ``blobs`` until ``size`` compressed bytes (or all)."""
    partial = blobs / "partial"
    with partial.open("wb") as file:
        sink = _GzipSink(file, compression)
        for name, path in entries:
            sink.write(_entry(name, path))
            if size is not None and sink.written >= size:
                break
        sink.write(END_OF_ARCHIVE)
        sink.finish()
    partial.rename(blobs / sink.packed.hexdigest())
    return Layer(
        digest=f"sha256:{sink.packed.hexdigest()}",
        size=sink.written,
        diff_id=f"sha256:{sink.plain.hexdigest()}",
    )


def write_random_layer(blobs: Path, *, size: int, seed: str) -> Layer:
    """An archive of one file, not compressed, of exactly ``size`` bytes (whole tar blocks).

    The content repeats a random block under a counter, which nobody here compresses: quick to make,
    the same for the same seed.
    """
    if size < SMALLEST_LAYER or size % tarfile.BLOCKSIZE:
        raise ValueError(f"a layer of {size} bytes: not whole tar blocks, or under four of them")
    header = tarfile.TarInfo(f"opt/{seed}")
    header.size = missing = size - SMALLEST_LAYER + tarfile.BLOCKSIZE
    block = random.Random(seed).randbytes(min(RANDOM_BLOCK, missing))
    hasher, partial = hashlib.sha256(), blobs / "partial"
    with partial.open("wb") as file:

        def write(data: bytes) -> None:
            hasher.update(data)
            file.write(data)

        write(header.tobuf(tarfile.PAX_FORMAT))
        for number in itertools.count():
            write((number.to_bytes(8, "big") + block[8:])[:missing])
            missing -= min(missing, len(block))
            if not missing:
                break
        write(END_OF_ARCHIVE)
    partial.rename(blobs / hasher.hexdigest())
    digest = f"sha256:{hasher.hexdigest()}"
    return Layer(digest=digest, size=size, diff_id=digest)


class _GzipSink:
    """Compresses into a file; counts what it writes and hashes both sides."""

    def __init__(self, file: BinaryIO, compression: int) -> None:
        self._file = file
        self._compressor = zlib.compressobj(compression, zlib.DEFLATED, GZIP)
        self.plain = hashlib.sha256()
        self.packed = hashlib.sha256()
        self.written = 0
        """Compressed bytes so far."""

    def write(self, data: bytes) -> None:
        self.plain.update(data)
        self._put(self._compressor.compress(data))

    def finish(self) -> None:
        self._put(self._compressor.flush())

    def _put(self, data: bytes) -> None:
        self.packed.update(data)
        self.written += self._file.write(data)


def _walk(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(path)
        elif stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE:
            yield path


def _entry(name: str, path: Path) -> bytes:
    """Header, content and padding of one regular file."""
    content = path.read_bytes()
    header = tarfile.TarInfo(name.lstrip("/"))
    header.size = len(content)
    header.mode = path.stat().st_mode & 0o755
    return header.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
