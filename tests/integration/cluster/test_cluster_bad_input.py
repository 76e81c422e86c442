"""Nodes that must not be let in, and data directories that are not what they should be."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.support.fleet import Fleet, fleet, is_whole, set_to
from tests.support.netns import Host, Network, network
from tests.support.node import Node, eagle_node
from tests.support.process import CommandFailed, run
from tests.support.waiting import until

PROGRAM = (sys.executable, "-m", "eagle_node")
YEARS_AGO = ("env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", "-6000d", *PROGRAM)
SECRETS = ("1" * 64, "2" * 64)


@asynccontextmanager
async def node(
    directory: Path,
    host: Host,
    *flags: str,
    join: Host | None = None,
    program: Sequence[str] = PROGRAM,
) -> AsyncIterator[Node]:
    """A node of elected roles on ``host``; it joins at another one, or is told of itself only."""
    place = (join or host).address
    async with eagle_node(
        directory,
        *("--role", "auto", "--join", place, *flags),
        host=host.address,
        namespace=host.namespace,
        program=program,
    ) as started:
        yield started


async def sees(asked: Node) -> dict[str, str]:
    """The members that a node sees, and the state of each, by address."""
    cluster = (await asked.status())["cluster"]
    return {each["address"]: each["state"] for each in cluster["members"]}


async def says(asked: Node, text: str) -> None:
    """Wait until a node has logged ``text``."""

    async def has_logged() -> bool:
        return text in asked.log()

    await until(has_logged, what=f"{asked.host} to log {text!r}")


@pytest.fixture
async def net() -> AsyncIterator[Network]:
    """Two hosts."""
    async with network(["a", "b"]) as made:
        yield made


def key_file(directory: Path, secret: str) -> str:
    """A cluster key file that holds ``secret``."""
    path = directory / f"{secret[0]}.key"
    path.write_text(secret)
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("what", ["name", "key"])
async def test_strangers_stay_strangers(what: str, net: Network, tmp_path: Path) -> None:
    """Another cluster's name, or key: both nodes are told, and each serves alone."""
    if what == "name":
        flags = [("--cluster", name) for name in ("red", "blue")]
    else:
        flags = [("--cluster-key-file", key_file(tmp_path, secret)) for secret in SECRETS]
    async with (
        node(tmp_path / "a", net["a"], *flags[0]) as first,
        node(tmp_path / "b", net["b"], *flags[1], join=net["a"]) as second,
    ):
        await says(first, "ignoring gossip from")
        await says(second, "still trying")
        for each in (first, second):
            assert await sees(each) == {each.host: "alive"}
            assert (await each.status())["cluster"]["leader"] is not None


async def test_an_address_where_nobody_is(net: Network, tmp_path: Path) -> None:
    """It is said once, and tried until somebody answers there."""
    async with node(tmp_path / "a", net["a"], join=net["b"]) as early:
        await says(early, "still trying")
        assert await sees(early) == {early.host: "alive"}
        async with node(tmp_path / "b", net["b"]) as late:
            both = {early.host: "alive", late.host: "alive"}

            async def are_together() -> bool:
                return await sees(early) == await sees(late) == both

            await until(are_together, what="the two to meet", timeout=60)
            assert early.log().count("still trying") == 1


@pytest.mark.parametrize("late", [0, 1])
async def test_a_clock_in_the_past(late: int, net: Network, tmp_path: Path) -> None:
    """Wall clocks that are 16 years apart: sealed gossip, TLS and leases do not mind.

    The node with the wrong clock starts the cluster, or comes to it.
    """
    key = ("--cluster-key-file", key_file(tmp_path, SECRETS[0]))
    programs = (PROGRAM, YEARS_AGO) if late else (YEARS_AGO, PROGRAM)
    async with (
        node(tmp_path / "a", net["a"], *key, program=programs[0]) as first,
        node(tmp_path / "b", net["b"], *key, join=net["a"], program=programs[1]) as second,
    ):

        async def are_one() -> bool:
            return is_whole([await each.status() for each in (first, second)])

        await until(are_one, what="the two to agree", timeout=60)
        old = second if late else first
        assert any(line.startswith("201") for line in old.log().splitlines())


async def test_a_copied_data_directory(net: Network, tmp_path: Path) -> None:
    """Two nodes of one id: both processes say so, and name the way out."""
    async with node(tmp_path / "a", net["a"]) as first:
        (tmp_path / "b" / "data").mkdir(parents=True)
        shutil.copy(tmp_path / "a" / "data" / "node-id", tmp_path / "b" / "data")
        async with node(tmp_path / "b", net["b"], join=net["a"]) as second:
            await says(first, "was the data directory copied?")
            await says(second, "was the data directory copied?")


