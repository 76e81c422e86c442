"""Fuzzes what comes in from the raft port, with atheris (`make fuzz`).

Input is taken as a frame, as the first frame of a connection, and as what is kept on disk. Whatever
parses as a message is given to a node that leads a cluster of one, whose invariants must hold, and
is written again and read back the same.
"""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from typing import Any

from eagle_node.base.ids import NodeId
from eagle_node.consensus.events import Received, Ticked
from eagle_node.consensus.machine import Node
from eagle_node.consensus.policy import Wanted
from eagle_node.consensus.records import Command, Durable, Identity, MemberId, Snapshot
from eagle_node.consensus.timing import Timing
from eagle_node.consensus.wire import (
    HEADER,
    Malformed,
    frame,
    frame_length,
    parse_hello,
    parse_message,
    parse_plain,
    parse_union,
)
from eagle_node.runtime.sockets import Address

_SENDER = NodeId("9" * 32)


def one_input(data: bytes) -> None:
    """Every way that bytes can take; an exception other than the expected ones is a finding."""
    with suppress(Malformed):
        frame_length(data[:HEADER])
    with suppress(Malformed):
        hello = parse_hello(data)
        assert parse_hello(frame(hello)[HEADER:]) == hello
    with suppress(Malformed):
        parse_plain(Snapshot, data)
    with suppress(Malformed):
        parse_union(Command, data)
    with suppress(Malformed):
        message = parse_message(data)
        assert parse_message(frame(message)[HEADER:]) == message
        node, now = _leader()
        for event in (Received(sender=_SENDER, message=message), Ticked(), Ticked()):
            node.handle(event, now)
            node.check()
            now += 0.05


def _leader() -> tuple[Node, float]:
    """A node that leads nobody but itself, and the time."""
    node = Node(
        identity=Identity(member=MemberId(f"{'0' * 32}-00000001")),
        durable=Durable(),
        address=Address("192.0.2.1", 7947),
        created_ms=0,
        timing=Timing(),
        wanted=Wanted(),
        chance=random.Random(1),
        now=0.0,
    )
    now = 0.0
    while node.leader is None:
        now += 0.05
        node.handle(Ticked(), now)
        assert now < 60
    return node, now


def main() -> None:
    """Run until stopped, or as libFuzzer's flags say."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    fuzzer: Any = atheris
    fuzzer.instrument_all()
    fuzzer.Setup(sys.argv, one_input)
    fuzzer.Fuzz()


if __name__ == "__main__":
    main()
