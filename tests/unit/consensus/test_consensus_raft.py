"""The rules of figure 2 of the Raft paper, one test each, by the numbers that it gives them."""

from __future__ import annotations

from eagle_node.consensus.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    RequestVote,
    TimeoutNow,
    VoteReply,
)
from eagle_node.consensus.raft import Raft, Role
from eagle_node.consensus.raft_events import (
    Accepted,
    Applied,
    Compacted,
    Confirmed,
    Deposed,
    Elected,
    Persist,
    Proposed,
    ReadAsked,
    Refused,
    Send,
    Ticked,
    TransferAsked,
)
from eagle_node.consensus.records import (
    Configuration,
    Configure,
    Noop,
    Registry,
    SetSetting,
    Snapshot,
)
from tests.unit.consensus.builders import (
    ELECTED_AT,
    append,
    elect,
    entry,
    grant,
    member,
    raft,
    request_vote,
    sent,
    stand,
    tell,
    voter,
)

WRITE = SetSetting(key="k", value="v")
AT = ELECTED_AT


def ok(target: Raft, match: int, *, round_: int | None = None) -> AppendReply:
    """A follower stores everything up to ``match``."""
    assert target.leadership is not None
    return AppendReply(
        term=target.term,
        success=True,
        match=match,
        conflict_index=0,
        conflict_term=0,
        round=target.leadership.round if round_ is None else round_,
    )


# AppendEntries, receiver


def test_append_1_an_old_term_is_refused() -> None:
    """AppendEntries 1: a leader of an older term gets false, and the newer term."""
    reply = sent(tell(raft(term=5), 2, append(4)), AppendReply)[0]
    assert (reply.success, reply.term) == (False, 5)


def test_append_2_a_gap_is_refused() -> None:
    """AppendEntries 2: without an entry at prevLogIndex, false, and where the log ends."""
    reply = sent(tell(raft(1), 2, append(1, prev=(5, 1))), AppendReply)[0]
    assert (reply.success, reply.conflict_index, reply.conflict_term) == (False, 3, 0)


def test_append_2_another_term_before_is_refused() -> None:
    """AppendEntries 2: with another term at prevLogIndex, false, and where that term begins."""
    reply = sent(tell(raft(1, 2, 2, 2), 2, append(3, prev=(5, 3))), AppendReply)[0]
    assert (reply.success, reply.conflict_index, reply.conflict_term) == (False, 3, 2)


def test_append_3_a_conflicting_entry_goes_with_all_after_it() -> None:
    """AppendEntries 3: an entry of another term at the same index ends the log there."""
    follower = raft(1, 1, 1)
    effects = tell(follower, 2, append(2, entry(3, 2), prev=(2, 1)))
    assert follower.log.since(2) == (entry(2, 1), entry(3, 2))
    persist = next(each for each in effects if isinstance(each, Persist))
    assert (persist.keep_below, persist.entries) == (3, (entry(3, 2),))


def test_append_3_an_old_message_removes_nothing() -> None:
    """AppendEntries 3: entries after those that agree stay: the message may be late."""
    follower = raft(1, 1, 1)
    tell(follower, 2, append(1, entry(2, 1)))
    assert follower.log.last_index == 4


def test_append_4_new_entries_are_stored_before_the_answer() -> None:
    """AppendEntries 4: what is not in the log is appended, and durable before the answer goes."""
    effects = tell(raft(1), 2, append(1, entry(3, 1), entry(4, 1), prev=(2, 1)))
    assert isinstance(effects[0], Persist)
    assert effects[0].entries == (entry(3, 1), entry(4, 1))
    assert sent(effects[1:], AppendReply)[0].match == 4


def test_append_5_commit_follows_the_leader_up_to_the_last_new_entry() -> None:
    """AppendEntries 5: commitIndex becomes the smaller of leaderCommit and the last new entry."""
    follower = raft(1, 1, 1)
    tell(follower, 2, append(1, prev=(3, 1), commit=9))
    assert follower.commit == 3


# RequestVote, receiver


def test_vote_1_an_old_term_gets_none() -> None:
    """RequestVote 1: a candidate of an older term gets no vote."""
    reply = sent(tell(raft(term=5), 2, request_vote(4, (9, 4))), VoteReply)[0]
    assert (reply.granted, reply.term) == (False, 5)


def test_vote_2_one_vote_per_term() -> None:
    """RequestVote 2: whoever has voted in a term votes for nobody else in it, also after a
    restart; for the same candidate, again."""
    voted = raft(term=5, vote=3)
    assert not sent(tell(voted, 2, request_vote(5, (9, 4))), VoteReply)[0].granted
    assert sent(tell(voted, 3, request_vote(5, (9, 4))), VoteReply)[0].granted


