"""Which exposition a scraper gets."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from eagle_node.metrics.instruments import Metrics
from eagle_node.metrics.negotiation import Format, accepts_gzip, choose_format

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS_3,
        "application/openmetrics-text; version=1.0.0",
        'Application/OpenMetrics-Text;Version="1.0.0"',
        "application/openmetrics-text",
        "text/plain;q=0.5, application/openmetrics-text;q=0.6",
        "text/plain;q=0, application/openmetrics-text;q=0.001",
    ],
)
def test_who_prefers_openmetrics_gets_it(accept: str) -> None:
    """In the version that is spoken, or in no version in particular."""
    assert choose_format(accept) is Format.OPENMETRICS


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "text/plain, application/openmetrics-text",
        "application/openmetrics-text;q=0.2, text/*;q=0.3",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=2.0.0, */*;q=0.1",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=much",
        "application/vnd.google.protobuf",
        ";;=,,",
    ],
)
def test_everybody_else_gets_text(accept: str) -> None:
    """Browsers, curl, old scrapers, and those whose header is nonsense."""
    assert choose_format(accept) is Format.TEXT


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity, br", False),
    ],
)
def test_gzip_is_for_those_who_take_it(header: str, *, accepted: bool) -> None:
    """A weight of 0 is a no."""
    assert accepts_gzip(header) is accepted


def test_both_expositions_tell_the_same() -> None:
    """Every sample of the text stands in OpenMetrics, with its labels and value."""
    metrics = Metrics()
    metrics.served("swarm", 7)
    metrics.first_byte_seconds.observe(0.2)
    text = metrics.exposition(Format.TEXT).decode()
    openmetrics = metrics.exposition(Format.OPENMETRICS).decode()
    assert openmetrics.endswith("# EOF\n")

    def told(families: object) -> dict[tuple[str, str], float]:
        return {
            (sample.name, str(sorted(sample.labels.items()))): sample.value
            for family in families  # type: ignore[attr-defined]
            for sample in family.samples
        }

    families = text_string_to_metric_families(openmetrics)  # type: ignore[no-untyped-call]
    assert told(text_families(text)) == told(families)
