"""The screen of ``eagle-node status``."""

from __future__ import annotations

import dataclasses

import pytest
from rich.console import Console

from eagle_node.api.schema import (
    ContainerdStatus,
    Readiness,
    RegistriesStatus,
    RegistryTrouble,
    ServedFrom,
    Status,
)
from eagle_node.cli.status_screen import hit_rate, lost, screen
from tests.tui.fleet import Fleet

READY = Readiness(ready=True, reasons=())


def printed(status: Status, readiness: Readiness = READY, *, members: int = 20) -> str:
    """The screen's text at 80 columns."""
    console = Console(width=80, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(screen(status, readiness, width=80, members=members))
    return captured.get()


async def test_it_answers_whether_it_works_and_what_it_saved() -> None:
    """State, hit rate, both amounts, the last success and the cluster stand on one screen."""
    told = printed(await Fleet().status())
    for text in (
        "● ready, up for 1 d 2 h",
        "92 % hit rate: 358.0 MiB of 389.0 MiB came without the registry",
        "48.0 MiB cache   ▓ 310.0 MiB nodes   ▒ 31.0 MiB registries",
        "a client was served 3 s ago",
        "31.0 MiB from registries, 310.0 MiB from nodes",
        "eu-1-web-0000 leads",
    ):
        assert text in told
    assert len(told.splitlines()) <= 30


async def test_a_node_that_nobody_used_claims_no_saving() -> None:
    """Nothing served is no hit rate at all."""
    fleet = Fleet()
    fleet.pulled = False
    told = printed(await fleet.status())
    assert "no client has pulled through this node" in told
    assert "hit rate" not in told


async def test_trouble_is_told_first_and_with_its_reason() -> None:
    """Readiness, registries and dead members each say what is wrong."""
    trouble = RegistryTrouble(registry="ghcr.io", reason="answers 503", for_s=42.0, retry_in_s=0.0)
    status = dataclasses.replace(
        await Fleet().status(), registries=RegistriesStatus(troubles=(trouble,))
    )
    told = printed(status, Readiness(ready=False, reasons=("the disk is full",)))
    assert "▲ not ready: the disk is full" in told
    assert "ghcr.io: answers 503; in trouble for 42 s" in told
    waiting = dataclasses.replace(trouble, retry_in_s=7.0)
    status = dataclasses.replace(status, registries=RegistriesStatus(troubles=(waiting,)))
    told = printed(status, Readiness(ready=False, reasons=("the disk is full",)))
    assert "ghcr.io: answers 503; asked again in 7 s; in trouble for 42 s" in told
    rows = told[told.index("member ") :].splitlines()[1:3]
    assert [row.split()[2] for row in rows] == ["dead", "suspect"]


async def test_what_lies_in_containerds_store_is_told_beside_the_cache() -> None:
    """With what is still to be read; or why nothing is offered from there."""
    store = ContainerdStatus(
        path="/var/lib/containerd", trouble="", blobs=12, bytes=3 << 30, waiting=2, wrong=1
    )
    status = dataclasses.replace(await Fleet().status(), containerd=store)
    assert "3.0 GiB beside it, 12 blobs; 2 to be verified; 1 damaged" in printed(status)
    lost = dataclasses.replace(store, trouble="/var/lib/containerd is not there: start it")
    told = printed(dataclasses.replace(status, containerd=lost))
    assert "nothing is offered from there: /var/lib/containerd is not there" in told


async def test_made_ids_leave_room_for_what_is_said_of_members() -> None:
    """Their beginnings tell them apart; no column is cut at 80."""
    status = await Fleet().status()
    leader, other = (each * 32 for each in "ab")
    members = tuple(
        dataclasses.replace(each, id=made, name="", zone="europe-west-1")
        for each, made in zip(status.cluster.members, (leader, other), strict=False)
    )
    cluster = dataclasses.replace(status.cluster, members=members, leader=leader)
    told = printed(dataclasses.replace(status, cluster=cluster))
    assert "aaaaaaaaaaaa leads in term" in " ".join(told.split())
    rows = told[told.index("member ") :]
    assert rows.count("europe-west-1") == 2
    assert "…" not in rows


async def test_a_large_cluster_keeps_to_the_screen() -> None:
    """Members beyond it are counted."""
    told = printed(await Fleet(members=1000).status(), members=8)
    assert "and 993 more" in told
    assert len(told.splitlines()) <= 24


async def test_an_old_screen_says_that_it_is_old() -> None:
    """While the node does not answer, the last screen stays, with its age above it."""
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        shown = screen(await Fleet().status(), READY, width=80, members=0)
        console.print(lost(shown, since="09:30:00", age_s=75.0))
    first = captured.get().splitlines()[0]
    assert first == "✖ not reachable since 09:30:00: what you see is 1 min 15 s old"


@pytest.mark.parametrize(
    ("local", "swarm", "origin", "rate"),
    [(0, 0, 0, None), (1, 1, 2, 0.5), (0, 0, 5, 0.0), (3, 0, 0, 1.0)],
)
def test_the_hit_rate_is_what_no_registry_sent(
    local: int, swarm: int, origin: int, rate: float | None
) -> None:
    """Bytes from the cache and from nodes, of all that clients got."""
    assert hit_rate(ServedFrom(local=local, swarm=swarm, origin=origin)) == rate


@pytest.mark.parametrize(("origin", "told"), [(1, "over 99 % hit rate"), (10**9, "under 1 % hit")])
async def test_a_hit_rate_claims_its_ends_only_when_it_is_there(origin: int, told: str) -> None:
    """One byte of a registry's is no 100 %, one byte saved no 0 %, and neither is rounded away."""
    status = await Fleet().status()
    served = ServedFrom(local=1_000_000 if origin == 1 else 1, swarm=0, origin=origin)
    traffic = dataclasses.replace(status.traffic, served_from=served)
    assert told in printed(dataclasses.replace(status, traffic=traffic))


async def test_a_long_name_of_a_registry_leaves_the_bar_whole() -> None:
    """What is wrong with it wraps; no line is cut off at 80 columns."""
    name = "registry.of-a-long-name.in-a-long-domain.example:5000"
    reason = f"registry {name}: cannot connect: No route to host"
    trouble = RegistryTrouble(registry=name, reason=reason, for_s=42.0, retry_in_s=0.0)
    status = dataclasses.replace(
        await Fleet().status(), registries=RegistriesStatus(troubles=(trouble,))
    )
    above = printed(status, members=0)
    assert "…" not in above
    assert above.count("registry.of-a-long-name") == 1


async def test_the_leader_is_marked_on_its_own_line() -> None:
    """By its name; a node that tells none, an older one, by the beginning of its id."""
    status = await Fleet().status()
    for name in ("web-1", ""):
        members = tuple(
            dataclasses.replace(each, name=name) if each.id == status.cluster.leader else each
            for each in status.cluster.members
        )
        cluster = dataclasses.replace(status.cluster, members=members)
        told = printed(dataclasses.replace(status, cluster=cluster))
        marked = [line for line in told.splitlines() if "★" in line]
        assert len(marked) == 1
        assert (name or str(status.cluster.leader)[:8]) in marked[0]
        assert f"{name or str(status.cluster.leader)[:12]} leads in term" in " ".join(told.split())


@pytest.mark.parametrize(
    ("readiness", "told"),
    [
        (READY, "roles are pinned by flags"),
        (Readiness(ready=False, reasons=("looking for the cluster",)), "no leader"),
    ],
)
async def test_a_node_that_seeks_its_cluster_claims_no_pinned_roles(
    readiness: Readiness, told: str
) -> None:
    """Neither of them has a leader or a term; only the one without elections is ready."""
    status = await Fleet().status()
    cluster = dataclasses.replace(status.cluster, leader=None, term=0)
    assert told in printed(dataclasses.replace(status, cluster=cluster), readiness)
