"""The OpenAPI document against what the API really does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from eagle_node.api.codec import to_json
from eagle_node.api.event_log import EventLog
from eagle_node.api.handlers import build_api
from eagle_node.api.openapi import openapi_document
from eagle_node.api.routes import ROUTES, Route
from eagle_node.api.schema import Event, PreheatRequest, SettingChange
from eagle_node.metrics.instruments import Metrics
from tests.unit.api.documents import JOB, FixedSource

DIGEST = "sha256:" + "0" * 64
BODIES = {
    "change": to_json(SettingChange(key="upload-limit", value="5")),
    "preheat": to_json(PreheatRequest(image="a/b:c")),
}
JSON_ROUTES = [route for route in ROUTES if route.media_type == "application/json"]


@asynccontextmanager
async def api() -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a node that has something to tell about everything."""
    app = build_api(FixedSource(), Metrics(), events=EventLog())
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/")) as client:
        yield client


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """Checks values against a schema of the document."""
    return Draft202012Validator({**schema, "components": document["components"]})


def path_of(route: Route) -> str:
    """The route's path with its parts filled in."""
    return route.path.format(digest=DIGEST, action="pin", job=JOB.id)


def test_the_document_is_openapi() -> None:
    """A reader of OpenAPI 3.1 takes it."""
    validate(openapi_document())


async def test_the_document_is_served() -> None:
    """As it is made."""
    async with api() as client, client.get("/v1/openapi.json") as answer:
        assert await answer.json() == openapi_document()


def test_every_route_is_described_and_nothing_else() -> None:
    """The document's operations are those that the application answers."""
    app = build_api(FixedSource(), Metrics())
    served = {
        (route.method, resource.canonical)
        for resource in app.router.resources()
        for route in resource
        if route.method != "HEAD"
    }
    described = {
        (method.upper(), path)
        for path, operations in openapi_document()["paths"].items()
        for method in operations
    }
    assert served == described


@pytest.mark.parametrize("route", JSON_ROUTES, ids=lambda route: route.name)
async def test_every_answer_is_as_described(route: Route) -> None:
    """Its status, its media type, and its body down to the last field."""
    document = openapi_document()
    responses = document["paths"][route.path][route.method.lower()]["responses"]
    body = BODIES.get(route.name, {}) if route.method == "POST" else None
    async with api() as client, client.request(route.method, path_of(route), json=body) as answer:
        assert answer.status == route.status
        told = await answer.json()
    schema = responses[str(route.status)]["content"]["application/json"]["schema"]
    validator(document, schema).validate(told)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_refusal_is_a_problem_as_described(route: Route) -> None:
    """A page elsewhere gets a 403 of every route, and it is a problem document."""
    document = openapi_document()
    responses = document["paths"][route.path][route.method.lower()]["responses"]
    headers = {"Origin": "https://elsewhere.example"}
    async with (
        api() as client,
        client.request(route.method, path_of(route), json={}, headers=headers) as answer,
    ):
        assert answer.status == 403
        told = json.loads(await answer.read())
    schema = responses["403"]["content"]["application/problem+json"]["schema"]
    validator(document, schema).validate(told)


def test_an_event_is_described() -> None:
    """What listeners parse is among the components, and so is each of its parts."""
    document = openapi_document()
    event = Event(id="", time="", kind="log", subject="", text="", job=JOB)
    told = json.loads(json.dumps(to_json(event)))
    validator(document, {"$ref": "#/components/schemas/Event"}).validate(told)


@pytest.mark.parametrize(
    "wrong", [{}, {"key": 1, "value": "x"}, {"key": "x"}, {"key": "x", "value": None}]
)
def test_the_schema_is_as_strict_as_the_node(wrong: dict[str, object]) -> None:
    """A body that the node refuses is no body by the document either."""
    document = openapi_document()
    assert not validator(document, {"$ref": "#/components/schemas/SettingChange"}).is_valid(wrong)


def test_fields_are_explained() -> None:
    """Their docstrings are the descriptions."""
    schemas = openapi_document()["components"]["schemas"]
    assert schemas["CacheStatus"]["properties"]["limit_bytes"]["description"] == "0: no limit."
    assert schemas["Lease"]["description"] == "A role that one node holds for a time."