def test_vote_2_the_vote_is_durable_before_it_is_told() -> None:
    """RequestVote 2: votedFor is stored first."""
    effects = tell(raft(), 2, request_vote(1, (1, 0)))
    assert isinstance(effects[0], Persist)
    assert (effects[0].term, effects[0].vote) == (1, member(2))
    assert sent(effects[1:], VoteReply)[0].granted


def test_vote_2_only_for_logs_at_least_as_new() -> None:
    """RequestVote 2: by last term first, then by length (5.4.1)."""
    for last, granted in (((9, 1), False), ((2, 2), False), ((3, 2), True), ((2, 3), True)):
        reply = sent(tell(raft(1, 2), 2, request_vote(4, last)), VoteReply)[0]
        assert reply.granted is granted


# All servers


def test_all_1_what_is_committed_is_applied_once_and_in_order() -> None:
    """All servers 1: entries between lastApplied and commitIndex are applied."""
    follower = raft(1, 1, 1)
    applied = [
        each.entry.index
        for commit in (3, 3, 4)
        for each in tell(follower, 2, append(1, prev=(4, 1), commit=commit))
        if isinstance(each, Applied)
    ]
    assert applied == [2, 3, 4]


def test_all_2_a_newer_term_makes_a_follower() -> None:
    """All servers 2: any message of a newer term ends candidacy and leadership."""
    leader = raft(1)
    elect(leader)
    effects = tell(leader, 3, append(9), AT)
    assert leader.role is Role.FOLLOWER
    assert leader.term == 9
    assert Deposed() in effects


# Followers


def test_followers_1_they_answer_leaders_and_candidates() -> None:
    """Followers 1: each request gets an answer."""
    assert sent(tell(raft(), 2, append(1)), AppendReply)
    assert sent(tell(raft(), 2, request_vote(1, (1, 0))), VoteReply)


def test_followers_2_silence_makes_a_candidate() -> None:
    """Followers 2: an election timeout without a leader or a vote; not before."""
    follower = raft()
    tell(follower, 2, append(1), 0.5)
    roles = [_role_after(follower, 0.5 + step * 0.05) for step in range(40)]
    assert set(roles[:20]) == {Role.FOLLOWER}
    assert roles[-1] is not Role.FOLLOWER


def _role_after(target: Raft, now: float) -> Role:
    target.handle(Ticked(), now)
    return target.role


# Candidates


def test_candidates_1_a_new_term_an_own_vote_and_requests() -> None:
    """Candidates 1: currentTerm grows, the own vote is stored, all others are asked."""
    candidate = raft(1, term=4)
    stand(candidate)
    assert candidate.term == 4
    effects = tell(candidate, 2, grant(5, pre=True), 3.0)
    assert isinstance(effects[0], Persist)
    assert (effects[0].term, effects[0].vote) == (5, member(1))
    requests = [e for e in effects if isinstance(e, Send) and isinstance(e.message, RequestVote)]
    assert {each.target for each in requests} == {member(2), member(3)}


def test_candidates_2_a_majority_makes_a_leader() -> None:
    """Candidates 2: three of five votes, the own one included, and not two."""
    candidate = raft(1, size=5)
    elect(candidate, voters=(2, 3))
    assert candidate.role is Role.LEADER
    other = raft(1, size=5)
    elect(other, voters=(2,))
    assert other.role is not Role.LEADER


def test_candidates_3_a_leader_of_the_term_is_followed() -> None:
    """Candidates 3: AppendEntries of a leader of this term ends the candidacy."""
    candidate = raft(1)
    stand(candidate)
    tell(candidate, 2, grant(2, pre=True), 3.0)
    assert candidate.role is Role.CANDIDATE
    tell(candidate, 3, append(2), 3.1)
    assert (candidate.role, candidate.leader) == (Role.FOLLOWER, member(3))


def test_candidates_4_a_split_vote_is_followed_by_another_election() -> None:
    """Candidates 4: an election timeout later it stands again."""
    candidate = raft(1)
    stand(candidate)
    tell(candidate, 2, grant(2, pre=True), 3.0)
    assert candidate.role is Role.CANDIDATE
    stand(candidate, since=3.0)
    assert candidate.term == 2


# Leaders


