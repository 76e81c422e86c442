"""SSL torrents between real libtorrent sessions on loopback."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from eagle_node.trust.certificates import TorrentFiles, node_identity
from eagle_node.trust.dh import FFDHE2048
from eagle_node.trust.key import ClusterKey

KEY = ClusterKey(primary=bytes(range(32)))
FOREIGN = ClusterKey(primary=bytes(range(1, 33)))
CONTENT = bytes(range(256)) * 4096
NAME = "segment"

_DEADLINE_S = 30.0


@pytest.fixture
def torrent(tmp_path: Path) -> bytes:
    """Metainfo of a v2-only, private SSL torrent, whose file is in ``seed``."""
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / NAME).write_bytes(CONTENT)
    entry = lt.create_file_entry(NAME, len(CONTENT))
    creator = lt.create_torrent([entry], 32 << 10, lt.create_torrent.v2_only)
    creator.set_priv(True)
    creator.set_root_cert(node_identity(KEY).root.decode())
    lt.set_piece_hashes(creator, str(tmp_path / "seed"))
    return bytes(lt.bencode(creator.generate()))


class _Node:
    """A session that listens for SSL torrents only."""

    def __init__(self) -> None:
        settings: Any = {
            "listen_interfaces": "127.0.0.1:0s",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
            "alert_mask": int(
                lt.alert_category.status
                | lt.alert_category.storage
                | lt.alert_category.error
                | lt.alert_category.connect
            ),
        }
        self.session: Any = lt.session(settings)
        listening = self.wait(lambda alert: isinstance(alert, lt.listen_succeeded_alert))
        self.port: int = listening.port

    def add(self, torrent: bytes, directory: Path, files: TorrentFiles, *, seed: bool) -> Any:
        directory.mkdir(exist_ok=True)
        parameters = lt.load_torrent_buffer(torrent)
        parameters.save_path = str(directory)
        parameters.flags &= ~lt.torrent_flags.auto_managed
        if seed:
            parameters.flags |= lt.torrent_flags.seed_mode
        handle = self.session.add_torrent(parameters)
        handle.set_ssl_certificate_buffer(files.certificate, files.key, files.dh_params)
        handle.resume()
        return handle

    def wait(self, wanted: Callable[[Any], bool]) -> Any:
        """The first alert that is wanted; an assertion error when it does not come."""
        deadline = time.monotonic() + _DEADLINE_S
        while time.monotonic() < deadline:
            self.session.wait_for_alert(500)
            for alert in self.session.pop_alerts():
                if wanted(alert):
                    return alert
        raise AssertionError("the alert did not come")


def _is_ssl_failure(alert: Any) -> bool:
    return (
        isinstance(alert, lt.peer_error_alert | lt.peer_disconnected_alert)
        and "ssl" in alert.error.category().name().lower()
    )


def test_nodes_of_a_cluster_exchange_a_torrent(torrent: bytes, tmp_path: Path) -> None:
    """Two processes, two certificates, one authority: the file arrives."""
    seeder, leecher = _Node(), _Node()
    seeder.add(torrent, tmp_path / "seed", node_identity(KEY).torrent_identity(), seed=True)
    files = node_identity(KEY).torrent_identity()
    handle = leecher.add(torrent, tmp_path / "leech", files, seed=False)
    handle.connect_peer(("127.0.0.1", seeder.port))
    leecher.wait(lambda alert: isinstance(alert, lt.torrent_finished_alert))
    handle.flush_cache()
    leecher.wait(lambda alert: isinstance(alert, lt.cache_flushed_alert))
    assert (tmp_path / "leech" / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("dialling", [True, False], ids=["it dials", "it is dialled"])
def test_a_node_of_another_cluster_gets_nothing(
    torrent: bytes, tmp_path: Path, dialling: bool
) -> None:
    """A thief of the metainfo, with a certificate of another authority, fails the handshake."""
    seeder, thief = _Node(), _Node()
    files = node_identity(KEY).torrent_identity()
    seeding = seeder.add(torrent, tmp_path / "seed", files, seed=True)
    stealing = thief.add(
        torrent, tmp_path / "thief", node_identity(FOREIGN).torrent_identity(), seed=False
    )
    if dialling:
        stealing.connect_peer(("127.0.0.1", seeder.port))
    else:
        seeding.connect_peer(("127.0.0.1", thief.port))
    (thief if dialling else seeder).wait(_is_ssl_failure)
    assert stealing.status().total_payload_download == 0
    assert seeding.status().total_payload_upload == 0


def test_the_group_is_ffdhe2048() -> None:
    """The prime is the one that RFC 7919 A.1 defines by a formula over e."""
    body = base64.b64decode(b"".join(FFDHE2048.splitlines()[1:-1]))
    prime = int.from_bytes(body[8 : 8 + 257])
    assert body[:8] == bytes.fromhex("30820108 02820101")
    assert body[8 + 257 :] == bytes.fromhex("020102")
    expected = 2**2048 - 2**1984 + (_e(1918) + 560316) * 2**64 - 1
    assert prime == expected


def _e(bits: int) -> int:
    """Euler's number times ``2**bits``, rounded down."""
    guard = 64
    total, term, divisor = 0, 1 << (bits + guard), 1
    while term:
        total += term
        term //= divisor
        divisor += 1
    return total >> guard
