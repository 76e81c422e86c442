"""SWIM's protocol, rule by rule; sections are those of the paper of 2002."""

from __future__ import annotations

from itertools import permutations

import pytest

from eagle_node.membership.events import Gone, Joined, LeaveAsked, MetaSet, Updated
from eagle_node.membership.member import Alive, Dead, Left, State, Suspect, Update
from eagle_node.membership.meta import Meta
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Ack, Message, Ping, PingReq, Rumours
from tests.unit.membership.builders import OWN, Bench, address, alive, node_id, someone

QUICK = Timings(probe_interval_s=1.0, ack_timeout_s=0.5, probe_timeout_s=1.5)


def suspect(number: int, incarnation: int = 1, *accusers: int) -> Suspect:
    """The ``number``-th node is suspected, by the ninth unless others are named."""
    return Suspect(node_id(number), incarnation, tuple(map(node_id, accusers or (9,))))


# Section 3.1: the failure detector


def test_each_period_one_member_is_pinged() -> None:
    """3.1: once per protocol period T' a member is selected and sent a ping."""
    bench = Bench(5, timings=QUICK)
    bench.run(0.99)
    pings = bench.messages(Ping)
    assert len(pings) == 1
    target = pings[0][1]
    assert isinstance(target.packet.message, Ping)
    assert target.to == address(int(target.packet.message.target, 16))


def test_an_ack_ends_the_probe() -> None:
    """3.1: an ack within the period proves the target alive; nobody else is asked."""
    bench = Bench(1, timings=QUICK)
    bench.run(1.0)
    ((_, ping),) = bench.messages(Ping)
    assert isinstance(ping.packet.message, Ping)
    bench.hear(1, message=Ack(ping.packet.message.nonce))
    bench.run(0.4)
    assert bench.messages(PingReq) == []
    assert bench.state(1) is State.ALIVE


def test_a_silent_target_is_pinged_through_k_others() -> None:
    """3.1: without an ack in the time-out, k random members get ping-req(target)."""
    bench = Bench(6, timings=QUICK)
    bench.run(1.4)
    ((_, first), *_) = bench.messages(Ping)
    assert isinstance(first.packet.message, Ping)
    target = first.packet.message.target
    requests = [
        send
        for _, send in bench.messages(PingReq)
        if send.packet.message.target == target  # type: ignore[union-attr]
    ]
    assert len({send.to for send in requests}) == QUICK.helpers
    assert address(int(target, 16)) not in {send.to for send in requests}


def test_a_ping_is_answered_with_its_nonce() -> None:
    """3.1: the receiver of a ping sends an ack to where it came from."""
    bench = Bench(1)
    bench.hear(1, message=Ping(77, OWN))
    _, ack = bench.messages(Ack)[-1]
    assert ack.packet.message == Ack(77)
    assert ack.to == address(1)


def test_a_ping_for_somebody_else_is_not_answered() -> None:
    """A node that has taken over another one's address does not answer for it."""
    bench = Bench(1)
    bench.hear(1, message=Ping(77, node_id(5)))
    assert bench.messages(Ack) == []


def test_a_helper_pings_and_forwards_the_ack() -> None:
    """3.1: a member that gets ping-req pings the target and relays its ack to the asker."""
    bench = Bench(2)
    bench.hear(1, message=PingReq(77, node_id(2), address(2)))
    _, ping = bench.messages(Ping)[-1]
    assert isinstance(ping.packet.message, Ping)
    assert (ping.to, ping.packet.message.target) == (address(2), node_id(2))
    bench.hear(2, message=Ack(ping.packet.message.nonce))
    _, ack = bench.messages(Ack)[-1]
    assert (ack.to, ack.packet.message) == (address(1), Ack(77))


def test_an_ack_of_a_third_party_counts_for_nothing() -> None:
    """Only the target, or a helper that was asked, vouches for the target."""
    bench = Bench(2, timings=QUICK)
    while not bench.messages(Ping):
        bench.run(0.01)
    ((_, ping),) = bench.messages(Ping)
    assert isinstance(ping.packet.message, Ping)
    other = 2 if ping.packet.message.target == node_id(1) else 1
    bench.hear(other, message=Ack(ping.packet.message.nonce))
    bench.run(2.0)
    assert bench.state(3 - other) is State.SUSPECT


def test_no_ack_by_any_path_makes_a_suspect() -> None:
    """3.1 with 4.2: without a direct or indirect ack in time the target is suspected."""
    bench = Bench(1, timings=QUICK)
    bench.run(1.0 + QUICK.probe_timeout_s)
    assert bench.state(1) is State.SUSPECT


# Section 4.1: dissemination


def test_updates_ride_on_pings_acks_and_requests() -> None:
    """4.1: membership updates are piggybacked on the failure detector's own messages."""
    bench = Bench(3, timings=Timings(gossip_interval_s=1e6))
    bench.run(0.01)
    asked: list[Message] = [Ping(1, OWN), PingReq(2, node_id(2), address(2))]
    for number, message in enumerate(asked):
        bench.hear(1, alive(20 + number), message=message)
        assert node_id(20 + number) in {
            update.node_id for update in bench.sent[-1][1].packet.updates
        }


