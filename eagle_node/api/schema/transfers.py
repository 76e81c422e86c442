"""What is moving through a node."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerShare:
    """Another node's part in a transfer."""

    address: str
    """``host:port`` of the connection's other end."""
    node: str
    """Node id; empty: not known."""
    rate: int
    """Bytes/s, to this node or from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """A blob that is on its way here, or that this node is sending to others."""

    digest: str
    image: str
    """An image that it belongs to; empty: not known."""
    size: int | None
    """Bytes; None until a source has told."""
    have_bytes: int
    """Bytes that are here."""
    state: str
    """``waiting`` for a source, ``fetching``, ``verifying`` or ``sending`` (it is whole here)."""
    source: str
    """``swarm`` or ``origin``; empty: neither yet, or it is whole."""
    rate: int
    """Bytes/s that arrive, over the last seconds."""
    sent_rate: int
    """Bytes/s that go to other nodes."""
    sources: tuple[PeerShare, ...]
    """Nodes that it comes from."""
    children: tuple[PeerShare, ...]
    """Nodes that this one feeds."""
    age_s: float
    """Seconds since it was asked for."""
    eta_s: float | None
    """Seconds until it is whole at this rate; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """``/v1/transfers``, oldest first."""

    transfers: tuple[TransferRow, ...]
