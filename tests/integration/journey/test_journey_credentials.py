"""Whose credentials fetch what: a node's own are for its clients, a client's go to no stranger."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from eagle_node.trust.key import create_key_file
from tests.support import http
from tests.support.capture import capture
from tests.support.images import Image, files_image, push
from tests.support.netns import Network, network
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, blob_url, pull_blob, pull_image, refusal, traffic
from tests.support.registry import Credentials, Registry, docker_registry, free_port

KIB = 1 << 10
AUTH = Credentials(user="reader", password="marked-secret-of-the-reader-6021")
ENCODED = AUTH.header.removeprefix("Basic ").rstrip("=")
RIGHT = {"Authorization": AUTH.header}
WITHHELD = "credentials stay on this node"
PUBLIC = "public.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Hosts of a network: a private and a public registry, a seeder, and a node that uses it."""

    net: Network
    private: Registry
    public: Registry
    image: Image
    seeder: Node
    node: Node


@asynccontextmanager
async def site(directory: Path, *flags: str) -> AsyncIterator[Site]:
    """All of it; the same image is in both registries."""
    image = files_image(directory / "image", [600 * KIB])
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        net = await enter(network(["origin", "seeder", "node"]))
        origin = net["origin"]
        registries = [
            await enter(
                docker_registry(
                    directory / name, host=origin.address, namespace=origin.namespace, auth=auth
                )
            )
            for name, auth in (("private", AUTH), ("public", None))
        ]
        private, public = registries
        for registry in registries:
            await push(image, registry, REPOSITORY)
        at = ["--registry", f"{NAME}={private.url}", "--registry", f"{PUBLIC}={public.url}"]

        async def node(name: str, *more: str) -> Node:
            host = net[name]
            return await enter(
                eagle_node(
                    directory / name,
                    *[*at, *flags, *more],
                    host=host.address,
                    namespace=host.namespace,
                )
            )

        seeder = await node("seeder")
        yield Site(
            net=net,
            private=private,
            public=public,
            image=image,
            seeder=seeder,
            node=await node("node", *seeder.pins),
        )


async def test_without_a_key_credentials_go_to_the_registry_alone(tmp_path: Path) -> None:
    """The node fetches private blobs itself; all that it sends to the seeder is looked at."""
    async with site(tmp_path) as here:
        node, net = here.node, here.net
        async with capture(net["seeder"], other=net["node"]) as wire:
            await pull_image(node, here.image, headers=RIGHT)
            ranged = RIGHT | {"Range": "bytes=1000-1999"}
            digest = here.image.layers[0].digest
            await http.download(
                blob_url(node, digest), headers=ranged, status=206, namespace=node.namespace
            )
            assert (await traffic(node))["peer_download_bytes"] == 0
            seeder = await here.seeder.status()
            assert seeder["cache"]["blobs"] == 0
            assert seeder["traffic"]["origin_bytes"] < 2048  # the registry's refusals
        assert wire.holds(digest)
        assert not wire.holds(AUTH.password)
        assert not wire.holds(ENCODED)
        assert node.log().count(WITHHELD) == 1
        assert "--cluster-key-file" in node.log()


async def test_without_a_key_public_blobs_come_by_the_seeder(tmp_path: Path) -> None:
    """Also to clients that show credentials: the seeder asks the registry as anybody."""
    async with site(tmp_path) as here:
        node, net, digest = here.node, here.net, here.image.layers[0].digest
        async with capture(net["seeder"], other=net["node"]) as wire:
            await http.download(
                blob_url(node, digest, ns=PUBLIC),
                digest=digest,
                headers=RIGHT,
                namespace=node.namespace,
            )
        account = await traffic(node)
        assert account["origin_bytes"] == 0
        assert account["peer_download_bytes"] >= here.image.layers[0].size
        assert await here.public.blob_requests() == {digest: 1}
        assert not wire.holds(ENCODED)


@pytest.mark.slow
async def test_with_a_key_one_node_fetches_for_all(tmp_path: Path) -> None:
    """Credentials go to the seeder, in a way that nobody on the wire can read."""
    create_key_file(tmp_path / "key")
    async with site(tmp_path, "--cluster-key-file", str(tmp_path / "key")) as here:
        node, net = here.node, here.net
        async with capture(net["seeder"], other=net["node"]) as wire:
            await pull_image(node, here.image, headers=RIGHT)
        assert (await traffic(node))["origin_bytes"] <= 2 * here.image.manifest.size + 4096
        assert wire.frames
        assert not wire.holds(here.image.layers[0].digest)
        assert not wire.holds(ENCODED)
        assert WITHHELD not in node.log()


def _own(path: Path) -> tuple[str, str]:
    """Flags of a node that has the reader's credentials."""
    encoded = base64.b64encode(f"{AUTH.user}:{AUTH.password}".encode()).decode()
    path.write_text(json.dumps({"auths": {NAME: {"auth": encoded}}}))
    return "--docker-config", str(path)


@pytest.mark.parametrize("cached", [False, True], ids=["cold", "cached"])
async def test_a_seeders_own_credentials_are_for_its_own_clients(
    tmp_path: Path, cached: bool
) -> None:
    """Who asks for nobody in particular by another node reads nothing private, cached or not.

    A node that was given credentials too shows them, and has the seeder fetch for it.
    """
    image, port = files_image(tmp_path / "image", [600 * KIB]), free_port()
    digest, own = image.layers[0].digest, _own(tmp_path / "config.json")
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(
            docker_registry(tmp_path / "registry", auth=AUTH, port=port)
        )
        await push(image, registry, REPOSITORY)
        at = ("--registry", f"{NAME}={registry.url}", "--access-ttl", "0.01")
        async with (
            eagle_node(tmp_path / "seeder", *at, *own) as seeder,
            eagle_node(tmp_path / "poor", *at, *seeder.pins) as poor,
            eagle_node(tmp_path / "rich", *at, *own, *seeder.pins) as rich,
        ):
            if cached:
                await pull_image(seeder, image)
            await refusal(blob_url(poor, digest), status=401)
            part = {"Range": "bytes=100-199"}
            await refusal(blob_url(poor, digest), status=401, headers=part)
            await pull_image(rich, image)
            assert (await registry.blob_requests())[digest] == 1
            await refusal(blob_url(poor, digest), status=401)
            await pull_blob(seeder, digest)
            await stack.aclose()
            await pull_blob(seeder, digest)
            async with http.client() as session, session.get(blob_url(poor, digest)) as answer:
                assert answer.status in (401, 503)
