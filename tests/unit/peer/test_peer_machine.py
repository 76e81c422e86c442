"""The life cycle of a download, as transcripts: what happens, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eagle_node.base.errors import Denied, EagleError, Unavailable, WrongContent
from eagle_node.peer.asking import ELECTION_S
from eagle_node.peer.events import (
    AskPlan,
    BytesArrived,
    Effect,
    Event,
    Finish,
    GiveUp,
    GoToOrigin,
    LayoutArrived,
    MetainfoArrived,
    OpenStream,
    Parent,
    ParentGone,
    ParentLost,
    Planned,
    PrepareSegment,
    ProbeParent,
    SeederBeat,
    SeedersChanged,
    SegmentArrived,
    StartSegment,
    StreamEnded,
    Ticked,
    Wanted,
    WidenMesh,
)
from eagle_node.peer.lane import Stage
from eagle_node.peer.machine import LOOKAHEAD, Download

PROBE_S = 0.02
STALL = 3.0
DENIED = Denied("no", status=401, code="UNAUTHORIZED")
BROKEN = Unavailable("the connection broke")
WRONG = WrongContent("the bytes are others")


class Story:
    """A download whose events are told one after the other; time passes between them."""

    def __init__(
        self,
        *,
        segments: int = 8,
        seeders: int = 3,
        window: int = 2,
        have: Sequence[int] = (),
        next_in_line: bool = False,
        elected: bool = False,
    ) -> None:
        self.now = 100.0
        self.machine = Download(
            seeders=seeders,
            window=window,
            stall_s=STALL,
            now=self.now,
            next_in_line=next_in_line,
            elected=elected,
        )
        self.segments = segments
        self.have = frozenset(have)
        assert self.machine.start() == (OpenStream(0),)

    def tell(self, event: Event, *, after: float = 0.0) -> list[Effect]:
        """The effects of an event."""
        self.now += after
        effects = list(self.machine.handle(event, self.now))
        self.machine.check()
        return effects

    def lay_out(self, *, planned: bool = True) -> list[Effect]:
        """The seeder tells the size, everything is wanted, the tracker answers."""
        effects = self.tell(LayoutArrived(self.segments, self.have))
        wanted = tuple(index for index in range(self.segments) if index not in self.have)
        effects += self.tell(Wanted(wanted))
        return effects + (self.tell(Planned()) if planned else [])

    def metainfo(self, *indices: int) -> list[Effect]:
        """The seeder tells of segments."""
        return [effect for index in indices for effect in self.tell(MetainfoArrived(index))]

    def quiet(self, seconds: float, parent: Parent = Parent.HOLDING) -> list[Effect]:
        """Nothing happens for a while but ticks; what is done but probes."""
        effects, step = [], 0.25
        for _ in range(round(seconds / step)):
            effects += self.tell(Ticked((parent, parent)), after=step)
        return [effect for effect in effects if not isinstance(effect, ProbeParent)]


def stage(story: Story) -> Stage:
    return story.machine.stage


def started(effects: Sequence[Effect]) -> list[int]:
    return [effect.index for effect in effects if isinstance(effect, StartSegment)]


def prepared(effects: Sequence[Effect]) -> list[int]:
    return [effect.index for effect in effects if isinstance(effect, PrepareSegment)]


def test_a_download_asks_for_metainfo_then_for_a_plan() -> None:
    """The plan needs the size; nothing is dialled before there is one."""
    story = Story()
    assert story.lay_out(planned=False) == [AskPlan(parent_failed=False)]
    assert story.metainfo(0, 1) == []
    effects = story.tell(Planned())
    assert effects == [PrepareSegment(0), PrepareSegment(1), StartSegment(0), StartSegment(1)]


def test_a_small_blob_needs_no_plan() -> None:
    """It comes with the seeder's answer."""
    story = Story(segments=1)
    assert story.tell(LayoutArrived(1, frozenset(), swarmed=False)) == []
    story.tell(Wanted((0,)))
    assert story.tell(SegmentArrived(0)) == [Finish()]


