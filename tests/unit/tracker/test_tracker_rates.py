"""What is measured between nodes, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import pack
from eagle_node.tracker.health import GAUGE_S, Known
from eagle_node.tracker.machine import STAND_BACK_S
from eagle_node.tracker.plan import fan_of
from eagle_node.tracker.ring import Rings
from eagle_node.tracker.schema import Advert, Gauged, NodeInfo, PlanRequest
from tests.unit.tracker.builders import BLOB, MIB, SEGMENTS, SIZE, Cluster, node, node_id

FAST, LAME = 2_500_000, 625_000
"""Bytes/s."""


def number(other: str) -> int:
    """What a node is called."""
    return int(other, 16)


class Measured(Cluster):
    """Nodes 1 to ``count``, some with slow links, that measure what they are told to."""

    def __init__(self, count: int, slow: Iterable[int] = (), *, group: str = "") -> None:
        super().__init__()
        self.slow = set(slow)
        self.nodes = [
            node(n, host=f"10.0.0.{n * 37 % 251 + 1}", group=group, seeder=n == 1)
            for n in range(1, count + 1)
        ]
        for info in self.nodes:
            self.advertise(Advert(node=info))

    def rate(self, *ends: int) -> int:
        """The slower of two links."""
        return LAME if self.slow & set(ends) else FAST

    def told(self, info: NodeInfo) -> list[int]:
        """Against whom a node should measure its link."""
        return [number(p.node_id) for p in self.machine.gauges_for(info.node_id, self.now)]

    def tell(self, info: NodeInfo, others: Iterable[int], rate: int | None = None) -> None:
        """A node has measured against others."""
        gauged = tuple(
            Gauged(
                node_id=node_id(other),
                rate=self.rate(number(info.node_id), other) if rate is None else rate,
            )
            for other in others
        )
        self.advertise(Advert(node=info, gauged=gauged))

    def measure(self) -> None:
        """All do as they are told, until nobody is told any more."""
        while any(told := [(info, self.told(info)) for info in self.nodes]) and any(
            others for _, others in told
        ):
            for info, others in told:
                self.tell(info, others)

    def pull(self, *infos: NodeInfo) -> None:
        """Nodes ask for the blob, one right after the other."""
        self.load(infos[0].group, BLOB)
        for info in infos:
            self.joins(info)

    def feeders(self, infos: Sequence[NodeInfo]) -> set[int | None]:
        """All who feed one of ``infos``."""
        return {parent for info in infos for parent in self.parents(info)}

    def by_speed(self) -> tuple[list[NodeInfo], list[NodeInfo]]:
        """The fast nodes beside the seeder, and the slow ones."""
        slow = [info for info in self.nodes if number(info.node_id) in self.slow]
        return [info for info in self.nodes[1:] if info not in slow], slow


def test_a_circle_holds_who_lives_in_a_zone() -> None:
    """Those before a node come next first, and never the node itself."""
    rings = Rings()
    infos = [node(n, zone="a") for n in (5, 1, 9, 7)]
    for info in [*infos, node(3, zone="b"), node(4, zone="a", group="g")]:
        rings.add(info)
        rings.add(info)
    assert [number(other) for other in rings.before(infos[3], 2)] == [5, 1]
    assert [number(other) for other in rings.before(infos[1], 8)] == [9, 7, 5]
    assert rings.before(node(3, zone="b"), 2) == []
    rings.discard(infos[0])
    rings.discard(infos[0])
    assert [number(other) for other in rings.before(infos[3], 2)] == [1, 9]


def test_every_node_measures_against_two_others() -> None:
    """And is told of none once it has; of the same again when that is old."""
    cluster = Measured(6)
    assert cluster.told(cluster.nodes[4]) == [4, 3]
    cluster.tell(cluster.nodes[4], [4])
    assert cluster.told(cluster.nodes[4]) == [3]
    cluster.measure()
    assert not any(cluster.told(info) for info in cluster.nodes)
    cluster.now += GAUGE_S
    for info in cluster.nodes:
        cluster.advertise(Advert(node=info))
    assert cluster.told(cluster.nodes[4]) == [4, 3]


def test_who_seems_slow_is_measured_against_faster_ones() -> None:
    """Two slow neighbours make nobody slow."""
    cluster = Measured(9, slow=(3, 4))
    cluster.measure()
    cluster.pull(*cluster.nodes)
    fast, slow = cluster.by_speed()
    assert node(5).node_id in {info.node_id for info in fast}
    assert not cluster.feeders(fast) & cluster.slow
    assert len(cluster.feeders(slow) - cluster.slow) == 1


def test_the_busy_are_left_alone() -> None:
    """Who downloads neither measures, nor is measured against."""
    cluster = Measured(6)
    cluster.pull(cluster.nodes[3])
    assert cluster.told(cluster.nodes[3]) == []
    assert cluster.told(cluster.nodes[4]) == [3, 2]


def test_no_link_is_between_nodes_of_one_host() -> None:
    """They are passed over for those behind them."""
    cluster = Measured(6)
    beside = node(7, host=cluster.nodes[4].host)
    cluster.advertise(Advert(node=beside))
    assert cluster.told(beside) == [6, 4]


def test_a_way_that_could_not_be_measured_says_nothing() -> None:
    """Old nodes and closed ports make nobody slow; they are not tried again at once."""
    cluster = Measured(8)
    cluster.measure()
    cluster.now += GAUGE_S / 2
    cluster.tell(cluster.nodes[4], [4, 3], rate=0)
    assert cluster.told(cluster.nodes[4]) == []
    cluster.pull(*cluster.nodes)
    assert 5 in cluster.feeders([*cluster.nodes])


def test_another_group_tells_nothing() -> None:
    """Its nodes do not see ours; and nobody measures himself."""
    cluster = Measured(4)
    for number_ in (8, 9):
        other = node(number_, group="g")
        cluster.advertise(Advert(node=other))
        cluster.tell(other, [3, 77], rate=1)
    cluster.tell(cluster.nodes[2], [3, 77], rate=1)
    cluster.pull(*cluster.nodes)
    assert 3 in cluster.feeders(cluster.nodes)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_wave_is_told_who_is_slow(at_once: bool) -> None:
    """Before it begins or in the middle of it: fast nodes hang on fast ones only."""
    cluster = Measured(16, slow=(2, 3, 9, 14))
    if at_once:
        cluster.measure()
        cluster.pull(*cluster.nodes)
    else:
        told = [(info, cluster.told(info)) for info in cluster.nodes]
        cluster.pull(*cluster.nodes)
        for info, others in told:
            cluster.tell(info, others)
    fast, slow = cluster.by_speed()
    assert not cluster.feeders(fast) & cluster.slow
    assert cluster.feeders(slow) - cluster.slow <= {number(info.node_id) for info in fast}


def test_who_was_misjudged_is_taken_back() -> None:
    """One good measurement is worth more than any number of bad ones."""
    cluster = Measured(12, slow=(7,))
    cluster.measure()
    cluster.pull(*cluster.nodes)
    fast, (misjudged,) = cluster.by_speed()
    assert 7 not in cluster.feeders(fast)
    cluster.tell(misjudged, [2], rate=FAST)
    late = node(13)
    cluster.joins(late)
    assert cluster.parents(late) == [7]


def test_a_limit_bounds_what_was_measured() -> None:
    """A fast link that may not be used is slow."""
    cluster = Measured(12)
    cluster.measure()
    bounded = node(7, host=cluster.nodes[6].host, upload_rate=LAME)
    infos = [*cluster.nodes[:6], bounded, *cluster.nodes[7:]]
    cluster.pull(*infos)
    assert 7 not in cluster.feeders(infos)


def test_slow_nodes_hang_side_by_side() -> None:
    """Three of a quarter of the rate on the uplink that the last fast node has to spare."""
    assert fan_of(LAME, FAST) == 3
    assert fan_of(1, FAST) == 4, "however slow"
    cluster = Measured(16, slow=(2, 3, 4, 5))
    cluster.measure()
    cluster.pull(*cluster.nodes)
    fast, slow = cluster.by_speed()
    (feeder,) = cluster.feeders(slow) - cluster.slow
    assert feeder not in cluster.feeders(fast)
    assert [cluster.parents(info) for info in slow].count([feeder]) == 3


def test_a_slow_holder_feeds_its_like_only() -> None:
    """Fast nodes take the blob from a fast holder, or else from the seeder."""
    cluster = Measured(12, slow=(2, 3))
    cluster.measure()
    cluster.holds(cluster.nodes[0], have=b"")
    cluster.holds(cluster.nodes[1])
    slow, first, second = cluster.nodes[2], cluster.nodes[5], cluster.nodes[6]
    cluster.pull(slow, first)
    assert cluster.parents(first) == [1]
    assert cluster.parents(slow) == [2]
    cluster.holds(cluster.nodes[7])
    cluster.pull(second)
    assert cluster.parents(second) == [8]


def test_who_is_banned_stands_in_one_cell() -> None:
    """Nobody knows how much it may be given."""
    assert fan_of(0, FAST) == 1
    assert fan_of(2 * FAST, FAST) == 1


def test_slow_nodes_let_the_others_in() -> None:
    """For so long that those who pull at once have their places; but not for a small blob."""
    cluster = Measured(12, slow=(7,))
    cluster.measure()
    cluster.load("", BLOB)

    def lets(which: int, size: int = SIZE) -> bool:
        request = PlanRequest(node=cluster.nodes[which - 1], digest=BLOB, size=size)
        return cluster.machine.lets_others_in(request)

    assert STAND_BACK_S < 1.0
    assert lets(7)
    assert not lets(8)
    assert not lets(7, size=MIB)
    cluster.joins(cluster.nodes[6])
    assert not lets(7), "once it downloads it is answered at once"


def test_one_measurement_is_none() -> None:
    """Between two nodes nobody can tell whose link it was, in whatever direction."""
    known = Known(node(1), 0.0)
    for came in (True, False):
        known.gauge(node_id(2), LAME, 0.0, came=came)
    assert known.rated == known.info
    known.gauge(node_id(3), LAME, 0.0, came=False)
    assert known.rated.upload_rate == LAME
    known.gauge(node_id(4), FAST, 0.0, came=True)
    assert known.rated.upload_rate == FAST
    known.gauge(node_id(5), LAME, GAUGE_S, came=True)
    assert known.rated == known.info, "what is old counts no more"


@pytest.mark.parametrize(("rate", "feeds"), [(LAME, False), (FAST, True)])
def test_who_gets_more_than_it_was_thought_to_is_taken_back(rate: int, feeds: bool) -> None:
    """In the middle of the wave, by what it advertises: those who come now hang on it."""
    cluster = Measured(12, slow=(7,))
    cluster.measure()
    cluster.pull(*cluster.nodes)
    _, (misjudged,) = cluster.by_speed()
    for second in range(1, 12):
        cluster.now += 1.0
        cluster.holds(misjudged, have=pack(got(second * rate), SEGMENTS))
    late = node(13)
    cluster.joins(late)
    assert (7 in cluster.feeders([late])) is feeds


def got(size: float) -> list[int]:
    """The segments that are whole once so many bytes have come."""
    return [segment.index for segment in layout_of(SIZE).segments if segment.stop <= size]
