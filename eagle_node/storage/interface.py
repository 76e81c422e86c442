"""What a blob store can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from eagle_node.base.errors import EagleError

COMPANION = ".metainfo"
"""What the name of a companion object adds to its blob's name."""

_LONGEST_NAME = 512
"""Characters; S3 and GCS allow 1024 bytes, prefix and companion included."""


class BlobNotFound(EagleError):
    """The store has no object of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """A blob in a store."""

    name: str
    size: int
    """Bytes."""


class Storage(Protocol):
    """Blobs by name, each with an optional companion: its metainfo.

    Names are as `check_name` wants them. All methods may be called concurrently, in one event loop.
    Errors: `BlobNotFound` where a method says so, `NoSpace` for a full store, `Unavailable` for any
    other fault of the store, `ValueError` for a name that is none.
    """

    async def create_with_metainfo(self, name: str, metainfo: bytes) -> None:
        """Keep ``metainfo`` beside the blob ``name``, in place of what was kept before.

        The blob itself may come before or after.
        """
        ...

    async def metainfo(self, name: str) -> bytes:
        """What `create_with_metainfo` has kept; `BlobNotFound` otherwise."""
        ...

    async def stat(self, name: str) -> ObjectInfo:
        """A blob's size; `BlobNotFound` unless it is there, whole."""
        ...

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int) -> None:
        """Store the ``size`` bytes that ``chunks`` yields, in place of an older blob of that name.

        Visible whole or not at all: when ``chunks`` raises, the error is passed on; when it yields
        another number of bytes, `Unavailable` is raised; either way, and when this is cancelled,
        the store is as before. Of concurrent uploads of one name, one succeeds; the others may
        raise `Unavailable` (Azure's do).
        """
        ...

    def download(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Bytes ``[start, stop)`` of a blob, cut as a slice is when they reach beyond its end.

        `BlobNotFound` is raised by the first step. Ends early only by an error.
        """
        ...

    async def delete(self, name: str) -> None:
        """Remove a blob and its companion; that they are not there is no error."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Blobs below ``prefix``, in no order; ``a/b`` has ``a/b/c`` below it, not ``a/bc``."""
        ...

    async def aclose(self) -> None:
        """Let go of connections; the store is not used any more."""
        ...


class OpenStorage(Protocol):
    """What an entry point of the group ``eagle_node.storage`` names.

    The URL is the user's, whole. `UsageError` for one that this driver cannot read; nothing needs
    to be reachable yet.
    """

    def __call__(self, url: str) -> AbstractAsyncContextManager[Storage]: ...


def check_name(name: str) -> str:
    """``name``, if it is segments of printable ASCII joined by slashes; `ValueError` otherwise.

    A segment is not empty, holds none of ``\\ ? # % * : " < > |`` and does not begin with a dot; no
    name ends like a companion. So every file system and object store takes it as it is.
    """
    if (
        0 < len(name) <= _LONGEST_NAME
        and name.isascii()
        and name.isprintable()
        and not set(name) & set('\\?#%*:"<>| ')
        and all(part and not part.startswith(".") for part in name.split("/"))
        and not name.endswith(COMPANION)
    ):
        return name
    raise ValueError(f"{name!r} cannot name an object in a blob store")
