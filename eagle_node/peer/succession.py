"""Whose turn it is to ask the origin for a blob: its seeders', then perhaps this node's (no IO)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eagle_node.runtime.sockets import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """How it is at one moment."""

    before: tuple[Address, ...]
    """The seeders that own the blob before this node would."""
    own_turn: bool
    """After them it is this node's turn."""


class Line:
    """The seeders that one download asks, in its order; those that are elected later come last."""

    def __init__(self, succession: Callable[[], Succession], *, elected: bool) -> None:
        """``elected``: ``succession`` changes when seeders die."""
        self._succession = succession
        self._known = succession()
        self.elected = elected
        self.seeders = list(self._known.before)

    @property
    def own_turn(self) -> bool:
        """After these seeders it is this node's turn."""
        return self._known.own_turn

    @property
    def standing(self) -> frozenset[int]:
        """Which of ``seeders`` have the role, before this node's turn."""
        before = self._known.before
        return frozenset(i for i, seeder in enumerate(self.seeders) if seeder in before)

    def order(self) -> list[Address]:
        """All of them, those that have the role at this moment first; `look` is not anticipated."""
        before = self._succession().before
        return [*before, *(each for each in self.seeders if each not in before)]

    def look(self) -> bool:
        """Take in who was elected; whether anything has changed."""
        before, self._known = self._known, self._succession()
        if self._known == before:
            return False
        self.seeders += [each for each in self._known.before if each not in self.seeders]
        return True