def test_an_update_is_sent_a_bounded_number_of_times() -> None:
    """4.1: each update is piggybacked lambda log n times at the most."""
    timings = Timings(probe_interval_s=1e6)
    bench = Bench(8, timings=timings)
    bench.run(30)
    bench.sent.clear()
    bench.hear(1, alive(9, zone="new"))
    bench.run(30)
    count = sum(update == alive(9, zone="new") for update in bench.updates())
    assert count == timings.transmissions(10)


def test_what_was_sent_least_goes_first() -> None:
    """4.1: updates that were gossiped fewer times are preferred."""
    bench = Bench(40, timings=Timings(probe_interval_s=1e6, gossip_fanout=1))
    bench.run(60)
    bench.sent.clear()
    bench.hear(1, *(alive(number, 2, "z" * 200) for number in range(1, 31)))
    bench.run(0.5)
    counts = [bench.updates().count(alive(number, 2, "z" * 200)) for number in range(1, 31)]
    assert set(counts) <= {0, 1}
    bench.hear(1, alive(40, 2))
    bench.run(0.21)
    assert alive(40, 2) in bench.sent[-1][1].packet.updates


# Section 4.2: suspicion


def test_a_suspect_is_dead_after_its_time() -> None:
    """4.2: a member that is suspected for the time-out is declared faulty, and that is spread."""
    bench = Bench(1, timings=Timings(probe_interval_s=1e6))
    bench.hear(5, suspect(1))
    bench.run(2.9)
    assert bench.state(1) is State.SUSPECT
    bench.run(0.2)
    assert bench.state(1) is State.DEAD
    assert [type(change) for change in bench.changes] == [Updated, Gone]
    assert Dead(node_id(1), 1) in bench.updates()


def test_a_suspect_counts_as_a_member() -> None:
    """4.2: suspected members are treated like others, pinged as well."""
    bench = Bench(1, timings=QUICK)
    bench.hear(5, suspect(1))
    bench.run(1.0)
    assert len(bench.messages(Ping)) == 1
    assert not any(isinstance(change, Gone) for change in bench.changes)


def test_a_suspected_member_refutes() -> None:
    """4.2: who hears that it is suspected raises its incarnation and spreads that it lives."""
    bench = Bench(3)
    bench.run(0.01)
    bench.hear(1, Suspect(OWN, 1, (node_id(2),)))
    assert bench.machine.own.incarnation == 2
    bench.run(0.5)
    assert Alive(bench.machine.own) in bench.updates()


def test_only_the_member_itself_raises_its_incarnation() -> None:
    """4.2: others spread its incarnation as it is, whatever they believe."""
    bench = Bench(2, timings=Timings(probe_interval_s=1e6))
    bench.hear(5, suspect(1))
    bench.run(10)
    assert bench.machine.members()[node_id(1)].incarnation == 1


@pytest.mark.parametrize(
    ("first", "second", "state", "incarnation"),
    [
        (alive(1, 2), alive(1, 1), State.ALIVE, 2),
        (alive(1, 2), alive(1, 3), State.ALIVE, 3),
        (suspect(1, 2), alive(1, 2), State.SUSPECT, 2),
        (suspect(1, 2), alive(1, 3), State.ALIVE, 3),
        (alive(1, 2), suspect(1, 2), State.SUSPECT, 2),
        (alive(1, 2), suspect(1, 1), State.ALIVE, 2),
        (suspect(1, 2), suspect(1, 3), State.SUSPECT, 3),
        (suspect(1, 3), suspect(1, 2), State.SUSPECT, 3),
        (suspect(1, 2), Dead(node_id(1), 2), State.DEAD, 2),
        (alive(1, 2), Dead(node_id(1), 2), State.DEAD, 2),
        (Dead(node_id(1), 2), alive(1, 2), State.DEAD, 2),
        (Dead(node_id(1), 2), suspect(1, 3), State.SUSPECT, 3),
        (Dead(node_id(1), 2), alive(1, 3), State.ALIVE, 3),
        (alive(1, 3), Dead(node_id(1), 2), State.ALIVE, 3),
        (Dead(node_id(1), 2), Left(node_id(1), 2), State.LEFT, 2),
        (Left(node_id(1), 2), Dead(node_id(1), 2), State.LEFT, 2),
        (Left(node_id(1), 2), alive(1, 2), State.LEFT, 2),
        (Left(node_id(1), 2), alive(1, 3), State.ALIVE, 3),
    ],
)
def test_which_news_overrides_which(
    first: Update, second: Update, state: State, incarnation: int
) -> None:
    """4.2: alive overrides lower incarnations; suspect also alive of its own; death also both.

    Beyond the paper, a later incarnation overrides a death, and a farewell does so at its own.
    """
    bench = Bench(1, timings=Timings(probe_interval_s=1e6))
    bench.hear(5, first)
    bench.hear(5, second)
    member = bench.machine.members()[node_id(1)]
    assert (member.state, member.incarnation) == (state, incarnation)


