"""Whom a download draws on: by stripe whom the plan names, by segment who was dialled (no IO)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eagle_node.base.ids import NodeId
from eagle_node.tracker.health import SUSPECT_S
from eagle_node.tracker.schema import Gone, PeerAddress, Plan

UNKNOWN = NodeId("")
"""Of a seeder that no tracker has named."""


class Parents:
    """The parents of a download's stripes, and who has disappointed it."""

    def __init__(self) -> None:
        self.known = asyncio.Event()
        """Set once there is somebody to draw on."""
        self.revision = ""
        """Of the plan that was taken over last."""
        self._failed: dict[NodeId, float] = {}
        """Who made no progress, and when that was."""
        self._gone: dict[NodeId, float] = {}
        """Who did not answer."""
        self._stripes: Sequence[Sequence[PeerAddress]] = ((),)
        """By stripe: the parent, then fallbacks."""
        self._to_dial: dict[int, Sequence[PeerAddress]] = {}
        """Whom a segment's next announce names; else it is the parent."""
        self._feeders: dict[int, PeerAddress] = {}
        """The parent that an active segment was started with."""
        self._dialled: set[tuple[str, int]] = set()

    @property
    def stripes(self) -> int:
        """How many parents share the segments."""
        return len(self._stripes)

    def stripe_of(self, index: int) -> int:
        """The stripe that a segment belongs to."""
        return index % len(self._stripes)

    def planned(self, stripe: int) -> Sequence[PeerAddress]:
        """The parent of a stripe, then its fallbacks."""
        return self._stripes[stripe % len(self._stripes)]

    def firsts(self) -> dict[str, PeerAddress]:
        """The planned parents by their hosts."""
        return {peers[0].host: peers[0] for peers in self._stripes if peers}

    def feeder(self, stripe: int) -> PeerAddress | None:
        """Whom the oldest active segment of a stripe was started with, else its parent."""
        for index in sorted(self._feeders):
            if self.stripe_of(index) == stripe:
                return self._feeders[index]
        return next(iter(self.planned(stripe)), None)

    def feeds(self, index: int) -> PeerAddress | None:
        """Whom an active segment draws on; None until it has named somebody."""
        return self._feeders.get(index)

    def fed_by(self, endpoint: tuple[str, int]) -> list[int]:
        """The stripes that draw on who is there."""
        feeders = map(self.feeder, range(len(self._stripes)))
        return [
            stripe
            for stripe, feeder in enumerate(feeders)
            if feeder is not None and (feeder.host, feeder.port) == endpoint
        ]

    def has_dialled(self, endpoint: tuple[str, int]) -> bool:
        """Whether this node has named that peer to libtorrent: others have dialled this node."""
        return endpoint in self._dialled

    def take(self, plan: Plan, own: NodeId) -> None:
        """Segments that are started from here on have the plan's parents."""
        if plan.stripes:
            self._stripes = [[p for p in peers if p.node_id != own] for peers in plan.stripes]
        self.revision = plan.revision
        if any(self._stripes):
            self.known.set()

    def take_only(self, peer: PeerAddress) -> None:
        """Without a plan there is one parent."""
        self._stripes = ((peer,),)
        self.known.set()

    def rotate(self) -> None:
        """No tracker answers: every stripe's next fallback becomes its parent."""
        self._stripes = [(*peers[1:], *peers[:1]) for peers in self._stripes]

    def blame(self, stripe: int, now: float, *, gone: bool) -> PeerAddress | None:
        """Remember for `SUSPECT_S` that a stripe's feeder has failed; who that is."""
        feeder = self.feeder(stripe)
        if feeder is not None and feeder.node_id != UNKNOWN:
            (self._gone if gone else self._failed)[feeder.node_id] = now
        return feeder

    def failed(self, now: float) -> tuple[NodeId, ...]:
        """Who has lately made no progress."""
        return tuple(each for each, when in self._failed.items() if now - when < SUSPECT_S)

    def gone(self, now: float) -> tuple[Gone, ...]:
        """Who has lately not answered."""
        return tuple(
            Gone(node_id=each, ago_s=now - when)
            for each, when in self._gone.items()
            if now - when < SUSPECT_S
        )

    def redirect(self, index: int, peers: Sequence[PeerAddress]) -> None:
        """A segment's next announce is to name ``peers``."""
        self._to_dial[index] = peers

    def name_for(self, index: int, *, active: bool) -> Sequence[PeerAddress]:
        """Whom a segment's announce names; ``active``: it draws on the first of them then."""
        peers = self._to_dial.pop(index, None) or self.planned(self.stripe_of(index))[:1]
        self._dialled.update((peer.host, peer.port) for peer in peers)
        if peers and active:
            self._feeders[index] = peers[0]
        return peers

    def forget(self, index: int) -> None:
        """A segment draws on nobody any more."""
        self._feeders.pop(index, None)
        self._to_dial.pop(index, None)

    def release(self) -> None:
        """No segment does."""
        self._feeders.clear()
        self._to_dial.clear()
