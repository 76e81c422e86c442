"""Completion curves of waves, as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.wave_scenario import MIB, Outcome, Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
WIDTH, HEIGHT = 9, 5
"""Inches of one wave's picture."""


def plot(waves: Mapping[str, tuple[Scenario, Outcome]], path: Path) -> None:
    """Write a PNG with a picture for each wave, by title; without waves, an empty one."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    columns = max(1, min(COLUMNS, len(waves)))
    rows = max(1, math.ceil(len(waves) / columns))
    figure, grid = pyplot.subplots(
        rows,
        columns,
        figsize=(WIDTH * columns, HEIGHT * rows),
        layout="constrained",
        squeeze=False,
    )
    places = list(grid.flat)
    for axes, (title, (scenario, outcome)) in zip(places, waves.items(), strict=False):
        _draw(axes, title, scenario, outcome)
    for axes in places[len(waves) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=120 if len(waves) < 2 else 70)
    pyplot.close(figure)


def _draw(axes: Axes, title: str, scenario: Scenario, outcome: Outcome) -> None:
    """MiB received over time, a line per node, against the direct download."""
    for pull in outcome.pulls:
        points = [(pull.started, 0), *pull.progress]
        if pull.finished is not None:
            points.append((pull.finished, scenario.size))
        colour = "tab:blue" if pull.counts else "tab:red"
        seconds, received = zip(*points, strict=True)
        axes.plot(seconds, [count / MIB for count in received], color=colour, lw=0.8, alpha=0.7)
    axes.plot(
        [0, outcome.direct_s],
        [0, scenario.size / MIB],
        color="black",
        ls="--",
        label=f"one direct download: {outcome.direct_s:.2f} s",
    )
    axes.axvline(outcome.last_s, color="tab:blue", ls=":", label=f"last: {outcome.last_s:.2f} s")
    axes.set_xlabel("seconds since the wave's start")
    axes.set_ylabel("MiB received")
    axes.set_title(title)
    axes.legend(loc="lower right")
