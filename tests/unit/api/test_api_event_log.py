"""The ring of events."""

from __future__ import annotations

import asyncio

from eagle_node.api.event_log import BACKLOG, KEPT, EventLog, Subscription
from eagle_node.api.schema import Event


def event(number: int) -> Event:
    """An event as a part of the node makes it."""
    return Event(id="", time="", kind="log", subject=str(number), text="")


def filled(count: int) -> EventLog:
    """A log with events 1 to ``count``."""
    events = EventLog(clock=lambda: "2026-01-02T03:04:05.678Z")
    for number in range(1, count + 1):
        events.publish(event(number))
    return events


async def waiting(subscription: Subscription) -> list[Event]:
    """What a listener has not taken yet."""
    found = []
    while (told := await subscription.next(0.0)) is not None:
        found.append(told)
    return found


async def subjects(events: EventLog, *, after: str = "", replay: bool = False) -> list[str]:
    """What a listener that comes now is told of at once."""
    with events.subscribed(after=after, replay=replay) as subscription:
        return [told.subject or told.kind for told in await waiting(subscription)]


async def test_a_new_listener_hears_what_follows() -> None:
    """What was before is told only to those who ask for it."""
    events = filled(2)
    assert await subjects(events) == []
    assert await subjects(events, replay=True) == ["1", "2"]
    with events.subscribed() as subscription:
        events.publish(event(3))
        told = await subscription.next(30.0)
    assert told is not None
    assert (told.subject, told.time) == ("3", "2026-01-02T03:04:05.678Z")


async def test_who_comes_back_gets_what_was_missed() -> None:
    """Exactly the events after the last one that came, whichever that was."""
    events = filled(4)
    with events.subscribed(replay=True) as subscription:
        ids = [told.id for told in await waiting(subscription)]
    assert len(set(ids)) == 4
    for position, last in enumerate(ids):
        assert await subjects(events, after=last) == ["2", "3", "4"][position:]


async def test_a_gap_is_told() -> None:
    """An id of another process, of an event that is no longer kept, or of none at all."""
    events = filled(1)
    with events.subscribed(replay=True) as subscription:
        (first,) = await waiting(subscription)
    for number in range(2, KEPT + 2):
        events.publish(event(number))
    assert len(await subjects(events, after=first.id)) == KEPT
    events.publish(event(0))
    assert await subjects(events, after=first.id) == ["gap"]
    boot = first.id.partition("-")[0]
    for stranger in ("0-1", "nonsense", f"{boot}-99999999", f"{boot}--1", f"{boot}-"):
        assert await subjects(events, after=stranger) == ["gap"]


async def test_a_gap_can_be_resumed_from() -> None:
    """Its id is that of the newest event, so nothing is told twice."""
    events = filled(3)
    with events.subscribed(after="0-1") as subscription:
        (gap,) = await waiting(subscription)
    assert await subjects(events, after=gap.id) == []


async def test_a_slow_listener_gets_a_gap() -> None:
    """It does not make the node keep more and more for it."""
    events = EventLog()
    with events.subscribed() as slow, events.subscribed() as quick:
        for number in range(BACKLOG + 1):
            events.publish(event(number))
            await quick.next(30.0)
        assert [told.kind for told in await waiting(slow)] == ["gap"]


async def test_progress_is_not_kept() -> None:
    """It has no id, and who comes later is not told of it."""
    events = filled(1)
    with events.subscribed() as subscription:
        events.publish(event(9), keep=False)
        (told,) = await waiting(subscription)
    assert told.id == ""
    assert await subjects(events, replay=True) == ["1"]


async def test_listeners_are_let_go_when_the_node_stops() -> None:
    """Also those that wait, and those that come later."""
    events = EventLog()
    with events.subscribed() as subscription:
        waits = asyncio.ensure_future(subscription.next(30.0))
        await asyncio.sleep(0)
        events.close()
        assert await waits is None
        assert subscription.ended
    with events.subscribed() as late:
        assert late.ended
