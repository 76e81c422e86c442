"""What other nodes want of this one: errands, picked up at the trackers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.registry.names import BlobRef, Repository, parse_registry, parse_repository_name
from eagle_node.runtime.tasks import TaskSet
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.errand_schema import Errand, ErrandBlob, Report

log = logging.getLogger(__name__)

AT_ONCE = 3
"""Blobs that are fetched at a time, as container runtimes do."""
_REPORT_S = 1.0
_MOST_REMEMBERED = 256
_MOST_FAILURES = 10
"""Reports in a row that a tracker does not take, until this node waits for its next word."""
_MAX_ERROR = 250

Fetch = Callable[[BlobRef, str | None], Awaitable[None]]
"""Brings a blob into the cache, whole and verified; raises an `EagleError` when it cannot."""


@dataclass(slots=True)
class _Running:
    """An errand that this node is on, or has done."""

    errand: Errand
    verified: set[Digest]
    ended: bool = False
    error: str = ""
    task: asyncio.Task[None] | None = None


class Worker:
    """Runs errands; an async context manager."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        tracker: TrackerClient,
        fetch: Fetch,
        held: Callable[[Digest], int],
    ) -> None:
        self._node_id = node_id
        self._tracker = tracker
        self._fetch = fetch
        self._held = held
        self._errands: BoundedDict[str, _Running] = BoundedDict(_MOST_REMEMBERED)
        self._asked: dict[str, int] = {}
        """Trackers to report to, and how often in a row they did not answer."""
        self._woken = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks = TaskSet()

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel()

    def look(self, trackers: Sequence[str]) -> None:
        """Something waits for this node there."""
        for url in trackers:
            self._asked.setdefault(url, 0)
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._asked:
                await self._exchange()
                try:
                    async with asyncio.timeout(_REPORT_S):
                        await self._woken.wait()
                    self._woken.clear()
                except TimeoutError:
                    pass

    async def _exchange(self) -> None:
        """Report to all trackers, and take up what waits there."""
        reports = [self._report(each) for each in self._errands.values()]
        ended = {report.errand for report in reports if report.ended}
        wanted: dict[str, Errand] = {}
        sure = True
        for url in list(self._asked):
            try:
                waiting = await self._tracker.pick_up(url, self._node_id, reports)
            except Unavailable as error:
                sure = False
                self._asked[url] += 1
                if self._asked[url] >= _MOST_FAILURES:
                    log.info("errands are not reported to %s: %s", url, error)
                    del self._asked[url]
                continue
            self._asked[url] = 0
            wanted |= {errand.id: errand for errand in waiting}
            if all(errand.id in ended for errand in waiting):
                del self._asked[url]
        for errand in wanted.values():
            self._take(errand)
        if sure:
            self._drop_all_but(wanted.keys())

    def _take(self, errand: Errand) -> None:
        known = self._errands.get(errand.id)
        if known is not None:
            return
        running = self._errands[errand.id] = _Running(errand, set())
        log.info("fetching %d blobs of %s for others", len(errand.blobs), errand.repository)
        running.task = self._tasks.spawn(self._work(running), name=f"errand-{errand.id[:12]}")

    def _drop_all_but(self, wanted: Collection[str]) -> None:
        """Give up what nobody wants any more; what is done is remembered."""
        for errand_id, running in list(self._errands.items()):
            if errand_id not in wanted and not running.ended and running.task is not None:
                running.task.cancel()
                del self._errands[errand_id]

    async def _work(self, running: _Running) -> None:
        errand = running.errand
        try:
            repository = Repository(
                parse_registry(errand.registry), parse_repository_name(errand.repository)
            )
            async with asyncio.TaskGroup() as group:
                for blob in errand.blobs:
                    group.create_task(
                        self._bring(running, repository, blob), name=f"errand-{blob.digest[7:19]}"
                    )
        except* EagleError as group_error:
            error = group_error.exceptions[0]
            running.error = str(error)[:_MAX_ERROR]
            log.warning("an errand failed: %s", error)
        running.ended = True
        self._woken.set()

    async def _bring(self, running: _Running, repository: Repository, blob: ErrandBlob) -> None:
        async with self._places:
            authorization = running.errand.authorization or None
            await self._fetch(BlobRef(repository, blob.digest), authorization)
            running.verified.add(blob.digest)

    def _report(self, running: _Running) -> Report:
        errand = running.errand
        have = sum(
            blob.size if blob.digest in running.verified else self._held(blob.digest)
            for blob in errand.blobs
        )
        return Report(
            errand=errand.id,
            blobs=len(running.verified),
            have_bytes=have,
            ended=running.ended,
            error=running.error,
        )
