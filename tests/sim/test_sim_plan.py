"""Whole waves, planned by the real machine, over simulated links."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.sim.plan_compare import fleet
from tests.sim.plan_hosts import Host, Network, Outcome, node
from tests.sim.plan_sim import simulate

MIB = 1 << 20
RATE = 2_500_000
EVEN = Network(size=64 * MIB, rate=RATE, hop_s=0.1, level_s=0.1)
"""Every hop costs the same, however many a node feeds."""
MEASURED = Network(size=64 * MIB, rate=RATE)
"""A node that feeds two is as slow as real ones."""


def run(hosts: list[Host], network: Network) -> Outcome:
    """The outcome of a wave in which every node that lives gets the blob."""
    outcome = simulate(hosts, network, limit_s=60 + 10 * network.direct_s)
    living = {h.info.node_id for h in hosts[1:] if h.dies == float("inf") and not h.warm}
    assert living <= outcome.finished.keys()
    return outcome


@pytest.mark.parametrize(
    ("count", "network"),
    [
        (20, MEASURED),
        (200, EVEN),
        (1000, EVEN),
        (1000, replace(MEASURED, size=256 * MIB)),
        pytest.param(5000, replace(EVEN, size=256 * MIB), marks=pytest.mark.slow),
    ],
)
def test_the_last_node_ends_with_one_direct_download(count: int, network: Network) -> None:
    """All nodes of a cold wave have the blob within 1.1 x the time that one alone would need."""
    outcome = run(fleet(count), network)
    assert outcome.last_s <= 1.1 * network.direct_s
    assert outcome.seeder_copies <= 1.01


def test_nodes_whose_rates_nobody_knows_wait_little_longer() -> None:
    """Cells of different shapes follow each other, and each passes on the whole rate of a link."""
    assert run(fleet(200, rate=0), EVEN).last_s <= 1.2 * EVEN.direct_s


def test_levels_cost_what_they_were_measured_to() -> None:
    """A thousand nodes end ten levels after one direct download."""
    outcome = run(fleet(1000), MEASURED)
    assert outcome.last_s <= 1.08 * MEASURED.direct_s + 10 * MEASURED.level_s
    assert outcome.seeder_copies <= 1.01


def test_a_small_blob_spreads_as_a_tree() -> None:
    """A thousand nodes get a small blob far sooner than a chain of a thousand hops would take."""
    network = Network(size=4 * MIB, rate=125e6, hop_s=0.1, level_s=0.1)
    outcome = run(fleet(1000, rate=125_000_000), network)
    assert outcome.last_s <= 1.0 + 50 * network.hop_s


@pytest.mark.parametrize("zones", [2, 3])
def test_each_border_is_crossed_once(zones: int) -> None:
    """Whatever the number of nodes behind it, and however they mix, a zone gets the blob once."""
    outcome = run(fleet(200, zones=zones), EVEN)
    assert outcome.seeder_copies <= 1.01
    assert max(outcome.zone_copies.values()) <= 1.02
    assert outcome.last_s <= 1.25 * EVEN.direct_s


def test_a_narrow_border_is_crossed_once_by_many_at_once() -> None:
    """A border no wider than one node's link holds up nobody behind it."""
    network = replace(EVEN, border_rate=RATE)
    outcome = run(fleet(100, zones=2), network)
    assert outcome.last_s <= 1.25 * network.direct_s
    assert max(outcome.zone_copies.values()) <= 1.02


@pytest.mark.parametrize("every", [1, 2])
def test_late_nodes_are_not_slower_than_the_wave(every: int) -> None:
    """Who joins at half time has the blob 1.2 x a direct download later; nobody waits for it."""
    half = EVEN.direct_s / 2
    hosts = fleet(200)
    late = set(range(101, 201) if every == 1 else range(2, 201, 2))
    hosts = [
        replace(host, joins=host.joins + half) if at in late else host
        for at, host in enumerate(hosts)
    ]
    outcome = run(hosts, EVEN)
    early = max(
        outcome.finished[h.info.node_id] for at, h in enumerate(hosts[1:], 1) if at not in late
    )
    assert early <= 1.1 * EVEN.direct_s
    bound = max(half + 1.2 * EVEN.direct_s, 1.1 * early)
    assert outcome.last_s <= bound + 1.0


def test_nodes_that_trickle_in_wait_for_nobody() -> None:
    """Nodes that come one by one, as long as the wave lasts, each take as long as one alone."""
    hosts = fleet(200, within_s=EVEN.direct_s)
    outcome = run(hosts, EVEN)
    waits = [outcome.finished[host.info.node_id] - host.joins for host in hosts[1:]]
    assert max(waits) <= 1.1 * EVEN.direct_s
    assert outcome.seeder_copies <= 1.01


def test_slow_nodes_hold_up_their_like_only() -> None:
    """A quarter of slow nodes costs the fast ones nothing, themselves what their link does."""
    slow = RATE // 4
    hosts = [
        replace(h, rate=slow, info=replace(h.info, upload_rate=slow)) if at % 4 == 3 else h
        for at, h in enumerate(fleet(200))
    ]
    outcome = run(hosts, EVEN)
    ended = [outcome.finished.get(host.info.node_id, 0.0) for host in hosts]
    assert max(at for number, at in enumerate(ended) if number % 4 != 3) <= 1.15 * EVEN.direct_s
    assert outcome.last_s <= 1.15 * EVEN.size / slow


