"""Rules of `TaskSet`."""

from __future__ import annotations

import asyncio

import pytest

from eagle_node.runtime.tasks import TaskSet, finish, first_error, under_way


async def test_leaving_cancels_what_still_runs_and_waits_for_it() -> None:
    """No task of the set outlives its block."""
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async with TaskSet() as tasks:
        tasks.spawn(work("one"), name="one")
        tasks.spawn(work("two"), name="two")
        await asyncio.sleep(0)
    assert sorted(ended) == ["one", "two"]


async def test_a_task_that_is_spawned_while_all_are_cancelled_is_cancelled_too() -> None:
    """What a dying task starts dies as well."""
    tasks = TaskSet()
    late: list[asyncio.Task[object]] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            late.append(tasks.spawn(asyncio.sleep(3600), name="late"))

    tasks.spawn(work(), name="early")
    await asyncio.sleep(0)
    await tasks.cancel()
    assert late[0].cancelled()


async def test_a_failure_is_logged_with_its_name_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The other tasks of the set go on."""

    async def fail() -> None:
        raise ValueError("broken")

    async with TaskSet() as tasks:
        other = tasks.spawn(asyncio.sleep(0, "done"), name="other")
        failed = tasks.spawn(fail(), name="the failing one")
        await asyncio.wait([other, failed])
        assert other.result() == "done"
    assert "the failing one" in caplog.text
    assert "broken" in caplog.text


async def test_what_is_to_finish_does_so_for_a_caller_that_is_cancelled() -> None:
    """However often: he goes when it has ended."""
    may_end = asyncio.Event()
    ended = False

    async def work() -> None:
        nonlocal ended
        await may_end.wait()
        ended = True

    caller = asyncio.create_task(finish(work(), name="work"))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    assert not (await asyncio.wait([caller], timeout=0))[0]
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended


async def test_work_under_way_ends_with_its_block(caplog: pytest.LogCaptureFixture) -> None:
    """Its result or its error is for who awaits it; nothing is logged."""

    async def fail() -> None:
        raise ValueError("broken")

    async with under_way(asyncio.Event().wait(), name="endless") as endless:
        pass
    assert endless.cancelled()
    async with under_way(asyncio.sleep(0, "done"), name="done") as done:
        assert await done == "done"
    with pytest.raises(ValueError, match="broken"):
        async with under_way(fail(), name="failing") as failing:
            await failing
    assert caplog.text == ""


def test_the_first_leaf_of_nested_groups_is_found() -> None:
    """Groups of groups hide one cause."""
    cause = ValueError("cause")
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [cause, TypeError()]), OSError()])
    assert first_error(nested) is cause
