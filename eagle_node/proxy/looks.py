"""What a file was at its first fetch, and whether it still is: ``POST /eagle/v1/look?url=URL``.

Whoever names no digest trusts the first fetch: what it brings is recorded in this node's store, and
the file is held to that until ``trust=new`` is said. The answer is a JSON object per line: a
``received`` each second while the file is read for the first time, then its ``digest``, ``size``
and ``trust`` (``first``, ``recorded`` or ``new``), or an ``error`` with its ``status``.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Protocol

from aiohttp import hdrs, web

from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.base.sizes import format_size
from eagle_node.metainfo.file_messages import FoundEvent, LookReply
from eagle_node.metainfo.messages import BeatEvent
from eagle_node.registry.errors import oci_error
from eagle_node.registry.file_ref import FileFound, FileRef
from eagle_node.registry.file_store import FileStore, Trusted

PATH = "/eagle/v1/look"


class Looker(Protocol):
    """Who tells what a file is now."""

    def look(self, file: FileRef, authorization: str | None) -> AsyncGenerator[LookReply, None]:
        """Signs of life, then what the file is; raises `Denied` or `Unavailable`."""
        ...


class LookHandler:
    """Answers looks; ``wall_clock`` gives seconds since the epoch, for the record."""

    def __init__(
        self, looker: Looker, store: FileStore, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._looker = looker
        self._store = store
        self._wall_clock = wall_clock

    async def handle(self, request: web.BaseRequest, file: FileRef) -> web.StreamResponse:
        """Lines of JSON; what fails before the first one is raised."""
        trust_new = request.query.get("trust") == "new"
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        response: web.StreamResponse | None = None
        try:
            async with aclosing(self._lines(file, authorization, trust_new=trust_new)) as lines:
                async for line in lines:
                    if response is None:
                        response = web.StreamResponse(
                            headers={hdrs.CONTENT_TYPE: "application/x-ndjson"}
                        )
                        await response.prepare(request)
                    await response.write(_line(line))
        except EagleError as error:
            if response is None:
                raise
            await response.write(_line({"error": str(error), "status": oci_error(error)[0]}))
        assert response is not None, "a look ends with what was found, or an error"
        await response.write_eof()
        return response

    async def _lines(
        self, file: FileRef, authorization: str | None, *, trust_new: bool
    ) -> AsyncGenerator[dict[str, Any], None]:
        trusted = await self._store.trusted(file.name)
        try:
            async with aclosing(self._looker.look(file, authorization)) as replies:
                async for reply in replies:
                    match reply:
                        case BeatEvent(received=received):
                            yield {"received": received}
                        case FoundEvent(digest=digest, size=size):
                            found = FileFound(digest=digest, size=size)
                            trust = judge(file, trusted, found, trust_new=trust_new)
                            if trust != "recorded":
                                await self._store.trust(file.name, self._now(found))
                            yield {"digest": digest, "size": size, "trust": trust}
        except Unavailable:
            # Whether this reader may have it is asked again before the first byte.
            if trusted is None or trust_new:
                raise
            yield {"digest": trusted.digest, "size": trusted.size, "trust": "recorded"}

    def _now(self, found: FileFound) -> Trusted:
        at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self._wall_clock()))
        return Trusted(digest=found.digest, size=found.size, at=at)


def judge(file: FileRef, trusted: Trusted | None, found: FileFound, *, trust_new: bool) -> str:
    """How what was found is trusted: ``first``, ``recorded`` or ``new``; `Denied` if it is not."""
    if trusted is None:
        return "first"
    if trusted.digest == found.digest:
        return "recorded"
    if trust_new:
        return "new"
    raise Denied(
        f"{file} is not what it was: at its first fetch through this node, on {trusted.at}, it was "
        f"{trusted.digest} ({format_size(trusted.size)}), now it is {found.digest} "
        f"({format_size(found.size)}); if its owner has changed it, accept that with --trust-new; "
        "if not, take what is known with --digest",
        status=409,
        code="DENIED",
    )


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"