def test_an_empty_blob_is_finished_at_once() -> None:
    """There is nothing to wait for."""
    story = Story(segments=0)
    story.tell(LayoutArrived(0, frozenset(), swarmed=False))
    assert story.tell(Wanted(())) == [Finish()]


def test_segments_start_in_the_order_in_which_they_are_wanted() -> None:
    """A range comes before the rest."""
    story = Story()
    story.lay_out()
    story.tell(Wanted((5, 6, 0, 1, 2, 3, 4, 7)))
    effects = story.metainfo(0, 1, 5)
    assert started(effects) == [0, 1]
    assert started(story.tell(SegmentArrived(0))) == [5]


def test_at_most_the_window_is_active_and_a_few_more_are_prepared() -> None:
    """Children may connect to segments that this node has not begun to fetch."""
    story = Story(segments=40, window=3)
    story.lay_out()
    effects = story.metainfo(*range(40))
    assert started(effects) == [0, 1, 2]
    assert prepared(effects) == list(range(3 + LOOKAHEAD))
    effects = story.tell(SegmentArrived(1))
    assert (prepared(effects), started(effects)) == ([3 + LOOKAHEAD], [3])


def test_it_finishes_when_nothing_that_is_wanted_is_missing() -> None:
    """Not before, and not only when all is here."""
    story = Story(have=[3])
    story.lay_out()
    story.tell(Wanted((1, 3)))
    story.metainfo(0, 1)
    assert story.tell(SegmentArrived(0)) == []
    assert story.tell(SegmentArrived(1)) == [Finish()]
    assert story.tell(Ticked(), after=1000) == []


def test_the_ladder_of_a_download_that_makes_no_progress() -> None:
    """Next parent, wider mesh, next seeder, and at last the origin: one rung for each stall."""
    story = Story(seeders=2)
    story.lay_out()
    story.metainfo(0, 1)
    assert story.quiet(STALL) == [AskPlan(parent_failed=True)]
    assert story.quiet(STALL) == [AskPlan(parent_failed=True), WidenMesh()]
    assert story.quiet(STALL) == [WidenMesh(), OpenStream(1)]
    assert story.quiet(STALL) == [GoToOrigin("the swarm makes no progress")]


@pytest.mark.parametrize("progress", [BytesArrived(0), SegmentArrived(0)])
def test_any_progress_leads_back_to_the_bottom_of_the_ladder(progress: Event) -> None:
    """A source is given up for what it does now, not for what it once did."""
    story = Story()
    story.lay_out()
    story.metainfo(0, 1, 2)
    story.quiet(2 * STALL)
    assert stage(story) == Stage.MESH
    story.tell(progress)
    assert stage(story) == Stage.PLANNED
    assert story.quiet(STALL - 0.25) == []
    assert story.quiet(0.25) == [AskPlan(parent_failed=True)]


def test_news_from_the_seeder_are_no_progress_while_the_swarm_stalls() -> None:
    """A parent that sends nothing is not excused by a seeder that is well."""
    story = Story()
    story.lay_out()
    story.metainfo(0, 1)
    effects: list[Effect] = []
    for index in range(2, 8):
        effects += story.tell(MetainfoArrived(index), after=STALL / 4)
        effects += story.tell(SeederBeat(index << 20))
        effects += story.tell(Ticked())
    assert AskPlan(parent_failed=True) in effects


def test_a_seeder_that_fetches_is_waited_for() -> None:
    """While there is nothing to swarm, its progress at the origin counts; its silence does not."""
    story = Story()
    story.lay_out()
    for received in range(1, 20):
        assert story.tell(SeederBeat(received << 20)) == []
        assert story.quiet(STALL) == []
    beats = [effect for _ in range(4) for effect in (story.tell(SeederBeat(1)), story.quiet(STALL))]
    assert [OpenStream(1)] in beats


