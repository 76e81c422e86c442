"""Members within this process, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import Change
from eagle_node.membership.meta import Meta
from eagle_node.membership.service import Membership
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.sockets import Address
from eagle_node.trust.key import load_key_file


def node_id(number: int) -> NodeId:
    """The ``number``-th node's."""
    return NodeId(f"{number:032x}")


@asynccontextmanager
async def member(
    number: int,
    *joins: Address,
    cluster: str = "test",
    key_file: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    incarnation: int = 0,
    meta: Meta | None = None,
) -> AsyncIterator[Membership]:
    """A member within this process, that looks for others at ``joins``."""
    async with Membership(
        node_id=node_id(number),
        host=host,
        listen=Address(host, port),
        meta=meta or Meta(),
        cluster=cluster,
        keys=load_key_file(key_file) if key_file else None,
        metrics=Metrics(),
        incarnation=incarnation,
    ) as made:
        made.join(joins)
        yield made


async def seen(membership: Membership, fact: Callable[[], bool], *, timeout: float = 60.0) -> None:
    """Wait for a fact that a change of a member's view makes true."""
    changed = asyncio.Event()

    def wake(_: Change) -> None:
        changed.set()

    membership.on_change.append(wake)
    try:
        async with asyncio.timeout(timeout):
            while not fact():
                changed.clear()
                await changed.wait()
    finally:
        membership.on_change.remove(wake)


async def together(*members: Membership, timeout: float = 60.0) -> None:
    """Wait until each of ``members`` believes in exactly all of them."""
    wanted = {other.own.node_id for other in members}

    def sees_all(each: Membership) -> bool:
        return each.members().keys() == wanted

    for each in members:
        await seen(each, partial(sees_all, each), timeout=timeout)
