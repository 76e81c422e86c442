"""Where the control API gets its answers from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eagle_node.api.schema import Blobs, Status


class StatusSource(Protocol):
    """A node that tells about itself."""

    async def status(self) -> Status:
        """Its state now."""
        ...

    async def blobs(self) -> Blobs:
        """What its cache holds."""
        ...

    async def ready(self) -> Sequence[str]:
        """Why it cannot serve clients now; empty: it can."""
        ...