def test_a_seeder_that_waits_for_its_turn_at_the_origin_is_alive() -> None:
    """No byte of this blob comes, since those of others do."""
    story = Story()
    story.lay_out()
    for _ in range(20):
        assert story.tell(SeederBeat(0, waiting=True)) == []
        assert story.quiet(STALL) == []


def test_a_parent_with_nothing_to_give_gets_more_patience_and_no_blame() -> None:
    """The fault lies above it, and its own child replaces who is at fault."""
    story = Story()
    story.lay_out()
    story.metainfo(0, 1)
    story.tell(BytesArrived(0))
    assert story.quiet(STALL, Parent.STARVED) == []
    assert story.quiet(STALL, Parent.STARVED) == [AskPlan(parent_failed=False), WidenMesh()]


def test_a_parent_is_not_blamed_for_the_time_in_which_it_had_nothing() -> None:
    """In a wave of many layers the end of a line waits for seconds before its parent has any."""
    story = Story()
    story.lay_out()
    story.metainfo(0, 1)
    assert story.quiet(1.5 * STALL, Parent.STARVED) == []
    assert story.quiet(0.25, Parent.HOLDING) == []
    assert AskPlan(parent_failed=True) in story.quiet(STALL, Parent.HOLDING)


def test_the_end_of_a_long_line_waits_longer_for_its_first_byte() -> None:
    """Nothing is wrong above it: the blob has not come that far."""
    story = Story()
    story.lay_out()
    story.metainfo(0, 1)
    assert story.quiet(4 * STALL, Parent.STARVED) == []
    assert story.quiet(STALL, Parent.STARVED) == [AskPlan(parent_failed=False), WidenMesh()]


def test_a_parent_that_is_gone_is_replaced_at_once() -> None:
    """Its connections end: it is probed, once for all of them; refused, the next plan is asked."""
    story = Story(window=2)
    story.lay_out()
    assert started(story.metainfo(0, 1, 2, 3)) == [0, 1]
    assert story.tell(ParentLost(), after=0.5) == [ProbeParent(0, PROBE_S)]
    assert story.tell(ParentLost(), after=PROBE_S / 2) == []
    assert story.tell(ParentGone()) == [AskPlan(parent_failed=True, gone=True)]
    assert story.tell(ParentGone()) == []
    assert started(story.tell(Planned())) == [2, 3]


def test_a_connection_that_ends_without_the_parent_is_nothing() -> None:
    """Parents close connections for many reasons."""
    story = Story()
    story.lay_out()
    story.metainfo(0)
    assert story.tell(ParentLost(), after=0.5) == [ProbeParent(0, PROBE_S)]
    assert story.tell(BytesArrived(0)) == []
    assert story.tell(ParentLost(), after=1) == [ProbeParent(0, PROBE_S)]


def test_a_parent_that_does_not_know_a_segment_yet_is_asked_again_and_again() -> None:
    """In a wave that forms, a child may be some milliseconds ahead of its parent."""
    story = Story()
    story.lay_out()
    story.metainfo(0)
    probes = [effect for _ in range(7) for effect in story.tell(ParentLost(), after=0.4)]
    pauses = [PROBE_S * 2**number for number in range(5)]
    assert probes == [ProbeParent(0, pause) for pause in (*pauses, pauses[-1], pauses[-1])]


def test_a_quiet_parent_is_probed_every_second() -> None:
    """A frozen process keeps its connections, and looks like one that has nothing to give."""
    story = Story()
    story.lay_out()
    story.metainfo(0, 1)
    ticks = [story.tell(Ticked((Parent.STARVED,)), after=0.5) for _ in range(5)]
    assert ticks == [[], [ProbeParent()], [], [ProbeParent()], []]


def test_stripes_degrade_apart() -> None:
    """The parent of one stripe is replaced while that of the other delivers."""
    story = Story()
    story.lay_out(planned=False)
    story.metainfo(*range(8))
    assert started(story.tell(Planned(2))) == [0, 1, 2, 3]
    effects: list[Effect] = []
    for _ in range(round(STALL)):
        effects += story.tell(BytesArrived(2), after=1.0)
        effects += story.tell(Ticked())
    asked = [effect for effect in effects if isinstance(effect, AskPlan)]
    assert asked == [AskPlan(parent_failed=True, stripe=1)]


