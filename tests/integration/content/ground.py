"""A registry, a seeder and a peer before it, and one question to both ways."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.registry import Registry, docker_registry

REPOSITORY = "team/app"
TOLD = ("Content-Type", "Content-Length", "Docker-Content-Digest", "Content-Encoding", "Link")
"""Headers that clients act on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client sees."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All of it, running."""

    registry: Registry
    seeder: Node
    peer: Node

    async def direct(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """The registry's own answer."""
        return await _ask(method, f"{self.registry.url}/v2/{path}", headers)

    async def through(
        self, path: str, node: Node | None = None, *, method: str = "GET", **headers: str
    ) -> Answer:
        """The answer of a node (the peer by default)."""
        joint = "&" if "?" in path else "?"
        url = f"{(node or self.peer).proxy_url}/v2/{path}{joint}ns={NAME}"
        return await _ask(method, url, headers)

    async def agree(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """The answer of both nodes, first and again; fails unless it is the registry's own."""
        expected = await self.direct(path, method=method, **headers)
        for node in (self.peer, self.seeder, self.peer):
            found = await self.through(path, node, method=method, **headers)
            assert found.status == expected.status, (path, found)
            assert _told(found) == _told(expected), path
            if expected.status < 300:
                assert found.body == expected.body, path
            elif found.body != expected.body:
                assert json.loads(found.body)["errors"][0]["code"].isupper()
        return expected


@asynccontextmanager
async def ground(directory: Path) -> AsyncIterator[Ground]:
    """A registry and two nodes that know it as `NAME`."""
    async with docker_registry(directory / "registry") as registry:
        at = ("--registry", f"{NAME}={registry.url}")
        async with (
            eagle_node(directory / "a", *at) as seeder,
            eagle_node(directory / "b", *at, *seeder.pins) as peer,
        ):
            yield Ground(registry=registry, seeder=seeder, peer=peer)
            assert "Traceback" not in seeder.log() + peer.log()


async def _ask(method: str, url: str, headers: Mapping[str, Any]) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        http.client() as session,
        session.request(method, url, headers=sent, skip_auto_headers=["Accept-Encoding"]) as answer,
    ):
        return Answer(status=answer.status, headers=answer.headers.copy(), body=await answer.read())


def _told(answer: Answer) -> dict[str, str]:
    """What clients act on; of an error the text is whoever's who tells it."""
    names = TOLD if answer.status < 300 else ("Content-Type",)
    told = {name: answer.headers[name] for name in names if name in answer.headers}
    told["Content-Type"] = told.get("Content-Type", "").partition(";")[0]
    return told
