"""The acceptance table of the cold wave: named scenarios, and the bar of each figure.

Rates are what two cores carry, on which all nodes, their clients and the kernel's network run.
Twenty nodes at 20 Mbit/s leave 20 to 40 % of them idle, and a packet, a segment or a reader waits
for a core often enough to be seen: five nodes at that rate are 4 % quicker, and so are twenty at
half of it. Several layers leave 0 to 2 % idle, since a segment costs the same whatever its size and
small blobs have small ones, and so do 40 nodes at 10 Mbit/s (5 to 15 %). So these have half the
rate, and their bars are what they were; the other cases have fewer nodes or wider bars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.wave_judges import Figure
from tests.bench.wave_scenario import MIB, TAR_BLOCK, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scenario and what it must reach; that no node fails is a bar of every case."""

    what: str
    scenario: Scenario
    bars: Mapping[Figure, float]
    """The most that a figure may be."""


THIRD = 64 * MIB // 3 // TAR_BLOCK * TAR_BLOCK
"""A third of 64 MiB, in whole tar blocks."""
LIKE_A_REAL_IMAGE = tuple(
    kib << 10 for kib in (28160, 15360, 9216, 5120, 3072, 2048, 1280, 640, 320, 160, 80, 48, 24, 8)
)
"""Bytes of 14 layers, 64 MiB together: a base system, a language, its packages, small files."""

CASES: Mapping[str, Case] = {
    "cold-20": Case(
        what="20 nodes, 10 Mbit/s, 64 MiB cold",
        scenario=Scenario(rate=10),
        bars={Figure.LAST: 1.12, Figure.MEDIAN: 1.08, Figure.ORIGIN: 1.01, Figure.SEEDER: 1.05},
    ),
    "layers-3": Case(
        what="the same in 3 layers at once",
        scenario=Scenario(rate=10, sizes=(THIRD,) * 3),
        bars={Figure.LAST: 1.15},
    ),
    "layers-14": Case(
        what="the same in 14 layers, sizes like a real image",
        scenario=Scenario(rate=10, sizes=LIKE_A_REAL_IMAGE),
        bars={Figure.LAST: 1.3},
    ),
    "cold-40": Case(
        what="40 nodes, 5 Mbit/s, 32 MiB",
        scenario=Scenario(nodes=40, rate=5, sizes=(32 * MIB,)),
        bars={Figure.LAST: 1.15},
    ),
    "fast-6": Case(
        what="6 nodes, 50 Mbit/s, 256 MiB",
        scenario=Scenario(nodes=6, rate=50, sizes=(256 * MIB,)),
        bars={Figure.LAST: 1.08},
    ),
    "slow-origin": Case(
        what="origin at 5 Mbit/s, links at 20; D through that origin",
        scenario=Scenario(origin_rate=5, sizes=(32 * MIB,)),
        bars={Figure.LAST: 1.05},
    ),
    "spread": Case(
        what="arrivals spread over the wave",
        scenario=Scenario(spread=29),
        bars={Figure.ARRIVALS: 1.0},
    ),
    "late": Case(
        what="30 % of the nodes join after half the time",
        scenario=Scenario(late=0.3),
        bars={Figure.ARRIVALS: 1.0},
    ),
    "churn": Case(
        what="10 of 20 nodes killed mid-wave, then seeder and tracker (elected); one frozen",
        scenario=Scenario(
            killed=0.5, kill_seeder=True, kill_tracker=True, freeze=True, elected=True
        ),
        bars={Figure.LAST: 1.4},
    ),
    "unequal": Case(
        what="a quarter of 20 nodes at a quarter of the rate, 10 Mbit/s",
        scenario=Scenario(rate=10, slow=0.25, sizes=(32 * MIB,)),
        bars={Figure.FAST: 1.15, Figure.SLOW: 1.15},
    ),
    "sudden": Case(
        what="a tenth of 20 nodes gets as slow when the wave begins, unmeasured, 10 Mbit/s",
        scenario=Scenario(rate=10, slow=0.1, sudden=True),
        bars={Figure.FAST: 1.5, Figure.SLOW: 1.15},
    ),
    "zones": Case(
        what="two zones of 8 nodes, 10 Mbit/s between; D through the border is its limit",
        scenario=Scenario(nodes=16, zones=2, border=10),
        bars={Figure.LAST: 1.15, Figure.BORDER: 1.02},
    ),
    "warm": Case(
        what="one node holds the image, 19 join, 10 Mbit/s",
        scenario=Scenario(rate=10, warm=True),
        bars={Figure.LAST: 1.1, Figure.ORIGIN: 0.0},
    ),
    "one-node": Case(
        what="one node, cold",
        scenario=Scenario(nodes=1),
        bars={Figure.LAST: 1.02, Figure.FIRST_BYTE: 50.0},
    ),
}

ELSEWHERE = (
    "2 GiB through one node: tests.bench.memory. Two nodes: tests.bench.pair. "
    "1,000 nodes: tests/sim."
)
