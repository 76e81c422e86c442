"""The bytes of SWIM's messages; no IO, no encryption (`seal` has that).

A packet is what one datagram carries: sender, one message, then updates. An exchange is what each
side of a push-pull says over TCP: sender, instance, all members that it knows. Numbers are
big-endian and of fixed width. Parsing is strict: what is left over or cut off is `Malformed`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.membership.member import (
    MAX_ACCUSERS,
    Alive,
    Dead,
    Left,
    Member,
    State,
    Suspect,
    Update,
)
from eagle_node.membership.meta import MAX_META, decode_meta, encode_meta
from eagle_node.membership.packing import (
    Malformed,
    Reader,
    pack_address,
    pack_blob,
    pack_node_id,
    pack_u64,
)
from eagle_node.runtime.sockets import Address

MAX_DATAGRAM = 1400
"""Bytes of UDP payload: fits an Ethernet MTU within tunnels (VXLAN, WireGuard)."""
MAX_EXCHANGE = 8 << 20
"""Bytes of one side of a push-pull: ten thousand members with full descriptions."""
MAX_INCARNATION = 1 << 62
"""Far beyond what lives and refutations reach; a claim of more would leave no room to refute it."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you ``target``, and there? ``nonce`` comes back in the answer."""

    nonce: int
    target: NodeId


@dataclass(frozen=True, slots=True)
class PingReq:
    """Ping ``target`` for me."""

    nonce: int
    target: NodeId
    address: Address


@dataclass(frozen=True, slots=True)
class Ack:
    """The target of ``nonce`` is there."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Nack:
    """I am there and was asked, but the target of ``nonce`` has not answered me either."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Rumours:
    """Nothing but updates."""


Message = Ping | PingReq | Ack | Nack | Rumours


@dataclass(frozen=True, slots=True)
class Packet:
    """The content of one datagram."""

    sender: NodeId
    message: Message
    updates: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One side of a push-pull."""

    sender: NodeId
    instance: int
    """Drawn by each process: tells a node that meets itself from one that shares its id."""
    members: tuple[Member, ...]


class _Kind(enum.IntEnum):
    """The byte that a message begins with."""

    PING = 1
    PING_REQ = 2
    ACK = 3
    NACK = 4
    RUMOURS = 5


class _About(enum.IntEnum):
    """The byte that an update begins with."""

    ALIVE = 1
    SUSPECT = 2
    DEAD = 3
    LEFT = 4


def encode_packet(packet: Packet) -> bytes:
    """``packet`` as bytes."""
    out = bytearray(pack_node_id(packet.sender))
    out += _encode_message(packet.message)
    for update in packet.updates:
        out += encode_update(update)
    return bytes(out)


def decode_packet(data: bytes) -> Packet:
    """The opposite of `encode_packet`, or `Malformed`."""
    reader = Reader(data)
    sender, message = reader.node_id(), _decode_message(reader)
    updates: list[Update] = []
    while reader.left:
        updates.append(_decode_update(reader))
    return Packet(sender, message, tuple(updates))


def encode_exchange(exchange: Exchange) -> bytes:
    """``exchange`` as bytes."""
    head = pack_node_id(exchange.sender) + pack_u64(exchange.instance)
    return head + b"".join(_encode_members(exchange.members))


def decode_exchange(data: bytes) -> Exchange:
    """The opposite of `encode_exchange`, or `Malformed`."""
    reader = Reader(data)
    sender, instance = reader.node_id(), reader.u64()
    members: list[Member] = []
    while reader.left:
        state = reader.byte()
        if state > State.LEFT:
            raise Malformed(f"member of unknown state {state}")
        members.append(_decode_member(reader, State(state)))
    return Exchange(sender, instance, tuple(members))


def encode_update(update: Update) -> bytes:
    """One update as it stands in a packet."""
    match update:
        case Alive(member):
            return bytes((_About.ALIVE,)) + _encode_member(member)
        case Suspect(node_id, incarnation, accusers):
            head = bytes((_About.SUSPECT,)) + pack_node_id(node_id) + pack_u64(incarnation)
            return head + bytes((len(accusers),)) + b"".join(map(pack_node_id, accusers))
        case Dead(node_id, incarnation):
            return bytes((_About.DEAD,)) + pack_node_id(node_id) + pack_u64(incarnation)
        case Left(node_id, incarnation):
            return bytes((_About.LEFT,)) + pack_node_id(node_id) + pack_u64(incarnation)
        case _:
            assert_never(update)


def message_size(message: Message) -> int:
    """The most bytes that a packet with this message and no update has."""
    match message:
        case PingReq():
            return 16 + 1 + 8 + 16 + 19
        case Ping():
            return 16 + 1 + 8 + 16
        case _:
            return 16 + 1 + 8


def _encode_message(message: Message) -> bytes:
    match message:
        case Ping(nonce, target):
            return bytes((_Kind.PING,)) + pack_u64(nonce) + pack_node_id(target)
        case PingReq(nonce, target, address):
            head = bytes((_Kind.PING_REQ,)) + pack_u64(nonce)
            return head + pack_node_id(target) + pack_address(address)
        case Ack(nonce):
            return bytes((_Kind.ACK,)) + pack_u64(nonce)
        case Nack(nonce):
            return bytes((_Kind.NACK,)) + pack_u64(nonce)
        case Rumours():
            return bytes((_Kind.RUMOURS,))
        case _:
            assert_never(message)


def _decode_message(reader: Reader) -> Message:
    match reader.byte():
        case _Kind.PING:
            return Ping(reader.u64(), reader.node_id())
        case _Kind.PING_REQ:
            return PingReq(reader.u64(), reader.node_id(), reader.address())
        case _Kind.ACK:
            return Ack(reader.u64())
        case _Kind.NACK:
            return Nack(reader.u64())
        case _Kind.RUMOURS:
            return Rumours()
        case kind:
            raise Malformed(f"message of unknown kind {kind}")


def _decode_update(reader: Reader) -> Update:
    match reader.byte():
        case _About.ALIVE:
            return Alive(_decode_member(reader, State.ALIVE))
        case _About.SUSPECT:
            node_id, incarnation, count = reader.node_id(), _incarnation(reader), reader.byte()
            if not 0 < count <= MAX_ACCUSERS:
                raise Malformed(f"suspicion with {count} accusers")
            accusers = dict.fromkeys(reader.node_id() for _ in range(count))
            return Suspect(node_id, incarnation, tuple(accusers))
        case _About.DEAD:
            return Dead(reader.node_id(), _incarnation(reader))
        case _About.LEFT:
            return Left(reader.node_id(), _incarnation(reader))
        case kind:
            raise Malformed(f"update of unknown kind {kind}")


def _encode_members(members: Iterable[Member]) -> Iterable[bytes]:
    for member in members:
        yield bytes((member.state,)) + _encode_member(member)


def _encode_member(member: Member) -> bytes:
    head = pack_node_id(member.node_id) + pack_u64(member.incarnation)
    return head + pack_address(member.address) + pack_blob(encode_meta(member.meta))


def _decode_member(reader: Reader, state: State) -> Member:
    return Member(
        node_id=reader.node_id(),
        incarnation=_incarnation(reader),
        address=reader.address(),
        state=state,
        meta=decode_meta(reader.blob(MAX_META)),
    )


def _incarnation(reader: Reader) -> int:
    number = reader.u64()
    if number > MAX_INCARNATION:
        raise Malformed(f"incarnation {number}")
    return number
