"""Invariants of raft and of leases, over many seeds; a failing seed prints its story."""

from __future__ import annotations

import pytest

from eagle_node.consensus.timing import Timing
from tests.sim.consensus_sim import Faults, World, play, settled


@pytest.mark.parametrize("first", range(0, 200, 100))
def test_every_story_ends_well(first: int) -> None:
    """Loss, delay, doubling, reordering, partitions, drift, crashes and full disks: one leader per
    term, nothing committed is lost, no lease has two holders; without faults, all is well again."""
    for seed in range(first, first + 100):
        play(seed, seconds=4.0)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 20_000, 500))
def test_every_longer_story_ends_well(first: int) -> None:
    """The same, of stories that last longer."""
    for seed in range(first, first + 500):
        play(seed, seconds=10.0)


def test_the_stories_are_eventful() -> None:
    """The seeds hold elections, leases that move, and writes: a test that nothing happens in would
    prove nothing."""
    worlds = [play(seed) for seed in range(40)]
    assert sum(world.checks.elections for world in worlds) > 60
    assert sum(world.checks.grants for world in worlds) > 150
    assert sum(len(world.history) for world in worlds) > 20
    assert any("dissolve" in line for world in worlds for line in world.story)


def test_a_seed_replays() -> None:
    """The same seed tells the same story."""
    assert play(7).story == play(7).story


@pytest.mark.parametrize("size", [3, 5])
def test_leases_of_a_dead_leader_move_within_three_and_a_half_seconds(size: int) -> None:
    """Without its closed connections as a hint: a new leader within two, all leases within three
    and a half; the holders that live keep theirs."""
    for seed in range(10):
        world = World(seed, size=size, formed=size, faults=Faults(loss=0, mischief_s=1e9))
        world.run(12.0)
        assert settled(world) is None
        leader = world.leaders()[0]
        survivors = [host for host in world.hosts.values() if host is not leader]
        before = {h.candidate.node_id: _held(world, h.candidate.node_id) for h in survivors}
        world.kill(leader)
        world.run(2.0)
        assert len(world.leaders()) == 1
        world.run(1.5)
        after = {h.candidate.node_id: _held(world, h.candidate.node_id) for h in survivors}
        for node, leases in before.items():
            assert leases.items() <= after[node].items()
        held = [lease for leases in after.values() for lease in leases]
        assert len(held) == min(3, size - 1) + min(2, size - 1)


def test_a_dead_voter_is_replaced() -> None:
    """After its grace another member votes; the dead one, back again, is not needed."""
    world = World(3, size=6, formed=5, faults=Faults(loss=0, mischief_s=1e9))
    world.run(5.0)
    leader = world.leaders()[0].node
    assert leader is not None
    assert leader.raft is not None
    voter = next(v for v in leader.raft.configuration.voters if v.member != leader.identity.member)
    dead = next(h for h in world.hosts.values() if voter.member.startswith(h.candidate.node_id))
    world.kill(dead)
    world.run(world.timing.voter_grace_s + 3.0)
    voting = leader.raft.configuration.voting
    assert len(voting) == 5
    assert voter.member not in voting
    world.start(dead)
    world.run(10.0)
    assert leader.raft.configuration.voting == voting
    assert dead.node is not None
    assert dead.node.raft is None


@pytest.mark.parametrize("seed", range(5))
def test_voters_that_crash_faster_than_their_grace_ends_are_replaced(seed: int) -> None:
    """Three of five within five seconds: the gossip buries each, and others take the seats."""
    world = World(seed, size=9, formed=5, faults=Faults(loss=0, mischief_s=1e9), timing=Timing())
    world.run(5.0)
    leader = world.leaders()[0].node
    assert leader is not None
    assert leader.raft is not None
    others = [v for v in leader.raft.configuration.voters if v.member != leader.identity.member]
    for voter in others[:3]:
        dead = next(h for h in world.hosts.values() if voter.member.startswith(h.candidate.node_id))
        world.kill(dead)
        world.run(0.8)
        world.bury(dead)
        world.run(1.2)
    world.run(1.0)
    voting = leader.raft.configuration.voting
    assert len(voting) == 5
    assert not {voter.member for voter in others[:3]} & set(voting)
    assert [host.node for host in world.leaders()] == [leader]


def test_a_voter_that_nobody_can_replace_keeps_its_seat() -> None:
    """However dead it is to the gossip: it may be restarting."""
    world = World(3, size=5, formed=5, faults=Faults(loss=0, mischief_s=1e9), timing=Timing())
    world.run(5.0)
    leader = world.leaders()[0]
    dead = next(host for host in world.hosts.values() if host is not leader)
    world.kill(dead)
    world.bury(dead)
    world.run(5.0)
    assert leader.node is not None
    assert leader.node.raft is not None
    assert len(leader.node.raft.configuration.voting) == 5


def _held(world: World, node_id: str) -> dict[str, int]:
    host = next(h for h in world.hosts.values() if h.candidate.node_id == node_id)
    assert host.node is not None
    return {name: each.epoch for name, each in host.node.held(host.clock(world.now)).items()}
