"""The fuzz target holds for what Hypothesis thinks of, too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.membership.wire import encode_exchange, encode_packet
from tests.fuzz.gossip import one_input
from tests.property.test_membership_codecs import exchanges, packets


@given(st.one_of(st.binary(max_size=200), packets.map(encode_packet)))
def test_no_packet_breaks_a_machine(data: bytes) -> None:
    """Whatever a member of the cluster sends, the machine's invariants hold."""
    one_input(data)


@given(exchanges.map(encode_exchange))
def test_no_exchange_breaks_a_machine(data: bytes) -> None:
    """Whatever a member tells in a push-pull, the machine's invariants hold."""
    one_input(data)
