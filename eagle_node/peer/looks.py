"""Has the seeder that owns a file's name look at the file, in the place of every node."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.file_messages import FoundEvent, LookReply, LookRequest
from eagle_node.peer.relay import MOST_ASKED
from eagle_node.registry.docker_config import Credential
from eagle_node.registry.file_ref import FileRef
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address

log = logging.getLogger(__name__)

_SILENCE_S = 20.0
"""For a seeder that sends a sign of life each second."""


class Looker(Protocol):
    """Who can tell what a file is: this node, or a seeder elsewhere."""

    def look(self, file: FileRef, authorization: str | None) -> AsyncGenerator[LookReply, None]:
        """Signs of life, then what the file is; raises `Denied` or `Unavailable`."""
        ...


class Origin(Protocol):
    """The part of `Upstream` that `Looks` needs."""

    async def own_credential(self, registry: str) -> Credential | None:
        """What this node proves itself with at ``registry`` for clients that show nothing."""
        ...


class Looks:
    """Looks at files by way of the seeder that owns their name; this node does when none can.

    Credentials go to other nodes only where ``private`` says that nobody reads them on the way;
    the node's own never do.
    """

    def __init__(
        self,
        own: Looker,
        upstream: Origin,
        *,
        order: Callable[[str], Sequence[Address]],
        looker_at: Callable[[Address], Looker | None],
        private: bool,
    ) -> None:
        self._own = own
        self._upstream = upstream
        self._order = order
        self._looker_at = looker_at
        self._private = private

    async def look(
        self, file: FileRef, authorization: str | None
    ) -> AsyncGenerator[LookReply, None]:
        """Signs of life, then what the file is; raises `Denied` or `Unavailable`."""
        for looker in [*await self._others(file, authorization), self._own]:
            try:
                async with aclosing(looker.look(file, authorization)) as replies:
                    async for reply in replies:
                        yield reply
                        if isinstance(reply, FoundEvent):
                            return
                raise Unavailable(f"nobody told what file {file} is")
            except Denied:
                raise
            except EagleError as error:
                if looker is self._own:
                    raise
                log.warning("%s; looking at file %s from here", error, file)

    async def _others(self, file: FileRef, authorization: str | None) -> list[Looker]:
        """Seeders to be asked first; none beyond this node's own turn."""
        if authorization is None:
            secret = await self._upstream.own_credential(file.registry) is not None
        else:
            secret = not self._private
        others: list[Looker] = []
        for seeder in self._order(file.name)[:MOST_ASKED] if not secret else ():
            looker = self._looker_at(seeder)
            if looker is self._own:
                break
            if looker is not None:
                others.append(looker)
        return others


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLooker:
    """A seeder on another node."""

    client: MetaInfoClient
    seeder: Address
    node_id: NodeId

    def look(self, file: FileRef, authorization: str | None) -> AsyncGenerator[LookReply, None]:
        """As the seeder answers."""
        request = LookRequest(
            registry=file.registry,
            path=file.served_at,
            authorization=authorization or "",
            node_id=self.node_id,
            request_id=request_id.get(),
        )
        return self.client.look_from(self.seeder, request, silence_s=_SILENCE_S)
