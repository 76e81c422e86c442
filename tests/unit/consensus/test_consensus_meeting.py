"""Who goes over when clusters meet, sentence by sentence."""

from __future__ import annotations

import pytest

from eagle_node.consensus.meeting import Move, Place, is_lonely, move, obeys
from eagle_node.consensus.messages import Dissolve
from eagle_node.consensus.records import Lineage
from tests.unit.consensus.builders import TIMING, voter

SMALL = Lineage(cluster="a" * 32, created_ms=1, rank=1)
LARGE = Lineage(cluster="b" * 32, created_ms=2, rank=3)


def dissolve(term: int, lineage: Lineage = SMALL) -> Dissolve:
    return Dissolve(lineage=lineage, term=term, into=LARGE, leader=voter(1))


def test_who_follows_no_cluster_follows_the_first_it_hears_of() -> None:
    """There is nothing to leave."""
    assert move(None, SMALL, Place.OBSERVER, lonely=False) is Move.FOLLOW


@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize("lonely", [False, True])
def test_ones_own_cluster_is_no_other(place: Place, *, lonely: bool) -> None:
    """Not even with a higher rank than this node knows of."""
    grown = Lineage(cluster=SMALL.cluster, created_ms=1, rank=5)
    assert move(SMALL, grown, place, lonely=lonely) is Move.STAY


@pytest.mark.parametrize("place", [Place.LEADER, Place.BOUND, Place.MEMBER])
@pytest.mark.parametrize("lonely", [False, True])
def test_who_has_a_log_never_goes_down(place: Place, *, lonely: bool) -> None:
    """So of two clusters that meet, one stays."""
    assert move(LARGE, SMALL, place, lonely=lonely) is Move.STAY


def test_a_leader_dissolves_its_cluster_into_one_that_outranks_it() -> None:
    """It does not go alone: all its nodes go."""
    assert move(SMALL, LARGE, Place.LEADER, lonely=False) is Move.DISSOLVE


def test_a_leader_that_is_bound_stays() -> None:
    """It does not know yet what it leads, or has asked for its majority's word already."""
    assert move(SMALL, LARGE, Place.BOUND, lonely=True) is Move.STAY


def test_a_member_goes_up_only_once_nobody_leads_it() -> None:
    """A leader would take it along in good order."""
    assert move(SMALL, LARGE, Place.MEMBER, lonely=False) is Move.STAY
    assert move(SMALL, LARGE, Place.MEMBER, lonely=True) is Move.GO_OVER


def test_an_observer_goes_up_at_once_and_down_only_when_nobody_leads_it() -> None:
    """Nothing is lost with it: it has no log."""
    assert move(SMALL, LARGE, Place.OBSERVER, lonely=False) is Move.GO_OVER
    assert move(LARGE, SMALL, Place.OBSERVER, lonely=False) is Move.STAY
    assert move(LARGE, SMALL, Place.OBSERVER, lonely=True) is Move.GO_OVER


def test_nobody_is_lonely_while_an_election_may_still_end_well() -> None:
    """Four of the longest election timeouts are waited for."""
    assert not is_lonely(4 * TIMING.election_max_s, TIMING)
    assert is_lonely(4 * TIMING.election_max_s + 0.1, TIMING)


def test_only_the_leader_of_the_own_cluster_dissolves_it() -> None:
    """Who follows another one, or none, stays."""
    assert obeys(dissolve(3), SMALL, None)
    assert not obeys(dissolve(3), LARGE, None)
    assert not obeys(dissolve(3), None, None)


def test_a_leader_that_was_deposed_dissolves_nothing() -> None:
    """A log knows of a later term; of the same and of a later one, the message counts."""
    assert not obeys(dissolve(3), SMALL, 4)
    assert obeys(dissolve(4), SMALL, 4)
    assert obeys(dissolve(5), SMALL, 4)
