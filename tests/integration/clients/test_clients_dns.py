"""DNS servers that do not answer: clients are told soon, and told who does not."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.dns import dns_server
from tests.support.images import MANIFEST_TYPE, files_image, push
from tests.support.netns import network
from tests.support.node import eagle_node
from tests.support.process import run
from tests.support.registry import docker_registry
from tests.support.waiting import until

KIB = 1 << 10
WITH_DNS = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
LOOKED_UP_S = 60
"""For curl; glibc alone takes 10 s for each name of a dead server, and a pull has many."""


@pytest.mark.slow
async def test_a_frozen_dns_server_is_named(tmp_path: Path) -> None:
    """By the mirror and by the proxy. A second server stands in for it: it is asked after 5 s,
    which is in time; so does the frozen one once it answers again."""
    image = files_image(tmp_path / "image", [20 * KIB])
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(["origin", "dns", "other", "host"]))
        origin, dns, other, host = (net[each] for each in ("origin", "dns", "other", "host"))
        registry = await stack.enter_async_context(
            docker_registry(tmp_path / "registry", host=origin.address, namespace=origin.namespace)
        )
        await push(image, registry, "team/app")
        names = [f"host-record=registry.lan,{origin.address}"]
        server = await stack.enter_async_context(
            dns_server(tmp_path, dns.address, 53, names, namespace=dns.namespace)
        )
        await stack.enter_async_context(
            dns_server(tmp_path / "other", other.address, 53, names, namespace=other.namespace)
        )
        conf = tmp_path / "resolv.conf"
        conf.write_text(f"nameserver {dns.address}\n")
        port = registry.address.partition(":")[2]
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-c", WITH_DNS, str(conf))
        node = await stack.enter_async_context(
            eagle_node(
                tmp_path / "node",
                *("--registry", f"registry.lan=http://registry.lan:{port}"),
                host=host.address,
                namespace=host.namespace,
                program=(*enter, sys.executable, "-m", "eagle_node"),
            )
        )

        async def curl(*arguments: str) -> str:
            argv = ["curl", "--silent", "--max-time", str(LOOKED_UP_S), *arguments]
            script = ["sh", "-c", '"$@" || true', "sh", *argv]
            return (await run(script, namespace=host.namespace)).stdout

        manifest = f"{node.proxy_url}/v2/team/app/manifests/latest?ns=registry.lan"
        shown = ("--proxytunnel", "--proxy", node.proxy_url, "--include", "http://registry.lan/")
        server.signal(signal.SIGSTOP)
        answers = await asyncio.gather(curl(manifest), curl(*shown))
        for answer in answers:
            assert "host name registry.lan cannot be looked up" in answer
            assert f"DNS server {dns.address}" in answer
        conf.write_text(f"nameserver {dns.address}\nnameserver {other.address}\n")

        async def is_pulled() -> bool:
            accept = f"Accept: {MANIFEST_TYPE}"
            return image.layers[0].digest in await curl("--header", accept, manifest)

        await until(is_pulled, what="the manifest", timeout=60, interval=0.5)
        conf.write_text(f"nameserver {dns.address}\n")
        server.signal(signal.SIGCONT)
        absent = await curl(f"{manifest}&x=1".replace("registry.lan", "mistyped.lan"))
        assert "host name mistyped.lan does not resolve" in absent
