"""Tells seeders which blobs a client that was given a manifest will ask for next."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError
from eagle_node.base.ids import NodeId
from eagle_node.metainfo.messages import PrefetchBlob, PrefetchRequest
from eagle_node.registry.access import AccessKey, AccessMemory
from eagle_node.registry.image_manifest import named_blobs
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet

log = logging.getLogger(__name__)

_ONCE_S = 60.0
"""Seconds in which the same manifest, given to the same client again, is told of once."""
_MOST_TOLD = 4096
_MOST_TELLING = 64
"""Notices under way; more are left out, since a seeder that is so slow has enough to do."""

Tell = Callable[[Address, PrefetchRequest], Awaitable[None]]


class FetchAhead:
    """Has each blob of an image fetched by the seeder that owns it, in the client's name.

    A notice is not repeated when it fails: its blobs then come when they are asked for.
    """

    def __init__(
        self,
        *,
        order: Callable[[Digest], Sequence[Address]],
        tell: Tell,
        holds: Callable[[Digest], bool],
        memory: AccessMemory,
        node_id: NodeId,
        clock: Clock = monotonic,
    ) -> None:
        self._order = order
        self._tell = tell
        self._holds = holds
        self._memory = memory
        self._node_id = node_id
        self._clock = clock
        self._told: BoundedDict[AccessKey, float] = BoundedDict(_MOST_TOLD)
        self._telling = 0
        self._tasks = TaskSet()

    async def aclose(self) -> None:
        """Drop the notices that are under way."""
        await self._tasks.cancel()

    def given(
        self, repository: Repository, digest: Digest, body: bytes, authorization: str | None
    ) -> None:
        """A client was given the manifest ``digest``; returns at once and never fails.

        Blobs that this node holds, or that are on their way to it, are nobody's to fetch.
        """
        key = self._memory.key(BlobRef(repository, digest), authorization)
        if self._told_lately(key):
            return
        shares: dict[Address, list[PrefetchBlob]] = {}
        for blob in named_blobs(body):
            seeders = () if self._holds(blob.digest) else self._order(blob.digest)
            if seeders:
                named = PrefetchBlob(digest=blob.digest, size=blob.size)
                shares.setdefault(seeders[0], []).append(named)
        for seeder, blobs in shares.items():
            if self._telling >= _MOST_TELLING:
                return
            request = PrefetchRequest(
                registry=repository.registry,
                repository=repository.name,
                blobs=tuple(blobs),
                authorization=authorization or "",
                node_id=self._node_id,
                request_id=request_id.get(),
            )
            self._telling += 1
            self._tasks.spawn(self._send(seeder, request), name=f"prefetch-notice-{seeder}")

    def _told_lately(self, key: AccessKey) -> bool:
        now = self._clock()
        told = self._told.get(key)
        if told is not None and now - told < _ONCE_S:
            return True
        self._told[key] = now
        return False

    async def _send(self, seeder: Address, request: PrefetchRequest) -> None:
        try:
            await self._tell(seeder, request)
        except EagleError as error:
            log.debug("seeder %s does not fetch ahead: %s", seeder, error)
        finally:
            self._telling -= 1
