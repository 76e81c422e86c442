"""The documentation's table of all metrics: ``python -m eagle_node.metrics.reference``."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram

from eagle_node.metrics.instruments import Metrics

_KINDS: dict[type, str] = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def rows() -> Iterator[str]:
    """A row of Markdown for each instrument, in the order of the source."""
    for instrument in vars(Metrics()).values():
        kind = _KINDS.get(type(instrument))
        if kind is None:
            continue
        described = instrument.describe()[0]
        name = f"{described.name}_total" if kind == "counter" else described.name
        labels = ", ".join(f"`{label}`" for label in instrument._labelnames)  # noqa: SLF001
        yield f"| `{name}` | {kind} | {labels} | {described.documentation} |"


if __name__ == "__main__":
    print("\n".join(rows()))
