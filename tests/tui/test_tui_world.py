"""What is known, and how old it is."""

from __future__ import annotations

import dataclasses

import pytest
from eagle_tui.formats import image_name
from eagle_tui.paint import plain
from eagle_tui.views import frame, node, transfers
from eagle_tui.world import STALE_S, Link, World

from eagle_node.api.schema import Event, Readiness
from tests.tui.fleet import Fleet

READY = Readiness(ready=True, reasons=())


@pytest.fixture
async def world() -> World:
    """What one answer at second 100 has told."""
    made, fleet = World(url="http://127.0.0.1:43003"), Fleet()
    made.reached(await fleet.status(), READY, 100.0)
    made.transfers = (await fleet.transfers()).transfers
    made.history = await fleet.history()
    made.blobs = dataclasses.replace(made.blobs, blobs=tuple(fleet.blobs_now), total=40)
    made.jobs = tuple(fleet.jobs)
    return made


def event(kind: str, **parts: object) -> Event:
    """An event with one part."""
    blank = Event(id="x-1", time="2026-11-21T09:00:00.000Z", kind=kind, subject="", text="")
    return dataclasses.replace(blank, **parts)  # type: ignore[arg-type]


async def test_an_answer_grows_old(world: World) -> None:
    """Without further answers a picture is live, then slow; a failure makes it lost."""
    assert world.link(100.0) is Link.LIVE
    assert world.link(100.0 + STALE_S) is Link.SLOW
    world.lost("connection refused", "09:30:00")
    world.lost("no answer in time", "09:31:00")
    assert world.link(100.0) is Link.LOST
    assert world.lost_since == "09:30:00"
    status = world.status
    assert status is not None
    world.reached(status, READY, 200.0)
    assert world.link(200.0) is Link.LIVE
    assert not world.lost_since


async def test_a_lost_node_is_told_with_the_age_of_the_picture(world: World) -> None:
    """The banner says since when, how old the picture is, and why."""
    assert frame.banner(world, 100.0) == ()
    world.lost("connection refused", "09:30:00")
    told = plain([frame.banner(world, 142.0)])
    assert "not reachable since 09:30:00" in told
    assert "42 s old" in told
    assert "connection refused" in told
    assert "not reachable" in plain([frame.top_bar(world, 142.0, 80)])


async def test_old_rates_are_not_shown(world: World) -> None:
    """A rate is of this moment or a dash."""
    assert node.rates_in(world, 100.0)[0].endswith("/s")
    assert node.rates_in(world, 100.0 + STALE_S)[0] == "–"
    row = world.transfers[0]
    assert "MiB/s" in plain([transfers.brief(row, 80, fresh=True)])
    assert "MiB/s" not in plain([transfers.brief(row, 80, fresh=False)])


async def test_events_change_what_is_known(world: World) -> None:
    """Members, leases, transfers, blobs, jobs and settings follow their events."""
    assert world.status is not None
    member = dataclasses.replace(world.status.cluster.members[3], state="dead")
    world.heard(event("member-gone", member=member))
    assert world.status.cluster.members[3].state == "dead"
    lease = dataclasses.replace(world.status.cluster.leases[3], holder="n9", epoch=6)
    world.heard(event("lease-moved", lease=lease))
    assert world.status.cluster.leases[3].holder == "n9"
    row = dataclasses.replace(world.transfers[0], have_bytes=1)
    world.heard(event("transfer-progress", transfer=row, id=""))
    assert world.transfers[0].have_bytes == 1
    world.heard(event("transfer-failed", transfer=dataclasses.replace(row, children=())))
    assert row.digest not in {each.digest for each in world.transfers}
    blob = world.blobs.blobs[0]
    world.heard(event("blob-evicted", blob=blob))
    assert blob not in world.blobs.blobs
    assert world.blobs.total == 39
    world.heard(event("preheat-changed", job=dataclasses.replace(world.jobs[0], id=9)))
    assert [job.id for job in world.jobs] == [9, 8, 7]
    world.heard(event("preheat-changed", job=world.jobs[0], id=""))
    told = [each.kind for each in world.events]
    assert (told.count("transfer-progress"), told.count("preheat-changed")) == (0, 1)


async def test_a_member_that_has_left_is_forgotten(world: World) -> None:
    """One that is dead stays to be seen."""
    assert world.status is not None
    left = dataclasses.replace(world.status.cluster.members[4], state="left")
    world.heard(event("member-gone", member=left))
    assert left.id not in {member.id for member in world.status.cluster.members}


async def test_who_feeds_whom_is_a_tree(world: World) -> None:
    """Sources on the left, this node in the middle, those that it feeds on the right."""
    row = next(each for each in world.transfers if each.source == "swarm" and each.children)
    told = plain(transfers.tree(row, world, 100.0, 120, 12)).splitlines()
    assert "─▶ us-1-web-0002" in told[0]
    for peer in row.sources:
        assert any(line.lstrip().startswith(world.name_of(peer.node)) for line in told)
    for peer in row.children:
        assert any(f"▶ {world.name_of(peer.node)} ↑" in line for line in told)


async def test_a_tree_that_is_too_large_says_what_it_leaves_out(world: World) -> None:
    """A node that feeds forty others still has a tree of few lines."""
    row = world.transfers[0]
    crowded = dataclasses.replace(row, children=row.children * 30)
    told = transfers.tree(crowded, world, 100.0, 80, 6)
    assert len(told) == 6
    assert f"and {len(crowded.children) - 5} more" in plain(told)


@pytest.mark.parametrize(
    ("image", "cells", "told"),
    [
        ("ghcr.io/acme/checkout:1.2", 25, "ghcr.io/acme/checkout:1.2"),
        ("ghcr.io/acme/checkout:1.2", 24, "…/acme/checkout:1.2"),
        ("ghcr.io/acme/checkout:1.2", 16, "…/checkout:1.2"),
        ("ghcr.io/acme/checkout:1.2", 9, "chec…:1.2"),
        (f"quay.io/a/b@sha256:{'4' * 64}", 30, "quay.io/a/b@444444444444…"),
    ],
)
def test_of_a_long_name_the_registry_goes_first(image: str, cells: int, told: str) -> None:
    """What tells images of one registry apart, the last part and the tag, is cut last."""
    assert image_name(image, cells) == told
