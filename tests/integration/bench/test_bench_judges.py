"""How waves are judged, on outcomes that are written down here."""

from __future__ import annotations

import pytest

from tests.bench.wave_cases import CASES
from tests.bench.wave_judges import Figure, judge
from tests.bench.wave_scenario import MIB, Contradiction, Outcome, Pull, Scenario
from tests.bench.wave_table import Measured, cases_table, table_report


def _outcome(*pulls: Pull, direct_s: float = 10.0, seeder_copies: float | None = 1.0) -> Outcome:
    return Outcome(
        direct_s=direct_s,
        direct_first_byte_s=0.01,
        pulls=list(pulls),
        origin_copies=1.0,
        origin_requests=1,
        seeder_copies=seeder_copies,
        zone_copies={"zone:z0": 1.01, "zone:z1": 1.03},
        cpu_s=1.0,
        peak_rss_mib=90.0,
    )


def _pull(started: float, finished: float | None, *, fate: str = "") -> Pull:
    return Pull(node="n", started=started, first_byte=0.05, finished=finished, fate=fate)


def test_last_node_is_the_last_survivor() -> None:
    """Nodes that were killed or frozen do not count, even if they were done before."""
    outcome = _outcome(_pull(0, 11), _pull(0, 14, fate="killed"), _pull(0, 12))
    assert judge(Figure.LAST, Scenario(nodes=3), outcome) == pytest.approx(1.2)


def test_nothing_is_judged_when_nobody_finished() -> None:
    """Without a survivor every figure is unknown, which meets no bar."""
    outcome = _outcome(_pull(0, None), _pull(0, 5, fate="killed"))
    assert {judge(figure, Scenario(nodes=2), outcome) for figure in Figure} == {None}


@pytest.mark.parametrize(
    ("pulls", "worst"),
    [
        ([_pull(0, 12), _pull(8, 20)], 1.0),
        ([_pull(0, 24), _pull(6, 20)], 2.0),
        ([_pull(0, 20), _pull(6, 22)], 20 / 12),
        ([_pull(0, 10), _pull(5, 25.5)], 1.5),
    ],
)
def test_arrivals_are_judged_by_their_own_time(pulls: list[Pull], worst: float) -> None:
    """1.2 D from a node's arrival; 1.1 x the end of those there at the start, for later ones."""
    outcome = _outcome(*pulls)
    assert judge(Figure.ARRIVALS, Scenario(nodes=2), outcome) == pytest.approx(worst)


def test_slow_nodes_are_judged_by_their_own_links() -> None:
    """The last quarter's links have a quarter of the rate, so D is four times as long."""
    scenario = Scenario(nodes=4, slow=0.25)
    outcome = _outcome(_pull(0, 11), _pull(0, 11.5), _pull(0, 11), _pull(0, 44))
    assert judge(Figure.FAST, scenario, outcome) == pytest.approx(1.15)
    assert judge(Figure.SLOW, scenario, outcome) == pytest.approx(1.1)


def test_busiest_border_counts() -> None:
    """The zone with the most bytes is the one that is judged."""
    assert judge(Figure.BORDER, Scenario(nodes=2, zones=2), _outcome(_pull(0, 1))) == 1.03


def test_first_byte_is_told_in_milliseconds() -> None:
    """The slowest first byte, later than the direct download's."""
    figure = judge(Figure.FIRST_BYTE, Scenario(nodes=1), _outcome(_pull(0, 10)))
    assert figure == pytest.approx(40.0)


def test_a_bar_is_met_by_the_median_unless_a_node_failed() -> None:
    """Two good runs of three are enough; a node without the image is not outvoted."""
    good, bad = _outcome(_pull(0, 10.1)), _outcome(_pull(0, 13))
    failed = _outcome(_pull(0, 10.1), _pull(0, None))
    measured = [
        Measured(case=CASES["one-node"], scenario=Scenario(nodes=1), outcomes=runs, broken=[])
        for runs in ([good, bad, good], [good, good, failed])
    ]
    assert [verdict.is_met for verdict in measured[0].verdicts] == [True, True]
    assert [verdict.is_met for verdict in measured[1].verdicts] == [False, False]


def test_the_report_names_the_missed_bars() -> None:
    """The table's title and the JSON object say plainly what was missed."""
    measured = Measured(
        case=CASES["one-node"],
        scenario=Scenario(nodes=1),
        outcomes=[_outcome(_pull(0, 11))],
        broken=[],
    )
    report = table_report({"one-node": measured}, Scenario(), 1)
    assert report.result["missed"] == ["one-node: last node / D"]
    assert report.result["met"] == 1
    assert report.ratio == pytest.approx(1.1 / 1.02)
    assert "1 of 2 bars MISSED" in str(cases_table({"one-node": measured}).title)


def test_churn_leaves_seven_of_twenty() -> None:
    """10 are killed, then the seeder and the tracker, and one is frozen."""
    scenario = CASES["churn"].scenario
    assert scenario.killed_nodes == 10
    assert (scenario.kill_seeder, scenario.kill_tracker, scenario.freeze) == (True, True, True)
    assert scenario.elected


def test_layers_of_a_real_image_add_up() -> None:
    """The 14 layers of the table are as large together as the one layer of the first case."""
    sizes = CASES["layers-14"].scenario.sizes
    assert (len(sizes), sum(sizes)) == (14, 64 * MIB)


@pytest.mark.parametrize(
    "fields",
    [
        {"nodes": 0},
        {"nodes": 4, "zones": 5},
        {"sizes": (1000,)},
        {"warm": True, "nodes": 1},
        {"nodes": 6, "killed": 0.67, "kill_seeder": True, "kill_tracker": True},
        {"nodes": 6, "killed": 0.67, "freeze": True},
        {"nodes": 20, "killed": 0.95},
        {"late": 1.5},
        {"sudden": True},
    ],
)
def test_scenarios_that_nobody_could_finish_are_refused(fields: dict[str, object]) -> None:
    """A scenario is checked when it is made."""
    with pytest.raises(Contradiction):
        Scenario(**fields)  # type: ignore[arg-type]
