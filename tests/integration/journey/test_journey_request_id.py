"""One name for a request, from the client over two nodes to the registry."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import Behaviour, scripted_origin
from tests.support.pulls import blob_url, pull_blob

MIB = 1 << 20


def named(node: Node) -> set[str]:
    """Requests that the node's log lines name."""
    lines = (line for line in node.log().splitlines() if line.startswith("{"))
    return {json.loads(line).get("request", "") for line in lines}


async def test_a_request_keeps_its_name(tmp_path: Path) -> None:
    """The client's id reaches the registry through another node's seeder."""
    async with (
        scripted_origin() as origin,
        eagle_node(tmp_path / "first", *origin.flags) as first,
        eagle_node(tmp_path / "second", *origin.flags, *first.pins) as second,
    ):
        digest = origin.add_random(MIB)
        await pull_blob(second, digest, headers={"X-Request-Id": "pull-7731"})
        seen = {request.headers.get("X-Request-Id") for request in origin.gets(digest)}
        assert seen == {"pull-7731"}


async def test_an_error_tells_the_name_that_the_log_has(tmp_path: Path) -> None:
    """A made id, when the client's is missing or no id, is in the answer and in JSON log lines."""
    async with (
        scripted_origin() as origin,
        eagle_node(tmp_path, *origin.flags, "--log-format", "json") as node,
    ):
        digest = origin.add_random(MIB)
        origin.always(digest, Behaviour(status=404))
        told = set()
        for headers in ({}, {"X-Request-Id": "no id"}, {"X-Request-Id": "mine-1"}):
            async with (
                http.client() as session,
                session.get(blob_url(node, digest), headers=headers) as answer,
            ):
                assert answer.status == 404
                told.add(answer.headers["X-Request-Id"])
        assert len(told) == 3
        assert "mine-1" in told
        assert "no id" not in told
        assert told <= named(node)
