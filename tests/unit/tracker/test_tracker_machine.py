"""The machine: adverts and plans in, parents and disappearances out."""

from __future__ import annotations

from dataclasses import replace

from eagle_node.base.ids import InfoHash
from eagle_node.tracker.bitmap import pack
from eagle_node.tracker.machine import HeldRow, Torrent
from eagle_node.tracker.schema import Advert, PlanRequest
from eagle_node.tracker.wire import Announce, Event
from tests.unit.tracker.builders import (
    BLOB,
    SEGMENTS,
    SIZE,
    Cluster,
    blob,
    holds,
    info_hash,
    node,
    node_id,
)

HASH = info_hash(0)


def announce(host: str, port: int = 6881, *, left: int = 1, event: Event = Event.NONE) -> Announce:
    """An announce of the first segment."""
    return Announce(info_hash=HASH, peer_id=bytes(20), host=host, port=port, left=left, event=event)


def torrent(segment: int = 0, info: InfoHash = HASH) -> Torrent:
    """What the announced info-hash stands for."""
    return Torrent(info_hash=info, digest=blob(), size=SIZE, segment=segment)


def peers_of(cluster: Cluster, number: int) -> set[int]:
    """All peers that a node is given."""
    return {peer for peers in cluster.joins(node(number)) for peer in peers}


def test_a_seeder_is_expected_before_it_advertises() -> None:
    """A wave that no seeder has joined starts at the one that the digest's hash selects."""
    cluster = Cluster()
    for number in (1, 2, 3):
        cluster.advertise(Advert(node=node(number, seeder=True)))
    ((first,), *others) = cluster.joins(node(10))
    assert first in (1, 2, 3)
    assert all(peers == [first] for peers in others)
    assert cluster.joins(node(11))[0] == [10, first]


def test_a_node_that_becomes_a_seeder_stays_where_it_is() -> None:
    """A role that comes and goes moves nobody: what it holds, and whom it feeds, are the same."""
    cluster = Cluster()
    cluster.holds(node(1))
    cluster.joins(node(2))
    for seeder in (True, False):
        assert not cluster.advertise(Advert(node=node(1, seeder=seeder)))
        assert cluster.parents(node(2)) == [1]
        cluster.machine.check()


def test_an_expected_seeder_that_is_none_any_more_is_not_waited_for() -> None:
    """It had nothing yet, so its children go to the next one."""
    cluster = Cluster()
    cluster.advertise(Advert(node=node(1, seeder=True)))
    assert cluster.joins(node(10)) == [[1]]
    cluster.advertise(Advert(node=node(1)))
    cluster.advertise(Advert(node=node(2, seeder=True)))
    assert cluster.joins(node(10)) == [[2]]
    cluster.machine.check()


def test_who_goes_to_the_origin_takes_the_seeders_place() -> None:
    """It waits for nobody, its children take what it left, and the wave hangs on it."""
    cluster = Cluster()
    cluster.advertise(Advert(node=node(1, seeder=True)))
    for number in (2, 3, 4):
        cluster.joins(node(number))
    assert [cluster.parents(node(n)) for n in (2, 3, 4)] == [[1], [2], [3]]
    cluster.joins(node(2), gone=[1])
    cluster.holds(node(3), have=pack([0], SEGMENTS), fetching=True)
    assert cluster.parents(node(3)) == []
    assert [cluster.parents(node(n)) for n in (2, 4)] == [[3], [2]]


def test_who_fetched_from_the_origin_has_a_parent_again_at_once() -> None:
    """It is no seeder of its own next download: the one that is due is expected."""
    cluster = Cluster()
    cluster.joins(node(2))
    cluster.holds(node(2), fetching=True)
    cluster.advertise(Advert(node=node(1, seeder=True)))
    assert cluster.joins(node(2)) == [[1]]