def test_the_order_of_news_does_not_matter() -> None:
    """4.2: news of a member that is known ends in one belief, in whatever order it comes."""
    news: list[Update] = [
        *(alive(1, 3), alive(1, 2)),
        *(suspect(1, 3), suspect(1, 1)),
        Dead(node_id(1), 2),
    ]
    ends = set()
    for order in permutations(news):
        bench = Bench(1, timings=Timings(probe_interval_s=1e6))
        for update in order:
            bench.hear(5, update)
        member = bench.machine.members()[node_id(1)]
        ends.add((member.state, member.incarnation))
    assert ends == {(State.SUSPECT, 3)}


def test_news_of_the_unknown_is_ignored_unless_it_lives() -> None:
    """Who is suspected, dead or gone before it was known is not taken in by a rumour."""
    bench = Bench(1)
    bench.hear(1, suspect(7), Dead(node_id(8), 1), Left(node_id(9), 1))
    assert set(bench.machine.members()) == {OWN, node_id(1)}
    bench.hear(1, alive(7))
    assert isinstance(bench.changes[-1], Joined)


# Section 4.3: round-robin probes


def test_each_member_is_probed_once_in_a_round() -> None:
    """4.3: targets are taken in turn from a list, so none waits longer than two rounds."""
    bench = Bench(10, timings=Timings(probe_timeout_s=1e6, ack_timeout_s=1e5))
    for _ in range(3):
        bench.sent.clear()
        bench.run(10 * 0.5)
        targets = [send.to for _, send in bench.messages(Ping)]
        assert sorted(targets, key=str) == sorted(map(address, range(1, 11)), key=str)


def test_each_round_has_another_order() -> None:
    """4.3: the list is put into another random order after each round."""
    bench = Bench(10, timings=Timings(probe_timeout_s=1e6, ack_timeout_s=1e5))
    bench.run(20 * 0.5)
    targets = [send.to for _, send in bench.messages(Ping)]
    assert targets[:10] != targets[10:20]


def test_a_newcomer_gets_a_random_place_in_the_round() -> None:
    """4.3: a new member is inserted at a random place, so it need not wait for all others."""
    places = set()
    for extra in range(12):
        bench = Bench(10 + extra, timings=Timings(probe_timeout_s=1e6, ack_timeout_s=1e5))
        bench.hear(1, alive(50))
        bench.run((11 + extra) * 0.5)
        targets = [send.to for _, send in bench.messages(Ping)]
        places.add(targets.index(address(50)) if address(50) in targets else -1)
    assert len(places) > 3


# Join, describe, leave


def test_a_description_has_a_new_incarnation() -> None:
    """What a node says of itself replaces what it said before, everywhere."""
    bench = Bench(1)
    bench.run(0.01)
    bench.perform(bench.machine.handle(MetaSet(Meta(zone="b")), bench.now))
    bench.run(0.5)
    assert bench.machine.own.incarnation == 2
    assert Alive(bench.machine.own) in bench.updates()
    bench.hear(1, alive(1, 2, "c"))
    assert isinstance(bench.changes[-1], Updated)


def test_who_leaves_says_so_and_probes_nobody() -> None:
    """A farewell is spread at once; after it the node accuses nobody and refutes nothing."""
    bench = Bench(3)
    bench.run(0.1)
    bench.perform(bench.machine.handle(LeaveAsked(), bench.now))
    bench.sent.clear()
    bench.run(2)
    assert Left(OWN, 1) in bench.updates()
    assert bench.messages(Ping) == []
    bench.hear(1, Dead(OWN, 1))
    assert bench.machine.own.state is State.LEFT


def test_the_dead_are_told_to_the_dead() -> None:
    """A packet to a member that is not believed alive begins with what it would want to refute."""
    bench = Bench(2, timings=Timings(probe_interval_s=1e6))
    bench.hear(5, Dead(node_id(1), 1))
    bench.hear(1, message=Ping(5, OWN))
    _, ack = bench.messages(Ack)[-1]
    assert ack.packet.updates[0] == Dead(node_id(1), 1)


def test_a_push_pull_buries_nobody() -> None:
    """Who is dead in another one's table and alive here is suspected, and may refute."""
    bench = Bench(2, timings=Timings(probe_interval_s=1e6))
    bench.exchange(1, someone(2, state=State.DEAD), someone(7, state=State.DEAD))
    assert bench.state(2) is State.SUSPECT
    assert bench.state(7) is State.DEAD
    assert [type(change) for change in bench.changes] == [Updated]


def test_hearsay_of_the_gone_ends() -> None:
    """Two members that remember a third as gone do not remind each other of it for ever."""
    bench = Bench(1)
    bench.exchange(1, someone(7, state=State.DEAD))
    assert node_id(7) not in {member.node_id for member in bench.machine.exchange().members}


def test_an_unknown_sender_is_dialled() -> None:
    """Who was forgotten here may still know us: a push-pull tells both all, once a second."""
    bench = Bench(1)
    bench.hear(8, message=Rumours())
    bench.hear(9, message=Rumours())
    assert bench.contacts == [address(8)]
