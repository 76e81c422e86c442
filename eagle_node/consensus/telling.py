"""What a leader tells the nodes of its cluster, and those that should be in it. Sans-IO.

Each function gives the messages and changes nothing; the leader's own copy is among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from eagle_node.base.ids import NodeId
from eagle_node.consensus.duty import Attached
from eagle_node.consensus.events import Send
from eagle_node.consensus.leases import LeaseClock
from eagle_node.consensus.messages import Beat, BeatReply, Dissolve, Probe, View
from eagle_node.consensus.policy import Candidate
from eagle_node.consensus.raft import Raft
from eagle_node.consensus.records import Configuration, Lineage, Registry, Voter, node_of
from eagle_node.consensus.timing import Timing


def view_of(raft: Raft, registry: Registry, lineage: Lineage, leader: Voter) -> View:
    """The cluster as its leader sees it."""
    return View(
        lineage=lineage,
        leader=leader,
        term=raft.term,
        version=raft.commit,
        voters=raft.configuration.voters,
        learners=raft.configuration.learners,
        leases=registry.leases,
        settings=registry.settings,
    )


def publication(view: View, attached: Mapping[NodeId, Attached]) -> Iterator[Send]:
    """To everybody who follows: the state has changed."""
    for node, each in attached.items():
        yield Send(target=node, address=each.voter.address, message=view)
    if node_of(view.leader.member) not in attached:
        yield _to_leader(view)


def announcement(view: View, others: Iterable[Candidate]) -> Iterator[Send]:
    """To all members: somebody else leads; they report to it, and it to itself."""
    for each in others:
        yield Send(target=each.node_id, address=each.address, message=view)
    yield _to_leader(view)


def renewal(
    beat: Beat, *, view: View, clock: LeaseClock, registry: Registry, timing: Timing
) -> BeatReply:
    """To a node that reported: what it holds, and the view if it has an older one."""
    held = () if beat.leaving else clock.holdings(registry, node_of(beat.me.member))
    return BeatReply(
        session=beat.session,
        sequence=beat.sequence,
        leases=held,
        lease_s=timing.lease_s,
        view=view if view.version != beat.version else None,
    )


def probes(lineage: Lineage, leader: Voter, strangers: Iterable[Candidate]) -> Iterator[Send]:
    """To members that do not follow: which cluster are you in?"""
    probe = Probe(lineage=lineage, leader=leader)
    for each in strangers:
        if each.node_id != node_of(leader.member):
            yield Send(target=each.node_id, address=each.address, message=probe)


def dissolution(
    message: Dissolve,
    leader: Voter,
    attached: Mapping[NodeId, Attached],
    configuration: Configuration,
) -> Iterator[Send]:
    """To everybody who follows or has a log, but the leader: go over to another cluster."""
    addresses = {node: each.voter.address for node, each in attached.items()}
    for voter in configuration.everyone:
        addresses[node_of(voter.member)] = voter.address
    for node, address in addresses.items():
        if node != node_of(leader.member):
            yield Send(target=node, address=address, message=message)


def _to_leader(view: View) -> Send:
    return Send(target=node_of(view.leader.member), address=None, message=view)
