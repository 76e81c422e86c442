"""Completion curves of a wave, as a picture."""

from __future__ import annotations

from pathlib import Path

from tests.bench.wave_rig import MIB, Outcome, Scenario


def plot(scenario: Scenario, outcome: Outcome, path: Path) -> None:
    """Write a PNG: MiB received over time, a line per node, against the direct download."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    for pull in outcome.pulls:
        points = [(pull.started, 0), *pull.progress]
        if pull.finished is not None:
            points.append((pull.finished, scenario.size))
        colour = "tab:red" if pull.dead else "tab:blue"
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
    axes.set_title(f"{scenario.nodes} nodes, {scenario.rate:g} Mbit/s, {scenario.size / MIB:g} MiB")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