def test_leaders_1_heartbeats_at_once_and_again() -> None:
    """Leaders 1: AppendEntries to everybody upon election, and before the others lose patience."""
    leader = raft(1)
    assert len(sent(elect(leader), Append)) == 2
    assert not sent(leader.handle(Ticked(), AT + 0.1), Append)
    assert len(sent(leader.handle(Ticked(), AT + 0.2), Append)) == 2


def test_leaders_2_a_command_is_answered_once_it_is_applied() -> None:
    """Leaders 2: it is appended and sent on; it is applied only when a majority stores it."""
    leader = raft(1)
    elect(leader)
    effects = leader.handle(Proposed(command=WRITE, token="t"), AT)
    assert Accepted(token="t", index=4, term=leader.term) in effects
    assert not [each for each in effects if isinstance(each, Applied)]
    effects = tell(leader, 2, ok(leader, 4), AT)
    assert [each.entry.index for each in effects if isinstance(each, Applied)] == [2, 3, 4]


def test_leaders_3_a_follower_gets_what_it_lacks() -> None:
    """Leaders 3: entries from nextIndex on; success raises nextIndex and matchIndex."""
    leader = raft(1)
    elect(leader)
    leader.handle(Proposed(command=WRITE, token=None), AT)
    tell(leader, 2, ok(leader, 4), AT)
    assert leader.leadership is not None
    progress = leader.leadership.progress[member(2)]
    assert (progress.match, progress.next) == (4, 5)


def test_leaders_3_a_conflict_lowers_next_index() -> None:
    """Leaders 3: after a failure it tries earlier: a whole term earlier at a time (5.3)."""
    leader = raft(1, 1, 4, 4, 4, term=4)
    elect(leader)
    refusal = AppendReply(
        term=leader.term,
        success=False,
        match=0,
        conflict_index=3,
        conflict_term=2,
        round=1,
    )
    message = sent(tell(leader, 2, refusal, AT), Append)[0]
    assert (message.prev_index, message.prev_term) == (2, 1)
    assert message.entries[0] == entry(3, 1)


def test_leaders_4_old_terms_commit_only_with_the_own_one() -> None:
    """Leaders 4: a majority commits entries of the current term only (5.4.2, figure 8)."""
    leader = raft(1, 2)
    elect(leader)
    assert not [e for e in tell(leader, 2, ok(leader, 3), AT) if isinstance(e, Applied)]
    effects = tell(leader, 2, ok(leader, 4), AT)
    applied = [each.entry for each in effects if isinstance(each, Applied)]
    assert [each.index for each in applied] == [2, 3, 4]
    assert applied[-1].command == Noop()


# Beyond figure 2


def test_a_pre_vote_changes_nothing() -> None:
    """Thesis 9.6: who is asked whether it would vote stores nothing, and answers in the term that
    was asked for, however far ahead."""
    asked = raft(1, term=2)
    request = RequestVote(term=9, last_index=2, last_term=1, pre=True)
    effects = tell(asked, 2, request)
    assert not [each for each in effects if isinstance(each, Persist)]
    assert sent(effects, VoteReply)[0].term == 9
    assert asked.term == 2


def test_who_hears_a_leader_votes_for_nobody_else() -> None:
    """Thesis 4.2.3: neither vote nor newer term, unless the leader wants it so."""
    loyal = raft(1)
    tell(loyal, 2, append(1, prev=(2, 1)), 0.5)
    assert not sent(tell(loyal, 3, request_vote(9, (9, 9)), 1.0), VoteReply)[0].granted
    assert loyal.term == 1
    wanted = request_vote(9, (9, 9), transfer=True)
    assert sent(tell(loyal, 3, wanted, 1.0), VoteReply)[0].granted


def test_a_leader_without_a_majority_resigns() -> None:
    """Thesis 6.2: after an election timeout of silence, and before any lease can move."""
    leader = raft(1)
    elect(leader)
    for step in range(1, 100):
        leader.handle(Ticked(), AT + step * 0.05)
        if leader.role is not Role.LEADER:
            break
    assert 1.5 < step * 0.05 < 2.0


def test_a_read_waits_for_a_majority_that_answers_later() -> None:
    """Thesis 6.4: an answer to an earlier broadcast proves nothing; one that follows does."""
    leader = raft(1)
    elect(leader)
    tell(leader, 2, ok(leader, 3), AT)
    leader.handle(ReadAsked(token="r"), AT + 0.01)
    assert Confirmed(token="r") not in tell(leader, 2, ok(leader, 3, round_=1), AT + 0.02)
    leader.handle(Ticked(), AT + 0.2)
    assert Confirmed(token="r") in tell(leader, 2, ok(leader, 3), AT + 0.21)


