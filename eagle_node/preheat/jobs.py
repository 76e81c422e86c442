"""The jobs of this node: each resolves an image, leaves an errand and follows it to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from eagle_node.api.event_log import wall_clock
from eagle_node.api.problems import Refusal
from eagle_node.api.schema import PreheatJob, PreheatRequest, PreheatTarget
from eagle_node.base.errors import EagleError, Unavailable, UsageError
from eagle_node.base.ids import NodeId
from eagle_node.preheat.platforms import parse_platform
from eagle_node.preheat.resolve import ResolvedImage, resolve_image
from eagle_node.preheat.selection import parse_selection
from eagle_node.preheat.store import JobStore
from eagle_node.registry.image_reference import parse_image
from eagle_node.registry.names import BadName
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.tasks import TaskSet
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.errand_schema import Errand, ErrandBlob, Report
from eagle_node.tracker.schema import NodeInfo

log = logging.getLogger(__name__)

ENDED = ("succeeded", "failed", "cancelled")
MOST_WAITING = 100
"""Jobs that have not ended; further ones are refused."""
AT_ONCE = 4
"""Jobs that run at a time."""
PATIENCE_S = 1800.0
"""How long the targets may make no progress at all (Harbor waits as long)."""
GONE_S = 60.0
"""A target that the trackers do not know for so long has failed; one that restarts is back."""
_PATIENT_LOOKS = 20
_RENEW_S = 1.0
"""Between two looks at the targets' reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What a job needs beside its document; not kept, so gone after a restart."""

    authorization: str | None = None
    announced: bool = False
    strict: bool = False
    """Whether somebody has named the platform: an image for another one is none."""


