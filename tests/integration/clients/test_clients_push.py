"""Real clients that push through a node: to its mirror, and by its forward proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import http
from tests.support.clients.dockerd import dockerd
from tests.support.clients.podman import podman
from tests.support.clients.route import Route
from tests.support.images import Image, files_image, push
from tests.support.netns import network
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.process import CommandFailed, run
from tests.support.registry import Credentials, Registry, docker_registry

KIB = 1 << 10
AUTH = Credentials(user="pusher", password="marked-secret-of-the-pusher-4471")
CREDS = f"{AUTH.user}:{AUTH.password}"
COPY = ("skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests")


async def test_skopeo_pushes_to_the_mirror(tmp_path: Path) -> None:
    """The registry comes in the path; a second repository is filled without a second upload."""
    image = files_image(tmp_path / "image", [300 * KIB, 20 * KIB])
    async with docker_registry(tmp_path / "registry") as registry:
        flags = ("--registry", f"{NAME}={registry.url}")
        async with eagle_node(tmp_path / "node", *flags) as node:
            at = f"docker://{node.proxy_address}/{NAME}"
            insecure = ("--src-tls-verify=false", "--dest-tls-verify=false")
            layout = f"oci:{image.layout}:image"
            await run([*COPY, insecure[1], layout, f"{at}/team/app:v1"], timeout=120)
            await run([*COPY, *insecure, f"{at}/team/app:v1", f"{at}/team/copy:v1"], timeout=120)
            told = await run(
                ["skopeo", "inspect", "--tls-verify=false", "--raw", f"{at}/team/copy:v1"],
                timeout=120,
            )
        assert image.layers[0].digest in told.stdout
        answered = {(each.method, each.status) for each in await registry.accesses()}
        assert ("PATCH", 202) in answered
        assert ("PUT", 201) in answered


async def test_a_push_to_the_mirror_with_a_password_is_told_the_way(tmp_path: Path) -> None:
    """Clients show a mirror no password; what they print names the registry and HTTPS_PROXY.

    The same for a pull, and nobody is told where the registry can be asked without.
    """
    image = files_image(tmp_path / "image", [20 * KIB])
    async with docker_registry(tmp_path / "registry", auth=AUTH) as registry:
        flags = ("--registry", f"{NAME}={registry.url}")
        async with eagle_node(tmp_path / "node", *flags) as node:
            target = f"docker://{node.proxy_address}/{NAME}/team/app:v1"
            creds = ("--dest-tls-verify=false", "--dest-creds", CREDS)
            with pytest.raises(CommandFailed) as caught:
                await run([*COPY, *creds, f"oci:{image.layout}:image", target], timeout=120)
            told = str(caught.value)
            assert f"use {NAME} itself, with this node as HTTPS_PROXY" in told
            base = f"{node.proxy_url}/v2/{NAME}/team/app"
            for method, path in (
                ("POST", "blobs/uploads/"),
                ("GET", "manifests/v1"),
                ("HEAD", "manifests/v1"),
                ("GET", "tags/list"),
            ):
                async with http.client() as session:
                    async with session.request(method, f"{base}/{path}") as answer:
                        assert answer.status == 401
                        assert "HTTPS_PROXY" in answer.headers["WWW-Authenticate"]
                    by_ns = f"{base}/{path}?ns={NAME}".replace(f"/v2/{NAME}", "/v2")
                    async with session.request(method, by_ns) as answer:
                        assert answer.status == 401
                        assert answer.headers["WWW-Authenticate"] == 'Basic realm="tests"'
            assert AUTH.password not in node.log()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A private registry, and a host with a node beside its clients."""

    registry: Registry
    node: Node
    env: dict[str, str]


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[Site]:
    """Go's clients use no proxy for loopback addresses, so the registry is a host of its own."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(["origin", "host"]))
        origin, host = net["origin"], net["host"]
        registry = await stack.enter_async_context(
            docker_registry(
                directory / "registry", host=origin.address, namespace=origin.namespace, auth=AUTH
            )
        )
        node = await stack.enter_async_context(
            eagle_node(
                directory / "node",
                *("--registry", f"{registry.address}={registry.url}", "--log-level", "debug"),
                host=host.address,
                namespace=host.namespace,
            )
        )
        env = {"HTTP_PROXY": node.proxy_url, "HTTPS_PROXY": node.proxy_url, "NO_PROXY": ""}
        yield Site(registry=registry, node=node, env=env)


async def _assert_pushed(place: Site, image: Image, repository: str) -> None:
    """The image is at the registry, by way of the node, which has written no password."""
    inspected = await run(
        [
            *["skopeo", "inspect", "--tls-verify=false", "--creds", CREDS, "--raw"],
            f"docker://{place.registry.address}/{repository}:v1",
        ],
        namespace=place.registry.namespace,
        timeout=120,
    )
    assert all(layer.digest in inspected.stdout for layer in image.layers)
    assert AUTH.password not in place.node.log()


async def test_clients_push_to_a_private_registry_by_the_forward_proxy(tmp_path: Path) -> None:
    """skopeo, podman and dockerd, each with its own credentials; the node shows none of its own."""
    image = files_image(tmp_path / "image", [300 * KIB, 20 * KIB])
    async with site(tmp_path) as place:
        at, space = place.registry.address, place.node.namespace
        target = f"docker://{at}/skopeo/app:v1"
        creds = ("--dest-tls-verify=false", "--dest-creds", CREDS)
        layout = f"oci:{image.layout}:image"
        await run([*COPY, *creds, layout, target], namespace=space, env=place.env, timeout=120)
        await _assert_pushed(place, image, "skopeo/app")

        await push(image, place.registry, "seed/app")
        reference = f"{at}/seed/app:latest"
        async with podman(
            tmp_path / "podman", Route(name=at), namespace=space, env=place.env
        ) as client:
            await client.pull(reference, user=CREDS)
            await client.push(reference, f"{at}/podman/app:v1", user=CREDS)
        await _assert_pushed(place, image, "podman/app")
        async with dockerd(
            tmp_path / "docker", Route(name=at), namespace=space, env=place.env
        ) as daemon:
            await daemon.pull(reference, user=CREDS)
            await daemon.push(reference, f"{at}/docker/app:v1", user=CREDS)
        await _assert_pushed(place, image, "docker/app")
        agents = {each.agent.split("/")[0] for each in await place.registry.accesses()}
        assert {"docker", "containers"} <= agents
