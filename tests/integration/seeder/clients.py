"""Who may read what, without an origin: the in-memory side of `BlobChecker`."""

from __future__ import annotations

import asyncio

from eagle_node.base.errors import Denied
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.upstream import BlobInfo

RIGHT = "Basic right"
"""Credentials that the origin accepts."""


def refusal() -> Denied:
    """What the origin says to everybody else."""
    return Denied("no", status=401, code="UNAUTHORIZED", challenge='Basic realm="r"')


class Checker:
    """An origin's word on clients."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.size: int | None = None
        self.age_s = 0.0

    async def reader(self, _: str, authorization: str | None) -> str | None:
        """This node has no credentials of its own."""
        return ANYBODY if authorization is None else authorization

    def written(self, repository: Repository) -> None:
        """Nothing is remembered here."""

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """Yes to the right credentials only."""
        self.asked.append(authorization)
        self.was_asked.set()
        await self.may_answer.wait()
        if authorization != RIGHT:
            raise refusal()
        return BlobInfo(size=self.size, age_s=self.age_s)


def access_by(checker: Checker) -> Access:
    """An access check that remembers nothing for long."""
    return Access(checker, AccessMemory(0.0, 0.0, 0.0))
