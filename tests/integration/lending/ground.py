"""A blob in one file, offered to real BitTorrent sessions."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eagle_node.base.digest import Digest, digest_of
from eagle_node.blobs.lent import FileIdentity, LentFile
from eagle_node.blobs.segments import layout_of
from eagle_node.lending.hashing import Hashing, split_layers
from eagle_node.lending.listener import Listener
from eagle_node.lending.offers import Offers
from eagle_node.metrics.instruments import Metrics
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.sockets import Address, listen_tcp
from eagle_node.swarm.session import Swarm, TorrentIdentity
from eagle_node.swarm.torrents import SegmentTorrent, assemble_torrent, rooted_torrent
from eagle_node.trust.certificates import NodeIdentity
from tests.integration.swarm.rig import Events, introduce

LOOPBACK = "127.0.0.1"


def blob(size: int, seed: int = 1) -> bytes:
    """Random bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def lent_file(directory: Path, data: bytes) -> LentFile:
    """``data`` in a file of its own, as it is now."""
    digest = digest_of(data)
    path = directory / digest.removeprefix("sha256:")
    path.write_bytes(data)
    return LentFile(digest=digest, path=path, identity=FileIdentity.of(path.stat()))


def torrents_of(lent: LentFile, *, root_certificate: bytes = b"") -> list[SegmentTorrent]:
    """The torrents of a file's segments."""
    with lent.open() as file:
        hashing = Hashing(file, lent.size)
        assert sum(hashing) == lent.size
    assert hashing.result().digest == lent.digest
    layers = split_layers(hashing.result().layers, lent.size)
    return [
        assemble_torrent(layer, lent.digest, segment, root_certificate=root_certificate)
        for layer, segment in zip(layers, layout_of(lent.size).segments, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A listener and what it offers."""

    listener: Listener
    offers: Offers
    metrics: Metrics
    altered: list[Digest] = field(default_factory=list)


@asynccontextmanager
async def seed(
    *, slots: int = 64, upload: int = 0, identity: NodeIdentity | None = None
) -> AsyncIterator[Seed]:
    """A listener on loopback."""
    offers, metrics = Offers(4000), Metrics()
    altered: list[Digest] = []
    async with Listener(
        offers,
        listen_tcp(Address(LOOPBACK, 0), flag="--lending-port"),
        upload=ByteBudget(upload),
        slots=slots,
        metrics=metrics,
        altered=altered.append,
        tls=identity.ssl_context(server=True) if identity is not None else None,
    ) as listener:
        yield Seed(listener=listener, offers=offers, metrics=metrics, altered=altered)


def torrent_identity(identity: NodeIdentity) -> TorrentIdentity:
    """What a session of the same cluster has."""
    files = identity.torrent_identity()
    return TorrentIdentity(
        root=files.root, certificate=files.certificate, key=files.key, dh_params=files.dh_params
    )


async def download(
    swarm: Swarm, port: int, torrents: list[SegmentTorrent], directory: Path
) -> bytes:
    """The bytes of all segments, once a session has them from the seed at ``port``."""
    events = Events()
    async with AnnounceEndpoint() as endpoint:
        for torrent in torrents:
            introduce(endpoint, torrent, port)
            told = rooted_torrent(
                torrent.root,
                torrent.digest,
                torrent.segment,
                root_certificate=swarm.root_certificate,
            )
            swarm.download(told, directory, trackers=[endpoint.url], observer=events)
        await events.finished([torrent.info_hash for torrent in torrents])
    return b"".join([(directory / torrent.name).read_bytes() for torrent in torrents])
