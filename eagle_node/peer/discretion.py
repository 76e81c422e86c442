"""What other nodes are told of a reader's credentials."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.docker_config import Credential
from eagle_node.runtime.sockets import Address, is_loopback

log = logging.getLogger(__name__)

OwnCredential = Callable[[str], Awaitable[Credential | None]]
"""What this node proves itself with at a registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whom a fetch through other nodes is for."""

    authorization: str | None = field(default=None, repr=False)
    """What proves the right to read, in a form that can be shown; None: there is none."""
    has_credentials: bool
    """Whether there is anything that proves it, shown or not."""


ANY_READER = Reader(has_credentials=False)


class Discretion:
    """Shows credentials only where nobody reads them on the way: under ``sealed`` connections,
    which a cluster key makes, and on loopback.

    A reader who shows nothing has this node's own credentials, if it was given any for the
    registry: another node uses its own for nobody but its own clients. An identity token stays
    here: it opens more than reading.
    """

    def __init__(self, own: OwnCredential, *, sealed: bool) -> None:
        self._own = own
        self._sealed = sealed
        self._told = False

    async def reader(self, registry: str, authorization: str | None) -> Reader:
        """The reader that an ``Authorization`` header makes; `Unavailable` as `Credentials.get`."""
        if authorization == ANYBODY:
            return ANY_READER
        if authorization is not None:
            return Reader(authorization=authorization, has_credentials=True)
        own = await self._own(registry)
        if own is None:
            return ANY_READER
        return Reader(authorization=own.authorization or None, has_credentials=True)

    def shown(self, reader: Reader, node: Address) -> str:
        """The ``Authorization`` that ``node`` is shown; empty: none, it fetches as anybody."""
        if self._sealed or is_loopback(node.host):
            return reader.authorization or ""
        if reader.has_credentials and not self._told:
            self._told = True
            log.warning(
                "credentials stay on this node, since it speaks clear text to others: what needs "
                "them comes straight from its registry; with --cluster-key-file, seeders fetch it "
                "once for all nodes"
            )
        return ""

    def withholds(self, reader: Reader, node: Address) -> bool:
        """Whether ``node`` asks a registry with less than this node could show."""
        return reader.has_credentials and not self.shown(reader, node)
