"""Disks that are full or lie: clients are served all the same."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest
from eagle_node.base.errors import StartError, Unavailable
from eagle_node.blobs.files import blob_directory
from eagle_node.store.database import Database
from eagle_node.tracker.client import TrackerClient
from tests.integration.tracker.support import tracker
from tests.support.images import files_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, scripted_origin
from tests.support.process import run
from tests.support.pulls import REPOSITORY, pull_blob, pull_image, traffic
from tests.support.registry import docker_registry
from tests.support.waiting import until
from tests.unit.tracker.builders import blob, holds, node

MIB = 1 << 20
DISK = 20 * MIB


@asynccontextmanager
async def small_disk(directory: Path) -> AsyncIterator[Path]:
    """A file system of 20 MiB; needs CAP_SYS_ADMIN."""
    await run(["mkdir", str(directory)])
    await run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(directory)])
    try:
        yield directory
    finally:
        await run(["umount", str(directory)])


async def test_a_blob_larger_than_the_disk(tmp_path: Path) -> None:
    """It passes through; a line says that the disk has no room, and how much is reserved."""
    async with small_disk(tmp_path / "disk") as disk, scripted_origin() as origin:
        large, small = origin.add_random(DISK + MIB), origin.add_random(MIB)
        flags = (*origin.flags, "--cache-reserve", "2MiB")
        async with eagle_node(disk / "a", *flags) as node:
            await pull_blob(node, large)
            assert "no room for" in node.log()
            assert "--cache-reserve" in node.log()
            await pull_blob(node, small)
            await pull_blob(node, small)
            assert "Traceback" not in node.log()
        assert len(origin.gets(small)) == 1


async def test_a_disk_that_fills_up_from_outside(tmp_path: Path) -> None:
    """With not a byte left an image is served all the same; with room again it is cached."""
    image = files_image(tmp_path / "image", [2 * MIB])
    async with small_disk(tmp_path / "disk") as disk, docker_registry(tmp_path / "r") as registry:
        await push(image, registry, REPOSITORY)
        flags = ("--registry", f"{NAME}={registry.url}", "--cache-reserve", "0")
        async with eagle_node(disk / "a", *flags) as node:
            filler = disk / "filler"
            _fill(filler)
            await pull_image(node, image)
            await pull_image(node, image)
            assert "disk" in node.log()
            assert (await node.status())["cache"]["blobs"] == 0
            filler.unlink()
            await pull_image(node, image)
            await pull_image(node, image)
            assert (await node.status())["cache"]["blobs"] == len(image.blobs)
            assert "Traceback" not in node.log()


async def test_a_start_on_a_full_disk_asks_for_room(tmp_path: Path) -> None:
    """SQLite's own word for it, an I/O error, sounds like a broken disk."""
    async with small_disk(tmp_path / "disk") as disk:
        _fill(disk / "filler")
        with pytest.raises(StartError, match="its disk is full: make room there"):
            async with Database(disk / "x.sqlite", ()):
                pass


async def test_a_tracker_with_a_full_disk(tmp_path: Path) -> None:
    """Nodes are told why their adverts are not taken."""
    async with small_disk(tmp_path / "disk") as disk, tracker(disk / "tracker.sqlite") as server:
        _fill(disk / "filler")
        advert = holds(node(1), *(blob(str(number)) for number in range(3000)), full=True)
        async with TrackerClient(lambda: [server.url]) as client:
            with pytest.raises(Unavailable, match=r"503.*the disk is full: cannot write"):
                await client.advertise(advert)


def _fill(path: Path) -> None:
    """Take every byte that the file system has."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


async def test_a_child_with_a_full_disk(tmp_path: Path) -> None:
    """It takes the blob from the origin, unstored; its parent is none the worse."""
    async with small_disk(tmp_path / "disk") as disk, scripted_origin() as origin:
        digest = origin.add_random(3 * MIB)
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as parent,
            eagle_node(disk / "b", *origin.flags, *parent.pins, "--cache-reserve", "0") as child,
        ):
            _fill(disk / "filler")
            await pull_blob(child, digest)
            await pull_blob(parent, digest)
            assert "Traceback" not in child.log()


async def _committed(node: Node) -> None:
    async def has_one() -> bool:
        return bool((await node.status())["cache"]["blobs"])

    await until(has_one, what="the blob to be committed")


def _damage(node: Node, digest: Digest, index: int) -> None:
    """Alter bytes of a segment in place, as a failing disk would."""
    path = blob_directory(node.directory / "data" / "cache", digest).segment(index)
    with path.open("r+b") as file:
        file.seek(100_000)
        file.write(bytes(1000))


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_peer_whose_files_were_altered(tmp_path: Path, restarted: bool) -> None:
    """Its child notices by the pieces' hashes, and ends with the right bytes from elsewhere."""
    async with scripted_origin() as origin:
        digest = origin.add_random(6 * MIB)
        async with eagle_node(tmp_path / "a", *origin.flags) as holder:
            await pull_blob(holder, digest)
            await _committed(holder)
            for index in (0, 2):
                _damage(holder, digest, index)
            if restarted:
                await holder.restart()
            stall = ("--swarm-stall", "1")
            async with eagle_node(tmp_path / "b", *origin.flags, *holder.pins, *stall) as child:
                await pull_blob(child, digest)
                account = await traffic(child)
                await _committed(child)
        assert 0 < account["origin_bytes"] <= 6 * MIB