def test_stripes_that_stall_together_ask_one_more_seeder() -> None:
    """Not one each: the second of two would be passed over for the origin."""
    story = Story(seeders=2)
    story.lay_out(planned=False)
    story.metainfo(*range(8))
    story.tell(Planned(2))
    story.quiet(2 * STALL)
    effects = story.quiet(STALL)
    assert [effect for effect in effects if effect != WidenMesh(0)] == [OpenStream(1), WidenMesh(1)]
    assert story.quiet(STALL - 0.25) == []
    assert story.quiet(0.25) == [GoToOrigin("the swarm makes no progress")]


def test_stripes_have_a_window_each() -> None:
    """A stripe that is quick goes on while the other one waits."""
    story = Story(segments=12)
    story.lay_out(planned=False)
    story.metainfo(*range(12))
    story.tell(Planned(2))
    assert [started(story.tell(SegmentArrived(index))) for index in (1, 3, 0)] == [[5], [7], [4]]


def test_a_plan_with_more_stripes_takes_over_what_is_active() -> None:
    """A cell that grows deals the blob out anew; nothing is started twice."""
    story = Story(window=3)
    story.lay_out()
    assert started(story.metainfo(*range(8))) == [0, 1, 2]
    assert started(story.tell(Planned(2))) == [3, 4, 5]


@pytest.mark.parametrize("laid_out", [False, True])
def test_a_refusal_of_the_origin_ends_it_at_once(laid_out: bool) -> None:
    """No other source can do better."""
    story = Story()
    if laid_out:
        story.lay_out()
        story.metainfo(0)
    assert story.tell(StreamEnded(DENIED)) == [GiveUp(DENIED)]
    assert story.tell(Planned()) == []


def test_bytes_that_a_seeder_found_wrong_are_not_waited_for() -> None:
    """What has come is of the same bytes; with none of it, the origin may do better, at once."""
    story = Story()
    story.lay_out()
    story.metainfo(*range(8))
    story.tell(SegmentArrived(0))
    assert story.tell(StreamEnded(WRONG)) == [GiveUp(WRONG)]
    story = Story()
    story.lay_out()
    story.metainfo(*range(8))
    assert story.tell(StreamEnded(WRONG)) == [GoToOrigin("the bytes are others")]


def test_a_seeder_that_breaks_off_is_replaced_by_the_next() -> None:
    """The last one by the origin; the error is the reason that is logged."""
    story = Story(seeders=2)
    assert story.tell(StreamEnded(BROKEN)) == [OpenStream(1)]
    assert story.tell(StreamEnded(BROKEN)) == [GoToOrigin("the connection broke")]


def test_a_silent_seeder_is_replaced_by_the_next() -> None:
    """It has accepted the call and says nothing."""
    story = Story(seeders=2)
    effects = story.quiet(10 * STALL)
    assert effects[0] == OpenStream(1)
    assert isinstance(effects[1], GoToOrigin)


def test_a_seeder_that_nobody_asked_for_long_is_not_silent() -> None:
    """A reader of parts wants a segment at last: the seeder is asked for it just now."""
    story = Story(seeders=2)
    story.tell(LayoutArrived(8, frozenset()))
    story.tell(Wanted((), parts=True))
    story.tell(Planned())
    assert story.quiet(20 * STALL) == []
    story.tell(Wanted((3,), parts=True), after=1)
    assert story.quiet(3 * STALL - 0.25) == []
    assert story.quiet(0.25) == [OpenStream(1)]


