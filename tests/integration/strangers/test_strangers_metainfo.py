"""Programs that know nothing of us: gRPC clients of the old contract, and BitTorrent clients."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import grpc
import grpc.aio
import libtorrent as lt
import pytest
from grpc_tools import protoc

from eagle_node.base.digest import Digest
from tests.support.modules import load_module
from tests.support.node import Node, eagle_node
from tests.support.origin import Origin, scripted_origin
from tests.support.process import running
from tests.support.pulls import REPOSITORY, pull_blob, traffic
from tests.support.qbittorrent import only_instance
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 3 * MIB + 12_345
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stubs:
    """What protoc makes of the published contract."""

    messages: ModuleType
    services: ModuleType


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    """Generated modules."""
    target = tmp_path_factory.mktemp("stubs")
    room = str(files("eagle_node.metainfo"))
    outputs = (f"--python_out={target}", f"--grpc_python_out={target}")
    assert protoc.main(["protoc", f"-I{room}", *outputs, "metainfo.proto"]) == 0
    names = ("metainfo_pb2", "metainfo_pb2_grpc")
    messages, services = (load_module(name, target / f"{name}.py") for name in names)
    yield Stubs(messages=messages, services=services)
    for name in names:
        del sys.modules[name]


@asynccontextmanager
async def one_node(directory: Path) -> AsyncIterator[tuple[Origin, Node]]:
    """A node of all roles and its origin."""
    async with scripted_origin() as origin, eagle_node(directory / "a", *origin.flags) as node:
        yield origin, node


async def _metainfo(stubs: Stubs, node: Node, url: str) -> bytes:
    """The answer of ``MetaInfo.GetMetaInfo``."""
    async with grpc.aio.insecure_channel(node.metainfo) as channel:
        stub = stubs.services.MetaInfoStub(channel)
        reply = await stub.GetMetaInfo(stubs.messages.MetaInfoRequest(url=url), timeout=30)
    content: bytes = reply.metainfo
    return content


def _url(origin: Origin, digest: Digest) -> str:
    return f"{origin.url}/v2/{REPOSITORY}/blobs/{digest}"


def _joined(directory: Path) -> bytes:
    """The files of a torrent one after the other."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


async def test_a_cold_blob_becomes_a_torrent(stubs: Stubs, tmp_path: Path) -> None:
    """The unary call brings the blob; a plain libtorrent session gets it from the node."""
    async with one_node(tmp_path) as (origin, node):
        digest = origin.add_random(SIZE)
        metainfo = await _metainfo(stubs, node, _url(origin, digest))
        assert len(origin.gets(digest)) == 1
        await asyncio.to_thread(_download, metainfo, tmp_path / "down")
        assert _joined(tmp_path / "down") == origin.content(digest)
        assert len(origin.gets(digest)) == 1
        assert await _metainfo(stubs, node, _url(origin, digest)) == metainfo


def _download(metainfo: bytes, directory: Path) -> None:
    """Get a torrent by its own trackers, with an unmodified session."""
    session = lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "allow_multiple_connections_per_ip": True,
            "alert_mask": int(lt.alert_category.status | lt.alert_category.storage),
        }
    )
    parameters = lt.load_torrent_buffer(metainfo)
    parameters.save_path = str(directory)
    handle = session.add_torrent(parameters)
    _await_alert(session, lt.torrent_finished_alert)
    handle.flush_cache()
    _await_alert(session, lt.cache_flushed_alert)
    session.pause()


def _await_alert(session: lt.session, kind: type) -> None:
    for _ in range(60):
        session.wait_for_alert(500)
        if any(isinstance(alert, kind) for alert in session.pop_alerts()):
            return
    raise AssertionError(f"no {kind.__name__} came")


async def test_qbittorrent_downloads_a_layer(stubs: Stubs, tmp_path: Path) -> None:
    """An unmodified client, given the metainfo as a file, finds the node by the tracker."""
    async with one_node(tmp_path) as (origin, node):
        digest = origin.add_random(SIZE)
        await pull_blob(node, digest)
        torrent, down = tmp_path / "layer.torrent", tmp_path / "down"
        metainfo = await _metainfo(stubs, node, _url(origin, digest))
        argv = await asyncio.to_thread(_prepare, metainfo, torrent, tmp_path / "profile", down)

        async def is_there() -> bool:
            return await asyncio.to_thread(_joined, down) == origin.content(digest)

        with only_instance():
            log, home = tmp_path / "client.log", {"HOME": str(tmp_path)}
            async with running(argv, log=log, env=home):
                await until(is_there, what="qbittorrent-nox to have the layer", timeout=40)
        assert (await traffic(node))["peer_upload_bytes"] >= SIZE


def _prepare(metainfo: bytes, torrent: Path, profile: Path, down: Path) -> list[str]:
    torrent.write_bytes(metainfo)
    settings = profile / "qBittorrent" / "config"
    settings.mkdir(parents=True)
    (settings / "qBittorrent.conf").write_text(QBITTORRENT)
    down.mkdir()
    where = [f"--profile={profile}", f"--save-path={down}", "--skip-dialog=true"]
    return ["qbittorrent-nox", *where, str(torrent)]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v2/team/app/blobs/sha256:" + "0" * 64, grpc.StatusCode.NOT_FOUND),
        ("/v2/team/app/blobs/sha256:12", grpc.StatusCode.INVALID_ARGUMENT),
        ("/v2/team/app/manifests/latest", grpc.StatusCode.INVALID_ARGUMENT),
        ("/etc/passwd", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_is_no_blob_has_no_torrent(
    stubs: Stubs, tmp_path: Path, path: str, code: grpc.StatusCode
) -> None:
    """The status says why; nothing but the configured registry is asked."""
    async with one_node(tmp_path) as (origin, node):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _metainfo(stubs, node, origin.url + path)
        assert caught.value.code() is code