def test_a_seeder_that_nobody_reaches_is_not_expected() -> None:
    """Until it calls, which proves that it is there."""
    cluster = Cluster()
    cluster.advertise(Advert(node=node(1, seeder=True)))
    cluster.joins(node(2), gone=[1])
    assert cluster.joins(node(3)) == [[2]]
    assert cluster.parents(node(2)) == [None]
    cluster.advertise(Advert(node=node(1, seeder=True)))
    cluster.joins(node(4))
    assert cluster.parents(node(2)) == [1]


def test_who_has_called_since_nobody_answered_there_is_back() -> None:
    """Who found it gone goes on saying so: other trackers may have to hear of it."""
    cluster = Cluster()
    cluster.advertise(Advert(node=node(1, seeder=True)))
    cluster.joins(node(2))
    cluster.joins(node(3))
    cluster.joins(node(3), gone=[2])
    assert cluster.parents(node(3)) == [1]
    cluster.now = 5.0
    cluster.joins(node(2))
    cluster.now = 8.0
    cluster.joins(node(3), gone=[2], ago_s=8.0)
    assert cluster.parents(node(2)) == [3]
    cluster.joins(node(3), gone=[2], ago_s=2.0)
    assert cluster.parents(node(2)) == []


def test_who_is_restored_from_the_table_has_not_called() -> None:
    """A tracker that was elected meanwhile believes who found a node gone before that."""
    cluster = Cluster()
    cluster.now = 5.0
    cluster.machine.restore([node(1), node(2)], cluster.now)
    cluster.machine.load(("", BLOB, SIZE), [HeldRow(node_id=node_id(1), have=None)], cluster.now)
    assert cluster.joins(node(3), gone=[1], ago_s=4.0) == [[]]


def test_groups_do_not_see_each_other() -> None:
    """Neither holders nor seeders nor downloaders of another group are in a plan."""
    cluster = Cluster()
    cluster.holds(node(1, group="blue", seeder=True))
    cluster.joins(node(2, group="blue"))
    assert cluster.joins(node(3, group="red")) == [[]]


def test_a_holder_of_former_times_serves() -> None:
    """What the table knows of a blob is in the plan, if the node is alive and of the group."""
    cluster = Cluster()
    cluster.machine.restore([node(1), node(2, group="red")], 0.0)
    rows = [HeldRow(node_id=node_id(n), have=None) for n in (1, 2, 3)]
    cluster.machine.load(("", blob(), SIZE), rows, 0.0)
    assert cluster.joins(node(9)) == [[1]]


def test_who_is_done_has_no_parents() -> None:
    """A node that has the whole blob takes from nobody, and goes on feeding."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    cluster.joins(node(2))
    cluster.joins(node(3))
    cluster.holds(node(2))
    assert cluster.parents(node(2)) == []
    assert cluster.parents(node(3))[0] == 2


def test_a_dropped_blob_leaves_the_children_to_others() -> None:
    """Who loses the blob in the middle of a download feeds nobody any more."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    others = [node(number) for number in range(2, 10)]
    for info in others:
        cluster.joins(info)
    assert any(3 in cluster.parents(info) for info in others)
    cluster.advertise(Advert(node=node(3), dropped=(BLOB,)))
    assert not any(3 in cluster.parents(info) for info in others)
    assert cluster.parents(node(3)) == []


def test_a_failed_parent_is_replaced_by_the_one_above_it() -> None:
    """Who complains is given the next of the line, up to the seeder."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    for number in range(2, 30):
        cluster.joins(node(number))
    line = cluster.joins(node(29))[0]
    assert len(line) > 3
    assert cluster.joins(node(29), line[0])[0][:2] == line[1:3]
    above = cluster.joins(node(29), *line[:-1])[0]
    assert above[0] == line[-2] - 1
    assert above[-1] == 1


def test_the_whole_plan_is_named_by_its_parents() -> None:
    """Plans with the same parents have one revision; another parent makes another."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    for number in range(2, 10):
        cluster.joins(node(number))
    request = PlanRequest(node=node(9), digest=BLOB, size=SIZE)
    revision = cluster.machine.plan(request, 0.0).revision
    assert revision == cluster.machine.plan(request, 1.0).revision
    failed = replace(request, failed=(cluster.machine.plan(request, 1.0).stripes[0][0].node_id,))
    assert revision != cluster.machine.plan(failed, 1.0).revision


