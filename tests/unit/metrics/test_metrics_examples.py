"""The monitoring examples, against what a node really answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from eagle_node.metrics.instruments import Metrics
from eagle_node.metrics.reference import rows

MONITORING = Path(__file__).parents[3] / "examples" / "monitoring"
_NAME = re.compile(r"\beagle_[a-z_]+\b")
_LABELS = re.compile(r"(eagle_[a-z_]+)\{([^}]*)\}")


def exposed() -> dict[str, set[str]]:
    """Names of samples with their labels; those with labels have one value each, made up."""
    metrics, names = Metrics(), {}
    for instrument in vars(metrics).values():
        labels = getattr(instrument, "_labelnames", ())
        if labels:
            instrument.labels(*("x" for _ in labels))
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            names[sample.name] = set(sample.labels)
    return names


def expressions() -> list[str]:
    """Of every alert and every panel."""
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    found = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    found += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    found += [str(variable["query"]) for variable in dashboard["templating"]["list"]]
    return found


def test_examples_name_metrics_that_exist() -> None:
    """No alert and no panel waits for a metric that no node has."""
    known = exposed()
    named = {name for text in expressions() for name in _NAME.findall(text)}
    assert len(named) > 20
    assert named - set(known) == set()


def test_examples_name_labels_that_exist() -> None:
    """Labels in selectors are the metric's own, or the scraper's."""
    known = exposed()
    for text in expressions():
        for name, selector in _LABELS.findall(text):
            labels = set(re.findall(r"([a-z_]+)\s*[=!]", selector))
            assert labels - known[name] - {"instance", "job"} == set(), text


def test_every_metric_is_documented() -> None:
    """The table of the documentation is that of the program."""
    told = (MONITORING / "README.md").read_text()
    assert re.findall(r"^\| `eagle_.*$", told, re.MULTILINE) == list(rows())


def test_alerts_say_what_to_do() -> None:
    """Each has a severity, a summary and a way on."""
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for group in alerts["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert set(rule["annotations"]) == {"summary", "description"}


def test_panels_do_not_overlap() -> None:
    """The dashboard's grid is 24 columns wide."""
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
