"""The libtorrent session as an asyncio part."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import libtorrent as lt

from eagle_node.base.errors import StartError
from eagle_node.base.ids import InfoHash
from eagle_node.config.tree import SwarmConfig
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.swarm.connections import Connections
from eagle_node.swarm.events import Traffic
from eagle_node.swarm.progress import Observer, Progress, hash_of
from eagle_node.swarm.settings import session_settings
from eagle_node.swarm.torrents import SegmentTorrent
from eagle_node.swarm.trees import Trees

log = logging.getLogger(__name__)

_LISTEN_TIMEOUT_S = 5.0
_STATUS_INTERVAL_S = 0.5
_REFRESH_S = 1.0
_KEPT_OPEN = 600
"""Torrents whose connections may be idle: a wave of one blob, some 600 segments at the most, has
none closed on the way."""
_TOLD = int(lt.alert_category.connect | lt.alert_category.tracker | lt.alert_category.error)
"""Alerts that are logged as they are, at level debug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentIdentity:
    """What SSL torrents need: PEM certificate of the cluster's CA, of this node, key, DH group."""

    root: bytes
    certificate: bytes
    key: bytes
    dh_params: bytes


class Swarm:
    """Torrents of segments; an async context manager.

    Events of a torrent go to the observer that it was added with, on the event loop; traffic totals
    go to ``on_traffic``.
    """

    def __init__(self, config: SwarmConfig, *, identity: TorrentIdentity | None = None) -> None:
        self._config = config
        self._identity = identity
        self._session: Any = None
        self._handles: dict[InfoHash, Any] = {}
        self._whole: set[InfoHash] = set()
        """Torrents of whole blobs, which are announced for others."""
        self._progress = Progress(self._handles)
        self._trees = Trees()
        self.connections = Connections(self._handles)
        self._reader = self._writer = -1
        self._listening: asyncio.Future[int] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._traffic_wanted_s = 2.0
        self._refreshed: asyncio.Future[None] | None = None
        self.on_traffic: list[Callable[[Traffic], None]] = []
        self.host = config.listen_host or "127.0.0.1"
        """An address of this machine that the session's own sockets can dial."""
        self.port = 0
        """Where the swarm listens."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        kinds = lt.alert_category
        mask = kinds.status | kinds.error | kinds.storage | kinds.connect
        if log.isEnabledFor(logging.DEBUG):
            mask |= kinds.tracker
        settings: Any = session_settings(
            _with_port(self._config), ssl=self._identity is not None, mask=int(mask)
        )
        self._listening = loop.create_future()
        self._session = lt.session(settings)
        self._limit_local_peers_too()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._session.set_alert_fd(self._writer)
        loop.add_reader(self._reader, self._on_alerts)
        self._on_alerts()
        try:
            async with asyncio.timeout(_LISTEN_TIMEOUT_S):
                self.port = await self._listening
        except (TimeoutError, StartError) as error:
            await self.__aexit__()
            wanted = self._config.ssl_port if self._identity else self._config.port
            flag = "--swarm-ssl-port" if self._identity else "--swarm-port"
            raise StartError(
                f"the swarm cannot listen on port {wanted}: {error or 'no answer'}; stop what uses "
                f"it or choose another with {flag}"
            ) from error
        self._ticker = loop.create_task(self._tick(), name="swarm-ticker")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        last, self._session = [self._session], None
        if last[0] is None:
            return
        asyncio.get_running_loop().remove_reader(self._reader)
        for info_hash in list(self._handles):
            self._progress.end(info_hash)
            self.connections.forget(info_hash)
        self._handles.clear()
        await finish_in_thread(_destroy, last)
        os.close(self._reader)
        os.close(self._writer)

    @property
    def root_certificate(self) -> bytes:
        """PEM that SSL torrents carry; empty when torrents are plain."""
        return self._identity.root if self._identity else b""

    def __contains__(self, info_hash: InfoHash) -> bool:
        return info_hash in self._handles

    def __len__(self) -> int:
        return len(self._handles)

    def seed(self, torrent: SegmentTorrent, directory: Path) -> None:
        """Offer a segment whose file is whole.

        Unless this process has just hashed it, pieces are verified again as they are first read.
        """
        if torrent.info_hash in self._handles:
            return
        parameters = self._parameters(torrent.metainfo, directory)
        parameters.flags |= lt.torrent_flags.seed_mode
        if torrent.hashed_here:
            parameters.verified_pieces = [True] * parameters.ti.num_pieces()
        parameters.flags &= ~lt.torrent_flags.update_subscribe
        self._add(torrent.info_hash, parameters)

    def seed_apart(self, torrent: SegmentTorrent, directory: Path) -> None:
        """Offer a torrent that is no segment, as long as the session lasts."""
        parameters = self._parameters(torrent.metainfo, directory)
        parameters.flags |= lt.torrent_flags.seed_mode
        self._add(torrent.info_hash, parameters)
        del self._handles[torrent.info_hash]

    def seed_whole(self, info_hash: InfoHash, metainfo: bytes, directory: Path) -> None:
        """Offer a torrent of whole files in ``directory``; it announces to its own trackers."""
        if info_hash not in self._handles:
            parameters = self._parameters(metainfo, directory)
            parameters.flags |= lt.torrent_flags.seed_mode
            self._add(info_hash, parameters)
            self._whole.add(info_hash)

    def prepare(self, torrent: SegmentTorrent, directory: Path, *, observer: Observer) -> None:
        """Be ready to fetch a segment into its file: peers may connect, nobody is dialled yet."""
        parameters = self._parameters(torrent.metainfo, directory)
        parameters.flags |= lt.torrent_flags.sequential_download
        self._progress.begin(torrent.info_hash, observer)
        self._add(torrent.info_hash, parameters)

    def start(self, info_hash: InfoHash, trackers: Sequence[str]) -> None:
        """Announce a prepared segment; each tracker is a tier of its own (BEP 12)."""
        handle = self._handles.get(info_hash)
        if handle is not None:
            tiers = [{"url": url, "tier": tier} for tier, url in enumerate(trackers)]
            handle.replace_trackers(tiers)
            handle.force_reannounce(0, -1, lt.reannounce_flags_t.ignore_min_interval)

    def download(
        self,
        torrent: SegmentTorrent,
        directory: Path,
        *,
        trackers: Sequence[str],
        observer: Observer,
    ) -> None:
        """Fetch a segment now: `prepare` and `start`."""
        self.prepare(torrent, directory, observer=observer)
        self.start(torrent.info_hash, trackers)

    def announce(self, info_hash: InfoHash) -> None:
        """Ask the first tracker again: whom it names is dialled at once.

        A peer that is handed over (``connect_peer()``) would wait for libtorrent's next one-second
        tick. ``torrent_connect_boost`` bounds how often a torrent can do this.
        """
        if (handle := self._handles.get(info_hash)) is not None:
            handle.force_reannounce(0, 0, lt.reannounce_flags_t.ignore_min_interval)

    def remove(self, info_hash: InfoHash) -> None:
        """Let go of a torrent; its file stays."""
        handle = self._handles.pop(info_hash, None)
        self._progress.end(info_hash)
        self.connections.forget(info_hash)
        self._whole.discard(info_hash)
        if handle is not None and self._session is not None:
            self._session.remove_torrent(handle)

    async def leaves(self, info_hash: InfoHash) -> list[bytes]:
        """The hashes of a whole torrent's blocks, in order; empty if that cannot be told."""
        handle = self._handles.get(info_hash)
        return [] if handle is None else await self._trees.leaves(info_hash, handle)

    def limit(self, *, upload: int, download: int) -> None:
        """Bound the session's rates, bytes/s; 0 is no limit."""
        self._session.apply_settings({"upload_rate_limit": upload, "download_rate_limit": download})

    def limit_window(self, size: int) -> None:
        """Bound what is under way to this node on new connections; 0: as the kernel does."""
        self._session.apply_settings({"recv_socket_buffer_size": size})

    def watch_traffic(self, interval_s: float) -> None:
        """Report traffic this often while there are torrents."""
        self._traffic_wanted_s = interval_s

    async def refresh_traffic(self) -> None:
        """Return once listeners have totals that are newer than this call."""
        if self._refreshed is None:
            self._refreshed = asyncio.get_running_loop().create_future()
        self._session.post_session_stats()
        await asyncio.wait([self._refreshed], timeout=_REFRESH_S)

    def _is_needed(self, info_hash: InfoHash) -> bool:
        """Whether a torrent's connections are not to be closed: it comes, or others announce it."""
        return info_hash in self._whole or self._progress.is_coming(info_hash)

    def _parameters(self, metainfo: bytes, directory: Path) -> Any:
        parameters = lt.load_torrent_buffer(metainfo)
        parameters.save_path = str(directory)
        flags = lt.torrent_flags
        parameters.flags |= flags.disable_dht | flags.disable_lsd | flags.disable_pex
        parameters.flags |= flags.duplicate_is_error
        parameters.flags &= ~(flags.auto_managed | flags.paused)
        return parameters

    def _add(self, info_hash: InfoHash, parameters: Any) -> None:
        if self._identity is not None:
            parameters.flags |= lt.torrent_flags.paused
        handle = self._session.add_torrent(parameters)
        self._handles[info_hash] = handle
        if self._identity is not None:
            identity = self._identity
            handle.set_ssl_certificate_buffer(
                identity.certificate, identity.key, identity.dh_params
            )
            handle.resume()

    def _limit_local_peers_too(self) -> None:
        """Put every address into the global class: peers on the LAN are not exempt from limits."""
        everybody = lt.ip_filter()
        everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
        everybody.add_rule(
            "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1 << lt.session.global_peer_class_id
        )
        self._session.set_peer_class_filter(everybody)

    async def _tick(self) -> None:
        """Ask for statistics while anything moves; libtorrent answers with alerts."""
        loop = asyncio.get_running_loop()
        traffic_due = 0.0
        while True:
            await asyncio.sleep(min(_STATUS_INTERVAL_S, self._traffic_wanted_s))
            if self._progress.is_awaited:
                self._session.post_torrent_updates()
            self.connections.close_idle(_KEPT_OPEN, self._is_needed)
            if loop.time() >= traffic_due and self._handles:
                traffic_due = loop.time() + self._traffic_wanted_s
                self._session.post_session_stats()

    def _on_alerts(self) -> None:
        try:
            while os.read(self._reader, 4096):
                pass
        except BlockingIOError:
            pass
        for alert in self._session.pop_alerts():
            self._translate(alert)

    def _translate(self, alert: Any) -> None:
        """Turn an alert into an event of ours at once: it is invalid after the next pop."""
        if log.isEnabledFor(logging.DEBUG) and alert.category() & _TOLD:
            log.debug("%s: %s", alert.what(), alert.message())
        match alert:
            case lt.torrent_finished_alert():
                self._progress.complete(_torrent_of(alert))
            case lt.cache_flushed_alert():
                self._progress.flushed(_torrent_of(alert))
            case lt.peer_connect_alert():
                self.connections.began(_torrent_of(alert))
            case lt.peer_disconnected_alert():
                self._progress.lost(_torrent_of(alert), *alert.ip)
            case lt.save_resume_data_alert():
                self._trees.told(_torrent_of(alert), alert.params)
            case lt.save_resume_data_failed_alert():
                self._trees.told(_torrent_of(alert), None)
            case lt.state_update_alert():
                for status in alert.status:
                    self._progress.updated(status)
            case lt.session_stats_alert():
                self._traffic(alert.values)
            case lt.file_error_alert() | lt.torrent_error_alert():
                self._progress.failed(_torrent_of(alert), alert.error, alert.message())
            case lt.hash_failed_alert():
                self._progress.rejected(_torrent_of(alert), int(alert.piece_index))
            case lt.listen_succeeded_alert():
                if self._listening is not None and not self._listening.done():
                    self._listening.set_result(int(alert.port))
            case lt.listen_failed_alert():
                self._listen_failed(alert)
            case lt.alerts_dropped_alert():
                log.warning("libtorrent dropped alerts; progress is read from status instead")

    def _traffic(self, values: dict[str, int]) -> None:
        overhead = ("ip_overhead_bytes", "bytes")
        traffic = Traffic(
            sent_payload=values["net.sent_payload_bytes"],
            received_payload=values["net.recv_payload_bytes"],
            sent=sum(values[f"net.sent_{kind}"] for kind in overhead),
            received=sum(values[f"net.recv_{kind}"] for kind in overhead),
        )
        for listener in self.on_traffic:
            listener(traffic)
        if self._refreshed is not None:
            self._refreshed.set_result(None)
            self._refreshed = None

    def _listen_failed(self, alert: Any) -> None:
        """IPv6 may be missing on this machine; the first address may not."""
        message = alert.error.message()
        if self._listening is None or self._listening.done() or ":" in str(alert.address):
            return
        self._listening.set_exception(StartError(message))


def _with_port(config: SwarmConfig) -> SwarmConfig:
    """Port 0 made definite: libtorrent would take another free one for each interface."""
    if config.port and config.ssl_port:
        return config
    with socket.create_server((config.listen_host or "0.0.0.0", 0)) as probe:
        port = int(probe.getsockname()[1])
    return replace(config, port=config.port or port, ssl_port=config.ssl_port or port)


def _torrent_of(alert: Any) -> InfoHash:
    return hash_of(alert.handle.info_hashes())


def _destroy(last: list[Any]) -> None:
    """Drop the last reference to a session: the destructor waits for libtorrent's threads."""
    last[0].pause()
    last.clear()
