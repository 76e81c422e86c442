"""The figures that a wave is judged by; lower is better, and every ratio is to the same run's D.

D is one direct download by the same client on the idle rig: `Outcome.direct_s`. A figure is None
where the run cannot tell, which meets no bar.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Callable, Iterable, Mapping

from tests.bench.wave_scenario import SLOWNESS, Outcome, Pull, Scenario

OWN_D = 1.2
"""Times D that a node may take from its own arrival, however many others are there."""
WAVE_END = 1.1
"""Times the wave's end at which a node may be done, if that is later."""
AT_THE_START = 0.05
"""Times D within which a node's arrival is the wave's start."""


class Figure(enum.Enum):
    """What is judged; the text goes into tables."""

    LAST = "last node / D"
    MEDIAN = "median node / D"
    FIRST_BYTE = "first byte later than direct, ms"
    ORIGIN = "origin bytes / image"
    SEEDER = "seeder uploads / image"
    BORDER = "bytes into the busiest zone / image"
    ARRIVALS = "worst node / max(1.2 D from its arrival, 1.1 x the wave's end)"
    FAST = "last fast node / D"
    SLOW = "last slow node / its own D (computed)"


def judge(figure: Figure, scenario: Scenario, outcome: Outcome) -> float | None:
    """A run's figure; None where it cannot be told, as when nobody finished."""
    if not outcome.survivors:
        return None
    return _JUDGES[figure](scenario, outcome)


def _last(_: Scenario, outcome: Outcome) -> float:
    return outcome.last_s / outcome.direct_s


def _median(_: Scenario, outcome: Outcome) -> float:
    return statistics.median(outcome.finished) / outcome.direct_s


def _first_byte(_: Scenario, outcome: Outcome) -> float | None:
    seen = [pull.first_byte for pull in outcome.survivors if pull.first_byte is not None]
    if not seen or outcome.direct_first_byte_s is None:
        return None
    return (max(seen) - outcome.direct_first_byte_s) * 1000


def _origin(_: Scenario, outcome: Outcome) -> float:
    return outcome.origin_copies


def _seeder(_: Scenario, outcome: Outcome) -> float | None:
    return outcome.seeder_copies


def _border(_: Scenario, outcome: Outcome) -> float | None:
    """Payload of TCP: the image, metainfo, plans, gossip; not packets' headers."""
    return max(outcome.zone_copies.values(), default=None)


def _arrivals(_: Scenario, outcome: Outcome) -> float | None:
    """The wave's end is that of the nodes that were there at its start; they have `OWN_D` alone.

    A later node's own time could otherwise excuse itself.
    """
    start = AT_THE_START * outcome.direct_s
    first = [pull for pull in outcome.survivors if pull.started <= start]
    if not first:
        return None
    end = max(pull.finished or 0.0 for pull in first)

    def allowed(pull: Pull) -> float:
        own = pull.started + OWN_D * outcome.direct_s
        return own if pull.started <= start else max(own, WAVE_END * end)

    return max((pull.finished or 0.0) / allowed(pull) for pull in outcome.survivors)


def _fast(scenario: Scenario, outcome: Outcome) -> float | None:
    pulls = (p for i, p in enumerate(outcome.pulls) if i < scenario.slow_from)
    return _worst(pulls, outcome.direct_s)


def _slow(scenario: Scenario, outcome: Outcome) -> float | None:
    """A slow link's direct download is `SLOWNESS` times D: measuring it would take minutes."""
    pulls = (p for i, p in enumerate(outcome.pulls) if i >= scenario.slow_from)
    return _worst(pulls, outcome.direct_s * SLOWNESS)


def _worst(pulls: Iterable[Pull], direct_s: float) -> float | None:
    times = [pull.took for pull in pulls if pull.counts and pull.took is not None]
    return max(times) / direct_s if times else None


_JUDGES: Mapping[Figure, Callable[[Scenario, Outcome], float | None]] = {
    Figure.LAST: _last,
    Figure.MEDIAN: _median,
    Figure.FIRST_BYTE: _first_byte,
    Figure.ORIGIN: _origin,
    Figure.SEEDER: _seeder,
    Figure.BORDER: _border,
    Figure.ARRIVALS: _arrivals,
    Figure.FAST: _fast,
    Figure.SLOW: _slow,
}
