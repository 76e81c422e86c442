"""Whole waves, planned by the real machine, over simulated links."""

from __future__ import annotations

import random

import pytest

from tests.sim.plan_sim import Host, Network, node, simulate

MIB = 1 << 20
GIB = 1 << 30


def fleet(count: int, *, zones: int = 1, within_s: float = 1.0, seed: int = 1) -> list[Host]:
    """A seeder and ``count`` nodes that join at random times within ``within_s``."""
    chance = random.Random(seed)
    joiners = [
        Host(
            info=node(number, zone=f"z{number % zones}" if zones > 1 else ""),
            joins=chance.uniform(0, within_s),
        )
        for number in range(1, count + 1)
    ]
    return [Host(info=node(0, zone="z0" if zones > 1 else "", seeder=True)), *joiners]


@pytest.mark.parametrize(
    ("count", "network"),
    [
        (20, Network(size=64 * MIB, rate=2.5e6)),
        (200, Network(size=2 * GIB, rate=12.5e6)),
        (1000, Network(size=8 * GIB, rate=12.5e6)),
    ],
)
def test_the_last_node_ends_with_one_direct_download(count: int, network: Network) -> None:
    """All nodes of a cold wave have the blob within 1.1 x the time that one alone would need."""
    outcome = simulate(fleet(count), network, limit_s=2 * network.direct_s)
    assert len(outcome.finished) == count
    assert outcome.last_s <= 1.1 * network.direct_s
    assert outcome.seeder_copies == pytest.approx(1.0, abs=0.01)


def test_a_small_blob_spreads_as_a_tree() -> None:
    """A thousand nodes get a small blob far sooner than a chain of a thousand hops would take."""
    network = Network(size=4 * MIB, rate=125e6)
    outcome = simulate(fleet(1000), network, limit_s=60)
    assert len(outcome.finished) == 1000
    assert outcome.last_s <= 1.0 + 50 * network.hop_s


@pytest.mark.parametrize("zones", [2, 3, 8])
def test_each_border_is_crossed_once(zones: int) -> None:
    """Whatever the number of nodes behind it, a zone gets the blob once from outside."""
    network = Network(size=256 * MIB, rate=12.5e6)
    outcome = simulate(fleet(200, zones=zones), network, limit_s=8 * network.direct_s)
    assert len(outcome.finished) == 200
    assert outcome.zone_copies["z0"] <= 1.01
    for zone in range(1, zones):
        assert outcome.zone_copies[f"z{zone}"] == pytest.approx(1.0, abs=0.01)


def test_zones_that_join_in_turn_cost_no_time() -> None:
    """When zones do not interleave, crossing each border once costs nothing."""
    network = Network(size=256 * MIB, rate=12.5e6)
    hosts = [Host(info=node(0, zone="z0", seeder=True))]
    hosts += [Host(info=node(n, zone=f"z{n // 26}"), joins=n / 100) for n in range(1, 101)]
    outcome = simulate(hosts, network, limit_s=4 * network.direct_s)
    assert outcome.last_s <= 1.25 * network.direct_s


@pytest.mark.parametrize("seed", range(4))
def test_survivors_finish(seed: int) -> None:
    """When half of the nodes die in mid-wave, every other one gets the blob all the same."""
    chance = random.Random(seed)
    network = Network(size=1 * GIB, rate=12.5e6)
    hosts = fleet(200, zones=4, seed=seed)
    victims = set(chance.sample(range(1, 201), 100))
    moment = 0.4 * network.direct_s
    hosts = [
        Host(info=host.info, joins=host.joins, dies=moment if at in victims else float("inf"))
        for at, host in enumerate(hosts)
    ]
    outcome = simulate(hosts, network, limit_s=6 * network.direct_s)
    survivors = {host.info.node_id for at, host in enumerate(hosts[1:], 1) if at not in victims}
    assert survivors <= outcome.finished.keys()
    assert outcome.last_s <= 3.5 * network.direct_s


def test_one_death_costs_one_stall() -> None:
    """A node that dies in the middle of a chain holds up those behind it for seconds only."""
    network = Network(size=512 * MIB, rate=12.5e6)
    hosts = [
        Host(info=h.info, joins=at / 100, dies=20.0 if at == 10 else float("inf"))
        for at, h in enumerate(fleet(20))
    ]
    outcome = simulate(hosts, network, limit_s=4 * network.direct_s)
    assert len(outcome.finished) == 19
    assert outcome.last_s <= 1.1 * network.direct_s + network.stall_s


def test_slow_nodes_are_leaves() -> None:
    """Nodes that send at a twentieth of the others' rate feed nobody, so nobody waits for them."""
    network = Network(size=64 * MIB, rate=12.5e6)
    hosts = [Host(info=node(0, seeder=True, upload_rate=12_500_000))]
    hosts += [
        Host(info=node(n, upload_rate=625_000 if n % 5 == 0 else 12_500_000), joins=n / 50)
        for n in range(1, 41)
    ]
    outcome = simulate(hosts, network, limit_s=8 * network.direct_s)
    assert len(outcome.finished) == 40
    assert outcome.last_s <= 2.5 * network.direct_s
