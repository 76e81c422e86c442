"""Colours that can be read."""

from __future__ import annotations

import pytest
from eagle_tui.paint import Tone
from eagle_tui.palette import PALETTES, Palette

READ = [tone for tone in Tone if tone is not Tone.FAINT]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.1)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21 (WCAG 2.1)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
@pytest.mark.parametrize("tone", READ, ids=lambda tone: tone.name)
def test_text_has_enough_contrast(palette: Palette, tone: Tone) -> None:
    """Each tone that is read has 4.5 to 1 (WCAG AA) on each ground that it stands on."""
    for ground in (palette.background, palette.surface, palette.panel, palette.cursor):
        assert contrast(palette.tones[tone], ground) >= 4.5, ground


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_a_palette_has_every_tone(palette: Palette) -> None:
    """No tone is without a colour."""
    assert set(palette.tones) == set(Tone)