@pytest.mark.parametrize("error", [None, BROKEN])
def test_a_seeder_that_has_told_everything_is_not_needed_any_more(
    error: EagleError | None,
) -> None:
    """When it dies in the middle of a wave its peers go on among themselves.

    They would all turn to the origin at the same moment otherwise.
    """
    story = Story(seeders=1)
    story.lay_out()
    story.metainfo(*range(8))
    assert story.tell(StreamEnded(error)) == []
    for index in range(7):
        story.tell(SegmentArrived(index))
    assert story.tell(SegmentArrived(7)) == [Finish()]


def test_the_last_seeder_dies_before_it_has_told_everything() -> None:
    """What the swarm can bring comes from the swarm, the rest from the origin."""
    story = Story(seeders=1)
    story.lay_out()
    story.metainfo(0, 1)
    assert story.tell(StreamEnded(BROKEN)) == []
    assert story.tell(SegmentArrived(0)) == []
    assert isinstance(story.tell(SegmentArrived(1))[0], GoToOrigin)


def test_a_seeder_that_ends_early_without_an_error_is_replaced() -> None:
    """A clean end with segments missing is as good as an error."""
    story = Story(seeders=2)
    story.lay_out()
    story.metainfo(0)
    assert story.tell(StreamEnded(None)) == []
    assert story.tell(SegmentArrived(0)) == [OpenStream(1)]


def test_another_seeder_is_asked_while_the_swarm_goes_on() -> None:
    """Segments that are active stay so; those that nobody has told of come from the next one."""
    story = Story(seeders=2)
    story.lay_out()
    story.metainfo(0)
    assert story.tell(StreamEnded(BROKEN)) == [OpenStream(1)]
    story.tell(LayoutArrived(8, frozenset()))
    assert started(story.metainfo(0, 1)) == [1]


def test_segments_that_are_here_are_not_fetched() -> None:
    """A resumed download starts where it was."""
    story = Story(have=[0, 1])
    story.lay_out()
    assert started(story.metainfo(0, 1, 2)) == [2]


def test_the_next_seeder_in_line_does_not_wait_for_those_who_wait_for_it() -> None:
    """With the last seeder before it gone, segments on their way do not keep it from the origin."""
    for next_in_line, effects in ((True, [GoToOrigin("the connection broke")]), (False, [])):
        story = Story(seeders=1, next_in_line=next_in_line)
        story.lay_out()
        story.metainfo(0, 1)
        assert story.tell(StreamEnded(BROKEN)) == effects


GONE = StreamEnded(Unavailable("nobody answers"), gone=True)


def bereft(*, laid_out: bool = True) -> Story:
    """A download whose only seeder has died, with two segments on their way."""
    story = Story(seeders=1, elected=True)
    if laid_out:
        story.lay_out()
        story.metainfo(0, 1)
    assert story.tell(GONE) == []
    return story


def test_a_successor_of_the_last_seeder_is_waited_for() -> None:
    """Those whose seeder has died do not all turn to the registry: one of them is elected."""
    story = bereft()
    for index in (0, 1):
        assert story.tell(SegmentArrived(index), after=1) == []
    assert story.tell(SeedersChanged(2), after=1) == [OpenStream(1)]
    assert started(story.metainfo(2, 3)) == [2, 3]


@pytest.mark.parametrize("laid_out", [True, False])
def test_who_is_elected_goes_to_the_origin(laid_out: bool) -> None:
    """The others wait for it."""
    (effect,) = bereft(laid_out=laid_out).tell(SeedersChanged(1, next_in_line=True), after=2)
    assert isinstance(effect, GoToOrigin)


def test_a_seeder_that_was_elected_first_is_asked_first() -> None:
    """Even by a node whose turn at the origin comes next."""
    assert bereft().tell(SeedersChanged(2, next_in_line=True), after=2) == [OpenStream(1)]


def test_nobody_is_waited_for_long() -> None:
    """Where no successor is named, a download ends at the origin, at once when nothing comes."""
    story = bereft(laid_out=False)
    assert story.quiet(ELECTION_S - 1) == [OpenStream(0)]
    (effect,) = story.quiet(2.5)
    assert isinstance(effect, GoToOrigin)
    story = bereft()
    for index in (0, 1):
        story.tell(SegmentArrived(index))
    for _ in range(int(ELECTION_S) - 1):
        assert story.quiet(1) == [OpenStream(0)]
        assert story.tell(GONE) == []
    assert isinstance(story.quiet(1)[0], GoToOrigin)


