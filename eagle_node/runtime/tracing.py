"""Spans of the trace that the work at hand belongs to.

Whoever answers requests opens the first span with a `Tracer` (`serving`); whatever works for the
request finds it in its context, as it finds `request_id`, and opens spans below it. Without a
tracer all of this does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

from eagle_node.runtime.sockets import Address

Kind = Literal["server", "client", "internal"]
"""Of a span (OpenTelemetry): answers a remote request, makes one, or neither."""
Attributes = Mapping[str, str | int]
"""What is told of a span; never credentials, and no query of a URL, where signatures stand."""

TRACE_HEADERS = ("traceparent", "tracestate")
"""In which a trace goes from one process to the next (W3C Trace Context)."""


class Span(Protocol):
    """A piece of work that is recorded from its making to its `end`."""

    def child(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        """A span below this one, which may have ended."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Tell more of it."""
        ...

    def fail(self, error: BaseException) -> None:
        """It did not succeed; being cancelled is told, and no failure."""
        ...

    def headers(self) -> Mapping[str, str]:
        """`TRACE_HEADERS` for a request that belongs to it."""
        ...

    def end(self) -> None:
        """The work is done."""
        ...


class Tracer(Protocol):
    """Records spans."""

    def serve(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> Span:
        """A span for a request with these headers, in its sender's trace or in a new one."""
        ...


_current: ContextVar[Span | None] = ContextVar("span", default=None)


@contextmanager
def serving(
    tracer: Tracer | None, name: str, headers: Mapping[str, str], attributes: Attributes
) -> Iterator[None]:
    """The block answers a request."""
    with _open(tracer.serve(name, headers, attributes) if tracer is not None else None):
        yield


@contextmanager
def span(name: str, kind: Kind, attributes: Attributes) -> Iterator[None]:
    """The block is a span below the current one, if there is one.

    Not for blocks that yield to a caller: an asynchronous generator shares its caller's context.
    """
    above = _current.get()
    with _open(above.child(name, kind, attributes) if above is not None else None):
        yield


def note(attributes: Attributes) -> None:
    """Tell more of the current span."""
    if (current := _current.get()) is not None:
        current.note(attributes)


def note_failure(error: BaseException) -> None:
    """The current span does not succeed, though no error leaves its block."""
    if (current := _current.get()) is not None:
        current.fail(error)


def peer_attributes(address: Address) -> Attributes:
    """Whom a client's span asks."""
    return {"server.address": address.host, "server.port": address.port}


def trace_headers() -> Mapping[str, str]:
    """What a request to another process bears to belong to the current span; may be nothing."""
    current = _current.get()
    return current.headers() if current is not None else {}


@contextmanager
def _open(made: Span | None) -> Iterator[None]:
    if made is None:
        yield
        return
    token = _current.set(made)
    try:
        yield
    except BaseException as error:
        made.fail(error)
        raise
    finally:
        _current.reset(token)
        made.end()
