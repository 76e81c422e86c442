"""What moves through a node: rows for each transfer, rates of the last minutes, their events."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from eagle_node.api import schema
from eagle_node.api.event_log import EventLog
from eagle_node.base.digest import Digest
from eagle_node.base.ids import InfoHash
from eagle_node.blobs.arrival import Phase
from eagle_node.metrics.instruments import Metrics, by_label, total
from eagle_node.node.images import Images
from eagle_node.node.shares import Shares
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.connections import Connection
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.transfer import Transfer
from eagle_node.swarm.transfers import Transfers

TICK_S = 1.0
"""Between two looks at what has moved."""
_KEPT = 300
"""Looks that are remembered: five minutes."""
_MOST_TORRENTS = 512
"""Connected torrents that are looked at for who feeds whom; a wave has dozens at a time."""
_SMOOTH = 0.3
"""Weight of the newest second in a rate."""


@dataclass(slots=True)
class _Pace:
    """How one transfer gets on."""

    began: float
    moved: int = 0
    rate: float = 0.0


class Activity:
    """Looks at transfers each second; `run` it as a task."""

    def __init__(
        self,
        *,
        transfers: Transfers,
        swarm: Swarm,
        images: Images,
        metrics: Metrics,
        events: EventLog,
        node_at: Callable[[str], str] = lambda _: "",
        clock: Clock = monotonic,
    ) -> None:
        self._transfers = transfers
        self._swarm = swarm
        self._images = images
        self._metrics = metrics
        self._events = events
        self._node_at = node_at
        self._clock = clock
        self._paces: dict[Digest, _Pace] = {}
        self._given, self._taken = Shares(), Shares()
        self._ports: dict[str, int] = {}
        """Of the connections that were seen last, by host."""
        self._before = self._totals()
        self._history: deque[tuple[int, int, int, int]] = deque(maxlen=_KEPT)
        transfers.on_start.append(self._started)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self._look()

    def history(self) -> schema.History:
        """The rates of the last minutes."""
        columns = list(zip(*self._history, strict=True)) or [()] * 4
        return schema.History(
            interval_s=TICK_S,
            from_origin=columns[0],
            from_peers=columns[1],
            to_peers=columns[2],
            served=columns[3],
        )

    def rows(self) -> tuple[schema.TransferRow, ...]:
        """All transfers, oldest first, then whole blobs that this node sends to others."""
        connections = self._connections()
        running = self._transfers.running()
        rows = [self._running(each, connections) for each in running.values()]
        for digest, torrents in self._transfers.seeding.seeded().items():
            if digest not in running:
                peers = _of(connections, (torrent.info_hash for torrent in torrents))
                if children := self._children(digest, peers):
                    rows.append(self._sending(digest, torrents[-1].segment.stop, children))
        return tuple(rows)

    def _connections(self) -> dict[InfoHash, list[Connection]]:
        return self._swarm.connections.latest(_MOST_TORRENTS)

    def _running(
        self, transfer: Transfer, connections: dict[InfoHash, list[Connection]]
    ) -> schema.TransferRow:
        pace = self._paces.get(transfer.digest) or _Pace(began=self._clock())
        here = [torrent.info_hash for torrent in transfer.torrents.values()]
        fetching = _of(connections, transfer.fetching)
        sources = self._sources(transfer.digest, fetching)
        children = self._children(transfer.digest, [*_of(connections, here), *fetching])
        size, have, state, source = None, 0, "waiting", ""
        if transfer.begun:
            arrival = transfer.arrival
            size, have, source = arrival.layout.size, _moved(transfer), arrival.source
            state = "verifying" if arrival.complete else "fetching"
        rate = int(pace.rate)
        if source == "swarm":
            sources = _in_proportion(sources, rate)
        missing = None if size is None else size - have
        return schema.TransferRow(
            digest=transfer.digest,
            image=self._images.name(transfer.digest),
            size=size,
            have_bytes=have,
            state=state,
            source=source,
            rate=rate,
            sent_rate=sum(child.rate for child in children),
            sources=sources,
            children=children,
            age_s=round(self._clock() - pace.began, 3),
            eta_s=round(missing / rate, 1) if missing is not None and rate > 0 else None,
        )

    def _sending(
        self, digest: Digest, size: int, children: tuple[schema.PeerShare, ...]
    ) -> schema.TransferRow:
        return schema.TransferRow(
            digest=digest,
            image=self._images.name(digest),
            size=size,
            have_bytes=size,
            state="sending",
            source="",
            rate=0,
            sent_rate=sum(child.rate for child in children),
            sources=(),
            children=children,
            age_s=0.0,
            eta_s=None,
        )

    def _sources(self, digest: Digest, peers: Sequence[Connection]) -> tuple[schema.PeerShare, ...]:
        return self._shares(self._given, digest, [(peer, peer.received_rate) for peer in peers])

    def _children(
        self, digest: Digest, peers: Sequence[Connection]
    ) -> tuple[schema.PeerShare, ...]:
        return self._shares(self._taken, digest, [(peer, peer.sent_rate) for peer in peers])

    def _shares(
        self, shares: Shares, digest: Digest, rates: Iterable[tuple[Connection, int]]
    ) -> tuple[schema.PeerShare, ...]:
        """One row for each host that has moved something of late, the fastest first."""
        by_host: defaultdict[str, int] = defaultdict(int)
        for peer, rate in rates:
            by_host[peer.host] += rate
            self._ports[peer.host] = peer.port
        return tuple(
            schema.PeerShare(
                address=str(Address(host, self._ports[host])),
                node=self._node_at(host),
                rate=rate,
            )
            for host, rate in shares.even(digest, by_host, self._clock())
        )

    def _started(self, transfer: Transfer) -> None:
        self._paces[transfer.digest] = _Pace(began=self._clock())
        name = self._images.name(transfer.digest)
        self._tell("transfer-started", transfer, f"fetching {transfer.digest} of {name or '-'}")
        transfer.finished.add_done_callback(lambda ended: self._finished(transfer, ended))

    def _finished(self, transfer: Transfer, ended: asyncio.Future[None]) -> None:
        pace = self._paces.get(transfer.digest)
        seconds = self._clock() - pace.began if pace else 0.0
        error = None if ended.cancelled() else ended.exception()
        if ended.cancelled() or error is not None:
            text = f"fetching {transfer.digest} failed: {error or 'given up'}"
            self._tell("transfer-failed", transfer, text)
        elif transfer.begun and transfer.arrival.phase is Phase.VERIFIED:
            text = f"fetched {transfer.digest} in {seconds:.1f} s"
            self._tell("transfer-finished", transfer, text)
        else:
            self._tell("transfer-failed", transfer, f"{transfer.digest} is wanted no more")
        self._paces.pop(transfer.digest, None)

    def _tell(self, kind: str, transfer: Transfer, text: str, *, keep: bool = True) -> None:
        connections = self._connections() if self._events.watched else {}
        self._events.publish(
            schema.Event(
                id="",
                time="",
                kind=kind,
                subject=transfer.digest,
                text=text,
                transfer=self._running(transfer, connections),
            ),
            keep=keep,
        )

    def _look(self) -> None:
        totals = self._totals()
        rates = tuple(now - then for now, then in zip(totals, self._before, strict=True))
        self._before = totals
        self._given.forget_old(self._clock())
        self._taken.forget_old(self._clock())
        self._history.append((rates[0], rates[1], rates[2], rates[3]))
        for digest, transfer in self._transfers.running().items():
            pace = self._paces.get(digest)
            if pace is None or not transfer.begun:
                continue
            moved = _moved(transfer)
            step = max(0, moved - pace.moved) / TICK_S
            pace.rate = step if not pace.rate else (1 - _SMOOTH) * pace.rate + _SMOOTH * step
            pace.moved = moved
            if self._events.watched:
                self._tell("transfer-progress", transfer, "", keep=False)

    def _totals(self) -> tuple[int, int, int, int]:
        metrics = self._metrics
        return (
            total(metrics.origin_bytes),
            total(metrics.peer_download_bytes),
            total(metrics.peer_upload_bytes),
            sum(by_label(metrics.served_bytes).values()),
        )


def _in_proportion(sources: Sequence[schema.PeerShare], rate: int) -> tuple[schema.PeerShare, ...]:
    """``sources`` with ``rate`` split as their own are.

    The rates of connections are averages over some seconds, and a segment takes less than that: of
    what has come they tell the parts, and too little as a sum.
    """
    told = sum(source.rate for source in sources)
    if not rate:
        return tuple(sources)
    return tuple(replace(each, rate=max(1, rate * each.rate // told)) for each in sources)


def _moved(transfer: Transfer) -> int:
    """Bytes that are here, those of unfinished segments among them."""
    arrival = transfer.arrival
    whole = sum(arrival.layout.segments[index].length for index in arrival.have)
    return whole + arrival.unfinished


def _of(
    connections: dict[InfoHash, list[Connection]], info_hashes: Iterable[InfoHash]
) -> list[Connection]:
    return [peer for each in info_hashes for peer in connections.get(each, ())]
