"""Opens the tracer of a node."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

from eagle_node.base.errors import UsageError
from eagle_node.runtime.tracing import Tracer

log = logging.getLogger(__name__)

_LAST_S = 3.0
"""For a collector to take the last spans of a node that stops."""


@asynccontextmanager
async def open_tracing(endpoint: str, about: Mapping[str, str]) -> AsyncIterator[Tracer]:
    """Record spans for the collector at the base URL ``endpoint`` while the block lasts.

    ``about`` describes the node in OpenTelemetry's words. `UsageError` without the extra.
    """
    try:
        from eagle_node.tracing.delivery import Delivery
        from eagle_node.tracing.otel import OtelTracer
    except ImportError as error:
        raise UsageError(
            "traces need OpenTelemetry, which is not installed here: pip install "
            "'eagle-node[otel]' (the packaged executables hold it), or leave out "
            f"--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT); {error}"
        ) from error
    try:
        delivery = Delivery(endpoint)
        tracer = OtelTracer(delivery.processor, about)
    except ValueError as error:
        raise UsageError(f"OpenTelemetry's variables (OTEL_…) are wrong: {error}") from error
    with _quiet():
        try:
            yield tracer
        finally:
            await _ended(delivery.close)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's log lines, one for each failure, to itself: `Delivery` tells of them."""
    library = logging.getLogger("opentelemetry")
    before, library.propagate = library.propagate, False
    handler = logging.NullHandler()
    library.addHandler(handler)
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.propagate = before


async def _ended(close: Callable[[], None]) -> None:
    """Run ``close`` in a thread of its own, which nobody waits for when it takes too long."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        close()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=end, name="last-spans", daemon=True).start()
    try:
        async with asyncio.timeout(_LAST_S):
            await ended.wait()
    except TimeoutError:
        log.info("the trace collector has not taken the last spans; they are lost")
