"""Which nodes a job is for. No IO."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from eagle_node.base.errors import UsageError
from eagle_node.base.ids import NodeId
from eagle_node.base.rendezvous import ranked
from eagle_node.tracker.schema import NodeInfo

_PERCENT = re.compile(r"([0-9]{1,3})%\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """``all``, ``seeders``, ``zone=NAME`` or ``N%``, as its text says."""

    text: str
    seeders: bool = False
    zone: str | None = None
    percent: int = 100

    def of(self, nodes: Sequence[NodeInfo], *, group: str, key: str) -> list[NodeInfo]:
        """Those that are meant, in order of their ids; only ``group``'s see each other's blobs.

        Of ``N%`` at least one is meant; the same for the same ``key``, other ones for others.
        """
        found = {
            node.node_id: node
            for node in nodes
            if node.group == group
            and (node.seeder or not self.seeders)
            and self.zone in (None, node.zone)
        }
        count = -(-len(found) * self.percent // 100)
        return [found[NodeId(node_id)] for node_id in sorted(ranked(key, found)[:count])]


def parse_selection(text: str) -> Selection:
    """The selection that ``text`` spells; `UsageError` names the forms that there are."""
    match text.partition("="):
        case ("all", "", ""):
            return Selection(text=text)
        case ("seeders", "", ""):
            return Selection(text=text, seeders=True)
        case ("zone", "=", zone):
            return Selection(text=text, zone=zone)
    found = _PERCENT.match(text)
    if found is not None and 1 <= int(found[1]) <= 100:
        return Selection(text=text, percent=int(found[1]))
    raise UsageError(f"nodes: {text[:80]!r} is none of all, seeders, zone=NAME and N% (1% to 100%)")
