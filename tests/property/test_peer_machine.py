"""The download's machine under random histories."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.errors import Denied, Unavailable, WrongContent
from eagle_node.peer import events as e
from eagle_node.peer import machine as m

SEGMENTS = 6
SEEDERS = 2
NEW = 2
"""Seeders that may be elected on the way."""
WINDOW = 2

indices = st.integers(0, SEGMENTS - 1)
stripes = st.integers(0, 1)
have = st.frozensets(indices, max_size=3)
errors = st.sampled_from(
    [
        None,
        Unavailable("broken"),
        WrongContent("others"),
        Denied("no", status=403, code="DENIED"),
    ]
)

events = st.one_of(
    st.builds(e.LayoutArrived, st.just(SEGMENTS), have),
    st.builds(e.Wanted, st.lists(indices, unique=True).map(tuple)),
    st.builds(e.MetainfoArrived, indices),
    st.builds(e.SegmentArrived, indices),
    st.builds(e.SeederBeat, st.integers(0, 5)),
    st.builds(e.StreamEnded, errors, st.booleans()),
    st.builds(
        e.SeedersChanged,
        st.integers(SEEDERS, SEEDERS + NEW),
        st.booleans(),
        st.none() | st.frozensets(st.integers(0, SEEDERS + NEW - 1)),
    ),
    st.builds(e.Ticked, st.lists(st.sampled_from(e.Parent), max_size=2).map(tuple)),
    st.builds(e.BytesArrived, indices),
    st.builds(e.ParentLost, stripes),
    st.builds(e.ParentGone, stripes),
    st.builds(e.Planned, st.integers(1, 2)),
)
steps = st.lists(st.tuples(events, st.floats(0, 4)), max_size=60)


@given(steps, st.booleans())
def test_whatever_happens_the_rules_hold(
    history: list[tuple[e.Event, float]], elected: bool
) -> None:
    """Windows, order, and endings: each of them exactly when it is due.

    No segment is prepared or started twice; a start follows its preparation and its metainfo; no
    seeder is asked that has lost the role; nothing follows an ending.
    """
    now = 0.0
    machine = m.Download(seeders=SEEDERS, window=WINDOW, stall_s=3.0, now=now, elected=elected)
    assert machine.start() == (e.OpenStream(0),)
    told: set[int] = set()
    done: set[int] = set()
    prepared: set[int] = set()
    started: set[int] = set()
    wanted: tuple[int, ...] | None = None
    standing: frozenset[int] | None = None
    laid_out = ended = False
    for event, pause in history:
        now += pause
        effects = machine.handle(event, now)
        machine.check()
        assert not (ended and effects)
        match event:
            case e.LayoutArrived(have=here):
                done |= here if not laid_out else set()
                laid_out = True
            case e.Wanted(indices=wants):
                wanted = wants if not ended else wanted
            case e.MetainfoArrived(index=index):
                told.add(index)
            case e.SegmentArrived(index=index):
                done.add(index)
            case e.SeedersChanged():
                standing = event.standing
            case _:
                pass
        for effect in effects:
            assert not ended
            match effect:
                case e.PrepareSegment(index):
                    assert index in told
                    assert index not in prepared
                    prepared.add(index)
                case e.StartSegment(index):
                    assert index in prepared
                    assert index not in started
                    started.add(index)
                case e.OpenStream(attempt):
                    assert attempt < SEEDERS + NEW
                    assert standing is None or attempt in standing
                case e.Finish():
                    ended = True
                    assert laid_out
                    assert wanted is not None
                    assert not set(wanted) - done
                case e.GiveUp(error):
                    ended = True
                    assert isinstance(event, e.StreamEnded)
                    assert event.error is error
                case e.GoToOrigin():
                    ended = True
                case _:
                    pass
    assert machine.ended == ended


@given(steps, st.booleans())
def test_a_download_always_ends(history: list[tuple[e.Event, float]], elected: bool) -> None:
    """After any history, when nothing more happens but time: it finishes, or goes to the origin."""
    now = 0.0
    machine = m.Download(seeders=SEEDERS, window=WINDOW, stall_s=3.0, now=now, elected=elected)
    machine.start()
    for event, pause in history:
        now += pause
        machine.handle(event, now)
    endings = [e.Finish, e.GiveUp, e.GoToOrigin]
    for _ in range(400):
        now += 0.25
        effects = machine.handle(e.Ticked((e.Parent.STARVED, e.Parent.STARVED)), now)
        if any(type(effect) in endings for effect in effects):
            break
    assert machine.ended
