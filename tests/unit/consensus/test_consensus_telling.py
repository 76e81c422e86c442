"""Whom a leader tells what."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_node.base.ids import NodeId
from eagle_node.consensus.duty import Attached
from eagle_node.consensus.events import Send
from eagle_node.consensus.leases import LeaseClock
from eagle_node.consensus.members import Members
from eagle_node.consensus.messages import Beat, BeatReply, Dissolve, Held, View
from eagle_node.consensus.outbox import Outbox
from eagle_node.consensus.records import Configuration, LeaseRecord, Lineage, Registry
from eagle_node.consensus.telling import (
    announcement,
    dissolution,
    probes,
    publication,
    renewal,
    view_of,
)
from tests.unit.consensus.builders import TIMING, member, node, raft, voter

LINEAGE = Lineage(cluster="a" * 32, created_ms=0)
INTO = Lineage(cluster="b" * 32, created_ms=0)
REGISTRY = Registry(leases=(LeaseRecord(name="seeder-0", holder=node(2).node_id, epoch=4),))


def name(number: int) -> NodeId:
    return node(number).node_id


def attached(*numbers: int) -> dict[NodeId, Attached]:
    return {name(n): Attached(voter=voter(n), seen_at=0.0, version=0) for n in numbers}


def targets(letters: Iterable[Send]) -> list[int]:
    """The numbers of the nodes that are told."""
    return sorted(int(letter.target, 16) for letter in letters)


def view() -> View:
    """Of node 1, which leads three."""
    return view_of(raft(1), REGISTRY, LINEAGE, voter(1))


def reply(*, version: int, leaving: bool = False) -> BeatReply:
    """To a beat of node 2."""
    beat = Beat(
        lineage=LINEAGE,
        me=voter(2),
        session=5,
        sequence=6,
        released=(),
        version=version,
        epoch_seen=0,
        leaving=leaving,
    )
    clock = LeaseClock(timing=TIMING, contact_at=0.0)
    return renewal(beat, view=view(), clock=clock, registry=REGISTRY, timing=TIMING)


def test_a_view_is_of_what_is_committed() -> None:
    """Entries beyond may still be lost."""
    seen = view()
    assert (seen.version, seen.term, seen.leases) == (1, 1, REGISTRY.leases)
    assert [each.member for each in seen.voters] == [member(1), member(2), member(3)]


def test_news_go_to_all_who_follow_and_to_the_leader_once() -> None:
    """It follows itself, but may not have reported to itself yet."""
    assert targets(publication(view(), attached(2, 3))) == [1, 2, 3]
    assert targets(publication(view(), attached(1, 2))) == [1, 2]


def test_a_new_leader_tells_members_that_are_alive() -> None:
    """Whether they follow or not; a dead one would only cost a connection."""
    members = Members(name(1))
    members.replace([node(1), node(2), node(3, alive=False), node(4)])
    assert targets(announcement(view(), members.others())) == [1, 2, 4]


def test_strangers_are_asked_and_the_leader_is_none() -> None:
    """Each at the address that the gossip has of it."""
    letters = list(probes(LINEAGE, voter(1), [node(1), node(4)]))
    assert targets(letters) == [4]
    assert letters[0].address == node(4).address


def test_all_who_follow_or_vote_are_told_to_go_over_but_the_leader() -> None:
    """It goes by itself, after it has told them; a voter may not have reported for long."""
    message = Dissolve(lineage=LINEAGE, term=1, into=INTO, leader=voter(9))
    configuration = Configuration(voters=(voter(1), voter(2)), learners=(voter(3),))
    letters = dissolution(message, voter(1), attached(1, 3, 4), configuration)
    assert targets(letters) == [2, 3, 4]


def test_a_beat_is_answered_with_what_the_node_holds() -> None:
    """And with the view if it has another one."""
    assert reply(version=1).leases == (Held(lease="seeder-0", epoch=4),)
    assert reply(version=1).view is None
    assert reply(version=0).view == view()


def test_who_leaves_holds_nothing() -> None:
    """Its leases are to be free as soon as it is gone."""
    assert reply(version=1, leaving=True).leases == ()


def test_what_a_node_tells_itself_is_not_sent() -> None:
    """It is to be received next, in the order in which it was told."""
    outbox = Outbox(name(1))
    outbox.post(publication(view(), attached(2)))
    assert outbox.next_inner() == view()
    assert outbox.next_inner() is None
    assert [each.target for each in outbox.drain() if isinstance(each, Send)] == [name(2)]
    outbox.check()


def test_the_gossip_knows_better_than_the_configuration_where_a_node_listens() -> None:
    """A node that moved says so there first; of one that it does not know, the other counts."""
    configuration = Configuration(voters=(voter(1), voter(2)))
    members = Members(name(1))
    assert members.address_of(member(2), configuration) == voter(2).address
    assert members.address_of(member(3), configuration) is None
    members.replace([node(3)])
    assert members.address_of(member(3), configuration) == node(3).address