class Preheater:
    """Runs jobs; an async context manager, which takes up those that a restart broke off.

    ``authorization`` of a request is shown to the registry, by this node and, where ``sealed``
    (nodes speak TLS to trackers), by the targets; else they show their own.
    """

    def __init__(
        self,
        *,
        store: JobStore,
        upstream: Upstream,
        tracker: TrackerClient,
        node: Callable[[], NodeInfo],
        default_registry: str,
        sealed: bool,
        changed: Callable[[PreheatJob], None],
        clock: Clock = monotonic,
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._tracker = tracker
        self._node = node
        self._default_registry = default_registry
        self._sealed = sealed
        self._changed = changed
        self._clock = clock
        self._jobs: dict[int, PreheatJob] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks = TaskSet()

    async def __aenter__(self) -> Self:
        for job in await self._store.load():
            self._jobs[job.id] = job
            if job.state not in ENDED:
                self._spawn(job, _Order())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel()

    def jobs(self) -> Sequence[PreheatJob]:
        """All that are known, newest first."""
        return sorted(self._jobs.values(), key=lambda job: -job.id)

    def job(self, number: int) -> PreheatJob:
        """One of them; `Refusal` when there is none."""
        if number not in self._jobs:
            raise Refusal(f"there is no preheat job {number}", status=404)
        return self._jobs[number]

    async def start(
        self, request: PreheatRequest, *, authorization: str | None = None, announced: bool = False
    ) -> PreheatJob:
        """Begin a job, or join one that is under way for the same; `UsageError`, `Refusal`."""
        try:
            image = str(parse_image(request.image, default_registry=self._default_registry))
        except BadName as error:
            raise UsageError(str(error)) from error
        nodes = parse_selection(request.nodes).text
        platform = parse_platform(request.platform)
        waiting = [job for job in self._jobs.values() if job.state not in ENDED]
        for job in waiting:
            same = (job.image, job.nodes, job.platform) == (image, nodes, platform)
            if same and not (announced and job.digest):
                return job
        if len(waiting) >= MOST_WAITING:
            raise Refusal(
                f"{len(waiting)} preheat jobs wait already; try again later",
                status=429,
                headers={"Retry-After": "30"},
            )
        now = wall_clock()
        job = PreheatJob(
            id=await self._store.next_number(),
            image=image,
            nodes=nodes,
            platform=platform,
            state="pending",
            created_at=now,
            updated_at=now,
            digest="",
            blobs=0,
            size_bytes=0,
            targets=(),
        )
        await self._keep(job)
        order = _Order(
            authorization=authorization, announced=announced, strict=bool(request.platform)
        )
        self._spawn(job, order)
        return job

    async def cancel(self, number: int) -> PreheatJob:
        """Stop a job; `Refusal` when it has ended."""
        job = self.job(number)
        task = self._running.get(number)
        if job.state in ENDED or task is None:
            raise Refusal(f"preheat job {number} has ended: {job.state}", status=409)
        task.cancel()
        await asyncio.wait([task])
        await self._tracker.withdraw_errand(self._errand_id(number))
        if self.job(number).state not in ENDED:
            await self._keep(replace(self.job(number), state="cancelled"))
        return self.job(number)

    def _spawn(self, job: PreheatJob, order: _Order) -> None:
        task = self._tasks.spawn(self._run(job.id, order), name=f"preheat-{job.id}")
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._running.pop(job.id, None))

    async def _run(self, number: int, order: _Order) -> None:
        try:
            async with self._places:
                await self._keep(replace(self._jobs[number], state="running"))
                await self._follow(number, order)
        except EagleError as error:
            await self._keep(replace(self._jobs[number], state="failed", error=str(error)))
        job = self._jobs[number]
        why = f": {job.error}" if job.error else ""
        log.info("preheat job %d of %s has %s%s", number, job.image, job.state, why)

    async def _follow(self, number: int, order: _Order) -> None:
        """Resolve, leave the errand, and look at its reports until all targets have ended."""
        job = self._jobs[number]
        image = parse_image(job.image, default_registry=self._default_registry)
        resolved = await resolve_image(
            self._upstream,
            image,
            platform=job.platform,
            authorization=order.authorization,
            announced=order.announced,
            strict=order.strict,
        )
        nodes = await self._targets(job)
        job = replace(
            job,
            digest=resolved.digest,
            blobs=len(resolved.blobs),
            size_bytes=sum(blob.size for blob in resolved.blobs),
            targets=tuple(_target(node, None, resolved) for node in nodes),
        )
        await self._keep(job)
        errand = Errand(
            id=self._errand_id(number),
            registry=image.repository.registry,
            repository=image.repository.name,
            blobs=tuple(ErrandBlob(digest=b.digest, size=b.size) for b in resolved.blobs),
            targets=tuple(node.node_id for node in nodes),
            authorization=(order.authorization or "") if self._sealed else "",
        )
        try:
            await self._until_ended(number, errand, nodes, resolved)
        finally:
            self._tasks.spawn(self._tracker.withdraw_errand(errand.id), name="errand-withdrawal")

    async def _targets(self, job: PreheatJob) -> list[NodeInfo]:
        """The nodes that are meant; after a restart those that were meant before it."""
        known = await self._known_nodes()
        if job.targets:
            infos = {node.node_id: node for node in known}
            return [
                infos.get(NodeId(each.node))
                or NodeInfo(node_id=NodeId(each.node), host=each.address, port=1)
                for each in job.targets
            ]
        selection = parse_selection(job.nodes)
        found = selection.of(known, group=self._node().group, key=job.image)
        if not found:
            raise Unavailable(f"none of the {len(known)} nodes is meant by {job.nodes}")
        return found

    async def _known_nodes(self) -> list[NodeInfo]:
        """The live nodes; waits a little while there are none, since even this one is one."""
        for _ in range(_PATIENT_LOOKS):
            if known := await self._tracker.nodes():
                return known
            await asyncio.sleep(_RENEW_S)
        return []

    async def _until_ended(
        self, number: int, errand: Errand, nodes: Sequence[NodeInfo], resolved: ResolvedImage
    ) -> None:
        reports: dict[NodeId, Report] = {}
        seen = dict.fromkeys(errand.targets, self._clock())
        moved_at = self._clock()
        while True:
            try:
                told = await self._tracker.leave_errand(errand)
            except Unavailable as error:
                log.debug("preheat job %d: %s", number, error)
                told = reports
            # What a tracker forgot when it restarted is still true.
            told = {**reports, **told}
            if told != reports:
                moved_at, reports = self._clock(), told
            await self._tell(number, nodes, reports, resolved)
            job = self._jobs[number]
            if all(target.state in ENDED for target in job.targets):
                failed = [target for target in job.targets if target.state == "failed"]
                if failed:
                    raise Unavailable(
                        f"{len(failed)} of {len(job.targets)} nodes failed; "
                        f"{failed[0].address}: {failed[0].error}"
                    )
                await self._keep(replace(job, state="succeeded"))
                return
            if self._clock() - moved_at > PATIENCE_S:
                raise Unavailable(f"no node has told of progress for {PATIENCE_S:.0f} s")
            reports |= await self._gone(number, seen, reports)
            await asyncio.sleep(_RENEW_S)

    async def _gone(
        self, number: int, seen: dict[NodeId, float], reports: Mapping[NodeId, Report]
    ) -> dict[NodeId, Report]:
        """Reports in the name of targets that no tracker has known for long."""
        try:
            known = {node.node_id for node in await self._tracker.nodes()}
        except Unavailable:
            return {}
        now = self._clock()
        seen |= dict.fromkeys(seen.keys() & known, now)
        return {
            node: Report(
                errand=self._errand_id(number),
                blobs=0,
                have_bytes=0,
                ended=True,
                error="the node is gone",
            )
            for node, at in seen.items()
            if now - at > GONE_S and not (node in reports and reports[node].ended)
        }

    async def _tell(
        self,
        number: int,
        nodes: Sequence[NodeInfo],
        reports: Mapping[NodeId, Report],
        resolved: ResolvedImage,
    ) -> None:
        targets = tuple(_target(node, reports.get(node.node_id), resolved) for node in nodes)
        job = self._jobs[number]
        if targets != job.targets:
            await self._keep(replace(job, targets=targets))

    async def _keep(self, job: PreheatJob) -> None:
        job = replace(job, updated_at=wall_clock())
        self._jobs[job.id] = job
        await self._store.save(job)
        self._changed(job)

    def _errand_id(self, number: int) -> str:
        return f"{self._node().node_id}-{number}"


def _target(node: NodeInfo, report: Report | None, resolved: ResolvedImage) -> PreheatTarget:
    state, error = "pending", ""
    if report is not None:
        state, error = "running", report.error
        if report.ended:
            whole = report.blobs >= len(resolved.blobs) and not report.error
            state = "succeeded" if whole else "failed"
            error = report.error or ("" if whole else "it has not verified every blob")
    return PreheatTarget(
        node=node.node_id,
        address=node.host,
        state=state,
        blobs=report.blobs if report is not None else 0,
        have_bytes=report.have_bytes if report is not None else 0,
        error=error,
    )
