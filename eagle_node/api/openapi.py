"""The control API's description (OpenAPI 3.1), made of its routes and schema. No IO."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from eagle_node import __version__
from eagle_node.api.field_docs import class_doc, field_docs
from eagle_node.api.routes import ROUTES, Parameter, Route
from eagle_node.api.schema import Problem
from eagle_node.runtime.context import REQUEST_ID_HEADER

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_NAMED = {
    REQUEST_ID_HEADER: {
        "description": "The request's name in log lines: the caller's, or a made one.",
        "schema": {"type": "string"},
    }
}
_OF_EVERY_ROUTE = {
    403: "Not for web pages of others, nor by a foreign name.",
    503: "The node cannot do it now.",
}
_REFUSALS = {
    400: "What was asked for makes no sense.",
    401: "The token is missing or wrong.",
    404: "There is no such thing.",
    409: "Not in the state that it is in.",
    415: "The body is not application/json.",
    429: "Too much at a time.",
    503: "Not now; the problem says why.",
}


def openapi_document() -> dict[str, Any]:
    """The document; every dataclass that a route names is among its components."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    _component(Problem, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "eagle-node control API",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": [{}] if route.open else [{}, {"token": []}],
        "responses": _responses(route, schemas),
    }
    if route.parameters:
        operation["parameters"] = [_parameter(each) for each in route.parameters]
    if route.method == "POST":
        body: dict[str, Any] = {"type": "object"}
        if route.body:
            body = _component(route.body, schemas)
            schemas[route.body.__name__]["additionalProperties"] = False
        operation["requestBody"] = {
            "required": route.body is not None,
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    if route.answer is not None:
        schema = _component(route.answer, schemas)
    else:
        schema = {"type": "object" if route.media_type == "application/json" else "string"}
    refusals = {*_OF_EVERY_ROUTE, *route.refusals}
    refusals |= set() if route.open else {401}
    refusals |= {415} if route.method == "POST" else set()
    problem = {"application/problem+json": {"schema": _component(Problem, schemas)}}
    responses: dict[str, Any] = {
        str(route.status): {
            "description": route.summary,
            "headers": _NAMED,
            "content": {each: {"schema": schema} for each in (route.media_type, *route.also)},
        }
    }
    for status in sorted(refusals):
        description = _OF_EVERY_ROUTE.get(status, _REFUSALS.get(status, ""))
        responses[str(status)] = {
            "description": description,
            "headers": _NAMED,
            "content": problem,
        }
    return responses


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.help,
        "schema": schema,
    }


def _component(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to the schema of a dataclass, which is among ``schemas`` from then on."""
    name = kind.__name__
    if name not in schemas:
        schemas[name] = {}
        hints, docs = typing.get_type_hints(kind), field_docs(kind)
        fields = dataclasses.fields(kind)
        schemas[name] = {
            "type": "object",
            "description": class_doc(kind),
            "properties": {
                field.name: {
                    **_schema(hints[field.name], schemas),
                    **({"description": docs[field.name]} if field.name in docs else {}),
                }
                for field in fields
            },
            "required": [f.name for f in fields if f.default is dataclasses.MISSING],
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return {"anyOf": [_schema(arguments[0], schemas), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], schemas)}
    if dataclasses.is_dataclass(kind):
        return _component(kind, schemas)
    return {"type": _PLAIN[kind]}
