"""Kubelets' pulls of private images: by the mirror, and by HTTPS through the proxy."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.mirror.host import Host, containerd_config, host
from tests.integration.registry.token_service import token_registry, token_service
from tests.support.certificates import issue
from tests.support.cri import pull_with_secret
from tests.support.images import Image, files_image, push
from tests.support.node import Node, eagle_node
from tests.support.process import CommandFailed, run
from tests.support.registry import Credentials, Registry, docker_registry

KIB = 1 << 10
OPENED, MIRRORED, TOKEN = "registry.test", "mirrored.test", "token.test"
"""The first one is reached by HTTPS_PROXY, the others by the node as a mirror, and else by nobody:
no DNS knows them."""
USER = Credentials(user="alice", password="s3cret-of-alice")
SECRET = f"{USER.user}:{USER.password}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A node, a host with containerd beside it, and the same images in two registries."""

    node: Node
    registry: Registry
    machine: Host
    images: dict[str, Image]
    """By tag."""

    async def pull(self, name: str, tag: str, secret: str = "") -> None:
        """As a kubelet does, with a pull secret or none."""
        reference = f"{name}/team/app:{tag}"
        await pull_with_secret(self.machine.containerd_socket, reference, secret)

    async def refused(self, name: str, tag: str, secret: str = "") -> str:
        """What containerd says when it may not pull."""
        with pytest.raises(CommandFailed) as caught:
            await self.pull(name, tag, secret)
        return str(caught.value)


@asynccontextmanager
async def running_site(directory: Path) -> AsyncIterator[Site]:
    """One registry with TLS by a CA of its own and a password, one whose token
    service knows the same password."""
    images = {tag: files_image(directory / tag, [200 * KIB], seed=tag) for tag in "abcd"}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        tls = issue(directory / "tls")
        registry = await enter(docker_registry(directory / "registry", tls=tls, auth=USER))
        async with docker_registry(directory / "token") as plain:
            for tag, image in images.items():
                await push(image, registry, "team/app", tag)
                await push(image, plain, "team/app", tag)
        service = await enter(token_service())
        service.passwords[USER.user] = USER.password
        service.rights[USER.user] = {"team/app": ["pull"]}
        token_url = await enter(token_registry(directory / "token", service))
        config = directory / "node.toml"
        tables = [
            f'[[registry]]\nname = "{name}"\nurl = "{registry.url}"\nca-file = "{tls.authority}"\n'
            for name in (OPENED, MIRRORED)
        ]
        tables.append(f'[[registry]]\nname = "{TOKEN}"\nurl = "{token_url}"\n')
        config.write_text("".join(tables))
        at = ("--config", str(config), "--data-dir", str(directory / "node" / "data"))
        ca = [sys.executable, "-m", "eagle_node", "ca"]
        await run([*ca, "init", *at])
        shown = await run([*ca, "show", *at])
        (directory / "ca.pem").write_text(shown.stdout)
        await run([*ca, "trust", "--by-hand", *at])
        node = await enter(eagle_node(directory / "node", "--config", str(config)))
        machine = await enter(host(directory / "host"))
        machine.env |= {
            "HTTPS_PROXY": node.proxy_url,
            "NO_PROXY": f"{MIRRORED},{TOKEN}",
            "SSL_CERT_FILE": str(directory / "ca.pem"),
        }
        machine.write("containerd/config.toml", containerd_config(machine))
        names = ("--registry", MIRRORED, "--registry", TOKEN)
        install = ("install", "--runtime", "containerd", "--proxy", node.proxy_url)
        await machine.mirror(*install, *names)
        await enter(machine.containerd())
        yield Site(node=node, registry=registry, machine=machine, images=images)
        assert USER.password not in node.log()


async def test_a_pull_secret_reaches_the_registry(tmp_path: Path) -> None:
    """By password through HTTPS_PROXY and the mirror, by token through the mirror; and an image
    that is asked for by two ways is fetched once, since bytes are bytes."""
    async with running_site(tmp_path) as site:
        for name, tag in ((OPENED, "a"), (MIRRORED, "b"), (TOKEN, "c")):
            await _only_the_secret_opens(site, name, tag)
        await asyncio.gather(*(site.pull(name, "d", SECRET) for name in (OPENED, MIRRORED)))
        requests = await site.registry.blob_requests()
        assert {requests[blob.digest] for blob in site.images["d"].blobs} == {1}


async def _only_the_secret_opens(site: Site, name: str, tag: str) -> None:
    """By way of the node, which has kept the image then; without it, or with another, no pull."""
    for secret in ("", "mallory:guess"):
        told = await site.refused(name, tag, secret)
        assert "authoriz" in told.lower(), told
    before = (await site.node.status())["traffic"]["served_bytes"]
    await site.pull(name, tag, SECRET)
    after = (await site.node.status())["traffic"]["served_bytes"]
    assert after - before >= site.images[tag].size
    listed = await run(["curl", "--silent", f"{site.node.api_url}/v1/blobs"])
    assert all(blob.digest in listed.stdout for blob in site.images[tag].blobs)
    for secret in ("", "mallory:guess"):
        assert "authoriz" in (await site.refused(name, tag, secret)).lower()
