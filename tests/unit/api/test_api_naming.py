"""Names of requests in the control API's answers."""

from __future__ import annotations

import json

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from eagle_node.api.handlers import build_api
from eagle_node.api.schema import Status
from eagle_node.base.errors import Unavailable
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.context import request_id
from tests.unit.api.documents import FixedSource

HEADER = "X-Request-Id"


class Naming(FixedSource):
    """Notes what the request is called while it is worked on, then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    async def status(self) -> Status:
        self.names.append(request_id.get())
        raise Unavailable("the index is closed")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/v1/blobs", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v1/events", 200),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/status", 405),
        ("POST", "/v1/settings", 415),
    ],
)
async def test_every_answer_bears_the_callers_name(method: str, path: str, status: int) -> None:
    """Of whatever route and outcome, event streams too."""
    app = build_api(FixedSource(), Metrics())
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as http,
        http.request(method, server.make_url(path), headers={HEADER: "look-31"}) as answer,
    ):
        assert (answer.status, answer.headers[HEADER]) == (status, "look-31")


async def test_a_problem_and_the_work_have_the_same_name() -> None:
    """The document, the header, and what parts find while they work for the request."""
    source = Naming()
    async with (
        TestServer(build_api(source, Metrics())) as server,
        aiohttp.ClientSession() as http,
    ):
        url = server.make_url("/v1/status")
        for headers in ({HEADER: "look-32"}, {}, {HEADER: "no id\t"}):
            async with http.get(url, headers=headers) as answer:
                problem = json.loads(await answer.read())
                assert problem["request_id"] == answer.headers[HEADER] == source.names[-1]
    assert source.names[0] == "look-32"
    assert len(set(source.names)) == 3
    assert "no id" not in source.names[2]


async def test_a_refused_caller_learns_the_name() -> None:
    """Without the token, too."""
    app = build_api(FixedSource(), Metrics(), token="secret")
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as http,
        http.get(server.make_url("/v1/status"), headers={HEADER: "look-33"}) as answer,
    ):
        assert answer.status == 401
        assert (await answer.json(content_type=None))["request_id"] == "look-33"
        assert answer.headers[HEADER] == "look-33"
