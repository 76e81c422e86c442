"""Whole screens, against what they are meant to look like."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest
from eagle_tui.palette import PALETTES

from tests.tui.pictures import GOLDENS, PICTURES, Picture, drawn

_CHROME = {"#292929", "#c5c8c6", "#ff5f57", "#febc2e", "#28c840", "#d9d9d9"}
"""The window that the library draws around an SVG."""


@pytest.mark.parametrize("name", PICTURES)
async def test_a_screen_looks_as_drawn(name: str) -> None:
    """Every page, dialog and width is the text in ``screens``; its module says how to renew it."""
    assert await drawn(PICTURES[name]) == (GOLDENS / f"{name}.txt").read_text()


def test_no_golden_is_left_behind() -> None:
    """Each golden is of a picture."""
    assert sorted(path.stem for path in GOLDENS.iterdir()) == sorted(PICTURES)


def test_the_readme_shows_the_first_page_as_it_is() -> None:
    """The picture there is the golden of the node's page."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert indent((GOLDENS / "node.txt").read_text(), "    ") in readme


@pytest.mark.parametrize("light", [False, True])
async def test_a_page_has_the_colours_of_its_palette_only(light: bool) -> None:
    """What the colour-blind can tell apart stays so: no other colour gets in."""
    svg = await drawn(Picture(page="2", light=light), svg=True)
    palette = PALETTES["eagle-light" if light else "eagle-dark"]
    ours = {palette.background, palette.surface, palette.panel, palette.cursor}
    ours |= set(palette.tones.values())
    used = set(re.findall(r"fill(?:=\"|: )(#[0-9a-f]{6})", svg))
    assert used & ours
    assert used - ours - _CHROME == set()
