"""The control API as its users see it."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from eagle_node.api.codec import from_json
from eagle_node.api.schema import Blobs, Readiness, Status
from eagle_node.base.errors import Unavailable

D = TypeVar("D")


class ApiClient:
    """Asks the node whose control API is at ``url`` (``http://host:port``); an async context.

    Every call raises `Unavailable` when the node does not answer within ``timeout_s`` or answers
    an error, and `BadDocument` when it answers something else than its schema.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
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

    async def blobs(self) -> Blobs:
        """What its cache holds."""
        return from_json(Blobs, await self._get("/v1/blobs"))

    async def ready(self) -> Readiness:
        """Whether it can serve clients, and why not."""
        return from_json(Readiness, await self._get("/readyz", also=503))

    async def _get(self, path: str, *, also: int = 200) -> Any:
        assert self._session is not None, "used outside of its `async with`"
        try:
            async with self._session.get(self.url + path) as answer:
                body, status = await answer.read(), answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = str(error) or "no answer in time"
            raise Unavailable(f"no node answers at {self.url}: {reason}") from error
        try:
            document = json.loads(body)
        except ValueError as error:
            raise Unavailable(f"{self.url}{path} is not a node's API: no JSON came") from error
        if status not in (200, also):
            detail = document.get("detail", "") if isinstance(document, dict) else ""
            raise Unavailable(f"{self.url}{path} answered {status}: {detail}")
        return document
