"""A node's way to its leader: whom it follows, when it reports, whom it asks when nobody answers.

Every node does this, voters and the leader itself included. Sans-IO.
"""

from __future__ import annotations

from random import Random

from eagle_node.base.ids import NodeId
from eagle_node.consensus.duty import observe_s
from eagle_node.consensus.holdings import Holdings
from eagle_node.consensus.messages import Beat, BeatReply, View
from eagle_node.consensus.records import Lineage, Voter, node_of
from eagle_node.consensus.timing import Timing

_LOOK_S = 0.2
"""Between questions to others while no leader is known."""


class Attachment:
    """Invariant: ``view`` is of the cluster that ``following`` names, or None."""

    def __init__(self, *, timing: Timing, chance: Random, now: float) -> None:
        self.following: Lineage | None = None
        self.view: View | None = None
        self.leader: Voter | None = None
        self.led_at = now
        """When a leader last answered, or it was begun to look for one."""
        self.holdings = Holdings(timing=timing)
        self._timing = timing
        self._chance = chance
        self._session = chance.getrandbits(62)
        self._sequence = 0
        self._beat_at = now
        self._unanswered_since: float | None = None
        self._granted = 0
        """The highest epoch of this node's grants that it has reported for."""

    def follow(self, lineage: Lineage | None, leader: Voter | None, now: float) -> None:
        """Go over to a cluster; leases of another one are given up."""
        if self.following is None or lineage is None or lineage.cluster != self.following.cluster:
            self.holdings.reset()
            self.view = None
            self.led_at = now
            self._granted = 0
        self.following = lineage
        self.point_to(leader, now)

    def point_to(self, leader: Voter | None, now: float) -> None:
        """Somebody says who leads."""
        if leader != self.leader:
            self.leader = leader
            self._unanswered_since = None
            self._beat_at = now

    def lost(self, node: NodeId, now: float) -> None:
        """The connection with a node is gone."""
        if self.leader is not None and node_of(self.leader.member) == node:
            self.point_to(None, now)

    def saw_view(self, view: View, now: float) -> bool:
        """Take over a newer view of the cluster that is followed; whether it was one."""
        self.following = view.lineage
        if self.view is not None and (view.term, view.version) <= (
            self.view.term,
            self.view.version,
        ):
            return False
        self.view = view
        self.holdings.seen(view.leases)
        self.point_to(view.leader, now)
        return True

    def answered(self, reply: BeatReply) -> None:
        """The leader confirmed what this node holds."""
        if reply.session != self._session:
            return
        sent_at = self.holdings.answered(reply)
        if sent_at is not None:
            self.led_at = max(self.led_at, sent_at)
            self._unanswered_since = None

    def hurry(self, now: float) -> None:
        """Report at once: there is something to say, or to be confirmed."""
        self._beat_at = now

    def has_new_grant(self, me: NodeId) -> bool:
        """Whether the view has a grant for this node that it has not reported for yet; once."""
        leases = self.view.leases if self.view is not None else ()
        newest = max((each.epoch for each in leases if each.holder == me), default=0)
        if newest <= self._granted:
            return False
        self._granted = newest
        return True

    def is_led(self, members: int, now: float) -> bool:
        """Whether the leader has answered lately."""
        patience_s = max(self._timing.lease_s, 3 * observe_s(self._timing, members))
        return self.leader is not None and now - self.led_at < patience_s

    def is_due(self, *, busy: bool, members: int, now: float) -> bool:
        """Whether to report now; notices when the leader does not answer."""
        waited = self._unanswered_since
        if waited is not None and now - waited > self._timing.answer_s and self.leader is not None:
            self.point_to(None, now)
        if now < self._beat_at:
            return False
        if self.leader is None:
            interval_s = _LOOK_S * self._chance.uniform(0.7, 1.3)
        elif busy:
            interval_s = self._timing.renew_s
        else:
            interval_s = observe_s(self._timing, members)
        self._beat_at = now + interval_s
        return True

    def beat(self, me: Voter, *, leaving: bool, now: float) -> Beat:
        """The next report."""
        self._sequence += 1
        self.holdings.sent(self._sequence, now)
        if self._unanswered_since is None:
            self._unanswered_since = now
        return Beat(
            lineage=self.following,
            me=me,
            session=self._session,
            sequence=self._sequence,
            released=self.holdings.released(),
            version=self.view.version if self.view is not None else 0,
            epoch_seen=self.holdings.epoch_seen,
            leaving=leaving,
        )
