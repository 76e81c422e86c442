"""The cluster: who is in it, who leads, who holds which role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from eagle_node.api.schema import ClusterStatus, Member
from eagle_tui.columns import Column
from eagle_tui.formats import DASH, count, node_name, span
from eagle_tui.paint import EMPTY, Line, Tone, fit, join, line, middle, spread, stacked
from eagle_tui.world import World

STATES = {
    "alive": ("●", Tone.GOOD),
    "suspect": ("◐", Tone.WARN),
    "dead": ("✖", Tone.BAD),
    "left": ("○", Tone.MUTED),
}
"""Glyph and tone of a member's state."""
_ORDER = tuple(STATES)
_TROUBLE = {"dead": 0, "suspect": 1, "alive": 2, "left": 3}
"""What a person wants to see first, by state."""
_LEASED = ("seeder", "tracker")
"""Roles that are given to some nodes."""


def summary(world: World, cells: int) -> Sequence[Line]:
    """Health, leadership, zones and versions in four lines."""
    if world.status is None:
        return (line(("waiting for the node's first answer", Tone.MUTED)),)
    cluster = world.status.cluster
    states = Counter(member.state for member in cluster.members)
    shown = sorted(states, key=lambda state: _ORDER.index(state) if state in STATES else 9)
    health = join(
        line((f"{_glyph(state)} ", _tone(state)), f"{states[state]:,} ", (state, Tone.MUTED))
        for state in shown
    )
    parts = [(states[state], _tone(state), "━" if state == "alive" else "╍") for state in shown]
    room = max(10, min(40, cells // 4))
    return (
        spread(health, stacked(parts, room), cells),
        leadership(world, cluster, cells),
        labelled("zones", _counted(member.zone or "none" for member in cluster.members), cells),
        labelled("versions", _versions(cluster.members), cells),
    )


def leadership(world: World, cluster: ClusterStatus, cells: int) -> Line:
    """Leader, term, voters and the virtual address."""
    if cluster.leader is None and not cluster.term:
        left = line(("★ ", Tone.MUTED), "roles are pinned by flags")
    elif cluster.leader is None:
        left = line(("★ ", Tone.WARN), "no leader", (f", term {cluster.term}", Tone.MUTED))
    else:
        left = line(
            ("★ ", Tone.ACCENT),
            (node_name(world.name_of(cluster.leader), 30), Tone.STRONG),
            (" leads, term ", Tone.MUTED),
            f"{cluster.term}",
        )
    voters = line((count(len(cluster.voters), "voter"), Tone.MUTED)) if cluster.voters else EMPTY
    return spread(join((left, voters), gap="   "), vip(world, cluster), cells)


def vip(world: World, cluster: ClusterStatus) -> Line:
    """The virtual address and who has it."""
    if cluster.vip is None:
        return EMPTY
    holder = cluster.vip.holder
    return line(
        ("VIP ", Tone.MUTED),
        (cluster.vip.address, Tone.STRONG),
        (" at ", Tone.MUTED),
        (node_name(world.name_of(holder), 20), Tone.TEXT) if holder else ("nobody", Tone.BAD),
    )


def leases(world: World, now: float, cells: int, rows: int) -> Sequence[Line]:
    """Who holds which role, and for how long yet."""
    if world.status is None:
        return ()
    held = world.status.cluster.leases
    if not held:
        return (line(("none: roles are pinned by flags", Tone.MUTED)),)
    age = world.age(now) or 0.0
    lines = []
    for lease in held[:rows]:
        left = None if lease.expires_in_s is None else max(0.0, lease.expires_in_s - age)
        tail = line((f"#{lease.epoch}", Tone.MUTED))
        if left is not None:
            tail = line((f"{span(left)}  #{lease.epoch}", Tone.MUTED))
        holder = node_name(world.name_of(lease.holder), 24) if lease.holder else "nobody"
        tone = Tone.TEXT if lease.holder else Tone.BAD
        head = join((fit(line((lease.name, Tone.ACCENT)), 10), line((holder, tone))), gap=" ")
        lines.append(spread(head, tail, cells))
    if len(held) > rows > 0:
        lines[-1] = line((f"and {len(held) - rows + 1} more", Tone.MUTED))
    return lines


def leases_line(world: World, cells: int) -> Line:
    """Who holds which role, in one line."""
    held = world.status.cluster.leases if world.status is not None else ()
    told = join(
        line(
            (f"{lease.name} ", Tone.ACCENT), node_name(world.name_of(lease.holder or "nobody"), 16)
        )
        for lease in held
    )
    return labelled("leases", told or line(("none", Tone.MUTED)), cells)


def columns(world: World, now: float) -> list[Column[Member]]:
    """Of the members' table."""
    return [*_node_columns(world), *_part_columns(world.age(now) or 0.0)]


def _node_columns(world: World) -> list[Column[Member]]:
    """Which node it is, and how it is."""
    cluster = world.status.cluster if world.status is not None else None
    leader = cluster.leader if cluster is not None else None
    return [
        Column(
            name="state",
            title="state",
            cells=9,
            cell=_state,
            sort=lambda m: (_TROUBLE.get(m.state, 0), m.name, m.id),
        ),
        Column(
            name="node",
            title="node",
            cells=18,
            grows=3,
            most=44,
            cell=lambda member, cells: _name(member, world, cells, leader),
            sort=lambda member: (member.name, member.id),
        ),
        Column(
            name="address",
            title="address",
            cells=15,
            grows=1,
            most=39,
            cell=lambda member, cells: line((middle(member.address, cells), Tone.MUTED)),
            sort=lambda member: _by_number(member.address),
            drop=3,
        ),
    ]


def _part_columns(age: float) -> list[Column[Member]]:
    """What it does, where, and since when; ``age``: of what is known, seconds."""

    def changed(member: Member, _: int) -> Line:
        since = None if member.changed_s is None else member.changed_s + age
        return line((span(since), Tone.MUTED))

    return [
        Column(
            name="roles",
            title="roles",
            cells=7,
            grows=2,
            most=26,
            cell=_roles,
            sort=lambda member: (-len(member.roles), member.roles),
        ),
        Column(
            name="zone",
            title="zone",
            cells=11,
            grows=1,
            most=20,
            cell=_place,
            sort=lambda member: (member.zone, member.rack),
        ),
        Column(
            name="version",
            title="version",
            cells=9,
            cell=lambda member, cells: line((middle(member.version or DASH, cells), Tone.MUTED)),
            sort=lambda member: member.version,
            drop=4,
        ),
        Column(
            name="since",
            title="since",
            cells=11,
            right=True,
            cell=changed,
            sort=lambda member: -(member.changed_s if member.changed_s is not None else 1e12),
            drop=5,
        ),
    ]


def matches(member: Member, text: str) -> bool:
    """Whether a search for ``text`` finds it; blanks separate words that all must be there."""
    words = text.lower().split()
    told = " ".join(
        (
            member.id,
            member.name,
            member.address,
            member.state,
            *member.roles,
            member.zone,
            member.rack,
        )
    )
    told = f"{told} {member.version}".lower()
    return all(word in told for word in words)


def details(member: Member, world: World, now: float) -> list[tuple[str, str]]:
    """All that is known of one."""
    cluster = world.status.cluster if world.status is not None else None
    held = [lease.name for lease in cluster.leases if lease.holder == member.id] if cluster else []
    part = ["leads"] if cluster is not None and cluster.leader == member.id else []
    part += ["votes"] if member.voter else []
    since = None if member.changed_s is None else member.changed_s + (world.age(now) or 0.0)
    return [
        ("name", member.name or DASH),
        ("id", member.id),
        ("address", member.address),
        ("state", member.state + ("" if since is None else f", for {span(since)}")),
        ("roles", ", ".join(member.roles) or "none"),
        ("leases", ", ".join(held) or "none"),
        ("cluster", ", ".join(part) or "neither leads nor votes"),
        ("zone, rack", f"{member.zone or DASH}, {member.rack or DASH}"),
        ("version", member.version or DASH),
    ]


def labelled(name: str, values: Line, cells: int) -> Line:
    """``name`` in a column of its own."""
    return fit((*fit(line((name, Tone.MUTED)), 10), *values), cells)


def _counted(values: Iterable[str]) -> Line:
    found = Counter(values)
    return join(
        line((f"{value} ", Tone.TEXT), (f"{many:,}", Tone.MUTED))
        for value, many in found.most_common()
    )


def _versions(members: Sequence[Member]) -> Line:
    found = Counter(member.version for member in members if member.version)
    if not found:
        return line((DASH, Tone.MUTED))
    told = _counted(member.version for member in members if member.version)
    return told if len(found) == 1 else (*line(("▲ mixed  ", Tone.WARN)), *told)


def _glyph(state: str) -> str:
    return STATES.get(state, ("?", Tone.WARN))[0]


def _tone(state: str) -> Tone:
    return STATES.get(state, ("?", Tone.WARN))[1]


def _state(member: Member, _: int) -> Line:
    tone = _tone(member.state)
    return line((f"{_glyph(member.state)} ", tone), (member.state, Tone.TEXT))


def _name(member: Member, world: World, cells: int, leader: str | None) -> Line:
    here = world.status.node.id if world.status is not None else ""
    mark = " ★" if member.id == leader else " ☆" if member.voter else ""
    name = node_name(world.name_of(member.id), cells - len(mark) - (2 if member.id == here else 0))
    return line(
        ("◆ " if member.id == here else "", Tone.ACCENT),
        (name, Tone.STRONG if member.id == here else Tone.TEXT),
        (mark, Tone.ACCENT),
    )


def _roles(member: Member, cells: int) -> Line:
    """Words where they fit, else initials: ``p`` is a peer, ``x`` a proxy."""
    told: Sequence[str] = member.roles
    if len(" ".join(told)) > cells:
        told = [_INITIALS.get(role, role[:1]) for role in told]
    tones = [Tone.ACCENT if role in _LEASED else Tone.MUTED for role in member.roles]
    return join((line(pair) for pair in zip(told, tones, strict=True)), gap=" ")


_INITIALS = {"proxy": "x", "peer": "p", "seeder": "S", "tracker": "T"}
LEGEND = "◆ here ★ leads ☆ votes · p peer x proxy S seeder T tracker"
"""What marks and initials mean."""


def _place(member: Member, cells: int) -> Line:
    if member.rack and len(member.zone) + len(member.rack) < cells:
        return line(member.zone, ("/" + member.rack, Tone.MUTED))
    return line(member.zone or DASH)


def _by_number(address: str) -> tuple[int, str]:
    """IPv4 addresses in their order, then the others."""
    parts = address.split(".")
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        return (0, ".".join(part.zfill(3) for part in parts))
    return (1, address)
