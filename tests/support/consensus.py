"""Consensus services in processes of their own, driven over their standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_node.base.errors import EagleError
from eagle_node.base.ids import NodeId
from eagle_node.consensus.policy import Candidate
from eagle_node.consensus.service import Consensus, State
from eagle_node.consensus.timing import Timing
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp
from tests.support.process import command_in

GRACE_S = 3.0
"""Of dead voters, in these tests."""
_ENDED: dict[str, Any] = {"ok": False, "error": "the process ended", "settings": {}}


def node_id(number: int) -> NodeId:
    """The id of the node of that number."""
    return NodeId(f"{number:032x}")


@dataclass(slots=True)
class Member:
    """One node, alive or not."""

    number: int
    port: int
    directory: Path
    ports: Sequence[int]
    child: asyncio.subprocess.Process | None = None
    state: dict[str, Any] | None = None
    _changed: asyncio.Event | None = None
    _answers: dict[int, asyncio.Future[dict[str, Any]]] | None = None
    _asked: int = 0
    _reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run the process."""
        self._changed, self._answers, self.state = asyncio.Event(), {}, None
        argv = [sys.executable, "-m", "tests.support.consensus", str(self.number)]
        argv += [str(self.directory), *map(str, self.ports)]
        with (self.directory / f"{self.number}.log").open("ab") as log:
            self.child = await asyncio.create_subprocess_exec(
                *command_in(None, argv),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._reader = asyncio.create_task(self._read(self.child), name=f"node {self.number}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self.child is not None
        self.child.send_signal(number)

    async def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the process."""
        if self.child is not None and self.child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.child.send_signal(signal.SIGCONT)
                self.child.send_signal(number)
            await self.child.wait()
        if self._reader is not None:
            await self._reader
        self.state = None

    async def ask(self, key: str = "", value: str = "") -> dict[str, Any]:
        """Set (or with no key, read); ``{"ok", "error", "settings"}``."""
        assert self.child is not None
        assert self.child.stdin is not None
        assert self._answers is not None
        if self._reader is None or self._reader.done():
            return _ENDED
        self._asked += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._asked] = answer
        line = json.dumps({"id": self._asked, "key": key, "value": value}) + "\n"
        self.child.stdin.write(line.encode())
        return await answer

    async def changed(self) -> None:
        """Wait for another state."""
        assert self._changed is not None
        await self._changed.wait()
        self._changed.clear()

    @property
    def held(self) -> dict[str, int]:
        """Leases and epochs as last heard."""
        return dict(self.state["held"]) if self.state is not None else {}

    def log(self) -> str:
        """What it logged."""
        return (self.directory / f"{self.number}.log").read_text()

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        assert self._changed is not None
        assert self._answers is not None
        async for line in child.stdout:
            message = json.loads(line)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            else:
                self.state = message
                self._changed.set()
        for answer in self._answers.values():
            answer.set_result(_ENDED)
        self._answers.clear()
        self._changed.set()


class Group:
    """Several nodes that know of each other."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)

    def alive(self) -> list[Member]:
        """Those with a state."""
        return [each for each in self.members if each.state is not None]

    def leader(self) -> Member:
        """The one that its followers name."""
        number = int(str(next(e.state["leader"] for e in self.alive() if e.state)), 16)
        return self.members[number - 1]

    async def until(self, fact: Any, *, timeout: float = 60.0) -> float:
        """Seconds until ``fact(self)`` holds, asked after each change."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                while not fact(self):
                    waits = [asyncio.create_task(each.changed()) for each in self.alive_or_new()]
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    for wait in waits:
                        wait.cancel()
                    await asyncio.gather(*waits, return_exceptions=True)
        except TimeoutError:
            logs = "\n".join(f"--- {each.number}\n{each.log()}" for each in self.members)
            states = "\n".join(f"{each.number}: {each.state}" for each in self.members)
            raise AssertionError(f"waited {timeout} s\n{states}\n{logs}") from None
        return time.monotonic() - begun

    def alive_or_new(self) -> list[Member]:
        """Those whose process runs."""
        return [m for m in self.members if m.child is not None and m.child.returncode is None]


def whole(group: Group, *, voters: int | None = None) -> bool:
    """Whether all that run agree on a leader among them, and all leases are held."""
    running = group.alive_or_new()
    states = [each.state for each in running]
    if not states or any(state is None or state["leader"] is None for state in states):
        return False
    leaders = {state["leader"] for state in states if state is not None}
    held = sorted(lease for each in running for lease in each.held)
    wanted = min(3, len(running)) + min(2, len(running))
    numbers = {node_id(each.number) for each in running}
    enough = voters is None or all(s is not None and len(s["voters"]) == voters for s in states)
    return len(leaders) == 1 and leaders <= numbers and len(set(held)) == wanted and enough


@asynccontextmanager
async def group_of(count: int, directory: Path) -> AsyncIterator[Group]:
    """``count`` running nodes that have one leader and all leases."""
    listeners = [listen_tcp(Address("127.0.0.1", 0), flag="test") for _ in range(count)]
    ports = [bound_address(each).port for each in listeners]
    for listener in listeners:
        listener.close()
    group = Group([Member(n, ports[n - 1], directory, tuple(ports)) for n in range(1, count + 1)])
    try:
        for member in group.members:
            await member.start()
        await group.until(lambda g: whole(g, voters=count - (count + 1) % 2), timeout=40)
        yield group
    finally:
        for member in group.members:
            await member.stop()


def _line(state: State) -> str:
    return json.dumps(
        {
            "leader": state.leader,
            "term": state.term,
            "voters": state.voters,
            "held": dict(state.held),
            "cluster": state.lineage.cluster if state.lineage else None,
        }
    )


async def _serve(number: int, directory: Path, ports: Sequence[int]) -> None:
    candidates = tuple(
        Candidate(node_id=node_id(n), address=Address("127.0.0.1", port), host=f"h{n}")
        for n, port in enumerate(ports, 1)
    )
    address = candidates[number - 1].address
    async with Consensus(
        node_id=node_id(number),
        cluster="test",
        listener=listen_tcp(address, flag="test"),
        address=address,
        path=directory / f"{number}.sqlite",
        members=lambda: candidates,
        timing=Timing(voter_grace_s=GRACE_S),
    ) as consensus:
        consensus.subscribe(lambda state: print(_line(state), flush=True))
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        pending: set[asyncio.Task[None]] = set()
        async for line in reader:
            task = asyncio.create_task(_answer(consensus, json.loads(line)), name="answer")
            pending.add(task)
            task.add_done_callback(pending.discard)


async def _answer(consensus: Consensus, request: dict[str, Any]) -> None:
    answer: dict[str, Any] = {"id": request["id"], "ok": True, "error": "", "settings": {}}
    try:
        if request["key"]:
            await consensus.set_setting(request["key"], request["value"])
        else:
            view = await consensus.current()
            answer["settings"] = {each.key: each.value for each in view.settings}
    except EagleError as error:
        answer |= {"ok": False, "error": str(error)}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), [int(p) for p in sys.argv[3:]]))
