"""One pull as a collector sees it."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

from tests.support import http
from tests.support.collector import Collector, Told, collector
from tests.support.node import Node, eagle_node
from tests.support.origin import Behaviour, scripted_origin
from tests.support.pulls import blob_url, pull_blob

MIB = 1 << 20
SERVER, CLIENT = 2, 3
"""Kinds of spans (opentelemetry-proto, ``SpanKind``)."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
PROGRAM = ("env", "OTEL_BSP_SCHEDULE_DELAY=50", sys.executable, "-m", "eagle_node")


async def node_id(node: Node) -> str:
    """What its spans bear."""
    return str((await node.status())["node"]["id"])


def below(child: Told, parent: Told) -> bool:
    """Whether ``child`` is part of ``parent``."""
    return (child.trace, child.parent) == (parent.trace, parent.span)


async def test_a_pull_is_one_trace_over_two_nodes_and_the_registry(tmp_path: Path) -> None:
    """From the client's own span, by way of another node's seeder, to the registry's request.

    Where the registry redirects to learns nothing of it.
    """
    async with (
        collector() as traces,
        scripted_origin() as storage,
        scripted_origin() as origin,
        eagle_node(
            tmp_path / "1", *origin.flags, "--otlp-endpoint", traces.url, program=PROGRAM
        ) as first,
        eagle_node(
            tmp_path / "2",
            *[*origin.flags, *first.pins, "--otlp-endpoint", f"{traces.url}/v1/traces"],
            program=PROGRAM,
        ) as second,
    ):
        digest = origin.add_random(MIB)
        storage.add(origin.content(digest))
        origin.always(digest, Behaviour(redirect=storage.url))
        headers = {"traceparent": PARENT, "tracestate": "rojo=1", "X-Request-Id": "pull-88"}
        await pull_blob(second, digest, headers=headers)
        here, there = await node_id(second), await node_id(first)
        (request,) = await traces.wait("client request", trace=TRACE, node=here)
        (stream,) = await traces.wait("seeder stream", trace=TRACE, node=here)
        (answer,) = await traces.wait("seeder Fetch", trace=TRACE, node=there)
        (fetch,) = await traces.wait("origin fetch", trace=TRACE, node=there)
        asked = await traces.wait("registry request", trace=TRACE, node=there, count=2)
        assert request.parent == CALLER
        assert request.kind == SERVER
        assert request.attributes["oci.digest"] == digest
        assert request.attributes["http.response.status_code"] == "200"
        assert request.attributes["eagle.request_id"] == "pull-88"
        assert below(stream, request)
        assert below(answer, stream)
        assert answer.attributes["eagle.request_id"] == "pull-88"
        assert answer.attributes["eagle.node"] == here
        assert below(fetch, answer)
        assert all(below(each, fetch) and each.kind == CLIENT for each in asked)
        (at_origin,) = origin.gets(digest)
        (at_storage,) = storage.gets(digest)
        spans = {f"00-{TRACE}-{each.span}-01" for each in asked}
        assert at_origin.headers["traceparent"] in spans
        assert at_origin.headers["tracestate"] == "rojo=1"
        assert "traceparent" not in at_storage.headers
        assert "tracestate" not in at_storage.headers


async def test_a_hit_is_a_request_and_a_check(tmp_path: Path) -> None:
    """Of a cached blob the client's right is looked up, and nothing is fetched; each client that
    sends no trace begins its own."""
    async with (
        collector() as traces,
        scripted_origin() as origin,
        eagle_node(tmp_path, *origin.flags, "--otlp-endpoint", traces.url, program=PROGRAM) as node,
    ):
        digest = origin.add_random(MIB)
        await pull_blob(node, digest)
        await pull_blob(node, digest, headers={"traceparent": "nonsense"})
        first, second = await traces.wait("client request", count=2)
        assert first.trace != second.trace
        assert first.parent == second.parent == ""
        (check,) = await traces.wait("access check", trace=second.trace)
        assert below(check, second)
        assert {each.name for each in traces.spans if each.trace == second.trace} == {
            "client request",
            "access check",
        }


async def test_no_credentials_reach_the_collector(tmp_path: Path) -> None:
    """Neither what a client shows nor what stands in a query, of right and of refused requests."""
    secret, signature = "s3cr3t-of-a-client", "s1gnature-in-a-query"
    shown = base64.b64encode(f"user:{secret}".encode()).decode()
    async with (
        collector() as traces,
        scripted_origin() as origin,
        eagle_node(tmp_path, *origin.flags, "--otlp-endpoint", traces.url, program=PROGRAM) as node,
        http.client() as session,
    ):
        right, refused = origin.add_random(MIB), origin.add_random(MIB, seed=1)
        origin.always(refused, Behaviour(status=403))
        headers = {"Authorization": f"Basic {shown}", "traceparent": PARENT}
        for digest in (right, refused):
            url = f"{blob_url(node, digest)}&sig={signature}"
            async with session.get(url, headers=headers) as answer:
                await answer.read()
        told = await traces.wait("client request", trace=TRACE, count=2)
        assert {each.attributes["http.response.status_code"] for each in told} == {"200", "403"}
        everything = b"".join(traces.raw)
        for word in (secret, signature, shown):
            assert word.encode() not in everything


async def test_a_failed_request_is_told_as_one(tmp_path: Path) -> None:
    """A client's 5xx is an error, with its cause in words; a 404 is an answer."""
    async with (
        collector() as traces,
        scripted_origin() as origin,
        eagle_node(tmp_path, *origin.flags, "--otlp-endpoint", traces.url, program=PROGRAM) as node,
        http.client() as session,
    ):
        broken, missing = origin.add_random(MIB), origin.add_random(MIB, seed=1)
        origin.always(broken, Behaviour(status=500))
        origin.always(missing, Behaviour(status=404))
        for digest in (broken, missing):
            async with session.get(blob_url(node, digest)) as answer:
                await answer.read()
        told = await traces.wait("client request", count=2)
        assert {each.attributes["oci.digest"]: each.failed for each in told} == {
            broken: True,
            missing: False,
        }
        assert await _last_ones(node, traces)


async def _last_ones(node: Node, traces: Collector) -> bool:
    """Whether a node that stops hands over what it still has."""
    before = len(traces.spans)
    async with http.client() as session, session.get(f"{node.proxy_url}/v2/") as answer:
        assert answer.status == 200
    await node.terminate()
    return len(traces.spans) > before
