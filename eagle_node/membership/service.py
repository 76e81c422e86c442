"""Membership as the node sees it: members, changes, join, describe, leave."""

from __future__ import annotations

import asyncio
import logging
import random
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from types import MappingProxyType
from typing import Self, assert_never

from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.membership.account import Account
from eagle_node.membership.endpoint import Endpoint
from eagle_node.membership.events import (
    Change,
    Contact,
    ContactsSet,
    Effect,
    Event,
    ExchangeArrived,
    ExchangeFailed,
    Knock,
    LeaveAsked,
    MetaSet,
    PacketArrived,
    Refused,
    Send,
    Tell,
    Ticked,
)
from eagle_node.membership.machine import Machine
from eagle_node.membership.member import Member
from eagle_node.membership.meta import Meta
from eagle_node.membership.packing import Malformed, canonical
from eagle_node.membership.pushpull import answer, dial
from eagle_node.membership.seal import Foreign, Reason, Seal
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Exchange, decode_packet, encode_packet
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.trust.key import ClusterKey

log = logging.getLogger(__name__)

_DATAGRAM = b"datagram"
_FAREWELL_ROUNDS = 4
"""Gossip intervals that a farewell takes: each reaches `Timings.gossip_fanout` members."""
_MOST_CONNECTIONS = 64
"""Push-pulls that are served at a time: what others may make this process hold."""
_KNOCK_S = 1.0
"""How long a host has to say that nothing listens there."""
_FLAG = "--gossip-port"


