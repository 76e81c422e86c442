"""The cluster key: nodes that have it exchange blobs, nobody else gets any."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path

import libtorrent as lt

from eagle_node.base.digest import Digest
from eagle_node.blobs.files import blob_directory
from eagle_node.swarm.torrents import unpack_torrents
from eagle_node.trust.key import create_key_file
from tests.support.node import Node, eagle_node
from tests.support.origin import scripted_origin
from tests.support.pulls import pull_blob, traffic
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 5 * MIB
PROTOCOL = b"\x13BitTorrent protocol"
"""How a BitTorrent handshake begins (BEP 3)."""


def _key(path: Path) -> tuple[str, str]:
    create_key_file(path)
    return "--cluster-key-file", str(path)


async def _is_greeted(node: Node, digest: Digest) -> bool:
    """Whether a plain BitTorrent client is answered that asks for a segment of the blob."""
    data = node.directory / "data"
    port = json.loads((data / "ports.json").read_text())["swarm"]
    kept = blob_directory(data / "cache", digest).torrents
    first = unpack_torrents(kept.read_bytes())[0]
    info_hash = lt.load_torrent_buffer(first).info_hashes.get_best().to_bytes()[:20]
    reader, writer = await asyncio.open_connection(node.host, port)
    try:
        writer.write(PROTOCOL + bytes(8) + info_hash + secrets.token_bytes(20))
        async with asyncio.timeout(60):
            try:
                return await reader.readexactly(len(PROTOCOL)) == PROTOCOL
            except (asyncio.IncompleteReadError, ConnectionError):
                return False
    finally:
        writer.close()


async def test_only_the_key_admits(tmp_path: Path) -> None:
    """Nodes of one key share; one with another key, or with none, has but the origin."""
    ours, theirs = _key(tmp_path / "ours"), _key(tmp_path / "theirs")
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with (
            eagle_node(tmp_path / "a", *origin.flags, *ours) as first,
            eagle_node(tmp_path / "b", *origin.flags, *ours, *first.pins) as second,
            eagle_node(tmp_path / "c", *origin.flags, *theirs, *first.pins) as stranger,
            eagle_node(tmp_path / "d", *origin.flags, *first.pins) as keyless,
        ):
            await pull_blob(second, digest)
            assert (await traffic(second))["origin_bytes"] == 0
            for other in (stranger, keyless):
                async with asyncio.timeout(60):
                    await pull_blob(other, digest)
                account = await traffic(other)
                assert account["origin_bytes"] == SIZE
                assert account["peer_download_bytes"] == 0
            assert (await traffic(first))["peer_upload_bytes"] < 1.2 * SIZE
        assert len(origin.gets(digest)) == 3


async def test_a_plain_bittorrent_client_is_not_answered(tmp_path: Path) -> None:
    """Knowing info-hash and port, it is greeted by a node without a key, not by one with it."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        for name, flags in (("open", ()), ("closed", _key(tmp_path / "key"))):
            async with eagle_node(tmp_path / name, *origin.flags, *flags) as node:
                await pull_blob(node, digest)

                async def is_committed(node: Node = node) -> bool:
                    return bool((await node.status())["cache"]["blobs"])

                await until(is_committed, what="the blob to be committed")
                assert await _is_greeted(node, digest) is (name == "open")
