"""Links that have become slow, or that nobody has measured: the wave shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import pack
from tests.unit.tracker.builders import SEGMENTS, SIZE, Cluster, blob, node

FAST, SLOW = 1_000_000, 240_000
"""Bytes/s."""
ADVERT_S = 4.0


class Wave(Cluster):
    """Nodes 2 to ``count`` in a line behind the seeder, node 1; each has a link and an uplink."""

    def __init__(self, count: int = 8, zones: Mapping[int, str] | None = None) -> None:
        super().__init__()
        zone = zones or {}
        self.nodes = {
            n: node(n, host=f"10.0.0.{n}", zone=zone.get(n, ""), seeder=n == 1)
            for n in range(1, count + 1)
        }
        self.links = dict.fromkeys(self.nodes, FAST)
        self.uplinks = dict.fromkeys(self.nodes, FAST)
        self.had = dict.fromkeys(self.nodes, 0.0)
        self.holds(self.nodes[1], have=b"", fetching=True)
        for info in list(self.nodes.values())[1:]:
            self.joins(info)

    def feeder(self, number: int) -> int | None:
        """Who feeds a node."""
        (feeder,) = self.parents(self.nodes[number])
        return feeder

    def line(self, last: int) -> list[int]:
        """Those above a node, from the seeder on."""
        above: list[int] = []
        up: int | None = last
        while up != 1:
            assert up is not None
            above.insert(0, up)
            up = self.feeder(up)
        return above

    def flows(self, seconds: float) -> None:
        """All get what they can from who feeds them, and tell how far they are every 4 s."""
        for _ in range(int(seconds / ADVERT_S)):
            self.now += ADVERT_S
            before, feeders = dict(self.had), {n: self.feeder(n) for n in self.nodes if n > 1}
            self.had[1] += ADVERT_S * self.links[1]
            for number in sorted(feeders, key=lambda n: len(self.line(n))):
                up = feeders[number]
                assert up is not None
                shared = sum(feeder == up for feeder in feeders.values())
                rate = min(self.links[number], self.uplinks[up] / shared)
                self.had[number] = min(self.had[up], before[number] + ADVERT_S * rate)
            for number, info in self.nodes.items():
                got = [s.index for s in layout_of(SIZE).segments if s.stop <= self.had[number]]
                whole = len(got) == SEGMENTS
                have = None if whole else pack(got, SEGMENTS)
                self.holds(info, have=have, fetching=number == 1 and not whole)


def fed(wave: Wave, numbers: Iterable[int]) -> list[int | None]:
    """Who feeds each of some nodes."""
    return [wave.feeder(number) for number in numbers]


def test_who_gets_what_it_should_stays_in_its_place() -> None:
    """Until the end, however slow the origin is."""
    wave = Wave()
    wave.links[1] = SLOW
    line = wave.line(8)
    assert line == [2, 3, 4, 5, 6, 7, 8]
    wave.flows(60.0)
    assert wave.line(8) == line


def test_nobody_waits_for_a_link_that_has_become_slow() -> None:
    """Who hung on it hangs on its feeder; it takes what the last one has to spare."""
    wave = Wave()
    wave.links[4] = SLOW
    wave.flows(16.0)
    assert wave.line(8) == [2, 3, 5, 6, 7, 8]
    assert wave.feeder(4) == 8
    behind = wave.had[3] - wave.had[8]
    wave.flows(8.0)
    assert wave.had[3] - wave.had[8] <= behind + 1, "they are as fast as the others"


def test_several_are_found_one_after_the_other() -> None:
    """Who is behind a slow one cannot show what it could get."""
    wave = Wave(9)
    wave.links[3] = wave.links[4] = wave.links[7] = SLOW
    wave.flows(16.0)
    assert wave.line(9) == [2, 4, 5, 6, 7, 8, 9]
    wave.flows(24.0)
    assert [n for n in wave.line(9) if n in (3, 4, 7)] == []


def test_a_slow_uplink_is_found_by_those_it_has_held_up() -> None:
    """Two might be slow themselves; who holds up a third goes behind all, and they come back."""
    wave = Wave(9)
    wave.uplinks[4] = SLOW
    wave.flows(16.0)
    assert wave.feeder(5) == 9
    wave.flows(8.0)
    assert wave.feeder(6) == 5
    wave.flows(8.0)
    assert wave.line(6) == [2, 3, 7, 8, 9, 5, 6]
    assert wave.feeder(4) == 6


def test_who_shows_that_it_is_fast_is_taken_back() -> None:
    """Something else used its link for a while."""
    wave = Wave(9)
    wave.links[4] = SLOW
    wave.flows(16.0)
    assert wave.feeder(4) == 9
    late = node(10, host="10.0.0.10")
    wave.links[4] = FAST
    wave.flows(12.0)
    wave.joins(late)
    assert wave.parents(late) == [4]


def test_a_slow_border_makes_nobody_slow() -> None:
    """The first of a zone is fed from another one, at whatever rate that has."""
    zones = {n: "b" if n > 4 else "a" for n in range(1, 9)}
    wave = Wave(8, zones)
    wave.uplinks[4] = SLOW
    line = wave.line(8)
    wave.flows(40.0)
    assert wave.line(8) == line


def test_who_shares_an_uplink_is_not_thought_slow() -> None:
    """One that reads a part only hangs beside the next of the line."""
    wave = Wave(5)
    reader = node(9, host="10.0.0.9")
    wave.joins(reader, partial=True)
    assert wave.feeder(5) == 4
    wave.uplinks[4] = 2 * SLOW
    wave.flows(12.0)
    assert wave.feeder(5) == 4


@pytest.mark.parametrize("busy", [3, 4])
def test_links_that_other_blobs_use_say_nothing(busy: int) -> None:
    """Neither of who gets little, nor of who feeds it; once they are alone they are looked at."""
    wave, other = Wave(), blob("other")
    wave.joins(wave.nodes[busy], digest=other)
    wave.links[4] = SLOW
    wave.flows(24.0)
    assert wave.line(8) == [2, 3, 4, 5, 6, 7, 8]
    wave.holds(wave.nodes[busy], digest=other)
    wave.flows(4.0)
    assert wave.line(8) == [2, 3, 4, 5, 6, 7, 8]
    wave.flows(8.0)
    assert wave.feeder(4) == 8


def test_a_node_that_ends_is_blamed_for_nothing() -> None:
    """What it was thought to be holds for that download only."""
    wave = Wave(5)
    wave.links[3] = SLOW
    wave.flows(16.0)
    assert wave.feeder(3) == 5
    wave.holds(wave.nodes[3])
    wave.joins(wave.nodes[3])
    late = node(10, host="10.0.0.10")
    wave.joins(late)
    assert wave.parents(late) == [3]
