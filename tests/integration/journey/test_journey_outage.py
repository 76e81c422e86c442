"""Registries that are down, limit the rate, or have an expired certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import http
from tests.support.certificates import issue
from tests.support.images import MANIFEST_TYPE, files_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, Behaviour, Origin, scripted_origin
from tests.support.pulls import (
    REPOSITORY,
    blob_url,
    manifest_url,
    pull_blob,
    pull_image,
    refusal,
)
from tests.support.registry import docker_registry, free_port
from tests.support.scripted_image import ScriptedImage

KIB = 1 << 10


@asynccontextmanager
async def pulled(
    directory: Path, *flags: str
) -> AsyncIterator[tuple[Origin, ScriptedImage, Node, Node, Node]]:
    """An image that one node has; a seeder; and a node that has never seen it."""
    short = ("--tag-ttl", "0.001", *flags)
    async with scripted_origin() as origin:
        image = ScriptedImage(origin, "latest")
        async with (
            eagle_node(directory / "seeder", *origin.flags, *short) as seeder,
            eagle_node(directory / "had", *origin.flags, *short, *seeder.pins) as had,
            eagle_node(directory / "new", *origin.flags, *short, *seeder.pins) as new,
        ):
            assert await image.pull(had) == [None, None]
            yield origin, image, seeder, had, new


async def _registries(node: Node) -> dict[str, Any]:
    document: dict[str, Any] = (await node.status())["registries"]
    return document


async def test_an_image_outlives_its_registry(tmp_path: Path) -> None:
    """It pulls by tag and digest, from nodes that never had it too, and is marked as an old word.

    What nobody had fails at once, with the registry's own reason. When the registry is back, it is
    its word that counts again.
    """
    async with pulled(tmp_path, "--access-ttl", "0.001") as (origin, image, seeder, had, new):
        for name in (*image.names, "other"):
            origin.always(name, Behaviour(status=500))
        for node in (new, had, seeder):
            for warning in await image.pull(node):
                assert (warning or "").startswith("110 ")
            registries = await _registries(node)
            assert registries["stale_answers"]
            (trouble,) = registries["troubles"]
            assert trouble["registry"] == NAME
            assert "500" in trouble["reason"]
        assert "answered 500" in await refusal(manifest_url(new, "other"), status=502)
        for name in image.names:
            origin.always(name, Behaviour())
        for node in (new, had):
            assert await image.pull(node) == [None, None]
        assert new.log().count("serving what it last said") == 1
        assert new.log().count("answers again") == 1


async def test_an_image_outlives_a_process_of_its_registry(tmp_path: Path) -> None:
    """Nobody listens any more: as good as an error, and as quick."""
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(scripted_origin())
        image = ScriptedImage(origin, "latest")
        async with eagle_node(tmp_path / "a", *origin.flags, "--tag-ttl", "0") as node:
            await image.pull(node)
            await stack.aclose()
            tag, _ = await image.pull(node)
            assert tag
            reason = await refusal(manifest_url(node, "other"), status=502)
            assert "cannot connect" in reason


async def test_an_image_outlives_the_certificate_of_its_registry(tmp_path: Path) -> None:
    """An expired one is an outage, and its reason is told; a renewed one ends it."""
    image = files_image(tmp_path / "image", [40 * KIB])
    good, expired = issue(tmp_path / "good"), issue(tmp_path / "expired", expired=True)
    trusted, config = tmp_path / "ca.pem", tmp_path / "node.toml"
    trusted.write_bytes(good.authority.read_bytes())
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    config.write_text(f'[[registry]]\nname = "{NAME}"\nurl = "{url}"\nca-file = "{trusted}"\n')
    flags = ("--config", str(config), "--tag-ttl", "0.001")
    where, accept = tmp_path / "registry", {"Accept": MANIFEST_TYPE}
    async with eagle_node(tmp_path / "node", *flags) as node:
        tag = manifest_url(node, "latest")
        async with docker_registry(where, port=port, tls=good) as registry:
            await push(image, registry, REPOSITORY)
            await pull_image(node, image)
        trusted.write_bytes(expired.authority.read_bytes())
        async with docker_registry(where, port=port, tls=expired):
            await pull_image(node, image)
            got = await http.download(tag, digest=image.digest, headers=accept)
            assert got.headers["Warning"].startswith("110 ")
            reason = await refusal(manifest_url(node, "other"), status=502)
            assert "certificate has expired" in reason
        trusted.write_bytes(good.authority.read_bytes())
        async with docker_registry(where, port=port, tls=good):
            got = await http.download(tag, digest=image.digest, headers=accept)
            assert "Warning" not in got.headers


async def test_a_registry_that_says_to_wait_is_not_asked_before(tmp_path: Path) -> None:
    """Clients get what it last said, or its 429 and the time that is left; the rest waits too."""
    async with pulled(tmp_path, "--access-ttl", "0.001") as (origin, image, seeder, had, new):
        wait = Behaviour(status=429, headers={"Retry-After": "900"})
        for name in (*image.names, "other"):
            origin.always(name, wait)
        assert all(await image.pull(new))
        asked = len(origin.requests)
        for node in (new, had, seeder):
            assert all(await image.pull(node))
            async with http.client() as session, session.get(manifest_url(node, "other")) as told:
                assert told.status == 429
                assert 0 < int(told.headers["Retry-After"]) <= 900
            await refusal(blob_url(node, "sha256:" + "0" * 64), status=429)
        assert len(origin.requests) == asked


@pytest.mark.parametrize("known", [False, True])
async def test_rights_are_not_made_up_in_an_outage(tmp_path: Path, known: bool) -> None:
    """Who has shown credentials that never had a yes gets none, unless anybody had."""
    shown = {"Authorization": "Bearer somebody"}
    async with scripted_origin() as origin:
        image = ScriptedImage(origin, "latest")
        async with eagle_node(tmp_path / "a", *origin.flags, "--tag-ttl", "0.001") as node:
            await image.manifest(node, "latest", None if known else shown)
            for blob in image.blobs:
                await pull_blob(node, blob, headers=None if known else shown)
            for name in image.names:
                origin.always(name, Behaviour(status=503))
            for headers in ({}, shown, {"Authorization": "Bearer other"}):
                where = (manifest_url(node, "latest"), blob_url(node, image.blobs[0]))
                for url in where:
                    async with http.client() as session, session.get(url, headers=headers) as got:
                        assert got.status == (200 if known or headers == shown else 502)
