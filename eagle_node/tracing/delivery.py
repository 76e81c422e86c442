"""Sends spans to a collector over OTLP/HTTP, and tells once when that breaks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

log = logging.getLogger(__name__)

PATH = "/v1/traces"
"""Of traces below a collector's base URL (OTLP specification, OTLP/HTTP Request)."""


class Delivery:
    """A queue of spans and the thread that empties it.

    The queue is bounded (2048 spans, ``OTEL_BSP_MAX_QUEUE_SIZE``); what does not fit is dropped, so
    a collector costs requests no time and little memory, whatever state it is in. Headers,
    certificates, compression and times follow OpenTelemetry's own variables.
    """

    def __init__(self, endpoint: str) -> None:
        self._exporter = _Exporter(endpoint)
        self.processor = BatchSpanProcessor(self._exporter)
        """Takes spans that have ended, from any thread."""

    def close(self) -> None:
        """Send what waits, unless the collector was in trouble already; blocks."""
        if self._exporter.is_failing:
            self._exporter.shutdown()
        self.processor.shutdown()  # type: ignore[no-untyped-call]


class _Exporter(SpanExporter):
    """The library's exporter; logs the change."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._session = _Session()
        self._exporter = OTLPSpanExporter(endpoint + PATH, session=self._session)
        self._closed = False
        self.is_failing = False
        """Whether the latest batch was lost."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; one that is not taken within some seconds is lost."""
        if self._closed:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self.is_failing:
            log.warning(
                "the trace collector at %s takes no spans: %s; they are dropped until it does",
                self._endpoint,
                self._session.outcome,
            )
        elif self.is_failing and not failed:
            log.info("the trace collector at %s takes spans again", self._endpoint)
        self.is_failing = failed
        return result

    def shutdown(self) -> None:
        """Send nothing more."""
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _Session(requests.Session):
    """Remembers how the latest request went.

    Proxy variables of the environment are ignored: on hosts like ours they point at this program.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.outcome = "nothing was sent"

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """As the parent's."""
        try:
            response = super().request(*args, **options)
        except requests.RequestException as error:
            self.outcome = _reason(error)
            raise
        self.outcome = f"it answers {response.status_code} {response.reason}"
        return response


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return f"TLS fails: {error}"
        case requests.exceptions.Timeout():
            return "it does not answer in time"
        case requests.exceptions.ConnectionError():
            return "it cannot be reached"
    return str(error)
