"""``eagle-node doctor`` against real registries and a real node."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from eagle_node.api.codec import to_json
from eagle_node.base.findings import Level
from eagle_node.config.tree import (
    ClusterConfig,
    Config,
    ProxyConfig,
    RegistryConfig,
    SeederConfig,
    TrackerConfig,
)
from eagle_node.doctor.process import Running
from eagle_node.doctor.reach import check_nodes, check_registries
from eagle_node.doctor.status import check_status
from eagle_node.runtime.sockets import Address
from tests.integration.registry.origin import serving
from tests.support.certificates import issue
from tests.support.node import eagle_node
from tests.support.process import CommandFailed, run
from tests.support.registry import docker_registry
from tests.tui.fleet import Fleet

COMMAND = [sys.executable, "-m", "eagle_node", "doctor", "--no-runtimes"]


def registries(*given: RegistryConfig) -> Config:
    """A node that reaches these, and no other."""
    return Config(proxy=ProxyConfig(registries=given, only_configured=True))


async def test_registries(tmp_path: Path, unused_tcp_port: int) -> None:
    """One that answers is well, also when it asks for credentials; the others say why not."""
    tls, other = issue(tmp_path / "tls"), issue(tmp_path / "other")
    async with docker_registry(tmp_path / "registry", tls=tls) as registry:
        findings = await check_registries(
            registries(
                RegistryConfig(name="trusted", url=registry.url, ca_file=tls.authority),
                RegistryConfig(name="foreign", url=registry.url),
                RegistryConfig(name="gone", url=f"http://127.0.0.1:{unused_tcp_port}"),
                RegistryConfig(name="no-pem", url=registry.url, ca_file=tls.key),
                RegistryConfig(name="other", url=registry.url, ca_file=other.authority),
                RegistryConfig(
                    name="unlike",
                    url=registry.url,
                    client_cert_file=tls.certificate,
                    client_key_file=other.key,
                ),
            )
        )
    found = {each.subject.removeprefix("registry "): each for each in findings}
    assert found["trusted"].level is Level.OK
    assert "is not trusted" in found["foreign"].text
    assert "ca-file" in found["foreign"].remedy
    assert "does not answer" in found["gone"].text
    assert "--registry gone=URL" in found["gone"].remedy
    assert found["other"].remedy.startswith(f"{other.authority} does not hold the CA")
    assert "client-key-file" in found["unlike"].remedy
    assert "no-pem" not in found, "what is wrong with its files is told of the files"


async def test_a_clock_that_is_off_is_seen_at_the_registry() -> None:
    """Tokens and certificates fail for a reason that nobody looks for."""

    async def in_1999(request: web.Request) -> web.Response:
        return web.Response(headers={"Date": "Fri, 31 Dec 1999 23:59:59 GMT"})

    async with serving(in_1999) as origin:
        findings = await check_registries(registries(RegistryConfig(name="old", url=origin.url)))
    assert [each.level for each in findings] == [Level.OK, Level.WARNING]
    assert "ahead of the one of registry old" in findings[1].text


async def test_pinned_nodes(unused_tcp_port: int) -> None:
    """Seeders and trackers that accept connections are told from those that do not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = Address(*listener.getsockname())
        findings = await check_nodes(
            Config(
                seeder=SeederConfig(pinned=(there, Address("127.0.0.1", unused_tcp_port))),
                tracker=TrackerConfig(pinned=(f"http://{there}",)),
            )
        )
    assert [each.level for each in findings] == [Level.OK, Level.ERROR, Level.OK]
    assert findings[1].remedy.endswith("--seeder")


@pytest.mark.parametrize(
    ("leader", "remedy"), [(None, "correct --join"), ("eu-1-web-0000", "lower --cache-reserve")]
)
async def test_a_node_that_is_not_ready_comes_with_its_remedy(
    leader: str | None, remedy: str
) -> None:
    """The reason says why, the remedy what to do about it."""
    status = await Fleet().status()
    told = replace(status, cluster=replace(status.cluster, leader=leader))

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/v1/status":
            return web.json_response(to_json(told))
        return web.json_response({"ready": False, "reasons": ["so it is"]}, status=503)

    async with serving(answer) as node:
        running = Running(pid=1, ports={"api": int(node.host.partition(":")[2])})
        config = Config(cluster=ClusterConfig(enabled=True))
        first, *_ = await check_status(config, running)
    assert first.text == "it is not ready: so it is"
    assert remedy in first.remedy


async def test_a_healthy_node_is_status_0(tmp_path: Path) -> None:
    """A node that runs is asked for its ports; everything is told, and the document as well."""
    async with docker_registry(tmp_path / "registry") as registry:
        flags = [
            *["--registry", f"r.example={registry.url}"],
            *["--only-configured", "true", "--cache-reserve", "0"],
        ]
        async with eagle_node(tmp_path / "node", *flags) as node:
            argv = [*COMMAND, "--data-dir", str(tmp_path / "node" / "data"), *flags]
            # The flags that the node was given on any port: those of doctor agree with all.
            ports = [
                part
                for name in ("proxy-listen", "api-listen")
                for part in (f"--{name}", "127.0.0.1:0")
            ]
            shown = (await run([*argv, *ports])).stdout
            document: dict[str, Any] = json.loads((await run([*argv, *ports, "--json"])).stdout)
            pid = node.process.pid
            beside = ["--data-dir", str(tmp_path / "other"), *flags]
            beside += ["--api-listen", node.api_url.removeprefix("http://")]
            with pytest.raises(CommandFailed, match="status 1") as caught:
                await run([*COMMAND, *beside])
    told = " ".join(str(caught.value).split())
    assert f"another node (process {pid}) has" in told
    assert f"eagle-node doctor --data-dir {tmp_path / 'node' / 'data'};" in told
    assert f"the node (process {pid}) listens on" in shown
    assert "is ready; roles: peer, proxy, seeder, tracker" in shown
    assert f"{registry.url} answers" in shown
    assert document["ok"] is True
    assert {"level", "subject", "text", "remedy"} == set(document["findings"][0])


async def test_what_does_not_work_is_status_1(tmp_path: Path, unused_tcp_port: int) -> None:
    """An error among the findings is a failure, and comes with its remedy."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    flags = ["--registry", f"r.example={url}", "--only-configured", "true"]
    with pytest.raises(CommandFailed, match="status 1") as caught:
        await run([*COMMAND, "--data-dir", str(tmp_path), *flags])
    told = str(caught.value)
    assert f"no node runs on {tmp_path}" in told
    assert "✗ registry r.example" in told
    assert "→ look at DNS, routes and firewalls" in told
