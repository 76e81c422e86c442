"""Wires preheating: this node's own jobs, and what other nodes want of it."""

from __future__ import annotations

from functools import partial

from eagle_node.api.event_log import EventLog
from eagle_node.api.schema import Event, PreheatJob
from eagle_node.base.errors import Unavailable
from eagle_node.node.parts import Parts
from eagle_node.peer.advertise import Advertiser
from eagle_node.peer.service import Peer
from eagle_node.preheat.jobs import ENDED, Preheater
from eagle_node.preheat.store import JobStore
from eagle_node.preheat.worker import Worker
from eagle_node.registry.names import BlobRef
from eagle_node.tracker.client import TrackerClient


async def start_preheating(
    parts: Parts, peer: Peer, tracker: TrackerClient, advertiser: Advertiser
) -> Preheater:
    """Jobs that this node was given, and errands that others left for it."""
    enter = parts.stack.enter_async_context
    worker = await enter(
        Worker(
            node_id=parts.place.node_id,
            tracker=tracker,
            fetch=partial(_fetch, parts, peer),
            held=parts.held,
        )
    )
    advertiser.on_errands.append(worker.look)
    parts.work.append(("errands", worker.run()))
    store = await enter(JobStore(parts.config.node.data_dir / "preheat.sqlite"))
    return await enter(
        Preheater(
            store=store,
            upstream=parts.registry.upstream,
            tracker=tracker,
            node=lambda: parts.place.info,
            default_registry=parts.config.proxy.default_registry,
            sealed=parts.identity is not None,
            changed=_Teller(parts.events).tell,
        )
    )


async def _fetch(parts: Parts, peer: Peer, blob: BlobRef, authorization: str | None) -> None:
    """Bring a blob into the cache; nobody is given it, so one that is there is not asked about."""
    if blob.digest in parts.cache:
        return
    reader = await peer.open(blob, authorization, whole=True)
    try:
        transfer = parts.transfers.get(blob.digest)
        if transfer is not None:
            await transfer.wait_finished()
    finally:
        reader.close()
    if blob.digest not in parts.cache:
        raise Unavailable(f"{blob} was evicted as soon as it was here: the cache is too small")


class _Teller:
    """Publishes jobs: kept for later when a node more has everything or the state is another one.

    Between these there are as many changes as seconds.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._told: dict[int, tuple[str, int]] = {}

    def tell(self, job: PreheatJob) -> None:
        """Tell everybody how far a job is."""
        done = sum(target.state == "succeeded" for target in job.targets)
        before, now = self._told.get(job.id), (job.state, done)
        self._told[job.id] = now
        of_them = f", {done} of {len(job.targets)} nodes have it" if job.targets else ""
        text = f"preheat job {job.id} {job.state}{of_them}: {job.image}"
        self._events.publish(
            Event(id="", time="", kind="preheat-changed", subject=str(job.id), text=text, job=job),
            keep=now != before,
        )
        if job.state in ENDED:
            del self._told[job.id]
