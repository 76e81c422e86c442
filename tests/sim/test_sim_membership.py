"""Whole clusters of real membership machines, in virtual time."""

from __future__ import annotations

import random

import pytest

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import Alone, DuplicateId, Found, Gone, Joined
from eagle_node.membership.member import State
from eagle_node.membership.timings import Timings
from tests.sim.membership_net import Host, Net
from tests.sim.membership_sim import play

_STORIES = 500
_CHUNK = 100


@pytest.mark.parametrize("first", range(0, _STORIES, _CHUNK))
def test_stories_end_in_agreement(first: int) -> None:
    """Whatever goes wrong, all that still run agree soon after; stalls of 2 s bury nobody."""
    for seed in range(first, first + _CHUNK):
        play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100_000, 112_000, 1000))
def test_many_stories_end_in_agreement(first: int) -> None:
    """The same for far more seeds."""
    for seed in range(first, first + 1000):
        play(seed)


def cluster(count: int, *, seed: int = 1, checked: bool = True) -> Net:
    """``count`` hosts that have found each other."""
    net = Net(seed, checked=checked)
    hosts = [net.add() for _ in range(count)]
    net.start(hosts[0])
    for host in hosts[1:]:
        net.start(host, hosts[:1])
    assert net.run(10, until=net.converged)
    return net


def deaths(host: Host) -> list[NodeId]:
    """Whom a host has found dead or gone."""
    return [change.member.node_id for _, change in host.changes if isinstance(change, Gone)]


@pytest.mark.parametrize("seed", range(20))
def test_the_dead_are_out_of_every_view_in_ten_seconds(seed: int) -> None:
    """Of twenty nodes, whichever dies: the other nineteen know within ten seconds."""
    net = cluster(20, seed=seed, checked=False)
    net.run(random.Random(seed).uniform(0, 5))
    net.crash(net.hosts[seed])
    assert net.run(10, until=net.converged)


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_is_known_in_three_seconds(seed: int) -> None:
    """A host that refuses connections has lost its process: nobody's patience is waited for.

    One of twenty may miss the news; it finds out by a probe of its own.
    """
    net = cluster(20, seed=seed, checked=False)
    net.weather.refusals = True
    net.run(random.Random(seed).uniform(0, 5))
    crashed = net.hosts[seed]
    net.crash(crashed)
    net.run(3)
    unaware = [h for h in net.hosts if h is not crashed and crashed.node_id in h.live_view()]
    assert len(unaware) <= 1
    assert net.run(12, until=net.converged)


def test_who_is_back_after_a_refusal_is_a_member_at_once() -> None:
    """Its new life outranks the end of the former one."""
    net = cluster(5)
    net.weather.refusals = True
    host = net.hosts[2]
    net.crash(host)
    assert net.run(3, until=net.converged)
    net.start(host, net.hosts[:1])
    assert net.run(2, until=net.converged)


@pytest.mark.parametrize("seed", range(5))
def test_joining_twenty_takes_less_than_a_second(seed: int) -> None:
    """A newcomer is in all views, and has all in its own, within a second."""
    net = cluster(20, seed=seed, checked=False)
    newcomer = net.add()
    net.start(newcomer, net.hosts[:1])
    assert net.run(1.0, until=net.converged)


def test_stalls_bury_nobody() -> None:
    """When every process of twenty stands still for 1 to 2 s again and again, nobody is buried."""
    net = cluster(20, checked=False)
    chance = random.Random(7)
    for _ in range(120):
        net.freeze(chance.choice(net.hosts), chance.uniform(1.0, 2.0))
        net.run(0.5)
    net.heal()
    assert net.run(10, until=net.converged)
    assert [deaths(host) for host in net.hosts] == [[]] * 20


def test_all_standing_still_at_once_buries_nobody() -> None:
    """A machine that stops all of its nodes for a minute loses none of them."""
    net = cluster(5)
    for host in net.hosts:
        net.freeze(host, 60.0)
    net.run(61)
    assert net.run(10, until=net.converged)
    assert [deaths(host) for host in net.hosts] == [[]] * 5


def test_the_frozen_come_back_by_themselves() -> None:
    """Who was found dead and goes on is a member again within two seconds, without a restart."""
    net = cluster(5)
    net.freeze(net.hosts[2], 120.0)
    net.run(119)
    others = [host for host in net.hosts if host is not net.hosts[2]]
    assert all(deaths(host) == [net.hosts[2].node_id] for host in others)
    net.run(1.01)
    assert net.run(2, until=net.converged)


@pytest.mark.parametrize("seconds", [5, 60, 3600])
def test_halves_of_a_partition_find_each_other(seconds: int) -> None:
    """However long the partition, both halves are one cluster again soon after; none is lost."""
    net = cluster(8, checked=seconds < 100)
    net.part(net.hosts[:4], net.hosts[4:])
    net.run(seconds)
    before = [len(deaths(host)) for host in net.hosts]
    net.heal()
    assert net.run(30, until=net.converged)
    assert [len(deaths(host)) for host in net.hosts] == before