async def test_a_damaged_log_is_set_aside(net: Network, tmp_path: Path) -> None:
    """The node says so, keeps the file under another name, and takes part as a new voter."""
    async with node(tmp_path / "a", net["a"]) as first:
        await first.terminate()
        log = tmp_path / "a" / "data" / "raft.sqlite"
        log.write_bytes(b"garbage" * 1000)
        await first.start()
        assert (await first.status())["cluster"]["leader"] is not None
        await says(first, "raft.sqlite")
        kept = [path for path in log.parent.glob("raft.sqlite*") if path.stat().st_size == 7000]
        assert len(kept) == 1
        assert kept[0] != log


async def test_a_log_of_a_newer_version_is_not_touched(net: Network, tmp_path: Path) -> None:
    """The node does not start, and names the file."""
    async with node(tmp_path / "a", net["a"]) as first:
        await first.terminate()
        log = tmp_path / "a" / "data" / "raft.sqlite"
        with sqlite3.connect(log) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        before = log.read_bytes()
        with pytest.raises(CommandFailed, match=r"eagle-node: .*raft\.sqlite.*newer"):
            await first.start()
        assert log.read_bytes() == before


async def test_a_gossip_port_that_is_taken(net: Network, tmp_path: Path) -> None:
    """The second node on a host names the flag that parts them."""
    async with node(tmp_path / "a", net["a"]):
        with pytest.raises(CommandFailed, match="--raft-port"):
            async with node(tmp_path / "b", net["a"]):
                pass
        with pytest.raises(CommandFailed, match="--gossip-port"):
            async with node(tmp_path / "b", net["a"], "--raft-port", "0"):
                pass


async def test_two_clusters_that_meet_become_one(tmp_path: Path) -> None:
    """A third node that knows both brings them together; every setting and role is shared after."""
    async with (
        network(["a", "b", "c"]) as net,
        node(tmp_path / "a", net["a"]) as first,
        node(tmp_path / "b", net["b"]) as second,
    ):
        leaders = [(await each.status())["cluster"]["leader"] for each in (first, second)]
        assert None not in leaders
        assert leaders[0] != leaders[1]
        also = ("--join", net["b"].address)
        async with node(tmp_path / "c", net["c"], *also, join=net["a"]) as third:

            async def are_one() -> bool:
                return is_whole([await each.status() for each in (first, second, third)])

            await until(are_one, what="the clusters to be one", timeout=60)


@asynccontextmanager
async def small_disks(*directories: Path) -> AsyncIterator[None]:
    """File systems of 6 MiB."""
    async with AsyncExitStack() as stack:
        for directory in directories:
            directory.mkdir(parents=True)
            await run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(directory)])
            stack.push_async_callback(run, ["umount", "--lazy", str(directory)])
        yield


async def test_a_leader_whose_disk_is_full_steps_down(tmp_path: Path) -> None:
    """It says so and leads no more; the others go on, and it comes back once there is room."""
    disks = [tmp_path / name / "data" for name in ("n1", "n2", "n3")]
    async with small_disks(*disks), fleet(tmp_path, 3, "--cache-reserve", "0", blobs=1) as nodes:
        await until(lambda: all_vote(nodes), what="three voters", timeout=60)
        leader = await nodes.leader()
        others = [each for each in nodes.nodes.values() if each is not leader]
        ballast = leader.directory / "data" / "ballast"
        fill(ballast)

        async def has_stepped_down() -> bool:
            await set_to(others[0], "seeders", "1")
            await set_to(others[0], "seeders", "2")
            return "does not vote, lead or hold leases" in leader.log()

        await until(has_stepped_down, what="the leader to notice", timeout=60)

        async def others_go_on() -> bool:
            found = await nodes.statuses(others)
            led = {status["cluster"]["leader"] for status in found}
            return len(led) == 1 and led <= {status["node"]["id"] for status in found}

        await until(others_go_on, what="another leader", timeout=60)
        assert (await set_to(others[0], "seeders", ""))[0] == 200
        ballast.unlink()
        await says(leader, "this node takes part")
        await nodes.agreed()


async def all_vote(nodes: Fleet) -> bool:
    """Whether every node is a voter, and all know it."""
    found = await nodes.statuses()
    return all(len(status["cluster"]["voters"]) == len(found) for status in found)


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
