"""Membership's messages: what is written is read, and nothing else does worse than `Malformed`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.errors import UsageError
from eagle_node.base.ids import NodeId
from eagle_node.membership.member import (
    MAX_ACCUSERS,
    Alive,
    Dead,
    Left,
    Member,
    State,
    Suspect,
)
from eagle_node.membership.meta import MAX_META, Meta, decode_meta, encode_meta
from eagle_node.membership.packing import Malformed, canonical
from eagle_node.membership.rumours import RumourQueue
from eagle_node.membership.seal import OVERHEAD, Foreign, Seal
from eagle_node.membership.wire import (
    MAX_DATAGRAM,
    MAX_INCARNATION,
    Ack,
    Exchange,
    Nack,
    Packet,
    Ping,
    PingReq,
    Rumours,
    decode_exchange,
    decode_packet,
    encode_exchange,
    encode_packet,
    message_size,
)
from eagle_node.runtime.sockets import Address
from eagle_node.trust.key import ClusterKey

node_ids = st.binary(min_size=16, max_size=16).map(lambda data: NodeId(data.hex()))
nonces = st.integers(0, (1 << 64) - 1)
incarnations = st.integers(0, MAX_INCARNATION)
addresses = st.builds(Address, st.ip_addresses().map(str), st.integers(1, 65535)).map(canonical)
words = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.lists(words, max_size=3).map(tuple)
metas = st.builds(
    Meta,
    roles=names,
    never=names,
    ports=st.dictionaries(words, st.integers(1, 65535), max_size=3).map(lambda d: (*d.items(),)),
    zone=words,
    rack=words,
    version=words,
    load=st.integers(0, 255),
    voter=st.booleans(),
    upload_rate=nonces,
    labels=st.dictionaries(words, words, max_size=2).map(lambda d: (*d.items(),)),
    name=words,
)


def members(states: st.SearchStrategy[State]) -> st.SearchStrategy[Member]:
    """Members in some states."""
    return st.builds(
        Member,
        node_id=node_ids,
        address=addresses,
        state=states,
        incarnation=incarnations,
        meta=metas,
    )


updates = st.one_of(
    st.builds(Alive, members(st.just(State.ALIVE))),
    st.builds(
        Suspect,
        node_ids,
        incarnations,
        st.lists(node_ids, min_size=1, max_size=MAX_ACCUSERS, unique=True).map(tuple),
    ),
    st.builds(Dead, node_ids, incarnations),
    st.builds(Left, node_ids, incarnations),
)
messages = st.one_of(
    st.builds(Ping, nonces, node_ids),
    st.builds(PingReq, nonces, node_ids, addresses),
    st.builds(Ack, nonces),
    st.builds(Nack, nonces),
    st.just(Rumours()),
)
packets = st.builds(Packet, node_ids, messages, st.lists(updates, max_size=4).map(tuple))
exchanges = st.builds(
    Exchange, node_ids, nonces, st.lists(members(st.sampled_from(State)), max_size=5).map(tuple)
)
KEYS = ClusterKey(primary=bytes(32), others=(bytes(range(32)),))


@given(metas)
def test_descriptions_round_trip(meta: Meta) -> None:
    """A description is what its bytes say, in at most 512 of them."""
    data = encode_meta(meta)
    assert len(data) <= MAX_META
    assert decode_meta(data) == meta


@given(metas, st.integers(100, 255), st.binary(max_size=20))
def test_a_newer_field_is_skipped(meta: Meta, tag: int, value: bytes) -> None:
    """A node understands the description of a newer release but for what is new in it."""
    data = encode_meta(meta) + bytes((tag,)) + len(value).to_bytes(2) + value
    if len(data) <= MAX_META:
        assert decode_meta(data) == meta


@given(packets)
def test_packets_round_trip(packet: Packet) -> None:
    """A packet is what its bytes say."""
    assert decode_packet(encode_packet(packet)) == packet


@given(exchanges)
def test_exchanges_round_trip(exchange: Exchange) -> None:
    """A side of a push-pull is what its bytes say."""
    assert decode_exchange(encode_exchange(exchange)) == exchange


@given(messages, st.lists(updates, max_size=30))
def test_a_datagram_fits(message: Ping, told: list[Alive]) -> None:
    """However many updates wait, a sealed packet has at most 1400 bytes."""
    rumours = RumourQueue()
    for update in told:
        rumours.put(update)
    room = MAX_DATAGRAM - OVERHEAD - message_size(message)
    packet = Packet(NodeId("ab" * 16), message, rumours.take(room, 5))
    rumours.check()
    assert len(Seal("c" * 255, KEYS).seal(encode_packet(packet), b"use")) <= MAX_DATAGRAM
    assert bool(packet.updates) == bool(told)


@given(st.one_of(st.binary(max_size=300), packets.map(encode_packet)), st.data())
def test_no_bytes_break_the_parsers(data: bytes, draw: st.DataObject) -> None:
    """Random, cut and altered bytes are a message or `Malformed`."""
    if data:
        at = draw.draw(st.integers(0, len(data) - 1))
        data = (
            data[:at] + draw.draw(st.binary(max_size=3)) + data[at + draw.draw(st.integers(0, 3)) :]
        )
    for decode in (decode_packet, decode_exchange, decode_meta):
        try:
            decode(data)
        except Malformed:
            continue


@given(packets)
def test_every_cut_is_malformed_or_shorter(packet: Packet) -> None:
    """A packet that was cut off is never taken for the whole one."""
    data = encode_packet(packet)
    for end in range(len(data)):
        try:
            assert decode_packet(data[:end]) != packet
        except Malformed:
            continue


@given(st.binary(max_size=200), st.sampled_from([None, KEYS]), st.binary(max_size=9))
def test_seals_open_for_the_cluster_and_the_use(
    content: bytes, keys: ClusterKey | None, use: bytes
) -> None:
    """What one process seals another one opens, for the same use."""
    sealed = Seal("one", keys).seal(content, use)
    assert Seal("one", keys).open(sealed, use) == content
    assert len(sealed) <= len(content) + OVERHEAD


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(1, 255))
def test_an_altered_seal_does_not_open(content: bytes, at: int, change: int) -> None:
    """Each single byte is bound, the header's as well."""
    sealed = bytearray(Seal("one", KEYS).seal(content, b"use"))
    sealed[at % len(sealed)] ^= change
    with pytest.raises(Foreign):
        Seal("one", KEYS).open(bytes(sealed), b"use")


@given(st.binary(max_size=100), st.sampled_from([None, KEYS]))
def test_no_bytes_break_the_seal(data: bytes, keys: ClusterKey | None) -> None:
    """Random bytes are foreign, with a reason."""
    try:
        opened = Seal("one", keys).open(data, b"use")
    except Foreign:
        return
    assert keys is None
    assert data.endswith(opened)


def test_too_long_a_description_is_told() -> None:
    """The error names what to shorten."""
    with pytest.raises(UsageError, match=r"--zone, --rack or --group"):
        Meta(zone="z" * 250, rack="r" * 250, group="g" * 250)
    with pytest.raises(UsageError, match="more than 255 bytes"):
        Meta(zone="z" * 256)