def test_halves_find_each_other_by_join_addresses() -> None:
    """When each half has forgotten the other, the addresses to join at bring them together."""
    net = Net(3, timings=Timings(retain_s=20.0, exchange_interval_s=5.0))
    hosts = [net.add() for _ in range(4)]
    for host in hosts:
        net.start(host, hosts[:1])
    assert net.run(10, until=net.converged)
    net.part(hosts[:2], hosts[2:])
    net.run(120)
    assert all(len(host.running.members()) == 2 for host in hosts)
    net.heal()
    assert net.run(60, until=net.converged)


def test_a_one_way_cut_kills_nobody_whom_others_reach() -> None:
    """When A's packets do not reach B, helpers vouch for both."""
    net = cluster(6)
    net.part(net.hosts[:1], net.hosts[1:2], one_way=True)
    net.run(60)
    assert [deaths(host) for host in net.hosts] == [[]] * 6


def test_who_left_stays_away() -> None:
    """A farewell reaches all within a second, nobody dials it again, and its return is welcome."""
    net = cluster(6)
    host = net.hosts[3]
    net.leave(host)
    assert net.run(1.0, until=net.converged)
    net.run(30)
    states = {each.running.members()[host.node_id].state for each in net.hosts if each.machine}
    assert states == {State.LEFT}
    net.start(host, net.hosts[:1], counted=False)
    assert net.run(2.0, until=net.converged)


@pytest.mark.parametrize("counted", [False, True])
def test_a_restart_is_not_missed(counted: bool) -> None:
    """A node that starts again at once is taken for what it is now; nobody saw it die."""
    net = cluster(5)
    net.crash(net.hosts[2])
    net.start(net.hosts[2], net.hosts[:1], counted=counted)
    assert net.run(2, until=net.converged)
    assert [deaths(host) for host in net.hosts] == [[]] * 5
    version = net.hosts[0].running.members()[net.hosts[2].node_id].meta.version
    assert version == "1.2"


def test_a_node_that_moved_is_back_once_its_old_address_is_silent() -> None:
    """The same id at another address is believed when nobody answers at the old one."""
    net = cluster(5)
    old = net.hosts[2]
    net.crash(old)
    moved = net.add(node_id=old.node_id)
    net.start(moved, net.hosts[:1])
    net.run(0.5)
    assert net.hosts[0].running.members()[old.node_id].address == old.address
    assert net.run(20, until=net.converged)
    assert net.hosts[0].running.members()[old.node_id].address == moved.address


def test_a_cloned_id_is_told_by_both_and_disturbs_nobody() -> None:
    """Two processes of one id know each other's address; the first one stays what others see."""
    net = cluster(5)
    first = net.hosts[2]
    clone = net.add(node_id=first.node_id)
    net.start(clone, net.hosts[:1])
    net.run(60)
    for host, other in ((first, clone), (clone, first)):
        told = [change for _, change in host.changes if isinstance(change, DuplicateId)]
        assert told == [DuplicateId(first.node_id, host.address, other.address)]
    for host in net.hosts[:5]:
        if host is not first:
            assert host.running.members()[first.node_id] == first.running.own
            assert deaths(host) == []
    assert first.running.own.incarnation == 1 << 32


def test_clones_of_two_halves_do_not_outbid_each_other() -> None:
    """When a partition hid a clone, its end starts no race of incarnations."""
    net = cluster(4)
    clone = net.add(node_id=net.hosts[0].node_id)
    net.part(net.hosts[:2], [*net.hosts[2:4], clone])
    net.run(15)
    net.start(clone, net.hosts[2:3])
    net.run(15)
    net.heal()
    net.run(120)
    for host, other in ((net.hosts[0], clone), (clone, net.hosts[0])):
        told = [change for _, change in host.changes if isinstance(change, DuplicateId)]
        assert told == [DuplicateId(host.node_id, host.address, other.address)]
        assert host.running.own.incarnation < (1 << 32) + 20


def test_old_packets_wake_no_dead() -> None:
    """All that was sent while a node lived, sent again after its end, brings it nowhere back."""
    net = cluster(4)
    net.weather.replay = 0.5
    net.run(3)
    net.leave(net.hosts[1])
    net.crash(net.hosts[2])
    net.run(20)
    survivors = [net.hosts[0], net.hosts[3]]
    told = [len(host.changes) for host in survivors]
    net.run(60)
    assert [len(host.changes) for host in survivors] == told
    assert net.converged()


def test_a_lonely_node_says_so_once() -> None:
    """Attempts to join go on in silence; the first answer is told as well."""
    net = Net(1)
    one, two = net.add(), net.add()
    net.start(one, [one, two])
    net.run(60)
    told = [change for _, change in one.changes]
    assert told == [Alone(frozenset({two.address}))]
    net.start(two)
    assert net.run(15, until=net.converged)
    assert [type(change) for _, change in one.changes[1:]] == [Joined, Found]
