"""The fuzz target holds for what Hypothesis thinks of, too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.consensus.messages import Message
from eagle_node.consensus.wire import HEADER, frame
from tests.fuzz.leases import one_input

messages = st.from_type(Message).map(lambda message: frame(message)[HEADER:])  # type: ignore[arg-type]


@given(st.one_of(st.binary(max_size=200), messages))
def test_no_message_breaks_a_leader(data: bytes) -> None:
    """Whatever a node of the cluster sends, the leader's invariants hold."""
    one_input(data)
