"""Real consensus processes on loopback that are killed, stopped, and restarted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from pathlib import Path

from tests.support.consensus import Group, Member, group_of, node_id, whole
from tests.support.linearizability import Operation, is_linearizable
from tests.support.waiting import until


def leads_other_than(member: Member) -> object:
    """Whether all running nodes follow somebody else."""
    dead = node_id(member.number)
    return lambda g: all(
        e.state is not None and e.state["leader"] not in (None, dead)
        for e in g.alive_or_new()
        if e is not member
    )


async def test_a_killed_leader_is_replaced_and_comes_back(tmp_path: Path) -> None:
    """Within two seconds another one leads, in a higher term, and within five all leases are held
    again; what was set is still there, and the killed one follows after its restart."""
    async with group_of(3, tmp_path) as group:
        assert (await group.members[0].ask("colour", "green"))["ok"]
        leader = group.leader()
        assert leader.state is not None
        term = leader.state["term"]
        await leader.stop(signal.SIGKILL)
        assert await group.until(leads_other_than(leader)) < 5.0
        await group.until(whole)
        assert all(e.state is not None and e.state["term"] > term for e in group.alive())
        await leader.start()
        await group.until(whole)
        for member in group.members:
            assert (await member.ask())["settings"]["colour"] == "green"


async def test_a_stopped_leader_is_replaced_and_follows_when_it_goes_on(tmp_path: Path) -> None:
    """SIGSTOP: another leads and has its leases given away; after SIGCONT all follow one leader,
    and no lease and epoch is held twice."""
    async with group_of(3, tmp_path) as group:
        leader = group.leader()
        before = leader.held
        leader.send(signal.SIGSTOP)
        await group.until(leads_other_than(leader))
        others = [each for each in group.members if each is not leader]
        for lease in before:
            role = lease.partition("-")[0]
            await group.until(
                lambda g, role=role: sum(h.startswith(role) for o in others for h in o.held) >= 2
            )
        leader.send(signal.SIGCONT)
        await group.until(whole)
        epochs = [set(each.held.items()) for each in group.members]
        assert sum(map(len, epochs)) == len(set().union(*epochs))


async def test_all_killed_come_back_from_disk(tmp_path: Path) -> None:
    """Log, vote and settings outlive the death of every process; the cluster is the same one."""
    async with group_of(3, tmp_path) as group:
        assert (await group.members[1].ask("colour", "blue"))["ok"]
        assert group.members[0].state is not None
        cluster = group.members[0].state["cluster"]
        for member in group.members:
            await member.stop(signal.SIGKILL)
        for member in group.members:
            await member.start()
        await group.until(whole)
        assert group.members[0].state["cluster"] == cluster
        assert (await group.members[2].ask())["settings"]["colour"] == "blue"


async def test_a_corrupt_file_is_set_aside(tmp_path: Path) -> None:
    """Its node says so, takes part under a new name, and votes again."""
    async with group_of(3, tmp_path) as group:
        leader = group.leader()
        victim = next(each for each in group.members if each is not leader)
        await victim.stop(signal.SIGKILL)
        _overwrite(tmp_path, f"{victim.number}.sqlite*")
        await victim.start()
        await group.until(lambda g: whole(g, voters=3), timeout=40)
        assert "damaged" in victim.log()
        assert f"{victim.number}.sqlite.damaged-1" in os.listdir(tmp_path)


async def test_a_dead_voter_of_five_is_replaced(tmp_path: Path) -> None:
    """Five voters of six members: a dead one loses its seat to the sixth."""
    async with group_of(6, tmp_path) as group:
        leader = group.leader()
        assert leader.state is not None
        voters = set(leader.state["voters"])
        assert len(voters) == 5
        victim = next(m for m in group.members if m is not leader and node_id(m.number) in voters)
        await victim.stop(signal.SIGKILL)

        def replaced(group: Group) -> bool:
            dead = node_id(victim.number)
            return whole(group, voters=5) and all(
                e.state is not None and dead not in e.state["voters"] for e in group.alive()
            )

        await group.until(replaced, timeout=40)


async def test_settings_are_linearizable_while_leaders_die(tmp_path: Path) -> None:
    """Reads and writes at all nodes, two leaders killed meanwhile: some order explains them."""
    async with group_of(5, tmp_path) as group:
        history: list[Operation] = []
        done = asyncio.Event()
        clients = [
            asyncio.create_task(_client(member, history, done), name=f"client {member.number}")
            for member in group.members
        ]
        for _ in range(2):
            leader = group.leader()
            await leader.stop(signal.SIGKILL)
            await group.until(leads_other_than(leader))
            await leader.start()
            await group.until(whole, timeout=40)
            await _until_longer(history, len(history) + 40)
        done.set()
        await asyncio.gather(*clients)
        assert sum(each.read is not None for each in history) > 20
        assert sum(each.wrote is not None and each.end is not None for each in history) > 20
        assert is_linearizable(history)


async def _client(member: Member, history: list[Operation], done: asyncio.Event) -> None:
    """Writes and reads one register until it is ``done``."""
    chance = random.Random(member.number)
    count = 0
    while not done.is_set():
        child = member.child
        if child is None or child.returncode is not None or member.state is None:
            await _pause(done, 0.05)
            continue
        count += 1
        value = f"{member.number}.{count}" if chance.random() < 0.5 else None
        start = time.monotonic()
        answer = await member.ask("register" if value else "", value or "")
        end = time.monotonic() if answer["ok"] else None
        if value is not None:
            history.append(Operation(start=start, end=end, wrote=value, read=None))
        elif answer["ok"]:
            read = answer["settings"].get("register", "")
            history.append(Operation(start=start, end=end, wrote=None, read=read))
        await _pause(done, 0.02)


async def _until_longer(history: list[Operation], length: int) -> None:
    async def enough() -> bool:
        return len(history) >= length

    await until(enough, what=f"{length} operations")


async def _pause(done: asyncio.Event, seconds: float) -> None:
    """A client's time to think, cut short at the end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await done.wait()


def _overwrite(directory: Path, pattern: str) -> None:
    for file in directory.glob(pattern):
        file.write_bytes(b"not a database" * 1000)