def test_a_seeder_that_was_restarted_is_asked_again() -> None:
    """Nobody is elected in the place of one that keeps its role."""
    story = bereft()
    for index in (0, 1):
        story.tell(SegmentArrived(index))
    assert story.quiet(1) == [OpenStream(0)]
    assert story.tell(GONE) == []
    assert story.quiet(1) == [OpenStream(0)]
    assert started(story.metainfo(2, 3)) == [2, 3]
    for index in (2, 3):
        story.tell(SegmentArrived(index))
    assert story.quiet(3 * STALL - 0.25) == []


def test_restarted_seeders_are_asked_in_turn() -> None:
    """Only those that have the role."""
    story = Story(seeders=3, elected=True)
    story.lay_out()
    story.tell(SeedersChanged(3, standing=frozenset({0, 2})))
    assert [story.tell(GONE) for _ in range(2)] == [[OpenStream(2)], []]
    asked = [[*story.quiet(1), *story.tell(GONE)] for _ in range(3)]
    assert asked == [[OpenStream(0)], [OpenStream(2)], [OpenStream(0)]]


def test_an_election_is_not_waited_for_where_the_seeder_lives() -> None:
    """It has answered that it cannot go on: nobody comes in its place."""
    story = Story(seeders=1, elected=True)
    story.lay_out()
    assert story.tell(StreamEnded(BROKEN)) == [GoToOrigin("the connection broke")]


def test_seeders_that_are_elected_while_another_one_serves_are_kept_for_later() -> None:
    """Its death finds them known."""
    story = Story(seeders=1, elected=True)
    story.lay_out()
    assert story.tell(SeedersChanged(2)) == []
    assert story.tell(GONE) == [OpenStream(1)]
    assert story.tell(GONE) == []
    assert story.tell(SeedersChanged(3)) == [OpenStream(2)]


def test_who_is_no_seeder_any_more_is_passed_over() -> None:
    """It may know of nothing, and ask the very node that asks it."""
    story = Story(seeders=1, elected=True)
    story.lay_out()
    assert story.tell(SeedersChanged(3, standing=frozenset({2}))) == []
    assert story.tell(GONE) == [OpenStream(2)]


def test_one_that_was_passed_over_is_asked_when_it_is_elected_again() -> None:
    """While the place is vacant."""
    story = Story(seeders=1, elected=True)
    story.lay_out()
    story.tell(SeedersChanged(2, standing=frozenset()))
    assert story.tell(GONE) == []
    assert story.tell(SeedersChanged(2, standing=frozenset({1})), after=1) == [OpenStream(1)]


@pytest.mark.parametrize("first", [True, False], ids=["this node", "another"])
def test_one_that_loses_its_role_and_tells_nothing_is_left(first: bool) -> None:
    """It waits for its successor: this node, or another seeder that is known."""
    story = bereft()
    assert story.tell(SeedersChanged(2, standing=frozenset({1}))) == [OpenStream(1)]
    after = (2, True, frozenset()) if first else (3, False, frozenset({2}))
    assert story.tell(SeedersChanged(*after)) == []
    assert story.quiet(1.5) == []
    (effect,) = story.quiet(0.5)
    assert isinstance(effect, GoToOrigin) if first else effect == OpenStream(2)


def test_one_that_loses_its_role_and_goes_on_telling_is_kept() -> None:
    """It has begun to fetch the blob, and ends what it has begun."""
    story = bereft()
    story.tell(SeedersChanged(2, standing=frozenset({1})))
    story.tell(SeedersChanged(3, standing=frozenset({2})))
    for received in range(1, 6):
        assert story.quiet(1.5) == []
        story.tell(BytesArrived(0))
        story.tell(SeederBeat(received))
