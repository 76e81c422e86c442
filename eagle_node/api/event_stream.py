"""Events over HTTP."""

from __future__ import annotations

import json
from contextlib import suppress

from aiohttp import hdrs, web

from eagle_node.api.codec import to_json
from eagle_node.api.event_log import EventLog
from eagle_node.api.schema import EVENT_KINDS
from eagle_node.api.sse import BEAT, CONTENT_TYPE, ServerEvent, encode_event
from eagle_node.base.errors import UsageError

BEAT_S = 10.0
"""Silence after which a listener hears that the connection lives."""


async def stream_events(request: web.Request, events: EventLog) -> web.StreamResponse:
    """Events until the listener goes away or the node stops; `UsageError` for an unknown kind."""
    kinds = _kinds(request.query.get("kinds", ""))
    after = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    replay = request.query.get("replay") == "true"
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: CONTENT_TYPE, hdrs.CACHE_CONTROL: "no-cache"}
    )
    subscribed = events.subscribed(after=after, replay=replay)
    with suppress(ConnectionResetError), subscribed as subscription:  # the listener went away
        await response.prepare(request)
        await response.write(BEAT)
        while not subscription.ended:
            event = await subscription.next(BEAT_S)
            if event is None:
                await response.write(BEAT)
            elif not kinds or event.kind in kinds or event.kind == "gap":
                data = json.dumps(to_json(event))
                made = ServerEvent(id=event.id, kind=event.kind, data=data)
                await response.write(encode_event(made))
    return response


def _kinds(text: str) -> frozenset[str]:
    kinds = frozenset(filter(None, text.split(",")))
    if unknown := sorted(kinds - set(EVENT_KINDS)):
        raise UsageError(f"kinds: {unknown[0][:40]!r} is none of {', '.join(EVENT_KINDS)}")
    return kinds
