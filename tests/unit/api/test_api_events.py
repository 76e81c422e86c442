"""Events over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from aiohttp import web

from eagle_node.api.client import ApiClient, Refused
from eagle_node.api.event_log import EventLog
from eagle_node.api.handlers import build_api
from eagle_node.api.schema import Event, LogLine
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp
from tests.unit.api.documents import FixedSource


def line(text: str, kind: str = "log") -> Event:
    """A log line, or something that is none."""
    log = LogLine(level="info", logger="tests", request="r1") if kind == "log" else None
    return Event(id="", time="", kind=kind, subject="s", text=text, log=log)


@asynccontextmanager
async def node(events: EventLog, port: int = 0) -> AsyncIterator[int]:
    """An API that tells ``events``; its port."""
    runner = web.AppRunner(build_api(FixedSource(), Metrics(), events=events))
    await runner.setup()
    listener = listen_tcp(Address("127.0.0.1", port), flag="--api-listen")
    try:
        await web.SockSite(runner, listener).start()
        yield bound_address(listener).port
    finally:
        await runner.cleanup()


async def test_events_arrive_whole_and_in_order() -> None:
    """With everything that they hold; newlines and other alphabets included."""
    events = EventLog()
    for text in ("first\nline", "zweite Zeile: ü", ""):
        events.publish(line(text))
    async with (
        node(events) as port,
        ApiClient(f"http://127.0.0.1:{port}") as client,
        aclosing(client.events(replay=True)) as told,
    ):
        found = [await anext(told) for _ in range(3)]
    assert [event.text for event in found] == ["first\nline", "zweite Zeile: ü", ""]
    assert found[0].log == LogLine(level="info", logger="tests", request="r1")


async def test_kinds_are_chosen() -> None:
    """A listener hears of the kinds that it named; an unknown one is refused."""
    events = EventLog()
    for kind in ("log", "lease-moved", "log", "blob-added"):
        events.publish(line("", kind))
    async with node(events) as port, ApiClient(f"http://127.0.0.1:{port}") as client:
        kinds = ("blob-added", "lease-moved")
        async with aclosing(client.events(kinds=kinds, replay=True)) as told:
            assert [(await anext(told)).kind for _ in kinds] == ["lease-moved", "blob-added"]
        async with aclosing(client.events(kinds=("nonsense",))) as told:
            with pytest.raises(Refused, match="'nonsense' is none of") as caught:
                await anext(told)
    assert caught.value.status == 400


async def test_a_broken_stream_is_taken_up_where_it_broke() -> None:
    """What happened meanwhile comes first, once; the client tells when it lost the node."""
    events = EventLog()
    states: list[bool] = []
    client = None
    async with node(events) as port:
        client = ApiClient(f"http://127.0.0.1:{port}")
        await client.__aenter__()
        told = client.events(replay=True, state=lambda lost: states.append(lost is None))
        events.publish(line("1"))
        assert (await anext(told)).text == "1"
    events.publish(line("2"))
    again = EventLog()
    again.__dict__.update(events.__dict__, _closed=False)
    async with node(again, port):
        assert (await anext(told)).text == "2"
        again.publish(line("3"))
        assert (await anext(told)).text == "3"
        await told.aclose()
    await client.__aexit__(None, None, None)
    assert states[0]
    assert False in states
    assert states[-1]


async def test_another_process_at_the_same_address_is_a_gap() -> None:
    """The node was restarted: what the client knows of it may be wrong."""
    async with node(first := EventLog()) as port:
        first.publish(line("1"))
        client = ApiClient(f"http://127.0.0.1:{port}")
        await client.__aenter__()
        told = client.events(replay=True)
        assert (await anext(told)).text == "1"
    async with node(EventLog(), port):
        assert (await anext(told)).kind == "gap"
        await told.aclose()
    await client.__aexit__(None, None, None)
