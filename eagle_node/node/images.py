"""Which image a blob belongs to, as far as this node has been asked for it."""

from __future__ import annotations

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.digest import Digest, looks_like_digest
from eagle_node.registry.image_manifest import named_blobs
from eagle_node.registry.names import BlobRef, Repository

_MOST = 16384
"""Blobs whose names are kept: some MiB."""


class Images:
    """A memory of names, for people only; the most recent name of a blob wins."""

    def __init__(self) -> None:
        self._names: BoundedDict[Digest, str] = BoundedDict(_MOST)

    def name(self, digest: Digest) -> str:
        """``registry/repository``, with a tag when one led to the blob; empty: not known."""
        return self._names.get(digest, "")

    def asked(self, blob: BlobRef) -> None:
        """Somebody wants ``blob``."""
        name = str(blob.repository)
        if not self.name(blob.digest).startswith(name):
            self._note(blob.digest, name)

    def given(self, repository: Repository, reference: str, body: bytes) -> None:
        """Somebody was given the manifest that ``reference`` names."""
        if looks_like_digest(reference):
            names = [b for b in named_blobs(body) if not self._tagged(b.digest, repository)]
            name = str(repository)
        else:
            names = list(named_blobs(body))
            name = f"{repository}:{reference}"
        for blob in names:
            self._note(blob.digest, name)

    def _tagged(self, digest: Digest, repository: Repository) -> bool:
        return self.name(digest).startswith(f"{repository}:")

    def _note(self, digest: Digest, name: str) -> None:
        self._names[digest] = name
