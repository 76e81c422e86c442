"""Spans of OpenTelemetry's SDK behind our own words for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from eagle_node.base.errors import EagleError
from eagle_node.runtime.tracing import Attributes, Kind

_KINDS = {
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "internal": trace.SpanKind.INTERNAL,
}
_W3C = TraceContextTextMapPropagator()


class OtelTracer:
    """A `Tracer` whose spans ``processor`` gets.

    Sampling, limits and the resource follow OpenTelemetry's own variables (``OTEL_…``).
    """

    def __init__(self, processor: SpanProcessor, about: Mapping[str, str]) -> None:
        described = dict(about)
        if name := os.environ.get("OTEL_SERVICE_NAME"):
            described[SERVICE_NAME] = name
        provider = TracerProvider(resource=Resource.create(described), shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("eagle_node")

    def serve(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> OtelSpan:
        """A span for a request with these headers; a malformed ``traceparent`` counts as none."""
        return self.start(name, "server", attributes, _W3C.extract(headers, Context()))

    def start(self, name: str, kind: Kind, attributes: Attributes, within: Context) -> OtelSpan:
        """A span below the one of ``within``."""
        made = self._tracer.start_span(
            name, context=within, kind=_KINDS[kind], attributes=dict(attributes)
        )
        return OtelSpan(self, made)


class OtelSpan:
    """A `Span`."""

    def __init__(self, tracer: OtelTracer, recorded: trace.Span) -> None:
        self._tracer = tracer
        self._recorded = recorded
        self._context = trace.set_span_in_context(recorded, Context())

    def child(self, name: str, kind: Kind, attributes: Attributes) -> OtelSpan:
        """A span below this one."""
        return self._tracer.start(name, kind, attributes, self._context)

    def note(self, attributes: Attributes) -> None:
        """Tell more of it."""
        self._recorded.set_attributes(dict(attributes))

    def fail(self, error: BaseException) -> None:
        """Only errors of ours are told in words: those are fit to be shown."""
        if isinstance(error, asyncio.CancelledError):
            self._recorded.set_attribute("eagle.cancelled", True)
            return
        self._recorded.set_attribute("error.type", type(error).__name__)
        told = str(error) if isinstance(error, EagleError) else None
        self._recorded.set_status(trace.StatusCode.ERROR, told)

    def headers(self) -> Mapping[str, str]:
        """``traceparent``, and ``tracestate`` if there is one."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, self._context)
        return carrier

    def end(self) -> None:
        """The work is done."""
        self._recorded.end()
