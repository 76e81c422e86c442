"""What registries and Harbor tell of pushes. No IO.

docker/distribution notifications (``application/vnd.docker.distribution.events.v1+json`` and v2),
Harbor's webhook in its own form and as CloudEvents, and Harbor's "Kraken" preheat provider, which
sends distribution's events with capitalised keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from yarl import URL

from eagle_node.base.errors import UsageError
from eagle_node.registry.names import authority_of

MOST_EVENTS = 256
"""In one notification; distribution sends one event at a time, or a few."""
_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_HARBOR_PUSHED = ("PUSH_ARTIFACT", "harbor.artifact.pushed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """An image that somebody has pushed; its names are as they came, and nobody's address."""

    hosts: tuple[str, ...]
    """What the registry may be called, the best guess first."""
    repository: str
    reference: str
    """Digest, or tag where none was told."""


def parse_distribution(body: bytes) -> list[Pushed]:
    """The manifests whose push distribution tells of; `UsageError` for what is no notification."""
    document = _decoded(body)
    events = document.get("events")
    if not isinstance(events, list):
        raise UsageError("this is no notification: it has no list of events")
    return [
        pushed
        for event in events[:MOST_EVENTS]
        if isinstance(event, dict) and event.get("action") == "push"
        for pushed in _pushed(event, trusted=True)
    ]


def parse_kraken(body: bytes) -> list[Pushed]:
    """What Harbor's "Kraken" provider asks for; its media types tell nothing, so all count."""
    document = _lowered(_decoded(body))
    events = document.get("events")
    if not isinstance(events, list):
        raise UsageError("this is no notification: it has no list of Events")
    return [
        pushed
        for event in events[:MOST_EVENTS]
        if isinstance(event, dict) and event.get("action") == "push"
        for pushed in _pushed(event, trusted=False)
    ]


def parse_harbor(body: bytes) -> list[Pushed]:
    """The artifacts whose push Harbor's webhook tells of; other events are nothing to do."""
    document = _decoded(body)
    data = document.get("event_data", document.get("data"))
    if not isinstance(data, dict) or not isinstance(document.get("type"), str):
        raise UsageError("this is no webhook of Harbor: it has no type, or no event_data or data")
    if document["type"] not in _HARBOR_PUSHED:
        return []
    return list(_harbor_resources(data))


def _harbor_resources(data: Mapping[str, Any]) -> Iterator[Pushed]:
    repository, resources = data.get("repository"), data.get("resources")
    if not isinstance(repository, dict) or not isinstance(resources, list):
        raise UsageError("this webhook of Harbor names no repository or no resources")
    name = _text(repository, "repo_full_name")
    for resource in resources[:MOST_EVENTS]:
        if isinstance(resource, dict):
            host = _text(resource, "resource_url").partition("/")[0]
            reference = _text(resource, "digest") or _text(resource, "tag")
            if name and host and reference:
                yield Pushed(hosts=(host,), repository=name, reference=reference)


def _pushed(event: Mapping[str, Any], *, trusted: bool) -> Iterator[Pushed]:
    target, request = event.get("target"), event.get("request")
    if not isinstance(target, dict):
        return
    if trusted and _text(target, "mediaType") not in _MANIFESTS:
        return
    hosts = [_text(request, "host")] if isinstance(request, dict) else []
    hosts.append(_authority(_text(target, "url")))
    reference = _text(target, "digest") or _text(target, "tag")
    repository = _text(target, "repository")
    if reference and repository:
        named = tuple(dict.fromkeys(host for host in hosts if host))
        yield Pushed(hosts=named, repository=repository, reference=reference)


def _authority(url: str) -> str:
    try:
        return authority_of(URL(url))
    except ValueError:
        return ""


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError("the body is no JSON object")
    return document


def _lowered(value: Any) -> Any:
    """The same with keys whose first letter is small, as distribution itself writes them."""
    match value:
        case dict():
            return {
                str(key)[:1].lower() + str(key)[1:]: _lowered(each) for key, each in value.items()
            }
        case list():
            return [_lowered(each) for each in value]
    return value


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) and len(value) <= 1024 else ""
