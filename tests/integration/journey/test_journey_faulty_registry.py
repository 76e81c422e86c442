"""Registries that are silent, reset connections, flap, fail in bursts or take their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.support import http
from tests.support.faults import Fault, Link, link
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, Behaviour, Origin, scripted_origin
from tests.support.pulls import blob_url, manifest_url, pull_blob, refusal
from tests.support.scripted_image import ScriptedImage
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = "sha256:" + "0" * 64
SHORT = ("--tag-ttl", "0.001", "--access-ttl", "0.001", "--origin-timeout", "2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An image that one node has, a seeder, and a node that has never seen it."""

    origin: Origin
    link: Link
    image: ScriptedImage
    had: Node
    seeder: Node
    new: Node

    @property
    def nodes(self) -> Sequence[Node]:
        """All of them."""
        return (self.new, self.had, self.seeder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One for all tests, which leave it well: the registry is behind a link that is whole."""
    directory = tmp_path_factory.mktemp("site")
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(scripted_origin())
        way = await stack.enter_async_context(link(int(origin.url.rpartition(":")[2])))
        at = ("--registry", f"{NAME}={way.url}", *SHORT)
        seeder = await stack.enter_async_context(eagle_node(directory / "seeder", *at))
        had, new = [
            await stack.enter_async_context(eagle_node(directory / name, *at, *seeder.pins))
            for name in ("had", "new")
        ]
        image = ScriptedImage(origin, "latest")
        assert await image.pull(had) == [None, None]
        yield Site(origin=origin, link=way, image=image, had=had, seeder=seeder, new=new)
        for node in (seeder, had, new):
            assert "Traceback" not in node.log()


async def _troubles(node: Node) -> list[dict[str, Any]]:
    document: list[dict[str, Any]] = (await node.status())["registries"]["troubles"]
    return document


async def _is_well_again(here: Site) -> None:
    """Every node gets the registry's own word, and tells of no trouble once it has."""
    for node in here.nodes:

        async def is_fresh(node: Node = node) -> bool:
            try:
                return await here.image.pull(node) == [None, None]
            except http.BadAnswer:
                return False

        await until(is_fresh, what="the registry's own word", timeout=60, interval=0.5)


BROKEN = {Fault.RESET: "onnection", Fault.DOWN: "cannot connect: Connection refused"}
"""What is told of registries that end or refuse connections."""


async def test_an_image_outlives_its_connections(here: Site) -> None:
    """It pulls by tag and digest, from a node that never had it too; a miss tells the reason.

    Of a registry that accepts connections and never answers only the first questions are waited
    for: all others are answered at once, with what it last said or with the reason.
    """
    for fault, reason in BROKEN.items():
        await _is_outlived(here, fault, reason)
    await _is_asked_by_one_at_a_time(here)


async def test_what_a_registry_in_trouble_gives_is_kept(here: Site) -> None:
    """What is cached always comes, what is not comes in the end."""
    await _flapping(here)
    await _bursts(here)
    await _slow(here)


async def _is_outlived(here: Site, fault: Fault, reason: str) -> None:
    await here.link.set(fault)
    for node in here.nodes:
        for warning in await here.image.pull(node):
            assert (warning or "").startswith("110 ")
        for url in (manifest_url(node, "missing"), blob_url(node, ABSENT)):
            assert reason in await refusal(url, status=502)
        [trouble] = await _troubles(node)
        assert (trouble["registry"], reason in trouble["reason"]) == (NAME, True)
    await here.link.set(Fault.NONE)
    await _is_well_again(here)


async def _is_asked_by_one_at_a_time(here: Site) -> None:
    await here.link.set(Fault.SILENT)
    for warnings in await asyncio.gather(*map(here.image.pull, here.nodes)):
        assert all((each or "").startswith("110 ") for each in warnings)
    before = here.link.connections
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            node = here.nodes[number % 3]
            group.create_task(here.image.pull(node))
            group.create_task(_is_missing(node, manifest_url(node, f"other-{number}")))
            group.create_task(_is_missing(node, blob_url(node, f"sha256:{number:064}")))
    assert here.link.connections - before <= 20, "300 questions were asked"
    [trouble] = await _troubles(here.seeder)
    assert "nothing came for" in trouble["reason"]
    await here.link.set(Fault.NONE)
    await _is_well_again(here)


async def _is_missing(node: Node, url: str) -> None:
    assert "nothing came for" in await refusal(url, status=502), node.log()


async def _flapping(here: Site) -> None:
    """Up and down each second."""
    other = ScriptedImage(here.origin, "flapping")
    reasons: list[str] = []
    flapping = asyncio.create_task(here.link.flap(1.0))
    try:

        async def is_pulled() -> bool:
            await here.image.pull(here.had)
            try:
                await other.pull(here.new)
            except http.BadAnswer as error:
                reasons.append(str(error))
                return False
            return True

        await until(is_pulled, what="the other image", timeout=60, interval=0.2)
        await here.image.pull(here.new)
    finally:
        flapping.cancel()
    assert all(": 502, not 200" in each for each in reasons), reasons
    await here.link.set(Fault.NONE)
    await _is_well_again(here)


async def _bursts(here: Site) -> None:
    """Of everything that is asked for, the first two answers are errors."""
    other = ScriptedImage(here.origin, "burst")
    reasons: list[str] = []
    for name in (*here.image.names, *other.names):
        here.origin.script(name, *[Behaviour(status=500), Behaviour(status=503)])
    for node in here.nodes:
        await here.image.pull(node)

    async def is_pulled() -> bool:
        try:
            await other.pull(here.new)
        except http.BadAnswer as error:
            reasons.append(str(error))
            return False
        return True

    await until(is_pulled, what="the other image", timeout=60, interval=0.2)
    assert all(": 502, not 200" in each and "answered 50" in each for each in reasons), reasons
    await _is_well_again(here)


async def _slow(here: Site) -> None:
    """Each answer takes its time: they are the registry's own words, and no trouble."""
    await here.link.set(Fault.DOWN)
    here.link.delay_s = 0.3
    await here.link.set(Fault.NONE)
    other = ScriptedImage(here.origin, "slow")
    assert await other.pull(here.new) == [None, None]
    await asyncio.gather(*(pull_blob(here.had, blob) for blob in other.blobs))
    for node in here.nodes:
        assert await _troubles(node) == []
    here.link.delay_s = 0.0
