"""Lines, bars and charts."""

from __future__ import annotations

import pytest
from eagle_tui import formats
from eagle_tui.chart import area, nice_top
from eagle_tui.columns import Column, arrange
from eagle_tui.paint import Line, Tone, bar, fit, line, middle, plain, progress, stacked, width
from eagle_tui.views.node import saved
from eagle_tui.world import World
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(max_size=40)
CELLS = st.integers(min_value=0, max_value=60)


@given(st.lists(TEXTS, max_size=4), CELLS, st.booleans())
def test_a_fitted_line_has_its_width(texts: list[str], cells: int, right: bool) -> None:
    """Whatever the text, wide characters and control characters too, a line fills its cells."""
    assert width(fit(line(*texts), cells, right=right)) == cells


@given(TEXTS)
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    """What others send cannot move the cursor or change colours."""
    assert plain([line(text)]).isprintable()


@given(st.floats(min_value=-1, max_value=2), st.integers(min_value=1, max_value=60))
def test_a_bar_has_its_width(fraction: float, cells: int) -> None:
    """Whatever the fraction, beyond its bounds too."""
    assert width(bar(fraction, cells, Tone.LOCAL)) == cells
    assert width(progress(fraction, cells, Tone.LOCAL)) == cells


@given(st.lists(st.integers(min_value=0, max_value=1 << 50), min_size=3, max_size=3), CELLS)
def test_a_stacked_bar_shows_every_part(amounts: list[int], cells: int) -> None:
    """It fills its cells, and a part above zero has at least one, where there are enough."""
    parts = [(amount, Tone.TEXT, glyph) for amount, glyph in zip(amounts, "abc", strict=True)]
    made = stacked(parts, cells)
    if cells >= 3:
        assert width(made) == cells
        for amount, _, glyph in parts:
            assert (glyph in plain([made])) == (amount > 0)


def test_a_name_keeps_both_its_ends() -> None:
    """Nodes and images differ at the front or at the back."""
    assert middle("registry.example/team/app:v1", 11) == "regis…pp:v1"
    assert middle("short", 11) == "short"
    assert [width(line(middle("abcdefgh", cells))) for cells in range(8)] == list(range(8))


def test_made_ids_and_digests_are_known_by_their_beginnings() -> None:
    """Names that people chose keep both ends; those that nobody chose are cut as commits are."""
    made = "a26ac11d3f017b1580eb49d5d32551ba"
    assert formats.node_name(made, 40) == made
    assert formats.node_name(made, 20) == "a26ac11d"
    assert formats.node_name("eu-1-web-0001-long", 11) == "eu-1-…-long"
    told = f"fetching sha256:{'ab' * 32} of app"
    assert formats.with_short_names(told) == "fetching abababababab… of app"


def test_a_limit_is_told_as_a_rate() -> None:
    """A node tells bytes; people read sizes."""
    assert formats.limit("3145728") == "3.0 MiB/s"
    assert formats.limit("50MB") == "50MB"


def test_a_chart_is_filled_from_its_bottom() -> None:
    """Two values share a cell, four steps a row; what is above the top is cut."""
    tones = [Tone.SWARM] * 4
    drawn = area([0, 1, 4, 100], tones, cells=2, rows=1, top=4)
    assert plain(drawn) == "⢀⣿"
    assert plain(area([8, 8], tones[:2], cells=2, rows=2, top=8)) == "⠀⣿\n⠀⣿"


def test_a_chart_keeps_the_newest_values() -> None:
    """There may be more values than room; a trickle is still seen."""
    assert plain(area([9, 9, 0.001, 0], [Tone.SWARM] * 4, cells=1, rows=1, top=8)) == "⡀"


@given(st.lists(st.integers(min_value=0, max_value=1 << 50), max_size=30))
def test_a_scale_is_never_too_small_nor_far_too_large(values: list[int]) -> None:
    """The largest value fits, and fills at least a fifth of the height once it can."""
    top = nice_top(values)
    highest = max(values, default=0)
    assert top >= highest
    assert top <= max(1024, highest * 5.2)


def cell(row: str, cells: int) -> Line:
    """The row itself."""
    return line(row[:cells])


@given(st.integers(min_value=21, max_value=200))
def test_columns_fill_the_width_they_have(cells: int) -> None:
    """Columns are dropped in their order, and those that grow take what is left."""
    columns: list[Column[str]] = [
        Column(name="a", title="a", cells=8, cell=cell),
        Column(name="b", title="b", cells=10, cell=cell, grows=2, most=30),
        Column(name="c", title="c", cells=10, cell=cell, grows=1, drop=1),
        Column(name="d", title="d", cells=10, cell=cell, drop=2),
    ]
    shown = arrange(columns, cells)
    used = 1 + sum(each + 1 for _, each in shown)
    names = "".join(column.name for column, _ in shown)
    assert used <= cells
    assert names == "ab" if cells < 32 else names == "abc" if cells < 43 else names == "abcd"
    if names != "ab":
        assert used == cells


@pytest.mark.parametrize("cells", [10, 40, 80, 200])
def test_a_view_before_the_first_answer_says_so(cells: int) -> None:
    """An empty screen is not mistaken for an idle node."""
    assert "waiting" in plain(saved(World(url="http://127.0.0.1:1"), 0.0, cells))


def test_made_names_are_known_by_their_beginnings() -> None:
    """Of digests 12 digits, of nodes' ids 8, as elsewhere; other words stay."""
    made, digest = "0123456789abcdef" * 2, "ab" * 32
    told = formats.with_short_names(
        f"seeder-0 is held by {made}, sha256:{digest} by {made[:16]} and web-1"
    )
    assert told == f"seeder-0 is held by 01234567, {'ab' * 6}… by {made[:16]} and web-1"
