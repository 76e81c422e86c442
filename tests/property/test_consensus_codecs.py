"""Every message comes back as it was sent; no bytes but a message's are taken for one."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_node.base.ids import NodeId
from eagle_node.consensus.messages import Hello, Message
from eagle_node.consensus.records import Command, Durable, MemberId, Snapshot
from eagle_node.consensus.wire import (
    HEADER,
    Malformed,
    frame,
    frame_length,
    parse_hello,
    parse_message,
    parse_plain,
    parse_union,
    render,
    render_plain,
)

texts = st.text(max_size=20)
st.register_type_strategy(str, texts)
st.register_type_strategy(NodeId, texts.map(NodeId))
st.register_type_strategy(MemberId, texts.map(MemberId))
st.register_type_strategy(int, st.integers(0, (1 << 63) - 1))
st.register_type_strategy(float, st.floats(0, 1e9))


@given(st.from_type(Message))  # type: ignore[arg-type]
@settings(max_examples=150)
def test_messages_round_trip(message: Message) -> None:
    """A frame is its length and the message."""
    framed = frame(message)
    assert frame_length(framed[:HEADER]) == len(framed) - HEADER
    assert parse_message(framed[HEADER:]) == message


@given(st.from_type(Hello))
def test_hellos_round_trip(hello: Hello) -> None:
    """The first frame is what its bytes say."""
    assert parse_hello(frame(hello)[HEADER:]) == hello


@given(st.from_type(Command))  # type: ignore[arg-type]
def test_commands_round_trip(command: Command) -> None:
    """What is stored is what is loaded."""
    assert parse_union(Command, render(command)) == command


@given(st.from_type(Snapshot))
def test_snapshots_round_trip(snapshot: Snapshot) -> None:
    """The same for snapshots."""
    assert parse_plain(Snapshot, render_plain(snapshot)) == snapshot


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=15,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_malformed(body: bytes) -> None:
    """Whatever comes is a message or `Malformed`."""
    for parse in (parse_message, parse_hello, lambda each: parse_plain(Durable, each)):
        try:
            parse(body)
        except Malformed:
            continue


@given(st.from_type(Message), st.data())  # type: ignore[arg-type]
@settings(max_examples=100)
def test_a_changed_message_is_a_message_or_malformed(message: Message, data: st.DataObject) -> None:
    """Any part may be something else."""
    plain = json.loads(frame(message)[HEADER:])
    spot = plain
    while isinstance(spot, list) and spot and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(spot) - 1))
        if not isinstance(spot[index], list) or not spot[index]:
            spot[index] = data.draw(json_values)
            break
        spot = spot[index]
    try:
        parse_message(json.dumps(plain).encode())
    except Malformed:
        return


@given(st.binary(min_size=4, max_size=4))
def test_lengths_are_bounded(header: bytes) -> None:
    """No header makes a reader wait for more than a frame may have."""
    try:
        assert 0 < frame_length(header) <= 1 << 20
    except Malformed:
        return
