"""What the command palette finds beside the commands: members and transfers, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from eagle_tui.formats import short_digest

if TYPE_CHECKING:
    from eagle_tui.app import Dashboard

_MOST = 20
"""Hits of each kind."""


class Commands(Provider):
    """Pages and actions first; a search finds members and transfers too."""

    async def discover(self) -> Hits:
        """What is offered before anything is typed."""
        for title, told, run in self._dashboard.commands():
            yield DiscoveryHit(title, run, help=told)

    async def search(self, query: str) -> Hits:
        """Whatever has the letters of ``query`` in their order."""
        matcher = self.matcher(query)
        found = 0
        for title, told, run in (*self._dashboard.commands(), *self._places()):
            if (score := matcher.match(title)) > 0:
                yield Hit(score, matcher.highlight(title), run, help=told)
                found += 1
                if found == 2 * _MOST:
                    return

    @property
    def _dashboard(self) -> Dashboard:
        return cast("Dashboard", self.app)

    def _places(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        dashboard = self._dashboard
        world = dashboard.world
        for row in world.transfers:
            name = f"transfer {row.image} {short_digest(row.digest)}"
            yield name, "who feeds whom", partial(dashboard.go_to, "transfers", row.digest)
        if world.status is not None:
            for member in world.status.cluster.members:
                yield (
                    f"member {world.name_of(member.id)}",
                    f"{member.address}, {member.state}, {member.id}",
                    partial(dashboard.go_to, "cluster", member.id),
                )