def unequal(
    count: int, seed: int, zones: int = 1, lame: int | None = None
) -> tuple[list[Host], set[int]]:
    """A fleet that says nothing of its links, and which of it are slow: a quarter, or ``lame``."""
    lame = count // 4 if lame is None else lame
    slow = set(random.Random(seed).sample(range(1, count + 1), lame))
    hosts = [
        replace(host, rate=RATE / 4) if at in slow else host
        for at, host in enumerate(fleet(count, rate=0, seed=seed, zones=zones))
    ]
    return hosts, slow


def ends(hosts: list[Host], outcome: Outcome, which: set[int]) -> float:
    """When the last of some hosts had the blob."""
    return max(outcome.finished[hosts[at].info.node_id] for at in which)


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        *((20, seed) for seed in range(3)),
        (200, 1),
        *(pytest.param(200, seed, marks=pytest.mark.slow) for seed in range(2, 8)),
        pytest.param(1000, 1, marks=pytest.mark.slow),
    ],
)
def test_links_that_were_measured_hold_up_their_like_only(count: int, seed: int) -> None:
    """Nodes that say nothing are told apart by what they have measured between each other."""
    hosts, slow = unequal(count, seed)
    outcome = run(hosts, replace(EVEN, gauged=True, seed=seed))
    assert ends(hosts, outcome, set(range(1, count + 1)) - slow) <= 1.15 * EVEN.direct_s
    assert ends(hosts, outcome, slow) <= 1.15 * 4 * EVEN.direct_s
    assert outcome.seeder_copies <= 1.01


@pytest.mark.parametrize(
    ("count", "lame", "seed", "times"),
    [
        (20, 0, 1, 1.05),
        *((20, 5, seed, 1.6) for seed in range(1, 4)),
        (200, 4, 1, 1.3),
    ],
)
def test_links_that_nobody_has_measured_are_found_on_the_way(
    count: int, lame: int, seed: int, times: float
) -> None:
    """One after the other, while the wave waits for it: it would take four times as long."""
    network = replace(EVEN, size=512 * MIB, seed=seed)
    hosts, slow = unequal(count, seed, lame=lame)
    outcome = run(hosts, network)
    assert ends(hosts, outcome, set(range(1, count + 1)) - slow) <= times * network.direct_s
    if slow:
        assert ends(hosts, outcome, slow) <= 1.1 * 4 * network.direct_s
    assert outcome.seeder_copies <= 1.15


def test_slow_nodes_cross_no_border_for_others_sake() -> None:
    """Where a zone feeds the next one, its slow nodes take their share of that, and no more."""
    hosts, slow = unequal(40, 1, zones=2)
    outcome = run(hosts, replace(EVEN, gauged=True))
    assert max(outcome.zone_copies.values()) <= 1.02
    assert ends(hosts, outcome, set(range(1, 41)) - slow) <= 1.5 * EVEN.direct_s
    assert ends(hosts, outcome, slow) <= 1.15 * 4 * EVEN.direct_s


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_disturbed_measurements_cost_only_who_was_misjudged(seed: int) -> None:
    """Results anywhere between a fifth and all of a rate: nine in ten are not held up."""
    outcome = run(fleet(200, rate=0), replace(EVEN, gauged=True, gauge_least=0.2, seed=seed))
    took = sorted(outcome.finished.values())
    assert took[len(took) * 9 // 10] <= 1.15 * EVEN.direct_s
    assert took[-1] <= 1.3 * EVEN.direct_s


@pytest.mark.parametrize("seed", range(3))
def test_survivors_finish(seed: int) -> None:
    """When half of the processes die at once in mid-wave, the others hardly lose time."""
    victims = set(random.Random(seed).sample(range(1, 201), 100))
    moment = 0.4 * EVEN.direct_s
    hosts = [
        replace(host, dies=moment) if at in victims else host
        for at, host in enumerate(fleet(200, seed=seed))
    ]
    outcome = run(hosts, EVEN)
    assert outcome.last_s <= 1.4 * EVEN.direct_s
    assert outcome.seeder_copies <= 1.1


def test_a_silent_death_costs_one_stall() -> None:
    """A host that disappears without a word holds up those behind it for the patience they have."""
    hosts = [
        replace(h, dies=8.0, silent=True) if at == 10 else h for at, h in enumerate(fleet(100))
    ]
    outcome = run(hosts, EVEN)
    assert outcome.last_s <= 1.1 * EVEN.direct_s + 2 * EVEN.stall_s


def test_a_warm_holder_spares_the_seeder() -> None:
    """When a node has the blob already, a wave takes it from there and not from the seeder."""
    hosts = fleet(100)
    hosts[50] = replace(hosts[50], warm=True)
    outcome = run(hosts, EVEN)
    assert outcome.last_s <= 1.1 * EVEN.direct_s
    assert outcome.seeder_copies == 0.0


def test_unknown_rates_cost_depth_only() -> None:
    """Nodes that do not say how fast they are form more cells, and still get the blob once."""
    outcome = run(fleet(1000, rate=0), EVEN)
    assert outcome.last_s <= 1.2 * EVEN.direct_s
    assert outcome.seeder_copies <= 1.01


def test_a_wave_of_one_is_a_direct_download() -> None:
    """A single node gets the blob as fast as the origin sends it to the seeder."""
    outcome = run([Host(info=node(0, seeder=True)), Host(info=node(1))], EVEN)
    assert outcome.last_s <= 1.05 * EVEN.direct_s
