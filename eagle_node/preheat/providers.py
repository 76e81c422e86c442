"""Harbor's "Dragonfly" preheat provider, as seen by Harbor. No IO.

Harbor knows three states; ``SUCCESS`` ends its polling, so it is told only when every node that was
asked for has verified every blob.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from eagle_node.api.schema import PreheatJob, PreheatTarget
from eagle_node.base.errors import BadDigest, UsageError
from eagle_node.registry.names import BadName, authority_of
from eagle_node.registry.route import ManifestRoute, parse_route

_STATES = {"succeeded": "SUCCESS", "failed": "FAILURE", "cancelled": "FAILURE"}
_SCOPES = {"": "seeders", "single_seed_peer": "seeders", "all_seed_peers": "seeders"}
_SCOPES |= {"all_peers": "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DragonflyOrder:
    """What Harbor asks for."""

    host: str
    """Of the image's URL: unchecked, and nobody's address."""
    repository: str
    reference: str
    nodes: str
    authorization: str | None = field(default=None, repr=False)


def parse_dragonfly(body: bytes) -> DragonflyOrder:
    """The order in ``POST /oapi/v1/jobs``; `UsageError` says what is wrong with it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON: {error}") from error
    match document:
        case {"type": "preheat", "args": {"type": "image", "url": str(url), **others}}:
            return _order(url, others)
    raise UsageError("only jobs of type preheat for an image with a url are taken")


def render_dragonfly(job: PreheatJob) -> dict[str, Any]:
    """A job as Harbor reads it."""
    done = [_task(job, each) for each in job.targets if each.state == "succeeded"]
    failed = [_task(job, each) for each in job.targets if each.state == "failed"]
    results = [{"success_tasks": done, "failure_tasks": failed}]
    return {
        "id": job.id,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "state": _STATES.get(job.state, "PENDING"),
        "result": {"job_states": [{"error": job.error, "results": results}]},
    }


def _order(url: str, others: Mapping[Any, Any]) -> DragonflyOrder:
    try:
        parsed = URL(url, encoded=True)
        route = parse_route("GET", parsed.raw_path, {}, default_registry="localhost")
    except (ValueError, BadName, BadDigest) as error:
        raise UsageError(f"args.url: {url[:200]!r} is not a manifest's: {error}") from error
    if not isinstance(route, ManifestRoute) or not parsed.host:
        raise UsageError(f"args.url: {url[:200]!r} is not a manifest's")
    scope, headers = others.get("scope", ""), others.get("headers")
    if scope not in _SCOPES:
        raise UsageError(f"args.scope: {str(scope)[:40]!r} is none of {', '.join(_SCOPES)[2:]}")
    found = headers if isinstance(headers, dict) else {}
    shown = next((v for k, v in found.items() if str(k).lower() == "authorization"), None)
    return DragonflyOrder(
        host=authority_of(parsed),
        repository=route.repository.name,
        reference=str(route.reference),
        nodes=_SCOPES[scope],
        authorization=shown if isinstance(shown, str) and shown.isprintable() else None,
    )


def _task(job: PreheatJob, target: PreheatTarget) -> dict[str, str]:
    return {
        "url": job.image,
        "hostname": target.node,
        "ip": target.address,
        "description": target.error,
    }
