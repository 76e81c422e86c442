"""Where a blob comes from when no node has it: the blob store, then its registry."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from eagle_node.base.errors import Denied, NoSpace, Unavailable, WrongContent
from eagle_node.config.tree import SeederConfig
from eagle_node.registry.access import VERDICTS, Access
from eagle_node.registry.blob_stream import BlobStream
from eagle_node.registry.names import BlobRef
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.tracing import note, span
from eagle_node.seeder.archive import Archive
from eagle_node.seeder.origin import InOrderFill, bring_next
from eagle_node.seeder.source import ByteSource
from eagle_node.seeder.turns import InTurn, Turns
from eagle_node.storage.interface import BlobNotFound
from eagle_node.swarm.transfer import Source, Transfer

log = logging.getLogger(__name__)

_SIGN_S = 10.0
"""How long nothing comes of a blob that waits for its turn: less than clients put up with."""


@dataclass(frozen=True, slots=True)
class _RegistryBlob:
    """A blob at its registry, read with one client's rights, as a `ByteSource`."""

    upstream: Upstream
    blob: BlobRef
    authorization: str | None

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[BlobStream]:
        return self.upstream.open_blob(
            self.blob, start=start, stop=stop, authorization=self.authorization
        )

    async def size(self) -> int | None:
        """Bytes, by a HEAD; None if that tells nothing. `Denied`: this client may not read it."""
        try:
            return (await self.upstream.check_blob(self.blob, self.authorization)).size
        except (Denied, Unavailable) as error:
            if isinstance(error, Denied) and error.status in VERDICTS:
                raise
            log.debug("%s does not tell its size: %s", self.blob, error)
            return None


class Origins:
    """Makes the sources that fetch from outside of the cluster."""

    def __init__(
        self,
        upstream: Upstream,
        access: Access,
        config: SeederConfig,
        archive: Archive | None,
    ) -> None:
        self._upstream = upstream
        self._access = access
        self._config = config
        self._archive = archive
        self.turns = Turns()
        """Which of the transfers that its sources fill may draw."""
        self._tasks = TaskSet()

    async def aclose(self) -> None:
        """Stop what is under way in the background."""
        await self._tasks.cancel()

    def source(self, blob: BlobRef, authorization: str | None) -> Source:
        """The source of ``blob`` as this client may read it."""

        async def fill(transfer: Transfer) -> None:
            with (
                span("origin fetch", "internal", blob.attributes),
                self.turns.filling(transfer),
            ):
                if self._archive is not None and await self._from_archive(
                    self._archive, transfer, blob, authorization
                ):
                    note({"eagle.source": "storage"})
                    return
                note({"eagle.source": "registry"})
                registry = _RegistryBlob(self._upstream, blob, authorization)
                await self._wait_for_turn(transfer, registry)
                await self._fill(registry, transfer)

        return fill

    async def _fill(self, source: ByteSource, transfer: Transfer) -> None:
        await InOrderFill(InTurn(source, self.turns, transfer), self._config)(transfer)

    async def _wait_for_turn(self, transfer: Transfer, registry: _RegistryBlob) -> None:
        """Let others come first, once the readers of ``transfer`` know its size."""
        if transfer.begun or transfer.piecemeal or not transfer.asked.done():
            return
        if not self.turns.must_wait(transfer):
            return
        size = await registry.size()
        if size is None:
            return
        await transfer.begin(size)
        with self.turns.waiting(transfer):
            while not await self.turns.turn(transfer, _SIGN_S):
                try:
                    source = InTurn(registry, self.turns, transfer)
                    await bring_next(transfer, source, self._config.origin_retries)
                except NoSpace:
                    raise
                except Unavailable as error:
                    log.info("%s waits for its turn no longer: %s", transfer.digest, error)
                    return

    async def _from_archive(
        self, archive: Archive, transfer: Transfer, blob: BlobRef, authorization: str | None
    ) -> bool:
        """Fill from the blob store; False when it has not got the blob, or breaks off."""
        stored = await archive.find(blob.digest)
        if stored is None:
            return False
        grant = await self._access.check(blob, authorization, proving=True)
        transfer.rests_on(grant.age_s)
        transfer.finished.add_done_callback(
            lambda ended: self._forget_if_wrong(archive, ended, blob)
        )
        try:
            await self._fill(stored, transfer)
        except NoSpace:
            raise
        except (BlobNotFound, Unavailable) as error:
            log.warning("the blob store broke off at %s, going to the registry: %s", blob, error)
            return False
        return True

    def _forget_if_wrong(
        self, archive: Archive, ended: asyncio.Future[None], blob: BlobRef
    ) -> None:
        if not ended.cancelled() and isinstance(ended.exception(), WrongContent):
            self._tasks.spawn(archive.forget(blob.digest), name="archive-forget")
