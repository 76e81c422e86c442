"""How a client is told to reach registries, and what all clients have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

NOWHERE = "http://127.0.0.1:9"
"""The discard port (RFC 863), where nobody listens."""

OFFLINE = {
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "NO_PROXY": "localhost,127.0.0.0/8,10.77.0.0/16",
}
"""Environment of every client: loopback and test networks are reached, the internet never is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How one registry is reached: by its mirror first, then by its origin; both plain HTTP."""

    name: str
    """The registry's name in image references."""
    mirror: str | None = None
    """``host:port`` of a node's proxy."""
    origin: str | None = None
    """``host:port`` of the registry itself; without it the client cannot fall back."""


class Client(Protocol):
    """A container client that pulls."""

    async def pull(self, reference: str, *, user: str = "") -> str:
        """Pull ``registry/repository:tag``; the manifest's digest. Fails as `CommandFailed`.

        ``user`` is ``name:password`` at the registry.
        """
        ...


class ClientFactory(Protocol):
    """Makes a client with empty storage in a directory."""

    def __call__(
        self,
        directory: Path,
        *routes: Route,
        namespace: str | None = None,
        env: Mapping[str, str] = OFFLINE,
    ) -> AbstractAsyncContextManager[Client]:
        """The client lives, and its processes run, while the block lasts.

        ``env`` is added to their environment: proxies, and whom they trust (``SSL_CERT_FILE``).
        """
        ...


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory with a short name: a socket's path has 107 bytes (unix(7)), a run root's 50."""
    with tempfile.TemporaryDirectory(prefix="eagle-") as directory:
        yield Path(directory)
