"""What an empty connection tells of a peer."""

from __future__ import annotations

import socket

from eagle_node.base.ids import NodeId
from eagle_node.peer.reach import answers, round_trip_s
from eagle_node.swarm.session import Swarm
from eagle_node.tracker.schema import PeerAddress
from tests.integration.swarm.rig import LOOPBACK, swarm_config


def peer(port: int) -> PeerAddress:
    return PeerAddress(node_id=NodeId("a"), host=LOOPBACK, port=port)


async def test_a_swarm_answers_and_is_near() -> None:
    """On loopback a round trip takes microseconds, and never none."""
    async with Swarm(swarm_config()) as swarm:
        assert await answers(peer(swarm.port))
        near = await round_trip_s(peer(swarm.port))
    assert near is not None
    assert 0 < near < 0.5


async def test_a_process_that_does_nothing_does_not_answer() -> None:
    """Its kernel still accepts connections."""
    with socket.create_server((LOOPBACK, 0)) as frozen:
        assert not await answers(peer(frozen.getsockname()[1]))


async def test_nobody_is_told_from_somebody() -> None:
    """A port that nothing listens on refuses."""
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = gone.getsockname()[1]
    assert not await answers(peer(port))
    assert await round_trip_s(peer(port)) is None
