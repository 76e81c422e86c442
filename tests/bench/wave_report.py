"""One wave's outcome as a table for people and as the JSON object that others rely on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from tests.bench.report import Limit, Report
from tests.bench.wave_scenario import MBIT, MIB, Outcome, Scenario
from tests.support.netns import CONGESTION_CONTROL

LINK_OVERHEAD = 1.08
"""Link bytes per payload byte of one direct download (Ethernet, IP, TCP headers and acks), measured
on this rig; used where a direct baseline is computed."""


def median_run(outcomes: Sequence[Outcome]) -> Outcome:
    """The run in the middle; those where a node failed are the worst."""
    return sorted(outcomes, key=lambda each: each.rank)[len(outcomes) // 2]


def title(scenario: Scenario) -> str:
    """A scenario in a few words."""
    clients = "" if scenario.runtime == "http" else f", {scenario.runtime}"
    layers = "" if len(scenario.sizes) == 1 else f" in {len(scenario.sizes)} layers"
    usual = scenario.congestion_control == CONGESTION_CONTROL
    control = "" if usual else f", {scenario.congestion_control}"
    return (
        f"{scenario.nodes} node(s), {scenario.rate:g} Mbit/s, {scenario.size / MIB:.4g} MiB"
        f"{layers}{clients}{control}"
    )


def pulls_table(scenario: Scenario, outcome: Outcome) -> Table:
    """A row per node."""
    table = Table(title=title(scenario))
    for column in ("node", "started s", "finished s", "took s", "/ direct", ""):
        table.add_column(column, justify="left" if column in ("node", "") else "right")
    for pull in outcome.pulls:
        note = pull.fate or pull.error
        if pull.finished is None or pull.took is None:
            table.add_row(pull.node, f"{pull.started:.2f}", "-", "-", "-", note)
            continue
        table.add_row(
            pull.node,
            f"{pull.started:.2f}",
            f"{pull.finished:.2f}",
            f"{pull.took:.2f}",
            f"{pull.took / outcome.direct_s:.3f}",
            note,
        )
    return table


def wave_report(scenario: Scenario, outcomes: Sequence[Outcome]) -> Report:
    """The median run's figures."""
    outcome = median_run(outcomes)
    from_origin = scenario.size * 8 * scenario.nodes / (_origin_rate(scenario) * MBIT)
    ratios = [each.last_s / each.direct_s for each in outcomes]
    return Report(
        bench="wave",
        parameters={**parameters(scenario), "runs": len(outcomes)},
        limit=Limit(
            what=f"one direct download by the same client ({scenario.runtime}) on the idle rig",
            value=outcome.direct_s,
            unit="s",
        ),
        baseline={
            "what": "every node straight from the origin (computed from its link's rate)",
            "last_s": from_origin * LINK_OVERHEAD,
        },
        result={**result(scenario, outcome), "ratios_of_all_runs": ratios},
        ratio=outcome.last_s / outcome.direct_s,
    )


def parameters(scenario: Scenario) -> dict[str, Any]:
    """What a wave was."""
    return {
        "runtime": scenario.runtime,
        "congestion_control": scenario.congestion_control,
        "nodes": scenario.nodes,
        "rate_mbit": scenario.rate,
        "origin_rate_mbit": _origin_rate(scenario),
        "layer_bytes": list(scenario.sizes),
        "zones": scenario.zones,
        "border_mbit": scenario.border,
        "spread_s": scenario.spread,
        "late": scenario.late,
        "slow": scenario.slow,
        "sudden": scenario.sudden,
        "killed": scenario.killed,
        "kill_seeder": scenario.kill_seeder,
        "kill_tracker": scenario.kill_tracker,
        "freeze": scenario.freeze,
        "elected": scenario.elected,
        "warm": scenario.warm,
        "flags": list(scenario.flags),
    }


def result(scenario: Scenario, outcome: Outcome) -> dict[str, Any]:
    """What one run did."""
    took = outcome.finished
    ideal = scenario.size * 8 / (scenario.rate * MBIT)
    gigabytes = scenario.size * max(1, len(took)) / 1e9
    return {
        "last_s": outcome.last_s,
        "median_s": statistics.median(took) if took else None,
        "p99_s": took[min(len(took) - 1, int(len(took) * 0.99))] if took else None,
        "median_ratio": statistics.median(took) / outcome.direct_s if took else None,
        "last_to_size_over_rate": outcome.last_s / ideal,
        "origin_copies": outcome.origin_copies,
        "origin_requests": outcome.origin_requests,
        "seeder_copies": outcome.seeder_copies,
        "zone_copies": dict(outcome.zone_copies),
        "pulls_s": {p.node: [round(p.started, 3), p.finished] for p in outcome.survivors},
        "failed": outcome.failed,
        "errors": {pull.node: pull.error for pull in outcome.pulls if pull.counts and pull.error},
        "peak_rss_mib": outcome.peak_rss_mib,
        "cpu_s_per_gb": outcome.cpu_s / gigabytes,
    }


def _origin_rate(scenario: Scenario) -> float:
    return scenario.origin_rate or scenario.rate
