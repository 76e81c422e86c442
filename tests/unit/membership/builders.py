"""A machine and what is said to it, without a network."""

from __future__ import annotations

import random
from collections.abc import Sequence

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import (
    Change,
    Contact,
    Effect,
    ExchangeArrived,
    PacketArrived,
    Send,
    Tell,
    Ticked,
)
from eagle_node.membership.machine import Machine
from eagle_node.membership.member import Alive, Member, State, Update
from eagle_node.membership.meta import Meta
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Exchange, Message, Packet, Rumours
from eagle_node.runtime.sockets import Address

OWN = NodeId("00" * 16)


def node_id(number: int) -> NodeId:
    """The ``number``-th node's; 0 is this one's."""
    return NodeId(f"{number:032x}")


def address(number: int) -> Address:
    """Where it is."""
    return Address(f"10.0.0.{number + 1}", 7946)


def someone(
    number: int, *, incarnation: int = 1, state: State = State.ALIVE, zone: str = ""
) -> Member:
    """The ``number``-th node."""
    return Member(
        node_id=node_id(number),
        address=address(number),
        incarnation=incarnation,
        state=state,
        meta=Meta(zone=zone),
    )


class Bench:
    """One machine, its time, and all that it has done."""

    def __init__(self, members: int = 0, *, timings: Timings | None = None) -> None:
        self.now = 100.0
        self.machine = Machine(
            someone(0),
            timings=timings or Timings(),
            chance=random.Random(1),
            instance=7,
            now=self.now,
        )
        self.sent: list[tuple[float, Send]] = []
        self.changes: list[Change] = []
        self.contacts: list[Address] = []
        others = tuple(someone(number) for number in range(1, members + 1))
        if others:
            self.perform(
                self.machine.handle(ExchangeArrived(Exchange(node_id(1), 8, others), None), 100.0)
            )
            self.changes.clear()

    def perform(self, effects: Sequence[Effect]) -> None:
        """Remember what the machine wants done."""
        self.machine.check()
        for effect in effects:
            match effect:
                case Send():
                    self.sent.append((self.now, effect))
                case Tell(change):
                    self.changes.append(change)
                case Contact(where):
                    self.contacts.append(where)

    def hear(self, sender: int, *updates: Update, message: Message | None = None) -> None:
        """A packet from the ``sender``-th node arrives."""
        packet = Packet(node_id(sender), message or Rumours(), updates)
        self.perform(self.machine.handle(PacketArrived(packet, address(sender)), self.now))

    def exchange(self, sender: int, *members: Member) -> None:
        """A push-pull with the ``sender``-th node."""
        told = Exchange(node_id(sender), 8, members)
        self.perform(self.machine.handle(ExchangeArrived(told, None), self.now))

    def run(self, seconds: float) -> None:
        """Let time pass, without a stall."""
        end = self.now + seconds
        while self.machine.due <= end:
            self.now = max(self.now, self.machine.due)
            self.perform(self.machine.handle(Ticked(), self.now))
        self.now = end

    def stall(self, seconds: float) -> None:
        """Let time pass while the process stands still."""
        self.now += seconds
        self.perform(self.machine.handle(Ticked(), self.now))

    def messages(self, kind: type[Message], since: float = 0.0) -> list[tuple[float, Send]]:
        """What was sent of a kind of message."""
        return [
            (at, send)
            for at, send in self.sent
            if isinstance(send.packet.message, kind) and at >= since
        ]

    def state(self, number: int) -> State:
        """What is believed of a node."""
        return self.machine.members()[node_id(number)].state

    def updates(self) -> list[Update]:
        """All updates that were sent, in order."""
        return [update for _, send in self.sent for update in send.packet.updates]


def alive(number: int, incarnation: int = 1, zone: str = "") -> Alive:
    """The ``number``-th node tells of itself."""
    return Alive(someone(number, incarnation=incarnation, zone=zone))