def test_a_current_plan_is_the_last_one() -> None:
    """As long as nothing has changed, what has become of a plan is the plan."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    cluster.joins(node(2))
    request = PlanRequest(node=node(2), digest=BLOB, size=SIZE)
    assert cluster.machine.current_plan(request, 0.0) == cluster.machine.plan(request, 0.0)


def test_a_current_plan_brings_nobody_back() -> None:
    """Who was dropped, is done, or never asked gets a plan without stripes, and no place."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    for number in (2, 3, 4):
        cluster.joins(node(number))
    cluster.joins(node(4), gone=[2])
    cluster.holds(node(3))
    for number in (2, 3, 77):
        request = PlanRequest(node=node(number), digest=BLOB, size=SIZE)
        plan = cluster.machine.current_plan(request, 0.0)
        assert (plan.stripes, plan.revision) == ((), "")
        assert cluster.parents(node(number)) == []
    elsewhere = PlanRequest(node=node(4), digest=blob("never asked for"), size=SIZE)
    assert cluster.machine.current_plan(elsewhere, 0.0).stripes == ()


def test_who_was_called_gone_comes_back_by_a_call_of_its_own() -> None:
    """A node that somebody could not reach is given parents again once it asks."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    for number in (2, 3, 4):
        cluster.joins(node(number))
    cluster.joins(node(4), gone=[2])
    assert cluster.parents(node(2)) == []
    assert all(cluster.joins(node(2)))
    assert None not in cluster.parents(node(2))


def test_nobody_can_call_itself_gone() -> None:
    """A node that names itself keeps its place."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    cluster.joins(node(2))
    assert cluster.joins(node(2), gone=[2]) == [[1]]


def test_changes_are_told_once() -> None:
    """A newcomer is named with its blob; nothing is named twice."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    cluster.joins(node(2))
    assert cluster.machine.take_changed() == {(("", BLOB, SIZE), node_id(2))}
    assert cluster.machine.take_changed() == set()


def test_two_complaints_ban_a_node_for_a_while() -> None:
    """Whom two others call dead is handed out to nobody, until the complaints have aged."""
    cluster = Cluster()
    for number in (1, 2):
        cluster.holds(node(number))
    for complainant in (11, 12):
        cluster.joins(node(complainant), 1)
    cluster.holds(node(11))
    cluster.holds(node(12))
    assert 1 not in peers_of(cluster, 20)
    cluster.now = 61.0
    assert 1 in peers_of(cluster, 21)


def test_who_complains_of_everybody_is_not_believed() -> None:
    """A node with a broken link of its own cannot take the others out of the plans."""
    cluster = Cluster()
    for number in range(1, 21):
        cluster.holds(node(number))
    for complainant in (31, 32):
        cluster.joins(node(complainant), *range(1, 21))
    assert peers_of(cluster, 40) & set(range(1, 21))


def test_who_misses_two_intervals_is_gone() -> None:
    """A silent node disappears from nodes and waves; one that only calls stays."""
    cluster = Cluster(interval_s=10.0)
    cluster.holds(node(1))
    cluster.holds(node(2))
    cluster.now = 15.0
    cluster.advertise(Advert(node=node(2)))
    assert 1 in peers_of(cluster, 3)
    cluster.now = 20.5
    assert cluster.machine.expire(cluster.now) == [node_id(1)]
    cluster.machine.check()
    assert peers_of(cluster, 9) == {2, 3}


def test_a_wave_that_nobody_asks_for_is_forgotten() -> None:
    """Memory is held only for blobs that were asked for within two intervals."""
    cluster = Cluster(interval_s=10.0)
    cluster.holds(node(1))
    cluster.now = 20.5
    cluster.advertise(Advert(node=node(1)))
    cluster.machine.expire(cluster.now)
    cluster.machine.check()
    assert not cluster.machine.is_loaded(("", blob(), SIZE))


def test_an_unknown_node_is_asked_for_everything() -> None:
    """A tracker that starts anew, or meets a node in a new place, wants a full advert."""
    cluster = Cluster()
    assert cluster.advertise(Advert(node=node(1)))
    assert not cluster.advertise(Advert(node=node(1)))
    assert cluster.advertise(Advert(node=node(1, zone="b")))
    assert not cluster.advertise(Advert(node=node(2), full=True))


def test_a_node_that_asks_for_a_plan_first_is_asked_for_everything_as_well() -> None:
    """It was forgotten, as one that stood still for a minute is, with all that it held."""
    cluster = Cluster(interval_s=10.0)
    cluster.holds(node(1))
    cluster.now = 30.0
    cluster.machine.expire(cluster.now)
    cluster.joins(node(1), digest=blob("other"))
    assert cluster.advertise(Advert(node=node(1)))


def test_those_who_were_told_another_size_are_in_a_wave_of_their_own() -> None:
    """A registry, or a stranger, that is wrong about a size harms nobody who was told the right."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    cluster.joins(node(8), size=SIZE // 8)
    assert cluster.joins(node(2)) == [[1]]
    assert cluster.joins(node(3)) == [[2, 1]]
    cluster.holds(node(2), have=pack([SEGMENTS - 1], SEGMENTS))
    cluster.advertise(Advert(node=node(8), dropped=(BLOB,)))
    assert cluster.parents(node(8)) == []
    cluster.advertise(Advert(node=node(2), dropped=(BLOB,)))
    assert cluster.parents(node(3)) == [1]


