"""When a lease may go to another node."""

from __future__ import annotations

from eagle_node.consensus.leases import LeaseClock
from eagle_node.consensus.messages import Held
from eagle_node.consensus.records import LeaseRecord, Registry
from tests.unit.consensus.builders import TIMING, node

RECORD = LeaseRecord(name="seeder-0", holder=node(2).node_id, epoch=4)
REGISTRY = Registry(leases=(RECORD,))
HELD = (Held(lease="seeder-0", epoch=4),)
FORMER, PRESENT = 17, 5
"""Sessions of node 2, which has started anew."""


class Leader:
    """One that leads since 0.0, when no former leader's lease could be valid any more."""

    def __init__(self) -> None:
        self.clock = LeaseClock(timing=TIMING, contact_at=-TIMING.lease_s)

    def beats(self, session: int, now: float) -> tuple[Held, ...]:
        """Node 2 reports, and is answered."""
        self.clock.renew(REGISTRY, node(2).node_id, now)
        held = self.clock.holdings(REGISTRY, node(2).node_id)
        self.clock.told(held, session)
        return held


def test_who_releases_a_lease_frees_it_at_once() -> None:
    """Whatever it was told to hold."""
    leader = Leader()
    assert leader.beats(PRESENT, 1.0) == HELD
    assert not leader.clock.is_free(RECORD, 1.0)
    leader.clock.release(RECORD, PRESENT)
    assert leader.clock.is_free(RECORD, 1.0)
    assert leader.beats(PRESENT, 1.1) == ()


def test_a_dead_process_frees_nothing_that_the_next_one_holds() -> None:
    """What it said came late; the lease is renewed no more, and free when its time is up."""
    leader = Leader()
    leader.beats(FORMER, 0.5)
    assert leader.beats(PRESENT, 1.0) == HELD
    leader.clock.release(RECORD, FORMER)
    assert not leader.clock.is_free(RECORD, 1.0)
    assert leader.beats(PRESENT, 1.5) == ()
    assert not leader.clock.is_free(RECORD, 0.99 + TIMING.lease_s)
    assert leader.clock.is_free(RECORD, 1.0 + TIMING.lease_s)


def test_what_a_former_leader_told_is_not_known() -> None:
    """A new leader waits as long as that one's answers may count."""
    clock = LeaseClock(timing=TIMING, contact_at=1.0)
    clock.release(RECORD, PRESENT)
    assert clock.is_given_up(RECORD)
    assert not clock.is_free(RECORD, 0.99 + TIMING.lease_s)
    assert clock.is_free(RECORD, 1.0 + TIMING.lease_s)


def test_a_new_grant_begins_anew() -> None:
    """Whoever released the epoch before."""
    leader = Leader()
    leader.beats(FORMER, 0.5)
    leader.clock.release(RECORD, FORMER)
    again = LeaseRecord(name="seeder-0", holder=node(2).node_id, epoch=5)
    leader.clock.granted(again, 1.0)
    assert not leader.clock.is_given_up(again)
    leader.clock.told((Held(lease="seeder-0", epoch=5),), PRESENT)
    leader.clock.release(again, PRESENT)
    assert leader.clock.is_free(again, 1.0)
