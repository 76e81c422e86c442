"""What containerd makes of ``hosts.toml`` files that lead to a node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.clients.containerd import Containerd, containerd
from tests.support.images import Image, files_image, push
from tests.support.node import Node, eagle_node
from tests.support.process import CommandFailed
from tests.support.registry import Credentials, docker_registry

KIB = 1 << 10
DEAD = "http://127.0.0.1:9"
PULLS = 'capabilities = ["pull", "resolve"]\n'
PRIVATE = "private.example"
NAMES = ("colon.example:5000", "underscore.example:5000", "default.example", "path.example")
AUTH = Credentials(user="reader", password="of-the-header")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A node that knows registries by names that no DNS knows, and a containerd that runs."""

    node: Node
    client: Containerd
    images: dict[str, Image]
    """By registry; containerd does not fetch a second time what it has."""

    async def served(self) -> int:
        """Bytes that clients have got."""
        return int((await self.node.status())["traffic"]["served_bytes"])

    async def pull(self, name: str) -> None:
        """The pushed digest comes, by way of the node."""
        before = await self.served()
        assert await self.client.pull(f"{name}/team/app:latest") == self.images[name].digest
        assert await self.served() > before


@asynccontextmanager
async def running_site(directory: Path) -> AsyncIterator[Site]:
    """Registries of one image each, one of them private."""
    images = {
        name: files_image(directory / f"image-{number}", [20 * KIB], seed=name)
        for number, name in enumerate((*NAMES, PRIVATE))
    }
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        private = await enter(docker_registry(directory / "private", auth=AUTH))
        await push(images[PRIVATE], private, "team/app")
        flags = ["--registry", f"{PRIVATE}={private.url}"]
        for number, name in enumerate(NAMES):
            registry = await enter(docker_registry(directory / f"registry-{number}"))
            await push(images[name], registry, "team/app")
            flags += ["--registry", f"{name}={registry.url}"]
        node = await enter(eagle_node(directory / "node", *flags))
        client = await enter(containerd(directory / "containerd"))
        yield Site(node=node, client=client, images=images)


async def test_containerd_finds_the_node_as_its_files_say(tmp_path: Path) -> None:
    """Files under every name of a directory, hosts in their order, headers, and errors."""
    async with running_site(tmp_path) as site:
        await _files_are_found_by_every_name(site)
        await _hosts_are_tried_in_order(site)
        await _a_header_can_carry_credentials(site)
        await _the_first_error_is_what_the_user_reads(site)


async def _files_are_found_by_every_name(site: Site) -> None:
    """``host:port``, ``host_port_`` and ``_default``, written while containerd runs."""
    here = f'[host."{site.node.proxy_url}"]\n{PULLS}'
    for directory, name in (
        ("colon.example:5000", "colon.example:5000"),
        ("underscore.example_5000_", "underscore.example:5000"),
        ("_default", "default.example"),
    ):
        site.client.configure(directory, here)
        await site.pull(name)
    labels = await site.client.labels()
    assert "containerd.io/distribution.source.default.example=team/app" in labels


async def _hosts_are_tried_in_order(site: Site) -> None:
    """A dead one first; then the node, at a path of its own."""
    site.client.configure(
        "path.example",
        f'[host."{DEAD}"]\n{PULLS}[host."{site.node.proxy_url}/v2"]\n{PULLS}override_path = true\n',
    )
    await site.pull("path.example")


async def _a_header_can_carry_credentials(site: Site) -> None:
    """Without it the registry's 401 is what the user reads, not that of the last host."""
    here = f'server = "{DEAD}"\n[host."{site.node.proxy_url}"]\n{PULLS}'
    site.client.configure(PRIVATE, here)
    with pytest.raises(CommandFailed) as caught:
        await site.client.pull(f"{PRIVATE}/team/app:latest")
    assert "authorization failed" in str(caught.value) or "401" in str(caught.value)
    header = f'[host."{site.node.proxy_url}".header]\nauthorization = "{AUTH.header}"\n'
    site.client.configure(PRIVATE, here + header)
    await site.pull(PRIVATE)


async def _the_first_error_is_what_the_user_reads(site: Site) -> None:
    """When the node cannot have the registry, and when there is no such image."""
    here = f'[host."{site.node.proxy_url}"]\n{PULLS}'
    site.client.configure("unknown.invalid", f'server = "{DEAD}"\n{here}')
    with pytest.raises(CommandFailed, match="502 Bad Gateway"):
        await site.client.pull("unknown.invalid/team/app:latest")
    site.client.configure("colon.example:5000", f'server = "{site.node.proxy_url}"\n{here}')
    with pytest.raises(CommandFailed, match="not found"):
        await site.client.pull("colon.example:5000/team/app:missing")
