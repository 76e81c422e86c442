"""Private registries: who may read what, and where credentials may be."""

from __future__ import annotations

import base64
import itertools
import json
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.support import http
from tests.support.images import MANIFEST_TYPE, Image, files_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import (
    REPOSITORY,
    blob_url,
    manifest_url,
    pull_blob,
    pull_image,
    refusal,
    traffic,
)
from tests.support.registry import Credentials, Registry, docker_registry

MIB = 1 << 20
AUTH = Credentials(user="reader", password="correct-horse-7731")
RIGHT = {"Authorization": AUTH.header}
WRONG = {"Authorization": Credentials(user="reader", password="guess").header}


@asynccontextmanager
async def private_image(directory: Path) -> AsyncIterator[tuple[Registry, Image]]:
    """A registry with a password, and an image in it."""
    image = files_image(directory / "image", [2 * MIB])
    async with docker_registry(directory / "registry", auth=AUTH) as registry:
        await push(image, registry, REPOSITORY)
        yield registry, image


def _at(registry: Registry) -> tuple[str, str]:
    return "--registry", f"{NAME}={registry.url}"


async def _all_refused(first: Node, second: Node, digest: str) -> None:
    """Who shows nothing, or a wrong password, gets the registry's 401 and its challenge."""
    for node, headers in itertools.product((second, first), ({}, WRONG)):
        url = blob_url(node, digest)
        async with http.client() as session, session.get(url, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        await refusal(manifest_url(node, "latest"), status=401, headers=headers)


def _assert_no_secret(node: Node) -> None:
    """Neither password nor header is in the log or in the data directory."""
    encoded = AUTH.header.removeprefix("Basic ").rstrip("=")
    secrets = [AUTH.password.encode(), encoded.encode()]
    paths = [path for path in node.directory.rglob("*") if path.is_file()]
    assert node.process.log_path in paths
    for path in paths:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), f"a secret is in {path}"


async def test_a_cached_private_blob_is_no_public_one(tmp_path: Path) -> None:
    """Only who shows the registry's own password gets it, from any node, before and after."""
    async with private_image(tmp_path) as (registry, image):
        digest = image.layers[0].digest
        verbose = ("--log-level", "debug")
        async with (
            eagle_node(tmp_path / "a", *_at(registry), *verbose) as first,
            eagle_node(tmp_path / "b", *_at(registry), *first.pins, *verbose) as child,
        ):
            await _all_refused(first, child, digest)
            await pull_image(child, image, headers=RIGHT)
            await pull_image(first, image, headers=RIGHT)
            await _all_refused(first, child, digest)
            assert (await traffic(child))["origin_bytes"] <= 2 * image.manifest.size + 4096
            wrong_place = blob_url(first, digest, repository="team/other")
            told = await refusal(wrong_place, status=404, headers=RIGHT)
            assert "team/other" in told
            for node in (first, child):
                await node.terminate()
                _assert_no_secret(node)
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}


async def test_a_node_that_restarts_in_an_outage_knows_who_may_read(tmp_path: Path) -> None:
    """Whoever had a yes reads on, by tag too; nobody else does, and no secret was written."""
    image = files_image(tmp_path / "image", [2 * MIB])
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(
            docker_registry(tmp_path / "registry", auth=AUTH)
        )
        await push(image, registry, REPOSITORY)
        async with eagle_node(tmp_path / "a", *_at(registry)) as node:
            await pull_image(node, image, headers=RIGHT)
            await stack.aclose()
            await node.restart()
            await pull_image(node, image, headers=RIGHT)
            accept = {"Accept": MANIFEST_TYPE, **RIGHT}
            told = await http.download(manifest_url(node, "latest"), headers=accept)
            assert told.headers["Warning"].startswith("110 ")
            for headers in ({}, WRONG):
                for url in (
                    blob_url(node, image.layers[0].digest),
                    manifest_url(node, image.digest),
                ):
                    await refusal(url, status=502, headers=headers)
            await node.terminate()
            _assert_no_secret(node)
            key = node.directory / "data" / "rights.key"
            assert stat.S_IMODE(key.stat().st_mode) == 0o600


async def test_a_node_may_have_credentials_of_its_own(tmp_path: Path) -> None:
    """``--docker-config`` serves clients that show none; a wrong password stays wrong."""
    encoded = base64.b64encode(f"{AUTH.user}:{AUTH.password}".encode()).decode()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {NAME: {"auth": encoded}}}))
    async with private_image(tmp_path) as (registry, image):
        own = ("--docker-config", str(config))
        async with eagle_node(tmp_path / "a", *_at(registry), *own) as node:
            await pull_image(node, image)
            await pull_blob(node, image.layers[0].digest)
            await refusal(blob_url(node, image.layers[0].digest), status=401, headers=WRONG)
            await node.terminate()
            _assert_no_secret(node)
