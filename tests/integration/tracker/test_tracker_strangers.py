"""Unmodified BitTorrent clients get the right bytes through the tracker.

qbittorrent-nox (libtorrent 2.0 in Debian) takes v2-only torrents, as segments are. aria2 knows v1
only, so it gets a v1 torrent of the same bytes: to the tracker an info-hash is an info-hash.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libtorrent as lt
import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.ids import InfoHash
from eagle_node.metrics.instruments import total
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import Advert, Holding, NodeInfo
from tests.integration.tracker.support import tracker
from tests.support.process import running
from tests.support.qbittorrent import only_instance
from tests.support.waiting import until
from tests.unit.tracker.builders import node_id

SIZE = (1 << 20) - 77
NAME = "segment"
QBITTORRENT = """[LegalNotice]
Accepted=true
[BitTorrent]
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\Interface=lo
Session\\InterfaceName=lo
Session\\MultiConnectionsPerIp=true
[Network]
PortForwardingEnabled=false
[Preferences]
WebUI\\Enabled=false
"""


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """The bytes to be had, where the seed has them."""
    data = os.urandom(SIZE)
    (tmp_path / "seed").mkdir()
    (tmp_path / "down").mkdir()
    (tmp_path / "seed" / NAME).write_bytes(data)
    return data


def make_torrent(folder: Path, announce: str, flags: int) -> bytes:
    """A private torrent of the segment."""
    creator = lt.create_torrent([lt.create_file_entry(NAME, SIZE)], 32768, flags)
    creator.set_priv(True)
    creator.add_tracker(announce)
    lt.set_piece_hashes(creator, str(folder))
    return lt.bencode(creator.generate())


@contextmanager
def seeding(metainfo: bytes, folder: Path) -> Iterator[tuple[int, InfoHash]]:
    """A libtorrent session that seeds without announcing: its port, and the info-hash."""
    session = lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "allow_multiple_connections_per_ip": True,
        }
    )
    parameters = lt.load_torrent_buffer(metainfo)
    parameters.trackers = []
    parameters.save_path = str(folder)
    session.add_torrent(parameters)
    yield session.listen_port(), InfoHash(parameters.info_hashes.get_best().to_bytes()[:20])
    session.pause()


def command(client: str, tmp_path: Path) -> list[str]:
    """How a client is started, without any peer source but the tracker."""
    torrent, down = str(tmp_path / "segment.torrent"), str(tmp_path / "down")
    if client == "aria2c":
        plain = ["--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false"]
        return ["aria2c", "--no-conf", *plain, "--seed-time=0", f"--dir={down}", torrent]
    profile = tmp_path / "profile" / "qBittorrent" / "config"
    profile.mkdir(parents=True)
    (profile / "qBittorrent.conf").write_text(QBITTORRENT)
    where = [f"--profile={tmp_path / 'profile'}", f"--save-path={down}", "--skip-dialog=true"]
    return ["qbittorrent-nox", *where, torrent]


@pytest.mark.parametrize(
    ("client", "flags"),
    [
        ("qbittorrent-nox", lt.create_torrent.v2_only),
        ("aria2c", lt.create_torrent.v1_only),
    ],
)
async def test_a_stranger_downloads(
    client: str, flags: int, content: bytes, tmp_path: Path
) -> None:
    """The tracker names the node that holds the segment; the client gets it."""
    async with tracker() as server:
        metainfo = make_torrent(tmp_path / "seed", f"{server.url}/announce", flags)
        (tmp_path / "segment.torrent").write_bytes(metainfo)
        with seeding(metainfo, tmp_path / "seed") as (port, info_hash):
            info = NodeInfo(node_id=node_id(1), host="127.0.0.1", port=port)
            held = Holding(digest=digest_of(content), size=SIZE, info_hashes=(info_hash,))
            async with TrackerClient(lambda: [server.url]) as nodes:
                await nodes.advertise(Advert(node=info, held=(held,)))

            async def downloaded() -> bool:
                got = tmp_path / "down" / NAME
                return await asyncio.to_thread(_is, got, content)

            log, home = tmp_path / "client.log", {"HOME": str(tmp_path)}
            with only_instance():
                async with running(command(client, tmp_path), log=log, env=home):
                    await until(downloaded, what=f"{client} to have the segment", timeout=40)
        assert total(server.metrics.tracker_announces) >= 1


def _is(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content
