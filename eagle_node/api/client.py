"""The control API as its users see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from yarl import URL

from eagle_node.api.codec import from_json, to_json
from eagle_node.api.schema import (
    BlobAction,
    Blobs,
    Event,
    History,
    Members,
    PreheatJob,
    PreheatJobs,
    PreheatRequest,
    Readiness,
    SettingChange,
    Settings,
    Status,
    Transfers,
)
from eagle_node.api.sse import EventParser
from eagle_node.base.errors import NoAnswer, Unavailable
from eagle_node.runtime.sockets import in_words

D = TypeVar("D")

SILENCE_S = 30.0
"""An event stream that is silent for so long (three beats) is broken."""
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Before attempts to connect again, the last one for good."""


class Refused(Unavailable):
    """The node has answered that it does not do this; ``status`` and ``detail`` say why."""

    def __init__(self, message: str, *, status: int, detail: str) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class ApiClient:
    """Asks the node whose control API is at ``url`` (``http://host:port``); an async context.

    Every call raises `Unavailable` when the node does not answer within ``timeout_s``, `Refused`
    when it answers an error, and `BadDocument` when it answers something else than its schema.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def status(self) -> Status:
        """The node's state now."""
        return from_json(Status, await self._get("/v1/status"))

    async def members(self) -> Members:
        """The nodes of its cluster."""
        return from_json(Members, await self._get("/v1/members"))

    async def transfers(self) -> Transfers:
        """What moves through it."""
        return from_json(Transfers, await self._get("/v1/transfers"))

    async def history(self) -> History:
        """Its rates of the last minutes."""
        return from_json(History, await self._get("/v1/history"))

    async def blobs(
        self,
        *,
        text: str = "",
        sort: str = "recency",
        limit: int | None = None,
        offset: int = 0,
    ) -> Blobs:
        """What its cache holds: blobs whose digest or image holds ``text``.

        ``sort``: ``recency``, ``size``, ``image`` or ``digest``, with a minus for the reverse.
        """
        query: dict[str, str] = {"sort": sort, "offset": str(offset)}
        query |= {"q": text} if text else {}
        query |= {"limit": str(limit)} if limit is not None else {}
        return from_json(Blobs, await self._get("/v1/blobs", query=query))

    async def act(self, digest: str, action: str) -> BlobAction:
        """``pin``, ``unpin``, ``evict`` or ``verify`` a blob; waits until it is done."""
        path = f"/v1/blobs/{digest}/{action}"
        return from_json(BlobAction, await self._post(path, {}, patient=True))

    async def settings(self) -> Settings:
        """What can be changed."""
        return from_json(Settings, await self._get("/v1/settings"))

    async def change(self, key: str, value: str) -> Settings:
        """Change one setting."""
        change = SettingChange(key=key, value=value)
        return from_json(Settings, await self._post("/v1/settings", to_json(change), patient=True))

    async def preheat(self, image: str, *, nodes: str = "all", platform: str = "") -> PreheatJob:
        """Begin to bring an image to nodes."""
        request = PreheatRequest(image=image, nodes=nodes, platform=platform)
        return from_json(PreheatJob, await self._post("/v1/preheat", to_json(request)))

    async def preheat_jobs(self) -> PreheatJobs:
        """The node's preheat jobs, newest first."""
        return from_json(PreheatJobs, await self._get("/v1/preheat"))

    async def preheat_job(self, number: int) -> PreheatJob:
        """One of them."""
        return from_json(PreheatJob, await self._get(f"/v1/preheat/{number}"))

    async def cancel_preheat(self, number: int) -> PreheatJob:
        """Stop one of them."""
        return from_json(PreheatJob, await self._post(f"/v1/preheat/{number}/cancel", {}))

    async def ready(self) -> Readiness:
        """Whether it can serve clients, and why not."""
        return from_json(Readiness, await self._get("/readyz", also=503))

    async def events(
        self,
        *,
        kinds: Iterable[str] = (),
        replay: bool = False,
        state: Callable[[str | None], None] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Events for as long as the caller likes: a connection that breaks is made again.

        What was missed meanwhile comes first, or a ``gap`` when the node does not have it any more.
        ``replay`` begins with the last minutes. ``state`` is called with None once connected, and
        with the reason each time that the connection is lost or cannot be made.
        """
        last, attempt = "", 0
        while True:
            query = {"kinds": ",".join(kinds), "replay": "true" if replay else "false"}
            try:
                async for event in self._stream(query, last, state):
                    attempt = 0
                    last = event.id or last
                    yield event
                reason = "the node has ended the stream"
            except Refused:
                raise
            except Unavailable as error:
                reason = str(error)
            if state is not None:
                state(reason)
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1

    async def _stream(
        self, query: Mapping[str, str], after: str, state: Callable[[str | None], None] | None
    ) -> AsyncGenerator[Event, None]:
        """The events of one connection."""
        parser = EventParser()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=SILENCE_S)
        headers = {"Last-Event-ID": after} if after else {}
        url = URL(f"{self.url}/v1/events").with_query(query)
        try:
            async with self._opened().get(url, timeout=timeout, headers=headers) as answer:
                if answer.status != 200:
                    raise _refused(url.path, self.url, answer.status, await answer.read())
                if state is not None:
                    state(None)
                async for chunk in answer.content.iter_any():
                    for told in parser.feed(chunk):
                        yield from_json(Event, json.loads(told.data))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(f"no events come from {self.url}: {in_words(error)}") from error

    def _opened(self) -> aiohttp.ClientSession:
        assert self._session is not None, "used outside of its `async with`"
        return self._session

    async def _get(
        self, path: str, *, also: int = 200, query: Mapping[str, str] | None = None
    ) -> Any:
        return await self._ask("GET", path, also=also, params=query)

    async def _post(self, path: str, body: Mapping[str, Any], *, patient: bool = False) -> Any:
        timeout = aiohttp.ClientTimeout(total=None if patient else self._timeout.total)
        return await self._ask("POST", path, also=202, json=body, timeout=timeout)

    async def _ask(self, method: str, path: str, *, also: int, **options: Any) -> Any:
        try:
            async with self._opened().request(method, self.url + path, **options) as answer:
                body, status = await answer.read(), answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise NoAnswer(f"no node answers at {self.url}: {in_words(error)}") from error
        if status not in (200, also):
            raise _refused(path, self.url, status, body)
        return _decoded(path, self.url, body)


def _decoded(path: str, url: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Unavailable(f"{url}{path} is not a node's API: no JSON came") from error


def _refused(path: str, url: str, status: int, body: bytes) -> Refused:
    document = _decoded(path, url, body)
    detail = str(document.get("detail", "")) if isinstance(document, dict) else ""
    return Refused(f"{url}{path} answered {status}: {detail}", status=status, detail=detail)
