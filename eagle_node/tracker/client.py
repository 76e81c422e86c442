"""The nodes' side of the tracker's JSON calls."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.base.rendezvous import ranked
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.sockets import in_words
from eagle_node.tracker.errand_schema import (
    Errand,
    Report,
    parse_errands,
    parse_nodes,
    parse_progress,
    render_errand,
    render_pick_up,
    render_withdrawal,
)
from eagle_node.tracker.fields import Malformed
from eagle_node.tracker.schema import (
    HOLD_S,
    Advert,
    Holder,
    NodeInfo,
    PeerAddress,
    Plan,
    PlanRequest,
    parse_advert_reply,
    parse_holders,
    parse_plan,
    render_advert,
    render_plan_request,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession

log = logging.getLogger(__name__)

_FAITHFUL_S = 60.0
"""How long the tracker that planned a blob last is asked for it first: two trackers that plan
parts of one wave have its nodes wait for each other."""
_SETTLED_S = 10.0
"""How long a tracker must have been known before blobs are left with it. Several that are elected
at once are heard of one by one, in any order: nodes that kept to their first would part a wave."""
_LOOK_S = 0.5
"""Until a question that is held back is put to a tracker that has come before the asked one."""
_MOST_FAITHFUL = 1024
"""Blobs of which that is remembered."""
_FIRST_BACKOFF_S = 1.0
_LAST_BACKOFF_S = 60.0


@dataclass(slots=True)
class _Standing:
    """How a tracker has behaved towards us."""

    known_since: float
    """When this node heard of it; one that comes back is as new."""
    failures: int = 0
    """Calls in a row that failed."""
    rest_until: float = 0.0
    """Asked for plans only after the others, and not told of adverts, until then."""
    behind: bool = True
    """Lacks an advert that we sent, or never had a full one."""
    errands: bool = False
    """Has said that something waits for us."""
    gauges: tuple[PeerAddress, ...] = ()
    """Against whom we should measure our link."""

    def failed(self, now: float) -> None:
        """Rest, twice as long each time."""
        pause = min(_LAST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(self.failures, 10))
        self.failures += 1
        self.rest_until = now + pause

    def answered(self) -> None:
        """Trusted again."""
        self.failures, self.rest_until = 0, 0.0


class TrackerClient:
    """Calls the trackers whose base URLs ``trackers`` gives at the time; ``async with`` closes it.

    ``open_session`` makes the HTTP session (TLS, connection limits); its connections are kept.
    Every call to one tracker has ``timeout_s`` seconds.
    """

    def __init__(
        self,
        trackers: Callable[[], Sequence[str]],
        *,
        open_session: Callable[[], ClientSession] | None = None,
        timeout_s: float = 2.0,
        clock: Clock = monotonic,
    ) -> None:
        self._trackers = trackers
        self._open_session = open_session or _open_session
        self._timeout_s = timeout_s
        self._clock = clock
        self._session: ClientSession | None = None
        self._standings: dict[str, _Standing] = {}
        self._planned_by: dict[Digest, tuple[str, float]] = {}
        """Who planned a blob last, and when; the latest last."""

    async def __aenter__(self) -> Self:
        self._session = self._open_session()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def order(self, digest: Digest) -> list[str]:
        """Trackers in the order to ask about ``digest``: all nodes ask the same one first."""
        return self._in_order(digest)

    async def plan(self, request: PlanRequest, *, done: Callable[[], int] | None = None) -> Plan:
        """Peers for a blob, by the tracker that planned it last; `Unavailable` when none answers.

        With ``after`` set it takes until the plan has changed, `HOLD_S` at the most; another
        tracker may be asked meanwhile. ``done`` says how many segments the node has by then: that
        tracker puts in their order by it who waited with another one.
        """
        errors: dict[str, str] = {}
        for url in self._planners(request.digest):
            if done is not None:
                request = replace(request, done=done())
            try:
                answer = await self._planned(url, request, errors)
                if answer is None:
                    return await self.plan(request, done=done)
                plan = parse_plan(answer)
                self._keep_to(url, request.digest)
                return plan
            except (Unavailable, Malformed) as error:
                errors[url] = str(error)
        raise Unavailable("no tracker answers: " + ("; ".join(errors.values()) or "none is known"))

    async def advertise(self, advert: Advert) -> bool:
        """Tell all trackers what this node holds; `Unavailable` when none takes it.

        True asks for a full advert: a tracker has missed something, or does not know this node.
        Trackers that rest after failures are left out; they ask for a full one once they are back.
        """
        now, body, urls = self._clock(), render_advert(advert), self._urls()
        awake = {url for url in urls if self._awake(url, now)}
        for url in urls - awake:
            self._standing(url).behind = True
        errors = await asyncio.gather(*(self._tell(url, advert.full, body) for url in awake))
        if None not in errors:
            reasons = "; ".join(error for error in errors if error) or "none is known, or all rest"
            raise Unavailable(f"no tracker takes adverts: {reasons}")
        return any(self._standing(url).behind for url in awake if self._awake(url, now))

    def with_errands(self) -> list[str]:
        """Trackers that said, in answer to the latest advert, that something waits for us."""
        return [url for url in self._urls() if self._standing(url).errands]

    def gauges(self) -> list[PeerAddress]:
        """Against whom this node should measure its link, as trackers said at the latest advert."""
        named = (peer for url in sorted(self._urls()) for peer in self._standing(url).gauges)
        return list(dict.fromkeys(named))

    async def holders(self, digest: Digest, node: NodeInfo) -> tuple[Holder, ...]:
        """Who has a blob or segments of it, those nearest to ``node`` first; `Unavailable`.

        Trackers that rest are left out: this is not worth waiting for.
        """
        errors = []
        query = urlencode({"group": node.group, "near": node.node_id})
        for url in self.order(digest):
            if not self._awake(url, self._clock()):
                errors.append(f"tracker {url} rests")
                continue
            try:
                return parse_holders(await self._call(url, f"/v1/holders/{digest}?{query}", None))
            except (Unavailable, Malformed) as error:
                errors.append(str(error))
        raise Unavailable("no tracker answers: " + ("; ".join(errors) or "none is known"))

    async def nodes(self) -> list[NodeInfo]:
        """The live nodes, as the first tracker that answers knows them."""
        errors = []
        for url in self._in_order("nodes"):
            try:
                return parse_nodes(await self._call(url, "/v1/nodes", None))
            except (Unavailable, Malformed) as error:
                errors.append(str(error))
        raise Unavailable("no tracker answers: " + ("; ".join(errors) or "none is known"))

    async def leave_errand(self, errand: Errand) -> dict[NodeId, Report]:
        """Leave or renew an errand; what its targets have reported to the tracker that has it."""
        body, errors = render_errand(errand), []
        for url in self._in_order(errand.id):
            try:
                return parse_progress(await self._call(url, "/v1/errands", body))
            except (Unavailable, Malformed) as error:
                errors.append(str(error))
        raise Unavailable("no tracker takes errands: " + ("; ".join(errors) or "none is known"))

    async def withdraw_errand(self, errand_id: str) -> None:
        """Have all trackers forget an errand; those that do not answer forget it by themselves."""
        body = render_withdrawal(errand_id)
        calls = (self._call(url, "/v1/errands/withdraw", body) for url in self._urls())
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Unavailable):
                raise outcome

    async def pick_up(self, url: str, node: NodeId, reports: Iterable[Report]) -> list[Errand]:
        """Report to a tracker; what waits there for this node, done or not."""
        body = render_pick_up(node, reports)
        try:
            return parse_errands(await self._call(url, "/v1/errands/pick-up", body))
        except Malformed as error:
            raise Unavailable(f"tracker {url}: {error}") from error

    async def _planned(
        self, url: str, request: PlanRequest, before: Collection[str]
    ) -> bytes | None:
        """What one tracker answers, after those ``before``; None once another one precedes it."""
        body = render_plan_request(request)
        if not request.after:
            return await self._call(url, "/v1/plan", body)
        call = self._call(url, "/v1/plan", body, self._timeout_s + HOLD_S)
        answer = asyncio.create_task(call, name="held plan")
        try:
            while not (await asyncio.wait([answer], timeout=_LOOK_S))[0]:
                left = (each for each in self._planners(request.digest) if each not in before)
                if next(left, url) != url:
                    return None
            return await answer
        finally:
            answer.cancel()

    def _planners(self, digest: Digest) -> list[str]:
        """The trackers to ask for a plan, in their order: a settled one that planned it first."""
        now, order = self._clock(), self.order(digest)
        last, when = self._planned_by.get(digest, ("", 0.0))
        if (
            last in order
            and now - when < _FAITHFUL_S
            and now - self._standing(last).known_since >= _SETTLED_S
            and self._awake(last, now)
        ):
            order.remove(last)
            order.insert(0, last)
        return order

    def _keep_to(self, url: str, digest: Digest) -> None:
        self._planned_by.pop(digest, None)
        self._planned_by[digest] = url, self._clock()
        if len(self._planned_by) > _MOST_FAITHFUL:
            del self._planned_by[next(iter(self._planned_by))]

    def _in_order(self, key: str) -> list[str]:
        now = self._clock()
        return sorted(
            ranked(key, self._urls()), key=lambda url: self._standing(url).rest_until > now
        )

    async def _tell(self, url: str, full: bool, body: bytes) -> str | None:
        """Send an advert to one tracker; what went wrong, if anything."""
        standing = self._standing(url)
        try:
            reply = parse_advert_reply(await self._call(url, "/v1/advertise", body))
        except (Unavailable, Malformed) as error:
            standing.behind = True
            return str(error)
        standing.behind = not full and (standing.behind or reply.want_full)
        standing.errands, standing.gauges = reply.errands, reply.gauges
        return None

    async def _call(
        self, url: str, path: str, body: bytes | None, timeout_s: float | None = None
    ) -> bytes:
        """What a POST of ``body`` is answered, or a GET when there is none."""
        from aiohttp import ClientError, ClientTimeout

        assert self._session is not None, "used outside of its `async with`"
        standing, headers = self._standing(url), {"Content-Type": "application/json"}
        timeout = ClientTimeout(total=timeout_s or self._timeout_s)
        try:
            async with self._session.request(
                "GET" if body is None else "POST",
                url + path,
                data=None if body is None else io.BytesIO(body),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                answer = await response.read()
        except (ClientError, TimeoutError) as error:
            self._fail(url, in_words(error))
            raise Unavailable(f"tracker {url}: {in_words(error)}") from error
        if response.status >= 500:
            self._fail(url, f"status {response.status}")
        if response.status != 200:
            raise Unavailable(f"tracker {url}: status {response.status}: {answer[:200]!r}")
        if standing.failures:
            log.info("tracker %s answers again", url)
        standing.answered()
        return answer

    def _fail(self, url: str, why: str) -> None:
        standing = self._standing(url)
        if not standing.failures:
            log.warning("tracker %s does not answer: %s", url, why)
        standing.failed(self._clock())

    def _awake(self, url: str, now: float) -> bool:
        return self._standing(url).rest_until <= now

    def _urls(self) -> set[str]:
        urls = {url.rstrip("/") for url in self._trackers()}
        for gone in self._standings.keys() - urls:
            del self._standings[gone]
        return urls

    def _standing(self, url: str) -> _Standing:
        return self._standings.setdefault(url, _Standing(self._clock()))


def _open_session() -> ClientSession:
    from aiohttp import ClientSession, DummyCookieJar

    return ClientSession(cookie_jar=DummyCookieJar())
