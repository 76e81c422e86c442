"""Spans in the context of the work at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from eagle_node.runtime.tracing import (
    Attributes,
    Kind,
    note,
    note_failure,
    serving,
    span,
    trace_headers,
)


@dataclass
class Kept:
    """A span that keeps what it is told."""

    name: str
    parent: str
    told: dict[str, str | int] = field(default_factory=dict)
    children: list[Kept] = field(default_factory=list)
    error: BaseException | None = None
    ended: int = 0

    def child(self, name: str, _: Kind, attributes: Attributes) -> Kept:
        made = Kept(name, self.name, dict(attributes))
        self.children.append(made)
        return made

    def note(self, attributes: Attributes) -> None:
        self.told.update(attributes)

    def fail(self, error: BaseException) -> None:
        self.error = error

    def headers(self) -> Mapping[str, str]:
        return {"traceparent": self.name}

    def end(self) -> None:
        self.ended += 1


class Keeping:
    """A tracer of such spans."""

    def __init__(self) -> None:
        self.roots: list[Kept] = []

    def serve(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> Kept:
        made = Kept(name, headers.get("traceparent", ""), dict(attributes))
        self.roots.append(made)
        return made


def test_spans_hang_together() -> None:
    """What is opened within a block hangs on it, and notes go to the innermost."""
    tracer = Keeping()
    with serving(tracer, "request", {"traceparent": "far"}, {"a": 1}):
        with span("check", "internal", {"b": 2}):
            note({"c": 3})
            assert trace_headers() == {"traceparent": "check"}
        note({"d": 4})
        assert trace_headers() == {"traceparent": "request"}
    (request,) = tracer.roots
    (check,) = request.children
    assert (request.parent, request.told, request.ended) == ("far", {"a": 1, "d": 4}, 1)
    assert (check.parent, check.told, check.ended) == ("request", {"b": 2, "c": 3}, 1)
    assert trace_headers() == {}


def test_without_a_tracer_nothing_is_recorded() -> None:
    """Blocks run as they are, and requests to others bear no trace."""
    with serving(None, "request", {}, {}), span("check", "internal", {}):
        note({"a": 1})
        note_failure(ValueError("no"))
        assert trace_headers() == {}


def test_an_error_ends_each_span_that_it_leaves() -> None:
    """Each is told of it, once."""
    tracer, error = Keeping(), ValueError("no")
    with (
        pytest.raises(ValueError, match="no"),
        serving(tracer, "request", {}, {}),
        span("check", "internal", {}),
    ):
        raise error
    (request,) = tracer.roots
    (check,) = request.children
    assert request.error is check.error is error
    assert request.ended == check.ended == 1


async def test_work_that_outlives_its_request_hangs_on_it() -> None:
    """A task made within a block opens its spans below it, also when the block has ended."""
    tracer, go = Keeping(), asyncio.Event()

    async def fetch() -> None:
        await go.wait()
        with span("fetch", "internal", {}):
            pass

    with serving(tracer, "request", {}, {}):
        task = asyncio.create_task(fetch())
    go.set()
    await task
    (request,) = tracer.roots
    assert [each.name for each in request.children] == ["fetch"]
