"""Who is not of this cluster is ignored and counted; keys are rotated while members run."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from eagle_node.membership.events import Alone, Change, DuplicateId, Gone
from eagle_node.membership.member import State
from eagle_node.membership.service import Membership
from eagle_node.metrics.instruments import by_label
from eagle_node.runtime.sockets import Address
from eagle_node.trust.key import ClusterKey, create_key_file, load_key_file, new_key
from tests.integration.membership.rig import member, node_id, seen, together
from tests.support.waiting import until


def key_file(path: Path) -> Path:
    """A new key."""
    create_key_file(path)
    return path


def reasons(membership: Membership) -> dict[str, int]:
    """What a member has ignored."""
    return by_label(membership.metrics.gossip_ignored)


async def _ignored(membership: Membership, reason: str) -> None:
    async def counted() -> bool:
        return reasons(membership).get(reason, 0) > 0

    await until(counted, what=f"{reason} to be counted")


@contextmanager
def raw_socket() -> Iterator[socket.socket]:
    """A stranger on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


@contextmanager
def sniffed(source: int, target: int) -> Iterator[list[bytes]]:
    """The payloads of datagrams from one port of loopback to another, while the block lasts."""
    recorded: list[bytes] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as sniffer:
        sniffer.bind(("lo", 0x0800))
        sniffer.setblocking(False)

        def take() -> None:
            packet = sniffer.recv(65_536)
            head = 4 * (packet[0] & 15)
            ports = int.from_bytes(packet[head : head + 2]), int.from_bytes(packet[head + 2 :][:2])
            if packet[9] == socket.IPPROTO_UDP and ports == (source, target):
                recorded.append(packet[head + 8 :])

        loop.add_reader(sniffer, take)
        try:
            yield recorded
        finally:
            loop.remove_reader(sniffer)


async def _has(recorded: list[bytes], count: int) -> bool:
    return len(recorded) >= count


@pytest.mark.parametrize(
    ("stranger", "expected"), [("key", "key"), ("none", "clear"), ("cluster", "cluster")]
)
async def test_strangers_are_ignored_and_counted(
    tmp_path: Path, stranger: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A node with another key, without one, or of another cluster never becomes a member."""
    ours = key_file(tmp_path / "ours")
    theirs = {"key": key_file(tmp_path / "theirs"), "none": None, "cluster": ours}[stranger]
    cluster = "other" if stranger == "cluster" else "test"
    async with member(1, key_file=ours) as one, member(2, one.address, key_file=ours) as two:
        await together(one, two)
        async with member(3, one.address, key_file=theirs, cluster=cluster) as three:
            told: list[Change] = []
            three.on_change.append(told.append)
            await _ignored(one, expected)
            await seen(three, lambda: bool(told))
            assert [type(change) for change in told] == [Alone]
            assert "closes the connection: its cluster key or the name" in caplog.text
            assert set(three.members()) == {node_id(3)}
            assert len(one.members()) == 2
        lines = [r.getMessage() for r in caplog.records if "ignoring gossip" in r.getMessage()]
        assert len(lines) == len(set(lines)) >= 1


async def test_garbage_does_no_harm(tmp_path: Path) -> None:
    """Datagrams and connections that are no gossip are counted; members stay members."""
    ours = key_file(tmp_path / "ours")
    async with member(1, key_file=ours) as one, member(2, one.address, key_file=ours) as two:
        await together(one, two)
        with raw_socket() as stranger:
            for data in (b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", bytes(1400), b"\1\1" + bytes(100)):
                stranger.sendto(data, (one.address.host, one.address.port))
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, bytes(4), b""):
            reader, writer = await asyncio.open_connection(one.address.host, one.address.port)
            writer.write(data)
            writer.write_eof()
            await reader.read()
            writer.close()
        await _ignored(one, "garbage")
        assert len(one.members()) == len(two.members()) == 2


async def test_a_key_is_rotated_while_members_run(tmp_path: Path) -> None:
    """Add, use, remove on one member after the other: nobody is lost at any step."""
    old = load_key_file(key_file(tmp_path / "key"))
    new = new_key()
    async with AsyncExitStack() as stack:
        members: list[Membership] = []
        for number in range(1, 4):
            joins = [each.address for each in members[:1]]
            members.append(
                await stack.enter_async_context(member(number, *joins, key_file=tmp_path / "key"))
            )
        await together(*members)
        told: list[Change] = []
        for each in members:
            each.on_change.append(told.append)
        for ring in (
            ClusterKey(primary=old.primary, others=(new.primary,)),
            ClusterKey(primary=new.primary, others=(old.primary,)),
            new,
        ):
            for each in members:
                each.use_keys(ring)
                await asyncio.sleep(0.55)  # a probe of each at each step
        assert [change for change in told if isinstance(change, Gone)] == []
        assert all(len(each.members()) == 3 for each in members)
        assert all(reasons(each) == {} for each in members)
        newcomer = await stack.enter_async_context(
            member(4, members[0].address, key_file=tmp_path / "key")
        )
        await _ignored(members[0], "key")
        assert len(newcomer.members()) == 1


async def test_old_datagrams_bring_nobody_back(tmp_path: Path) -> None:
    """Every datagram that a member ever sent, sent again after it left, changes no view."""
    ours = key_file(tmp_path / "ours")
    async with member(1, key_file=ours) as one, member(2, one.address, key_file=ours) as two:
        await together(one, two)
        async with member(3, one.address, key_file=ours) as three:
            with sniffed(three.address.port, one.address.port) as recorded:
                await together(one, two, three)
                await until(lambda: _has(recorded, 4), what="datagrams")
                await three.leave()
        told: list[Change] = []
        one.on_change.append(told.append)
        with raw_socket() as replayer:
            for data in recorded:
                replayer.sendto(data, (one.address.host, one.address.port))
        await asyncio.sleep(1.0)  # two probes: time to do harm
        assert told == []
        assert one.departed()[node_id(3)].state is State.LEFT
        assert reasons(one) == {}


async def test_a_copied_data_directory_is_told() -> None:
    """Two processes of one id: each names both addresses, and the others keep the first."""
    async with (
        member(1) as one,
        member(2, one.address) as two,
    ):
        await together(one, two)
        told: list[Change] = []
        two.on_change.append(told.append)
        async with member(2, one.address) as clone:
            others: list[Change] = []
            clone.on_change.append(others.append)
            await seen(clone, lambda: any(isinstance(each, DuplicateId) for each in others))
            await seen(two, lambda: any(isinstance(each, DuplicateId) for each in told))
            assert DuplicateId(node_id(2), two.address, clone.address) in told
            assert DuplicateId(node_id(2), clone.address, two.address) in others
            assert one.members()[node_id(2)].address == two.address


async def test_joining_goes_on_until_somebody_is_there(
    caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    """A join address where nobody listens is said once, and tried until somebody does."""
    caplog.set_level(logging.INFO)
    there = Address("127.0.0.1", unused_tcp_port)
    async with member(1, there) as one:
        await seen(one, lambda: "still trying" in caplog.text)
        async with member(2, port=unused_tcp_port) as two:
            await together(one, two)
    assert caplog.text.count("still trying") == 1
    assert caplog.text.count("found cluster 'test'") == 1
