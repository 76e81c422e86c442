"""The example fleets, started with their own files: two zones, and a seeder with a bucket."""

from __future__ import annotations

import asyncio
import base64
import logging
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.support.images import files_image, push
from tests.support.netns import network
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, pull_image
from tests.support.registry import docker_registry
from tests.support.waiting import until

EXAMPLES = Path(__file__).parents[3] / "examples"
LAYERS = (3 << 20, 1 << 20)
BUCKET = "images"
MOST_COPIES = 1.8
"""Over the border of two nodes: one of the layers, manifests and gossip; not one for each node."""


def installed(example: Path, directory: Path, replaced: Mapping[str, str]) -> str:
    """A copy of an example's file with the places of this machine; each has to be in it."""
    text = example.read_text()
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    directory.mkdir(parents=True, exist_ok=True)
    copy = directory / example.name
    copy.write_text(text)
    return str(copy)


@pytest.mark.slow
async def test_two_zones_take_one_copy_over_their_border(tmp_path: Path) -> None:
    """Two nodes a zone find each other through the file's two; a wave crosses once."""
    key = tmp_path / "cluster.key"
    key.write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    key.chmod(0o600)
    image = files_image(tmp_path / "image", LAYERS)
    zones = {"a": ["a1", "a2"], "b": ["b1", "b2"], "elsewhere": ["origin"]}
    async with network(zones) as net, AsyncExitStack() as stack:
        origin = net["origin"]
        registry = await stack.enter_async_context(
            docker_registry(tmp_path / "registry", host=origin.address, namespace=origin.namespace)
        )
        await push(image, registry, REPOSITORY)
        places = {"10.1.0.1": net["a1"].address, "10.2.0.1": net["b1"].address}
        places["/etc/eagle-node/cluster.key"] = str(key)

        async def start(name: str) -> Node:
            host = net[name]
            file = EXAMPLES / "two-zones" / f"zone-{host.zone}.toml"
            config = installed(file, tmp_path / name, places)
            flags = ("--config", config, "--registry", f"{NAME}={registry.url}")
            node = eagle_node(tmp_path / name, *flags, host=host.address, namespace=host.namespace)
            return await stack.enter_async_context(node)

        nodes = await asyncio.gather(*map(start, ("a1", "a2", "b1", "b2")))

        async def are_settled() -> bool:
            clusters = [(await node.status())["cluster"] for node in nodes]
            return all(
                each["leader"] and sum(m["state"] == "alive" for m in each["members"]) == len(nodes)
                for each in clusters
            )

        await until(are_settled, what="one cluster of four", timeout=60)
        before = await net.traffic()
        await asyncio.gather(*(pull_image(node, image) for node in nodes))
        after = await net.traffic()
        size = sum(layer.size for layer in image.layers)
        for zone in ("zone:a", "zone:b"):
            copies = (after[zone].received - before[zone].received) / size
            assert copies < MOST_COPIES, f"{zone} received {copies:.2f} copies"
        sent = await registry.blob_requests()
        assert {sent[layer.digest] for layer in image.layers} == {1}, sent


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of a server on loopback that has the example's bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    for method, path in (("POST", "moto-api/reset"), ("PUT", BUCKET)):
        request = urllib.request.Request(f"http://{host}:{port}/{path}", method=method)
        urllib.request.urlopen(request).close()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.mark.slow
async def test_the_bucket_outlives_its_seeder(tmp_path: Path, bucket: str) -> None:
    """A second seeder with an empty cache serves the layers, and the registry sends none again."""
    keys = ("AWS_ACCESS_KEY_ID=eagle", "AWS_SECRET_ACCESS_KEY=secret")
    program = ("env", *keys, sys.executable, "-m", "eagle_node")
    endpoint = {"https://s3.example:9000": f"{bucket}&allow_http=true", "200GiB": "1GiB"}
    config = installed(EXAMPLES / "s3" / "seeder.toml", tmp_path, endpoint)
    image = files_image(tmp_path / "image", LAYERS)
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, REPOSITORY)
        flags = ("--config", config, "--registry", f"{NAME}={registry.url}")
        async with eagle_node(tmp_path / "first", *flags, program=program) as first:
            await pull_image(first, image)
            await _are_stored(bucket, [layer.digest for layer in image.layers])
        async with eagle_node(tmp_path / "second", *flags, program=program) as second:
            await pull_image(second, image)
        sent = await registry.blob_requests()
        assert {sent[layer.digest] for layer in image.layers} == {1}, sent


async def _are_stored(bucket: str, digests: list[str]) -> None:
    def names() -> str:
        with urllib.request.urlopen(f"{bucket}/{BUCKET}?list-type=2") as answer:
            return str(answer.read().decode())

    async def all_are_there() -> bool:
        listed = await asyncio.to_thread(names)
        return all(digest.removeprefix("sha256:") in listed for digest in digests)

    await until(all_are_there, what="the layers in the bucket")
