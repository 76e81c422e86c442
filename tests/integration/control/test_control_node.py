"""Steering a real node over its control API, and hearing what happens."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from eagle_node.api.client import ApiClient, Refused
from eagle_node.api.schema import Event
from tests.support.images import many_layers_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.process import CommandFailed
from tests.support.pulls import REPOSITORY, pull_image
from tests.support.registry import docker_registry
from tests.support.waiting import until

MIB = 1 << 20


async def refused(api: ApiClient, digest: str, action: str) -> Refused:
    """The refusal of an action."""
    with pytest.raises(Refused) as caught:
        await api.act(digest, action)
    return caught.value


async def told(api: ApiClient, *kinds: str, count: int) -> list[Event]:
    """The first events of these kinds."""
    async with aclosing(api.events(kinds=kinds, replay=True)) as events:
        return [await anext(events) for _ in range(count)]


async def test_a_cache_in_the_hands_of_people(tmp_path: Path) -> None:
    """Blobs are found by their image, pinned, evicted, verified; each change is an event."""
    image = many_layers_image(tmp_path / "image", count=3, size=3 * MIB)
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, REPOSITORY)
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            node = await enter(eagle_node(tmp_path / "a", "--registry", f"{NAME}={registry.url}"))
            api = await enter(ApiClient(node.api_url))
            await pull_image(node, image)
            count = len(image.blobs)
            added = await told(api, "blob-added", count=count)
            assert {event.subject for event in added} == {blob.digest for blob in image.blobs}
            finished = await told(api, "transfer-finished", count=count)
            assert {event.transfer.image for event in finished if event.transfer} <= {
                f"{NAME}/{REPOSITORY}",
                f"{NAME}/{REPOSITORY}:latest",
            }
            found = await api.blobs(text="TEAM/app:latest", sort="-size", limit=2)
            sizes = sorted((blob.size for blob in image.blobs), reverse=True)
            assert [blob.size for blob in found.blobs] == sizes[:2]
            assert (found.total, found.total_bytes) == (count, image.size)

            kept, other = found.blobs[0].digest, found.blobs[1].digest
            await api.act(kept, "pin")
            assert (await refused(api, kept, "evict")).status == 409
            with pytest.raises(Refused, match="pinned") as caught:
                await api.change("cache-size", "1")
            assert caught.value.status == 409
            await api.change("cache-size", str(found.blobs[0].size))

            async def only_that_is_left() -> bool:
                return [blob.digest for blob in (await api.blobs()).blobs] == [kept]

            await until(only_that_is_left, what="blobs to go that somebody was still reading")
            assert (await refused(api, other, "verify")).status == 404
            assert (await api.act(kept, "verify")).text == "every byte is right"
            await _break(node, kept)
            assert (await refused(api, kept, "verify")).status == 409
            assert (await api.blobs()).total == 0
            evicted = await told(api, "blob-evicted", count=count)
            assert {event.subject for event in evicted} == {blob.digest for blob in image.blobs}
            await api.change("cache-size", "1GiB")
            await pull_image(node, image)
            await told(api, "blob-added", count=2 * count)
            await api.act(kept, "pin")
            await node.restart()
            api = await enter(ApiClient(node.api_url))
            assert [blob.digest for blob in (await api.blobs()).blobs if blob.pinned] == [kept]


async def test_settings_change_at_once(tmp_path: Path) -> None:
    """Limits and the log level; what makes no sense or cannot be is refused and changes nothing."""
    async with eagle_node(tmp_path / "a") as node, ApiClient(node.api_url) as api:
        await api.change("upload-limit", "50MB")
        values = {
            each.key: each.value for each in (await api.change("log-level", "debug")).settings
        }
        assert (values["upload-limit"], values["log-level"]) == ("50MB", "debug")
        for key, value, status in (
            ("upload-limit", "fast", 400),
            ("log-level", "loud", 400),
            ("uplod-limit", "1", 404),
            ("seeders", "3", 409),
        ):
            with pytest.raises(Refused) as caught:
                await api.change(key, value)
            assert caught.value.status == status
        assert {each.key: each.value for each in (await api.settings()).settings} == values
        changes = await told(api, "setting-changed", count=2)
        assert [event.subject for event in changes] == ["upload-limit", "log-level"]


async def test_the_api_is_not_open_to_the_network(tmp_path: Path) -> None:
    """Off loopback the node does not start without a token, and says how it would."""
    with pytest.raises(CommandFailed, match="--api-token-file"):
        async with eagle_node(tmp_path / "a", "--api-listen", "0.0.0.0:0"):
            pass


async def _break(node: Node, digest: str) -> None:
    """Change a byte of a cached blob behind the node's back."""
    name = digest.removeprefix("sha256:")
    (segment,) = (node.directory / "data" / "cache").rglob(f"{name}.0000")
    with segment.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
