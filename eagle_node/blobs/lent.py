"""Blobs that lie whole in a file of somebody else's, who may take it away at any time.

The file is known by its *identity*: whoever replaces, truncates or writes to it changes that, and
what was verified of it holds no more. A reader keeps the file open, so that one which is removed
meanwhile is read to its end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.files import BlobDirectory
from eagle_node.blobs.reader import BlobReader, FileSlice
from eagle_node.blobs.segments import layout_of

_STEP = 16 << 20
"""Bytes between two looks at the file's identity."""
_HELD_BACK = 1
"""Bytes of a range that are sent after the last look: no body of a changed file ends cleanly."""


class Changed(Unavailable):
    """A lent file is gone, or is not the one that was verified."""


class Forbidden(Changed):
    """A lent file may not be read, though it may be the right one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """What tells a file from another, and from itself with other content (stat(2))."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    """Of the last change of content, name or rights; no program can set it."""

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """That of the file that ``status`` was taken of."""
        return cls(
            device=status.st_dev,
            inode=status.st_ino,
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LentFile:
    """A whole blob in a file that was verified while it had this identity."""

    digest: Digest
    path: Path
    identity: FileIdentity

    @property
    def size(self) -> int:
        """Bytes of the blob."""
        return self.identity.size

    def open(self) -> BinaryIO:
        """The file, for reading; `Changed` when it is not the one that was verified."""
        file = open_regular(self.path)
        try:
            self.check(file)
        except BaseException:
            file.close()
            raise
        return file

    def check(self, file: BinaryIO) -> None:
        """Raise `Changed` unless the open file still has the identity."""
        status = os.fstat(file.fileno())
        found = FileIdentity.of(status)
        if not status.st_nlink:
            # Its removal is its last change, and leaves the content as it was.
            found = replace(found, changed_ns=self.identity.changed_ns)
        if found != self.identity:
            raise Changed(f"{self.path} has changed since it was verified")


class LentReader(BlobReader):
    """A client's view of a blob in a lent file."""

    def __init__(self, lent: LentFile, directory: BlobDirectory) -> None:
        """`Changed` when the file is not the one that was verified."""
        self._lent = lent
        self._file = lent.open()
        super().__init__(directory, layout_of(lent.size), None, self._file.close)

    async def slices(self, wanted: ByteRange) -> AsyncGenerator[FileSlice, None]:
        """The bytes of ``wanted`` in order; `Changed` once the file is not what it was."""
        offset = wanted.start
        while offset < wanted.stop:
            self._lent.check(self._file)
            left = wanted.stop - offset
            length = min(_STEP, left - _HELD_BACK if left > _HELD_BACK else left)
            yield FileSlice(self._file, offset, length)
            offset += length


def open_regular(path: Path) -> BinaryIO:
    """A file for reading, no link and no device; `Changed` when there is none that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise Changed(f"{path} is gone") from error
        if error.errno == errno.ELOOP:
            raise Changed(f"{path} is a link") from error
        raise Forbidden(f"{path} cannot be read: {error.strerror}") from error
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        with closing(file):
            raise Changed(f"{path} is not a file")
    return file
