"""Who answers: pings, pings through helpers, and pings for others (SWIM, section 3.1; Lifeguard).

The target of a ping is asked by its id as well as by its address: another node that has taken the
address over does not answer for it.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.membership.beliefs import Beliefs
from eagle_node.membership.health import LocalHealth
from eagle_node.membership.member import Member
from eagle_node.membership.probes import Probe, Relay
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Ack, Message, Nack, Ping, PingReq
from eagle_node.runtime.sockets import Address

_NACK_SHARE = 0.8
"""Of the ack timeout: a helper's nack comes before its asker gives up (Lifeguard, section 4.A)."""
_MOST_RELAYS = 10_000
"""Pings for others that wait at a time."""
_MOST_DISPUTES = 64
"""Addresses with our own id that are remembered: who has the key can name any number."""


class Wait(enum.Enum):
    """What a ping waits for."""

    ACK = enum.auto()
    """The target's answer, before helpers are asked."""
    HELP = enum.auto()
    """An answer by whatever path, before the target is suspected."""
    RELAYED = enum.auto()
    """The target's answer to a ping for another member, before that gets a nack."""
    DISPUTED = enum.auto()
    """The answer of a process that has this node's own id."""


Deadline = tuple[Wait, int]
"""With the nonce of the ping."""

Sender = Callable[[Address, Message, NodeId | None], None]
"""Sends a message; the receiver's id, when known, decides what goes with it."""


class Detector:
    """Pings that wait for answers.

    ``deadlines`` is what it asks its owner to time: seconds from now, or None for no longer.
    Invariant: each waiting ping has a deadline.
    """

    def __init__(
        self,
        beliefs: Beliefs,
        health: LocalHealth,
        *,
        timings: Timings,
        chance: random.Random,
        send: Sender,
        knock: Callable[[Member], None],
        deadline: Callable[[Deadline, float | None], None],
    ) -> None:
        self._beliefs = beliefs
        self._health = health
        self._timings = timings
        self._chance = chance
        self._send = send
        self._knock = knock
        self._deadline = deadline
        self._probes: dict[int, Probe] = {}
        self._relays: dict[int, Relay] = {}
        self._disputes: dict[int, Address] = {}
        self._duplicates: set[Address] = set()

    def probe(self, target: Member) -> None:
        """Find out whether a member is there."""
        nonce = self._nonce()
        self._probes[nonce] = Probe(target=target.node_id, nacks=set())
        self._deadline((Wait.ACK, nonce), self._timings.ack_timeout_s * self._health.factor)
        self._send(target.address, Ping(nonce, target.node_id), target.node_id)

    def relay(self, request: PingReq, asker: Address) -> None:
        """Find it out for another member."""
        if request.target == self._beliefs.own.node_id:
            self._send(asker, Ack(request.nonce), None)
        elif len(self._relays) < _MOST_RELAYS:
            nonce = self._nonce()
            self._relays[nonce] = Relay(asker=asker, nonce=request.nonce, target=request.target)
            self._deadline((Wait.RELAYED, nonce), _NACK_SHARE * self._timings.ack_timeout_s)
            self._send(request.address, Ping(nonce, request.target), request.target)

    def acked(self, nonce: int, sender: NodeId) -> None:
        """A member says that the target of ``nonce`` is there: the target, or one asked to help."""
        if (relay := self._relays.get(nonce)) is not None:
            if sender == relay.target:
                del self._relays[nonce]
                self._deadline((Wait.RELAYED, nonce), None)
                self._send(relay.asker, Ack(relay.nonce), None)
            return
        probe = self._probes.get(nonce)
        if probe is not None and (sender == probe.target or sender in probe.helpers):
            del self._probes[nonce]
            self._deadline((Wait.ACK, nonce), None)
            self._deadline((Wait.HELP, nonce), None)
            self._health.improve()

    def nacked(self, nonce: int, sender: NodeId) -> None:
        """A helper is there, but the target has not answered it."""
        probe = self._probes.get(nonce)
        if probe is not None and sender in probe.helpers:
            probe.nacks.add(sender)

    def dispute(self, address: Address) -> None:
        """Find out whether a process at ``address`` really has this node's own id.

        What was heard may be old, or sent back: only an answer to a fresh nonce proves it.
        """
        known = address in self._duplicates or address in self._disputes.values()
        if not known and len(self._disputes) < _MOST_DISPUTES:
            nonce = self._nonce()
            self._disputes[nonce] = address
            self._deadline((Wait.DISPUTED, nonce), self._timings.probe_timeout_s)
            self._send(address, Ping(nonce, self._beliefs.own.node_id), None)

    def namesake(self, message: Message, source: Address) -> Address | None:
        """A datagram with our own id; the address of a duplicate when it proves one.

        It is another process's, or one of ours that somebody has sent back to us.
        """
        own_id = self._beliefs.own.node_id
        match message:
            case Ping(nonce, target) if target == own_id and nonce not in self._disputes:
                self._send(source, Ack(nonce), None)
                self.dispute(source)
            case Ack(nonce) if nonce in self._disputes:
                self._deadline((Wait.DISPUTED, nonce), None)
                return self.duplicate(self._disputes.pop(nonce))
            case _:
                pass
        return None

    def duplicate(self, address: Address) -> Address | None:
        """It is proven that our id is used at ``address``, too; None when that was known."""
        if address in self._duplicates or len(self._duplicates) >= _MOST_DISPUTES:
            return None
        self._duplicates.add(address)
        return address

    def expired(self, deadline: Deadline, now: float) -> None:
        """A ping has waited long enough."""
        wait, nonce = deadline
        match wait:
            case Wait.ACK:
                self._ask_helpers(nonce)
            case Wait.HELP:
                self._failed(self._probes.pop(nonce), now)
            case Wait.RELAYED:
                relay = self._relays.pop(nonce)
                self._send(relay.asker, Nack(relay.nonce), None)
            case Wait.DISPUTED:
                del self._disputes[nonce]
            case _:
                assert_never(wait)

    def waiting(self) -> list[tuple[Deadline, ...]]:
        """For each waiting ping the deadlines of which one must be set."""
        return [
            *(((Wait.ACK, nonce), (Wait.HELP, nonce)) for nonce in self._probes),
            *(((Wait.RELAYED, nonce),) for nonce in self._relays),
            *(((Wait.DISPUTED, nonce),) for nonce in self._disputes),
        ]

    def _ask_helpers(self, nonce: int) -> None:
        """Our own path to the target may be the one that is broken: ask k others.

        If it is the process that is gone, its host says so.
        """
        probe, timings = self._probes[nonce], self._timings
        rest_s = (timings.probe_timeout_s - timings.ack_timeout_s) * self._health.factor
        self._deadline((Wait.HELP, nonce), rest_s)
        target = self._beliefs.table.get(probe.target)
        if target is None or not target.state.live:
            return
        helpers = self._beliefs.table.sample(timings.helpers, but=probe.target)
        probe.helpers = frozenset(helper.node_id for helper in helpers)
        for helper in helpers:
            request = PingReq(nonce, target.node_id, target.address)
            self._send(helper.address, request, helper.node_id)
        self._knock(target)

    def _failed(self, probe: Probe, now: float) -> None:
        self._health.worsen(probe.missing_nacks if probe.helpers else 1)
        if not self._beliefs.has_left:
            self._beliefs.accuse(probe.target, now)

    def _nonce(self) -> int:
        """Cannot be guessed, nor repeats one of an earlier process: old acks fit no probe."""
        return self._chance.getrandbits(64)
