"""``eagle-node demo``: a registry and some nodes on loopback, and one image pulled through all."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from eagle_node.api.client import ApiClient
from eagle_node.base.sizes import format_size
from eagle_node.cli.demo_image import Image, build_image
from eagle_node.cli.demo_node import DemoNode, running_node
from eagle_node.cli.demo_pull import Pulled, pull
from eagle_node.cli.demo_registry import REPOSITORY, TAG, DemoRegistry
from eagle_node.cli.demo_report import Outcome, document, faults, report
from eagle_node.cli.exits import Exit
from eagle_node.cli.signals import until_signal

REGISTRY = "registry.demo"
"""Name that the nodes and their clients know the demo's registry by."""


def demo(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 only when every byte came as it should."""
    console = Console(highlight=False, stderr=arguments.json)
    with _directory(keep=arguments.keep, console=console) as directory:
        work = _demo(directory, arguments, console)
        return asyncio.run(until_signal(work, on_sigterm=Exit.FAILURE))


async def _demo(directory: Path, arguments: argparse.Namespace, console: Console) -> Exit:
    count, size = arguments.nodes, arguments.size
    console.print("making an image of this machine's files …")
    image = await asyncio.to_thread(_make_image, directory, size)
    layers = len(image.blobs) - 1
    console.print(f"image: {format_size(image.size)} in {layers} layers, {image.digest[:19]}…")
    registry = DemoRegistry(image)
    async with registry.served(), AsyncExitStack() as stack:
        console.print(f"registry at {registry.url}; starting {count} nodes …")
        nodes = await _start_nodes(stack, directory, count, registry)
        console.print("pulling the image through all nodes at once …")
        outcomes = await _pull_through(nodes)
    found = faults(image, outcomes, registry.sent)
    if arguments.json:
        print(json.dumps(document(image, outcomes, registry.sent, found), indent=2))
    console.print(report(image, outcomes, registry.sent))
    for fault in found:
        console.print(f"wrong: {fault}", style="bold red")
    if not found:
        console.print(
            f"{len(outcomes)} nodes have {format_size(image.size)} each, every digest is right, "
            "and the registry sent each blob once.",
            style="bold green",
        )
    return Exit.FAILURE if found else Exit.OK


@contextmanager
def _directory(*, keep: bool, console: Console) -> Iterator[Path]:
    """A directory for everything that the demo writes."""
    directory = Path(tempfile.mkdtemp(prefix="eagle-node-demo-"))
    try:
        yield directory
    finally:
        if keep:
            console.print(f"data and logs are kept in {directory}", soft_wrap=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _make_image(directory: Path, size: int) -> Image:
    blobs = directory / "registry"
    blobs.mkdir()
    return build_image(blobs, size)


async def _start_nodes(
    stack: AsyncExitStack, directory: Path, count: int, registry: DemoRegistry
) -> Sequence[DemoNode]:
    """The first node holds every role, the others are proxies and peers that use it."""
    origin = ("--registry", f"{REGISTRY}={registry.url}")

    async def start(number: int, *flags: str) -> DemoNode:
        home = directory / f"node-{number}"
        await asyncio.to_thread(home.mkdir)
        node = running_node(f"node {number}", home, *origin, *flags)
        return await stack.enter_async_context(node)

    first = await start(1)
    async with asyncio.TaskGroup() as tasks:
        others = [
            tasks.create_task(start(number, *first.pins), name=f"start-{number}")
            for number in range(2, count + 1)
        ]
    return [first, *(task.result() for task in others)]


async def _pull_through(nodes: Sequence[DemoNode]) -> list[Outcome]:
    async with asyncio.TaskGroup() as tasks:
        pulls = [
            tasks.create_task(pull(node.proxy_url, REGISTRY, REPOSITORY, TAG), name=node.name)
            for node in nodes
        ]
    return [await _outcome(node, task.result()) for node, task in zip(nodes, pulls, strict=True)]


async def _outcome(node: DemoNode, pulled: Pulled) -> Outcome:
    async with ApiClient(node.api_url) as api:
        traffic = (await api.status()).traffic
    return Outcome(name=node.name, pulled=pulled, traffic=traffic)
