"""A client's question for a manifest, and what is known in answer to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_node.base.digest import Digest, looks_like_digest
from eagle_node.registry.names import Reference, Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestQuestion:
    """Which manifest, in which form, and for whom."""

    repository: Repository
    reference: Reference
    method: str
    """GET or HEAD."""
    accept: tuple[str, ...] = ()
    """Values of ``Accept``, in their order; they choose between the forms of a tag's manifest."""
    authorization: str | None = field(default=None, repr=False)
    """The client's own ``Authorization``."""
    fresh: bool = False
    """Whether nothing that is remembered will do; the client said ``Cache-Control: no-cache``."""

    @property
    def is_digest(self) -> bool:
        """Whether the reference pins the content."""
        return looks_like_digest(self.reference)

    def __str__(self) -> str:
        return f"{self.repository}{'@' if self.is_digest else ':'}{self.reference}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestAnswer:
    """A manifest that the asker may read, or for a HEAD what is told of it."""

    digest: Digest | None
    """None if a HEAD was not told."""
    media_type: str
    """Without parameters; empty if it was not told."""
    size: int | None
    """Bytes; None if a HEAD was not told."""
    body: bytes = field(default=b"", repr=False)
    """Of that digest; may be empty in answer to a HEAD only."""
    age_s: float = 0.0
    """Seconds since the registry said that the asker may read it, and for a tag what it names."""
    stale: bool = False
    """Whether it is an old word, since the registry cannot be asked."""
    limited: bool = False
    """Whether it is stale because the registry has said to wait, so that nobody should ask it."""
    kept: bool = False
    """Whether the body comes from this node's own store."""
