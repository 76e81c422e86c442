"""A small trace collector: takes spans over OTLP/HTTP and tells of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One span, and the node that it is from."""

    name: str
    node: str
    trace: str
    """32 hex digits."""
    span: str
    """16 hex digits."""
    parent: str
    """16 hex digits; empty: the trace begins here."""
    kind: int
    failed: bool
    attributes: dict[str, str]


class Collector:
    """All spans so far, and the bytes that they came in."""

    def __init__(self) -> None:
        self.url = ""
        """Base URL, as ``--otlp-endpoint`` takes it."""
        self.spans: list[Told] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        """Of each request."""
        self._changed = asyncio.Condition()

    async def wait(
        self, name: str, *, trace: str = "", node: str = "", count: int = 1
    ) -> list[Told]:
        """The spans of this name (and trace, and node), once there are ``count``."""

        def found() -> list[Told]:
            return [
                each
                for each in self.spans
                if each.name == name
                and (not trace or each.trace == trace)
                and (not node or each.node == node)
            ]

        async with self._changed, asyncio.timeout(PATIENCE_S):
            await self._changed.wait_for(lambda: len(found()) >= count)
        return found()

    async def take(self, request: web.Request) -> web.Response:
        """``POST /v1/traces``."""
        body = await request.read()
        message = ExportTraceServiceRequest.FromString(body)
        async with self._changed:
            self.raw.append(body)
            self.headers.append(dict(request.headers))
            for resource in message.resource_spans:
                about = _attributes(resource.resource.attributes)
                for scope in resource.scope_spans:
                    self.spans += [
                        Told(
                            name=each.name,
                            node=about["service.instance.id"],
                            trace=each.trace_id.hex(),
                            span=each.span_id.hex(),
                            parent=each.parent_span_id.hex(),
                            kind=each.kind,
                            failed=each.status.code == each.status.STATUS_CODE_ERROR,
                            attributes=_attributes(each.attributes),
                        )
                        for each in scope.spans
                    ]
            self._changed.notify_all()
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def collector(port: int = 0) -> AsyncIterator[Collector]:
    """A collector on loopback while the block lasts."""
    made = Collector()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


def _attributes(pairs: object) -> dict[str, str]:
    """Values as text."""
    told: dict[str, str] = {}
    for pair in pairs:  # type: ignore[attr-defined]
        kind = pair.value.WhichOneof("value")
        told[pair.key] = str(getattr(pair.value, kind)) if kind else ""
    return told
