"""Spans of the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from eagle_node.base.errors import Unavailable
from eagle_node.tracing.otel import OtelTracer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


def rig() -> tuple[OtelTracer, InMemorySpanExporter]:
    """A tracer and what it has recorded."""
    kept = InMemorySpanExporter()
    return OtelTracer(SimpleSpanProcessor(kept), {"service.name": "eagle-node"}), kept


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": ""},
        {"traceparent": "00-" + "0" * 32 + f"-{CALLER}-01"},
        {"traceparent": f"00-{TRACE}-{CALLER}"},
        {"traceparent": f"ff-{TRACE}-{CALLER}-01"},
        {"traceparent": f"00-{TRACE.upper()}-{CALLER}-01-more"},
    ],
)
def test_who_names_no_trace_begins_one(headers: Mapping[str, str]) -> None:
    """A malformed header counts as none (W3C Trace Context, section 3.2.2)."""
    tracer, kept = rig()
    tracer.serve("request", headers, {}).end()
    (recorded,) = kept.get_finished_spans()
    assert recorded.parent is None


def test_a_trace_goes_on() -> None:
    """The next process gets this span as the parent, and the sender's state."""
    tracer, kept = rig()
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "rojo=1"}
    request = tracer.serve("request", headers, {})
    child = request.child("ask", "client", {})
    told = child.headers()
    child.end()
    request.end()
    below, above = kept.get_finished_spans()
    assert below.context is not None
    assert told == {
        "traceparent": f"00-{TRACE}-{below.context.span_id:016x}-01",
        "tracestate": "rojo=1",
    }
    assert above.parent is not None
    assert above.parent.span_id == int(CALLER, 16)


def test_what_the_sender_does_not_sample_is_not_recorded() -> None:
    """And the next process hears so."""
    tracer, kept = rig()
    request = tracer.serve("request", {"traceparent": f"00-{TRACE}-{CALLER}-00"}, {})
    assert request.headers()["traceparent"].endswith("-00")
    request.end()
    assert kept.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("error", "status", "text", "told"),
    [
        (Unavailable("registry a: silent"), StatusCode.ERROR, "registry a: silent", "Unavailable"),
        (OSError("/secret/place"), StatusCode.ERROR, None, "OSError"),
        (asyncio.CancelledError(), StatusCode.UNSET, None, None),
    ],
)
def test_failures(
    error: BaseException, status: StatusCode, text: str | None, told: str | None
) -> None:
    """Errors that are fit to be shown are; of others the kind; being cancelled is no failure."""
    tracer, kept = rig()
    request = tracer.serve("request", {}, {})
    request.fail(error)
    request.end()
    (recorded,) = kept.get_finished_spans()
    assert recorded.attributes is not None
    assert (recorded.status.status_code, recorded.status.description) == (status, text)
    assert recorded.attributes.get("error.type") == told
    assert ("eagle.cancelled" in recorded.attributes) == (told is None)