def test_a_full_advert_replaces_what_was_known() -> None:
    """Blobs that a full advert does not name are the node's no more."""
    cluster = Cluster()
    cluster.holds(node(1))
    cluster.advertise(holds(node(1), blob("other"), full=True))
    assert cluster.joins(node(9)) == [[]]


def test_a_full_advert_does_not_end_a_download() -> None:
    """A node that has just joined a wave and has nothing yet stays in it."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True))
    cluster.joins(node(2))
    cluster.now = 1.0
    cluster.advertise(Advert(node=node(2), full=True))
    assert cluster.parents(node(2)) == [1]


def test_an_announce_gets_who_has_the_segment() -> None:
    """Holders of the segment and strangers come nearest first, the asker itself left out."""
    cluster = Cluster()
    cluster.holds(node(1, host="10.0.0.1"))
    cluster.holds(node(2, host="10.9.0.1"), have=pack([0], SEGMENTS))
    cluster.holds(node(3, host="10.0.0.3"), have=pack([1], SEGMENTS))
    machine = cluster.machine
    machine.announce(announce("10.0.0.200"), torrent(), 0.0)
    peers, tally = machine.announce(announce("10.9.0.9"), torrent(), 0.0)
    assert [peer.host for peer in peers] == ["10.9.0.1", "10.0.0.1", "10.0.0.200"]
    assert (tally.complete, tally.incomplete) == (2, 2)


def test_a_seeding_stranger_gets_downloaders_only() -> None:
    """Who lacks nothing is told of those who do, and is handed out until it stops."""
    cluster = Cluster()
    cluster.holds(node(1))
    machine = cluster.machine
    machine.announce(announce("10.0.0.7"), torrent(), 0.0)
    seed = announce("10.0.0.8", left=0, event=Event.COMPLETED)
    peers, tally = machine.announce(seed, torrent(), 0.0)
    assert [peer.host for peer in peers] == ["10.0.0.7"]
    assert (tally.complete, tally.incomplete, tally.downloaded) == (2, 1, 1)
    peers, tally = machine.announce(replace(seed, event=Event.STOPPED), torrent(), 0.0)
    assert peers == []
    assert (tally.complete, tally.incomplete) == (1, 1)


def test_a_node_is_no_stranger() -> None:
    """A node's own announce is told by its address, and answers its group."""
    cluster = Cluster()
    cluster.holds(node(1, group="red"))
    cluster.holds(node(2, group="red"))
    own = announce("10.0.0.2", 61007)
    assert cluster.machine.group_of(own) == "red"
    peers, tally = cluster.machine.announce(own, torrent(), 0.0)
    assert [peer.host for peer in peers] == ["10.0.0.1"]
    assert tally.incomplete == 0


