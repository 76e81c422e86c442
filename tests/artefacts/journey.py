"""The same journey for every artefact: it uses each native library that has to be in it.

libtorrent over TLS carries the layers, gRPC their metainfo, obstore writes them to a bucket,
cryptography makes the certificates, aiohttp serves the client, SQLite keeps the index,
OpenTelemetry's exporter sends traces, Textual draws the dashboard in a terminal and a browser.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from moto.server import ThreadedMotoServer

from tests.support.browser import admitted, page_shows, served
from tests.support.clients import Route
from tests.support.clients.skopeo import skopeo
from tests.support.collector import collector
from tests.support.images import Image, files_image, push
from tests.support.node import ANY_PORT, Node, eagle_node
from tests.support.process import CommandFailed, run
from tests.support.registry import Registry, docker_registry
from tests.support.terminal import terminal

LAYERS = (4 << 20, 1 << 20, 64 << 10)
NAME = "registry.example"
FIRST_START_S = 60.0
"""Seconds that a first start may take: a portable artefact unpacks itself, on a busy machine."""


async def travel(program: Sequence[str], version: str, directory: Path, *, user: int = 0) -> None:
    """Let ``program`` do all that it is for; `AssertionError` or `CommandFailed` tells what not.

    ``directory`` is empty, and is under the same name in ``program``'s file system, where it runs
    as ``user``.
    """
    told = (await run([*program, "version"], timeout=FIRST_START_S)).stdout
    assert told.split() == ["eagle-node", version], told
    image = files_image(directory / "image", LAYERS)
    key = directory / "cluster.key"
    key.write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    key.chmod(0o600)
    for path in (key, directory / "one", directory / "two"):
        if path != key:
            path.mkdir()
        os.chown(path, user, user)
    await _schemes_are_known(program, directory / "one" / "other")
    with _bucket() as storage:
        async with docker_registry(directory / "registry") as registry, collector() as traces:
            await push(image, registry, "library/app")
            flags = ("--registry", f"{NAME}={registry.url}", "--cluster-key-file", str(key))
            first = ("--role", "proxy,peer,seeder,tracker", "--storage", storage)
            async with (
                eagle_node(directory / "one", *flags, *first, program=program) as one,
                eagle_node(
                    directory / "two",
                    *[*flags, *one.pins, "--otlp-endpoint", traces.url],
                    program=program,
                ) as two,
            ):
                await _pull(two, image, directory / "client")
                await _came_through_the_swarm(two, image, registry)
                await traces.wait("client request", node=await _node_id(two))
                await _status_says_so(program, two)
                await _dashboard_shows_it(program, two, directory)
                assert await one.terminate() == 0, one.process.log_tail()
        _is_in(storage, image)
    await run([*program, "demo", "--nodes", "2", "--size", "2M"], timeout=180)


async def _pull(node: Node, image: Image, directory: Path) -> None:
    async with skopeo(directory, Route(name=NAME, mirror=node.proxy_address)) as client:
        assert await client.pull(f"{NAME}/library/app:latest") == image.digest


async def _came_through_the_swarm(node: Node, image: Image, registry: Registry) -> None:
    traffic = (await node.status())["traffic"]
    layers = sum(blob.size for blob in image.layers)
    assert traffic["peer_download_bytes"] >= layers, traffic
    assert traffic["origin_bytes"] < layers, traffic
    sent = await registry.blob_requests()
    assert {sent[blob.digest] for blob in image.layers} == {1}, sent


async def _status_says_so(program: Sequence[str], node: Node) -> None:
    told = (await run([*program, "status", "--api", node.api_url], timeout=60)).stdout
    assert (await _node_id(node))[:8] in told, told


async def _dashboard_shows_it(program: Sequence[str], node: Node, directory: Path) -> None:
    """In a terminal, and in a browser, where each page is a process that the program starts."""
    dashboard = [*program, "tui", "--api", node.api_url]
    async with terminal(directory, dashboard) as screen:
        await screen.shows("● live", "last pull")
        await screen.type("q")
        await screen.shows("[0]")
    web = [*dashboard, "--web", "127.0.0.1:0"]
    async with served(web, log=directory / "web.log") as address, admitted(*address) as (page, _):
        await page_shows(page, address[0], "last pull")


async def _node_id(node: Node) -> str:
    return str((await node.status())["node"]["id"])


async def _schemes_are_known(program: Sequence[str], data: Path) -> None:
    """Storage drivers are found by name, and this is all of them."""
    listen = ("--proxy-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", *ANY_PORT)
    said = ""
    try:
        await run([*program, "run", *listen, "--storage", "nowhere://x", "--data-dir", str(data)])
    except CommandFailed as error:
        said = str(error)
    assert "there is no driver for nowhere://" in said, said
    for scheme in ("az", "file", "gs", "memory", "s3"):
        assert f"{scheme}://" in said, said


@contextlib.contextmanager
def _bucket() -> Iterator[str]:
    """A storage URL of a bucket in a server on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # which tells of every request
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    server = f"http://{host}:{port}"
    for method, path in (("POST", "moto-api/reset"), ("PUT", "blobs")):
        urllib.request.urlopen(urllib.request.Request(f"{server}/{path}", method=method)).close()
    try:
        yield f"s3://blobs/images?endpoint={server}&allow_http=true&region=us-east-1"
    finally:
        moto.stop()


def _is_in(storage: str, image: Image) -> None:
    server = storage.partition("endpoint=")[2].partition("&")[0]
    with urllib.request.urlopen(f"{server}/blobs?list-type=2") as answer:
        listed = answer.read().decode()
    for blob in image.layers:
        assert blob.digest.removeprefix("sha256:") in listed, f"{blob.digest} is not in the bucket"


def variables() -> dict[str, str]:
    """What the program needs in its environment: the bucket's keys, traces without much delay."""
    return {
        "AWS_ACCESS_KEY_ID": "eagle",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "TERM": "xterm-256color",
    }
