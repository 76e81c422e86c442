"""What to call nodes, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from eagle_node.api.schema import Member

_DIGITS = 4
"""Of an id behind a name that several nodes have."""


def labels(members: Iterable[Member]) -> Mapping[str, str]:
    """Nodes' names by their ids; the beginning of the id tells those of one name apart.

    Who has told no name (an older node) is not in it.
    """
    named = [member for member in members if member.name]
    many = Counter(member.name for member in named)
    return {
        member.id: member.name if many[member.name] == 1 else f"{member.name}·{member.id[:_DIGITS]}"
        for member in named
    }
