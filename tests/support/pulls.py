"""Pulls by plain HTTP, as a container client makes them, without a client's own retries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from yarl import URL

from tests.support import http
from tests.support.images import MANIFEST_TYPE, Image
from tests.support.node import Node
from tests.support.origin import NAME

REPOSITORY = "team/app"
AT_ONCE = 3
"""Blobs that a client fetches at a time (containerd's and dockerd's default)."""


def blob_url(node: Node, digest: str, *, repository: str = REPOSITORY, ns: str = NAME) -> str:
    """A blob's URL at a node's mirror."""
    return f"{node.proxy_url}/v2/{repository}/blobs/{digest}?ns={ns}"


def manifest_url(
    node: Node, reference: str, *, repository: str = REPOSITORY, ns: str = NAME
) -> str:
    """A manifest's URL at a node's mirror."""
    return f"{node.proxy_url}/v2/{repository}/manifests/{reference}?ns={ns}"


async def pull_blob(
    node: Node, digest: str, *, headers: Mapping[str, str] | None = None
) -> http.Download:
    """The whole of a blob, with the right digest."""
    return await http.download(
        blob_url(node, digest), digest=digest, headers=headers, namespace=node.namespace
    )


async def pull_image(
    node: Node, image: Image, *, tag: str = "latest", headers: Mapping[str, str] | None = None
) -> None:
    """Manifest by tag, the same by digest, then all blobs, a few at a time; digests are checked."""
    accept = {"Accept": MANIFEST_TYPE, **(headers or {})}
    for reference in (tag, image.digest):
        url = manifest_url(node, reference)
        await http.download(url, digest=image.digest, headers=accept, namespace=node.namespace)
    turn = asyncio.Semaphore(AT_ONCE)

    async def pull(digest: str) -> None:
        async with turn:
            await pull_blob(node, digest, headers=headers)

    async with asyncio.TaskGroup() as group:
        for blob in image.blobs:
            group.create_task(pull(blob.digest))


async def traffic(node: Node) -> dict[str, Any]:
    """The traffic part of a node's status."""
    document: dict[str, Any] = (await node.status())["traffic"]
    return document


async def refusal(url: str | URL, *, status: int, headers: Mapping[str, str] | None = None) -> str:
    """The message of an OCI error answer with this status; anything else fails."""
    async with http.client() as session, session.get(url, headers=headers) as answer:
        text = await answer.text()
        assert answer.status == status, f"{url}: {answer.status}, not {status}: {text[:300]}"
    errors = json.loads(text)["errors"]
    assert errors[0]["code"].isupper()
    message: str = errors[0]["message"]
    return message