class Membership:
    """This node among the others, while its block lasts.

    ``host`` is the IP address at which others reach it; ``listen`` may have port 0. ``incarnation``
    comes from `lives.begin_life`. Callbacks in ``on_change`` are called in the loop, in order.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        host: str,
        listen: Address,
        meta: Meta,
        cluster: str,
        keys: ClusterKey | None,
        metrics: Metrics,
        incarnation: int = 0,
        timings: Timings | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self._node_id = node_id
        self._host = host
        self._listen = listen
        self._meta = meta
        self._incarnation = incarnation
        self._timings = timings or Timings()
        self._clock = clock
        self.metrics = metrics
        self._seal = Seal(cluster, keys)
        self._account = Account(metrics, cluster)
        self._tasks = TaskSet()
        self._dialling: set[Address] = set()
        self._connections = 0
        self._timer: asyncio.TimerHandle | None = None
        self._open = True
        self._view: Mapping[NodeId, Member] | None = None
        self.on_change: list[Callable[[Change], None]] = []

    async def __aenter__(self) -> Self:
        """Listen; `StartError` when the port is taken."""
        self._endpoint = Endpoint(self._listen, flag=_FLAG)
        chance = random.SystemRandom()
        own = Member(
            node_id=self._node_id,
            address=canonical(Address(self._host, self._endpoint.address.port)),
            incarnation=self._incarnation,
            meta=self._meta,
        )
        self._machine = Machine(
            own,
            timings=self._timings,
            chance=random.Random(chance.getrandbits(256)),
            instance=chance.getrandbits(64),
            now=self._clock(),
        )
        self._server = await asyncio.start_server(self._accepted, sock=self._endpoint.listener)
        self._endpoint.start(self._datagram)
        self._arm()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        self._server.close()
        self._endpoint.close()
        await self._tasks.cancel()

    @property
    def address(self) -> Address:
        """Where others reach this member."""
        return self._machine.own.address

    @property
    def own(self) -> Member:
        """This node as it tells others."""
        return self._machine.own

    def members(self) -> Mapping[NodeId, Member]:
        """The nodes that are alive or suspect, this one among them: a snapshot."""
        return MappingProxyType(
            {node_id: each for node_id, each in self._everybody().items() if each.state.live}
        )

    def departed(self) -> Mapping[NodeId, Member]:
        """The nodes that died or left within the last day."""
        return MappingProxyType(
            {node_id: each for node_id, each in self._everybody().items() if not each.state.live}
        )

    async def changes(self) -> AsyncIterator[Change]:
        """Every change from the first call of ``anext`` on."""
        queue: asyncio.Queue[Change] = asyncio.Queue()
        self.on_change.append(queue.put_nowait)
        try:
            while True:
                yield await queue.get()
        finally:
            self.on_change.remove(queue.put_nowait)

    def join(self, addresses: Collection[Address]) -> None:
        """Look for the cluster at these addresses, instead of former ones, for as long as it takes.

        Hosts may be names. Own addresses among them do no harm.
        """
        self._handle(ContactsSet(frozenset(addresses)))

    def update(self, meta: Meta) -> None:
        """Tell all members what this node now says of itself."""
        self._handle(MetaSet(meta))

    def use_keys(self, keys: ClusterKey | None) -> None:
        """Seal with the first of ``keys`` from here on, and accept all of them."""
        self._seal.use(keys)

    async def leave(self) -> None:
        """Say farewell, so that nobody looks for this node; returns once it has been said."""
        self._handle(LeaveAsked())
        if len(self.members()) > 0:
            await asyncio.sleep(_FAREWELL_ROUNDS * self._timings.gossip_interval_s)

    def _everybody(self) -> Mapping[NodeId, Member]:
        if self._view is None:
            self._view = self._machine.members()
        return self._view

    # The machine's door

    def _handle(self, event: Event) -> None:
        effects = self._machine.handle(event, self._clock())
        self._view = None
        for effect in effects:
            self._perform(effect)
        self._account.health(self._machine.health)
        self._arm()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(to, packet):
                sealed = self._seal.seal(encode_packet(packet), _DATAGRAM)
                if self._endpoint.send(to, sealed):
                    self._account.moved("udp", "sent", len(sealed))
            case Contact(address):
                if address not in self._dialling:
                    self._dialling.add(address)
                    self._tasks.spawn(self._dial(address), name=f"push-pull with {address}")
            case Knock(member):
                self._tasks.spawn(self._knock(member), name=f"knock at {member.address}")
            case Tell(change):
                self._account.changed(change, self.members())
                for callback in tuple(self.on_change):
                    callback(change)
            case _:
                assert_never(effect)

    def _arm(self) -> None:
        """Wake when the machine wants to; datagrams that wait go first."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._open:
            return
        delay_s = max(0.0, self._machine.due - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._endpoint.drain()
        if self._machine.due <= self._clock():
            self._handle(Ticked())
        else:
            self._arm()

    # What comes from outside

    def _datagram(self, data: bytes, source: Address) -> None:
        try:
            packet = decode_packet(self._seal.open(data, _DATAGRAM))
        except Foreign as error:
            self._account.ignored(error.reason, source)
        except Malformed:
            self._account.ignored(Reason.MALFORMED, source)
        else:
            self._account.moved("udp", "received", len(data))
            self._handle(PacketArrived(packet, source))

    async def _dial(self, address: Address) -> None:
        try:
            reply = await dial(address, self._machine.exchange(), self._seal, self._count_stream)
        except Foreign as error:
            self._account.ignored(error.reason, address)
            self._handle(ExchangeFailed(address))
        except Unavailable as error:
            self._account.unreachable(error)
            self._handle(ExchangeFailed(address))
        else:
            self._handle(ExchangeArrived(reply, address))
        finally:
            self._dialling.discard(address)

    async def _knock(self, member: Member) -> None:
        """Only a refusal tells anything: a stopped process's connections are accepted, too."""
        address = member.address
        try:
            async with asyncio.timeout(_KNOCK_S):
                _, writer = await asyncio.open_connection(address.host, address.port)
        except ConnectionRefusedError:
            self._handle(Refused(member))
        except (OSError, TimeoutError) as error:
            log.debug("no word from %s: %s", address, error)
        else:
            writer.close()

    def _accepted(self, reader: StreamReader, writer: StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        if peer is None or self._connections >= _MOST_CONNECTIONS or not self._open:
            writer.close()
            return
        self._connections += 1
        source = Address(*peer[:2])
        self._tasks.spawn(self._serve(reader, writer, source), name=f"push-pull from {source}")

    async def _serve(self, reader: StreamReader, writer: StreamWriter, source: Address) -> None:
        try:
            await answer(reader, writer, self._seal, self._count_stream, self._exchanged)
        except Foreign as error:
            self._account.ignored(error.reason, source)
        except Unavailable as error:
            log.debug("%s from %s", error, source)
        finally:
            self._connections -= 1
            writer.close()

    def _exchanged(self, exchange: Exchange) -> Exchange:
        self._handle(ExchangeArrived(exchange, None))
        return self._machine.exchange()

    def _count_stream(self, direction: str, count: int) -> None:
        self._account.moved("tcp", direction, count)
