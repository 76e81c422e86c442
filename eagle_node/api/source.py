"""Where the control API gets its answers from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eagle_node.api.query import BlobQuery
from eagle_node.api.schema import (
    BlobAction,
    Blobs,
    History,
    PreheatJob,
    PreheatJobs,
    PreheatRequest,
    SettingChange,
    Settings,
    Status,
    Transfers,
)
from eagle_node.base.digest import Digest


class NodeSource(Protocol):
    """A node that tells about itself and can be steered.

    Errors are `Refusal` with the status that they mean, `UsageError` for what makes no sense, and
    `Unavailable`.
    """

    async def status(self) -> Status:
        """Its state now."""
        ...

    async def ready(self) -> Sequence[str]:
        """Why it cannot serve clients now; empty: it can."""
        ...

    async def transfers(self) -> Transfers:
        """What moves through it."""
        ...

    async def history(self) -> History:
        """Its rates of the last minutes."""
        ...

    async def blobs(self, query: BlobQuery) -> Blobs:
        """What its cache holds."""
        ...

    async def act(self, digest: Digest, action: str) -> BlobAction:
        """Pin, unpin, evict or verify a blob."""
        ...

    async def settings(self) -> Settings:
        """What can be changed, as it is now."""
        ...

    async def change(self, change: SettingChange) -> Settings:
        """Change one of them; all as they are then."""
        ...

    async def preheat(self, request: PreheatRequest) -> PreheatJob:
        """Begin to bring an image to nodes."""
        ...

    async def preheat_jobs(self) -> PreheatJobs:
        """Jobs of this node."""
        ...

    async def preheat_job(self, number: int) -> PreheatJob:
        """One of them."""
        ...

    async def cancel_preheat(self, number: int) -> PreheatJob:
        """Go on with it no longer."""
        ...