def test_a_follower_refuses_proposals_and_reads() -> None:
    """Nothing is forwarded at this level."""
    assert raft().handle(Proposed(command=WRITE, token=1), 0.0) == [Refused(token=1)]
    assert raft().handle(ReadAsked(token=2), 0.0) == [Refused(token=2)]


def test_voters_change_one_at_a_time() -> None:
    """Thesis 4.1: two at once are refused, and so is a change before this term has committed."""
    leader = raft(1)
    elect(leader)
    four = Configuration(voters=tuple(voter(n) for n in (1, 2, 3, 4)))
    five = Configuration(voters=tuple(voter(n) for n in (1, 2, 3, 4, 5)))
    early = leader.handle(Proposed(command=Configure(configuration=four), token=1), AT)
    assert Refused(token=1) in early
    tell(leader, 2, ok(leader, 3), AT)
    assert Refused(token=2) in leader.handle(
        Proposed(command=Configure(configuration=five), token=2), AT
    )
    taken = leader.handle(Proposed(command=Configure(configuration=four), token=3), AT)
    assert Accepted(token=3, index=4, term=leader.term) in taken
    assert leader.configuration == four
    assert Refused(token=4) in leader.handle(
        Proposed(command=Configure(configuration=five), token=4), AT
    )


def test_a_truncated_configuration_is_not_in_force() -> None:
    """Section 6: the latest one in the log counts; if it goes, the one before does."""
    follower = raft(1)
    four = Configuration(voters=tuple(voter(n) for n in (1, 2, 3, 4)))
    change = entry(3, 1).__class__(index=3, term=1, command=Configure(configuration=four))
    tell(follower, 2, append(1, change, prev=(2, 1)))
    assert follower.configuration == four
    tell(follower, 3, append(2, entry(3, 2), prev=(2, 1)), 3.0)
    assert len(follower.configuration.voters) == 3


def test_the_successor_stands_at_once() -> None:
    """Thesis 3.10: a transfer brings the successor up to date, then lets it stand without waiting;
    the leader takes no proposals meanwhile."""
    leader = raft(1)
    elect(leader)
    leader.handle(TransferAsked(target=member(2)), AT)
    assert Refused(token=1) in leader.handle(Proposed(command=WRITE, token=1), AT)
    assert sent(tell(leader, 2, ok(leader, 3), AT), TimeoutNow)
    heir = raft(1, 2, me=2)
    tell(heir, 1, append(2, prev=(3, 2)))
    request = sent(tell(heir, 1, TimeoutNow(term=2), 0.2), RequestVote)[0]
    assert (request.term, request.pre, request.transfer) == (3, False, True)


def test_a_follower_that_is_far_behind_gets_a_snapshot() -> None:
    """Section 7: entries that are compacted away are replaced by the state after them."""
    leader = raft(1)
    elect(leader)
    tell(leader, 2, ok(leader, 3), AT)
    persist = leader.handle(Compacted(registry=Registry(epoch=7)), AT)[0]
    assert isinstance(persist, Persist)
    assert persist.snapshot is not None
    assert persist.snapshot.index == 3
    lost = AppendReply(
        term=leader.term, success=False, match=0, conflict_index=1, conflict_term=0, round=1
    )
    message = sent(tell(leader, 3, lost, AT), InstallSnapshot)[0]
    follower = raft(me=3)
    effects = tell(follower, 1, message)
    assert isinstance(effects[0], Persist)
    assert effects[0].snapshot == message.snapshot
    assert follower.commit == 3
    assert sent(effects, AppendReply)[0].match == 3


def test_a_late_snapshot_takes_nothing_back() -> None:
    """Section 7: what is committed beyond a snapshot stays."""
    follower = raft(1, 1, 1)
    tell(follower, 2, append(1, prev=(4, 1), commit=4))
    old = Snapshot(index=2, term=1, configuration=follower.configuration)
    tell(follower, 2, InstallSnapshot(term=1, snapshot=old, round=2))
    assert (follower.commit, follower.log.last_index) == (4, 4)


def test_a_new_leader_knows_when_its_voters_last_heard_another() -> None:
    """The latest contact among the majority that elects bounds what a former leader promised."""
    candidate = raft(1)
    stand(candidate)
    tell(candidate, 2, grant(2, pre=True), 3.0)
    effects = tell(candidate, 2, grant(2, silence_s=1.0), 3.0)
    contact_at = next(e.contact_at for e in effects if isinstance(e, Elected))
    assert 2.0 <= contact_at <= 2.1
