"""Plans that are held back until they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from eagle_node.config.tree import TrackerConfig
from eagle_node.runtime.tasks import TaskSet
from eagle_node.tracker.bitmap import pack
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.directory import Directory
from eagle_node.tracker.schema import HOLD_S, Advert, Gone, NodeInfo, Plan, PlanRequest
from tests.integration.tracker.support import tracker
from tests.unit.tracker.builders import BLOB, SEGMENTS, SIZE, blob, holds, node, node_id

SEEDER = node(1, seeder=True)
ANSWER_S = HOLD_S / 2
"""An answer within this is none that was only held back for its time."""


def request(number: int, *, gone: tuple[int, ...] = (), after: str = "") -> PlanRequest:
    """The ``number``-th node asks for a plan."""
    dead = tuple(Gone(node_id=node_id(other)) for other in gone)
    return PlanRequest(node=node(number), digest=BLOB, size=SIZE, gone=dead, after=after)


def parent(plan: Plan) -> int:
    """The number of the first stripe's parent."""
    return int(plan.stripes[0][0].node_id, 16)


@asynccontextmanager
async def chain(length: int) -> AsyncIterator[tuple[TrackerClient, list[str]]]:
    """Nodes 2 and up, each fed by the one before it; the revisions of their plans."""
    async with tracker() as server, TrackerClient(lambda: [server.url]) as client:
        await client.advertise(holds(SEEDER, BLOB, have=pack([], SEGMENTS)))
        plans = [await client.plan(request(number)) for number in range(2, 2 + length)]
        assert [parent(plan) for plan in plans] == list(range(1, 1 + length))
        yield client, ["", "", *(plan.revision for plan in plans)]


@asynccontextmanager
async def directory(*infos: NodeInfo) -> AsyncIterator[tuple[Directory, TaskSet]]:
    """A tracker without HTTP: what has been asked is held back one step of the loop later."""
    opened = Directory(TrackerConfig(interval_s=30.0), None, lambda: 0.0)
    async with opened, TaskSet() as tasks:
        await opened.advertise(holds(SEEDER, BLOB, have=pack([], SEGMENTS)))
        for info in infos:
            await opened.plan(PlanRequest(node=info, digest=BLOB, size=SIZE))
        yield opened, tasks


async def held(opened: Directory, tasks: TaskSet, number: int) -> asyncio.Task[Plan]:
    """A request of a node that has the current plan, which waits for another."""
    plan = await opened.plan(request(number))
    waiting = tasks.spawn(opened.plan(request(number, after=plan.revision)), name="held plan")
    await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


async def test_a_held_request_answers_when_the_parent_leaves() -> None:
    """The child of a node that is gone has its next parent without asking again."""
    async with chain(3) as (client, revisions), asyncio.timeout(ANSWER_S), asyncio.TaskGroup() as g:
        waiting = g.create_task(client.plan(request(4, after=revisions[4])))
        await client.advertise(Advert(node=node(3), dropped=(BLOB,)))
        plan = await waiting
        assert parent(plan) == 2
        assert plan.revision not in ("", revisions[4])


async def test_another_nodes_complaint_answers_a_held_request() -> None:
    """Who is told of a parent's end by somebody else need not find out by itself."""
    async with chain(4) as (client, revisions), asyncio.timeout(ANSWER_S), asyncio.TaskGroup() as g:
        waiting = g.create_task(client.plan(request(4, after=revisions[4])))
        await client.plan(request(5, gone=(3,)))
        assert parent(await waiting) == 2


async def test_a_request_that_lags_behind_is_answered_at_once() -> None:
    """Whoever names another revision than the current one, or none, is not held back."""
    async with chain(2) as (client, revisions), asyncio.timeout(ANSWER_S):
        for after in ("", "00000000", revisions[2]):
            assert (await client.plan(request(3, after=after))).revision == revisions[3]


async def test_a_plan_that_does_not_change_comes_back() -> None:
    """A held request returns the same plan after a while, within the client's patience."""
    loop = asyncio.get_running_loop()
    async with chain(2) as (client, revisions):
        began = loop.time()
        plan = await client.plan(request(3, after=revisions[3]))
        assert loop.time() - began >= HOLD_S
        assert (parent(plan), plan.revision) == (2, revisions[3])


async def test_a_held_request_does_not_bring_a_dead_node_back() -> None:
    """A node that is dropped while its request is held gets no stripes, and feeds nobody."""
    async with directory(node(2), node(3), node(4)) as (opened, tasks):
        waiting = await held(opened, tasks, 3)
        async with asyncio.timeout(ANSWER_S):
            assert parent(await opened.plan(request(4, gone=(3,)))) == 2
            plan = await waiting
        assert (plan.stripes, plan.revision) == ((), "")
        assert parent(await opened.plan(request(4))) == 2


async def test_only_who_is_concerned_is_answered() -> None:
    """A change elsewhere leaves a held request waiting."""
    async with directory(node(2), node(3), node(4), node(5)) as (opened, tasks):
        bystander = await held(opened, tasks, 3)
        child = await held(opened, tasks, 5)
        async with asyncio.timeout(ANSWER_S):
            await opened.advertise(Advert(node=node(4), dropped=(BLOB,)))
            assert parent(await child) == 3
        assert not bystander.done()
        async with asyncio.timeout(ANSWER_S):
            await opened.advertise(Advert(node=node(2), dropped=(BLOB,)))
            assert parent(await bystander) == 1


async def test_all_requests_of_one_node_are_answered() -> None:
    """A node that asks twice gets the same answer twice."""
    async with directory(node(2), node(3)) as (opened, tasks):
        waiting = [await held(opened, tasks, 3) for _ in range(2)]
        async with asyncio.timeout(ANSWER_S):
            await opened.advertise(Advert(node=node(2), dropped=(BLOB,)))
            assert [parent(await task) for task in waiting] == [1, 1]


async def test_blobs_are_held_apart() -> None:
    """A node's request for one blob is not answered by what changes for another."""
    other = replace(request(3), digest=blob("other"))
    async with directory(node(2), node(3)) as (opened, tasks):
        await opened.advertise(holds(node(2), blob("other")))
        waiting = await held(opened, tasks, 3)
        assert parent(await opened.plan(other)) == 2
        await opened.advertise(Advert(node=node(2), dropped=(blob("other"),)))
        await asyncio.sleep(0)
        assert not waiting.done()