def test_a_stranger_that_moves_is_one() -> None:
    """A client that announces from another address with the same key leaves its old one."""
    cluster = Cluster()
    cluster.holds(node(1))
    for host in ("10.0.0.7", "10.0.0.8"):
        moved = replace(announce(host), key=b"k")
        _, tally = cluster.machine.announce(moved, torrent(), 0.0)
    assert tally.incomplete == 1


def test_strangers_are_forgotten() -> None:
    """A stranger that missed two intervals is handed out no more."""
    cluster = Cluster(interval_s=10.0)
    cluster.holds(node(1))
    cluster.machine.announce(announce("10.0.0.7"), torrent(), 0.0)
    cluster.now = 21.0
    cluster.machine.expire(cluster.now)
    cluster.load("", blob())
    assert cluster.machine.scrape(torrent(), "").incomplete == 0


def test_a_seeder_that_feeds_others_never_waits_for_them() -> None:
    """A seeder that asks for a plan while nodes hang on it keeps its place at the head."""
    cluster = Cluster()
    origin = node(1, seeder=True)
    cluster.holds(origin, have=b"")
    cluster.joins(node(2))
    cluster.joins(origin)
    assert cluster.parents(origin) == []
    assert cluster.parents(node(2)) == [1]


def test_a_seeder_is_never_banned() -> None:
    """A slow origin makes everybody complain of the seeder; it stays the last resort."""
    cluster = Cluster()
    cluster.holds(node(1, seeder=True), have=b"")
    for complainant in (11, 12, 13):
        cluster.joins(node(complainant), 1)
    assert all(peers[-1] == 1 for peers in cluster.joins(node(20)))


def _parent(cluster: Cluster, number: int) -> tuple[str, int, str]:
    """Address of the first peer that a node is given, and the plan's revision."""
    cluster.load("", BLOB)
    plan = cluster.machine.plan(PlanRequest(node=node(number), digest=BLOB, size=SIZE), cluster.now)
    return plan.stripes[0][0].host, plan.stripes[0][0].port, plan.revision


def test_a_blob_may_be_offered_at_another_port() -> None:
    """Peers of that blob are sent there, those of others are not; a move is another revision."""
    cluster = Cluster()
    cluster.holds(node(1))
    host, port, before = _parent(cluster, 2)
    assert (host, port) == (node(1).host, 61007)
    cluster.machine.take_changed()
    (held,) = holds(node(1), BLOB).held
    cluster.advertise(Advert(node=node(1), held=(replace(held, port=61009),)))
    assert cluster.machine.take_changed() == {(("", BLOB, SIZE), node(2).node_id)}
    assert _parent(cluster, 2)[:2] == (host, 61009)
    assert _parent(cluster, 2)[2] != before
    cluster.machine.load(
        ("", blob("other"), SIZE), [HeldRow(node_id=node(1).node_id, have=None)], 0.0
    )
    other = cluster.machine.plan(
        PlanRequest(node=node(2), digest=blob("other"), size=SIZE), cluster.now
    )
    assert other.stripes[0][0].port == 61007


def test_a_port_of_a_holding_survives_in_the_table() -> None:
    """A wave that is loaded anew sends peers there."""
    cluster = Cluster()
    cluster.advertise(Advert(node=node(1)))
    row = HeldRow(node_id=node(1).node_id, have=None, port=61009)
    cluster.machine.load(("", BLOB, SIZE), [row], 0.0)
    assert _parent(cluster, 2)[1] == 61009
