"""The control API over real HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from eagle_node.api.client import ApiClient
from eagle_node.api.codec import BadDocument
from eagle_node.api.handlers import build_api
from eagle_node.api.schema import Readiness, Status
from eagle_node.api.source import NodeSource
from eagle_node.base.errors import Unavailable
from eagle_node.metrics.instruments import Metrics
from tests.unit.api.documents import BLOBS, STATUS, FixedSource


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """Serve ``app`` on loopback; its URL."""
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def api(reasons: Sequence[str] = ()) -> AsyncIterator[str]:
    """The API of a node that is not ready for ``reasons``; its URL."""
    source: NodeSource = FixedSource(reasons)
    metrics = Metrics()
    metrics.served("swarm", 7)
    async with served(build_api(source, metrics)) as url:
        yield url


async def test_the_client_reads_what_the_node_tells() -> None:
    """Status and blobs arrive as the source made them."""
    async with api() as url, ApiClient(url + "/") as client:
        assert await client.status() == STATUS
        assert await client.blobs() == BLOBS
        assert await client.ready() == Readiness(ready=True, reasons=())


async def test_a_node_that_is_not_ready_says_why() -> None:
    """``/readyz`` is a 503 problem that lists the reasons; health and status still answer."""
    async with api(["the disk is full", "no seeder"]) as url, aiohttp.ClientSession() as http:
        async with http.get(url + "/readyz") as answer:
            assert answer.status == 503
            assert answer.content_type == "application/problem+json"
            problem = await answer.json(content_type=None)
        assert problem["detail"] == "the disk is full; no seeder"
        assert problem["reasons"] == ["the disk is full", "no seeder"]
        async with http.get(url + "/healthz") as answer:
            assert answer.status == 200
        async with ApiClient(url) as client:
            ready = await client.ready()
            assert ready == Readiness(ready=False, reasons=("the disk is full", "no seeder"))


async def test_metrics_are_prometheus_text() -> None:
    """A scraper gets the instruments of this node, in the format that the header names."""
    async with api() as url, aiohttp.ClientSession() as http, http.get(url + "/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert 'eagle_served_bytes_total{source="swarm"} 7.0' in await answer.text()


async def test_metrics_are_openmetrics_for_those_who_ask() -> None:
    """The header says which format came; with gzip asked for, it comes compressed."""
    wanted = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    async with api() as url, aiohttp.ClientSession(auto_decompress=False) as http:
        headers = {**wanted, "Accept-Encoding": "gzip"}
        async with http.get(url + "/metrics", headers=headers) as answer:
            assert answer.headers["Content-Type"].startswith(
                "application/openmetrics-text; version=1.0.0;"
            )
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Vary"] == "Accept, Accept-Encoding"
            told = gzip.decompress(await answer.read()).decode()
        assert 'eagle_served_bytes_total{source="swarm"} 7.0' in told
        assert told.endswith("# EOF\n")
        headers = {**wanted, "Accept-Encoding": "identity"}
        async with http.get(url + "/metrics", headers=headers) as answer:
            assert "Content-Encoding" not in answer.headers
            assert (await answer.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/v1/nothing", 404, "Not Found"),
        ("POST", "/v1/status", 405, "Method Not Allowed"),
    ],
)
async def test_refusals_are_problem_documents(
    method: str, path: str, status: int, title: str
) -> None:
    """The router's errors are RFC 9457 documents, too."""
    async with (
        api() as url,
        aiohttp.ClientSession() as http,
        http.request(method, url + path) as answer,
    ):
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        problem = await answer.json(content_type=None)
        assert (problem["status"], problem["title"]) == (status, title)
        assert problem["type"] == "about:blank"
        assert problem["instance"] == path
        assert answer.headers.get("Allow", "GET, HEAD") == "GET, HEAD"


async def test_a_source_that_fails_is_a_problem_document() -> None:
    """An error of the node's parts reaches the client as text, not as a broken connection."""

    class Failing(FixedSource):
        async def status(self) -> Status:
            raise Unavailable("the index is closed")

    async with served(build_api(Failing(), Metrics())) as url, ApiClient(url) as client:
        with pytest.raises(Unavailable, match="answered 503: the index is closed"):
            await client.status()


async def test_no_node_is_told_apart_from_another_server(unused_tcp_port: int) -> None:
    """A refused connection, HTML and foreign JSON each have an error that says so."""
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async def foreign(_: web.Request) -> web.Response:
        return web.json_response({"blobs": "many"})

    app.add_routes([web.get("/v1/status", page), web.get("/v1/blobs", foreign)])
    async with served(app) as url, ApiClient(url) as client:
        with pytest.raises(Unavailable, match="not a node's API"):
            await client.status()
        with pytest.raises(BadDocument, match=r"Blobs\.blobs"):
            await client.blobs()
    async with ApiClient(f"http://127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(Unavailable, match="no node answers at"):
            await client.ready()


async def test_a_mistyped_member_of_a_request_is_not_ignored() -> None:
    """``node`` for ``nodes`` would bring an image to all of them."""
    body = {"image": "nginx", "node": "seeders"}
    async with (
        api() as url,
        aiohttp.ClientSession() as http,
        http.post(url + "/v1/preheat", json=body) as answer,
    ):
        problem = await answer.json(content_type=None)
    assert answer.status == 400
    assert problem["detail"] == "the body has nothing called 'node'; did you mean nodes?"
