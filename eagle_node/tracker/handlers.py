"""The tracker over HTTP: JSON for nodes, announces and scrapes for BitTorrent clients.

JSON errors are RFC 9457 problem documents; announces fail as BEP 3 says, with status 200.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aiohttp import web

from eagle_node.base.digest import parse_digest
from eagle_node.base.errors import BadDigest, EagleError
from eagle_node.config.tree import TrackerConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.tracker.directory import Directory
from eagle_node.tracker.errand_schema import (
    parse_errand,
    parse_pick_up,
    parse_withdrawal,
    render_errands,
    render_nodes,
    render_progress,
)
from eagle_node.tracker.errands import ErrandBoard
from eagle_node.tracker.fields import MAX_BODY, Malformed
from eagle_node.tracker.schema import (
    AdvertReply,
    parse_advert,
    parse_plan_request,
    render_advert_reply,
    render_holders,
    render_plan,
)
from eagle_node.tracker.wire import (
    parse_announce,
    parse_scrape,
    render_announce,
    render_failure,
    render_scrape,
)

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

log = logging.getLogger(__name__)

_BIG = 64 << 10
"""Bodies above this many bytes are parsed off the event loop."""


class TrackerService:
    """Answers nodes and BitTorrent clients. ``async with`` opens its table; ``app`` serves it.

    ``database_path`` None keeps holdings in memory only; ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        config: TrackerConfig,
        metrics: Metrics,
        database_path: Path | None,
        clock: Clock = monotonic,
    ) -> None:
        self._interval_s = config.interval_s
        self._metrics = metrics
        self._directory = Directory(config, database_path, clock)
        self._errands = ErrandBoard()
        self._clock = clock

    async def __aenter__(self) -> Self:
        await self._directory.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._directory.__aexit__(*error)

    def app(self) -> web.Application:
        """A fresh application with all routes."""
        app = web.Application(middlewares=[_problems], client_max_size=MAX_BODY)
        app.router.add_get("/announce", self._announce, allow_head=False)
        app.router.add_get("/scrape", self._scrape, allow_head=False)
        app.router.add_post("/v1/plan", self._plan)
        app.router.add_post("/v1/advertise", self._advertise)
        app.router.add_get("/v1/holders/{digest}", self._holders)
        app.router.add_get("/v1/nodes", self._nodes)
        app.router.add_post("/v1/errands", self._leave_errand)
        app.router.add_post("/v1/errands/pick-up", self._pick_up_errands)
        app.router.add_post("/v1/errands/withdraw", self._withdraw_errand)
        app.router.add_get("/healthz", _healthz)
        return app

    async def expire(self) -> None:
        """Forget who missed two intervals now, not at the next sweep."""
        await self._directory.expire()

    async def _plan(self, request: web.Request) -> web.Response:
        asked = parse_plan_request(await request.read())
        plan = await self._directory.plan(asked)
        log.debug(
            "plan of %s for %s: %s%s",
            asked.digest[7:19],
            asked.node.host,
            " / ".join(" ".join(peer.host for peer in peers) for peers in plan.stripes),
            f", {len(asked.failed)} failed" if asked.failed else "",
        )
        self._metrics.tracker_plans.inc()
        return _json(render_plan(plan))

    async def _advertise(self, request: web.Request) -> web.Response:
        body = await request.read()
        if len(body) > _BIG:
            advert = await asyncio.to_thread(parse_advert, body)
        else:
            advert = parse_advert(body)
        want_full = await self._directory.advertise(advert)
        errands = self._errands.waits_for(advert.node.node_id)
        gauges = self._directory.gauges_for(advert.node.node_id)
        reply = AdvertReply(want_full=want_full, errands=errands, gauges=gauges)
        return _json(render_advert_reply(reply))

    async def _nodes(self, _: web.Request) -> web.Response:
        return _json(render_nodes(self._directory.nodes()))

    async def _leave_errand(self, request: web.Request) -> web.Response:
        errand = parse_errand(await request.read())
        reports = self._errands.leave(errand, self._clock())
        if reports is None:
            raise web.HTTPServiceUnavailable(text="too many errands wait here")
        return _json(render_progress(reports))

    async def _pick_up_errands(self, request: web.Request) -> web.Response:
        node, reports = parse_pick_up(await request.read())
        return _json(render_errands(self._errands.pick_up(node, reports, self._clock())))

    async def _withdraw_errand(self, request: web.Request) -> web.Response:
        self._errands.withdraw(parse_withdrawal(await request.read()))
        return _json(b"{}")

    async def _holders(self, request: web.Request) -> web.Response:
        try:
            digest = parse_digest(request.match_info["digest"])
        except BadDigest as error:
            raise Malformed(f"digest: {error}") from error
        group = request.query.get("group", "")
        near = request.query.get("near", "")
        return _json(render_holders(await self._directory.holders(digest, group, near)))

    async def _announce(self, request: web.Request) -> web.Response:
        self._metrics.tracker_announces.inc()
        try:
            announce = parse_announce(_raw_query(request), request.remote or "")
        except Malformed as error:
            return _bencoded(render_failure(str(error)))
        answer = await self._directory.announce(announce)
        if answer is None:
            return _bencoded(render_failure("unknown torrent"))
        peers, tally = answer
        return _bencoded(render_announce(announce, peers, tally, self._interval_s))

    async def _scrape(self, request: web.Request) -> web.Response:
        try:
            hashes = parse_scrape(_raw_query(request))
        except Malformed as error:
            return _bencoded(render_failure(str(error)))
        tallies = [(info_hash, await self._directory.scrape(info_hash)) for info_hash in hashes]
        known = [(info_hash, tally) for info_hash, tally in tallies if tally is not None]
        return _bencoded(render_scrape(known))


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Malformed as error:
        return _problem(400, "Bad Request", str(error))
    except EagleError as error:
        return _problem(503, "Service Unavailable", f"this tracker cannot: {error}")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _problem(error.status, error.reason, error.text or error.reason)


def _problem(status: int, title: str, detail: str) -> web.Response:
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.Response(
        status=status, body=json.dumps(document), content_type="application/problem+json"
    )


def _raw_query(request: web.Request) -> str:
    """The query as sent: a parsed URL would take info-hashes for text."""
    return request.raw_path.partition("?")[2]


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _bencoded(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="text/plain")
