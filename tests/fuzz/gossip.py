"""Fuzzes what comes in from the gossip port, with atheris (`make fuzz`).

Input is taken as a datagram without a key, as a packet, as a side of a push-pull, and as a
description. Whatever parses is given to a machine, whose invariants must hold, and is written again
and read back the same.
"""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from typing import Any

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import Event, ExchangeArrived, PacketArrived, Ticked
from eagle_node.membership.machine import Machine
from eagle_node.membership.member import Member
from eagle_node.membership.meta import decode_meta, encode_meta
from eagle_node.membership.packing import Malformed
from eagle_node.membership.seal import Foreign, Seal
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import (
    decode_exchange,
    decode_packet,
    encode_exchange,
    encode_packet,
)
from eagle_node.runtime.sockets import Address

_SOURCE = Address("192.0.2.9", 7946)


def one_input(data: bytes) -> None:
    """Every way that bytes can take; an exception other than the expected ones is a finding."""
    with suppress(Foreign):
        Seal("fuzz", None).open(data, b"datagram")
    events: list[Event] = []
    try:
        packet = decode_packet(data)
        assert decode_packet(encode_packet(packet)) == packet
        events.append(PacketArrived(packet, _SOURCE))
    except Malformed:
        pass
    try:
        exchange = decode_exchange(data)
        assert decode_exchange(encode_exchange(exchange)) == exchange
        events.append(ExchangeArrived(exchange, None))
    except Malformed:
        pass
    try:
        meta = decode_meta(data)
        assert decode_meta(encode_meta(meta)) == meta
    except Malformed:
        pass
    _live_through(events)


def _live_through(events: list[Event]) -> None:
    own = Member(node_id=NodeId("00" * 16), address=Address("192.0.2.1", 7946))
    machine = Machine(own, timings=Timings(), chance=random.Random(1), instance=1, now=0.0)
    for at, event in enumerate((*events, Ticked(), Ticked(), Ticked())):
        machine.handle(event, float(at))
        machine.check()


def main() -> None:
    """Run until stopped, or as libFuzzer's flags say."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    fuzzer: Any = atheris
    fuzzer.instrument_all()
    fuzzer.Setup(sys.argv, one_input)
    fuzzer.Fuzz()


if __name__ == "__main__":
    main()
