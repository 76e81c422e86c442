"""Colours. Both palettes are Okabe and Ito's (2008), which the colour-blind can tell apart.

The light one is darkened until each text colour has the contrast of WCAG 2.1, AA (4.5 to 1). No
colour stands alone: states have a glyph, parts of bars their own pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from textual.theme import Theme

from eagle_tui.paint import Line, Tone

DARK = "eagle-dark"
LIGHT = "eagle-light"


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A colour, ``#rrggbb``, for each tone, and what they stand on."""

    name: str
    dark: bool
    background: str
    surface: str
    """Panels."""
    panel: str
    """The bars at the top and the bottom."""
    cursor: str
    """Behind the row that keys act on."""
    tones: dict[Tone, str]

    def theme(self) -> Theme:
        """The same for widgets of the library."""
        tones = self.tones
        return Theme(
            name=self.name,
            dark=self.dark,
            primary=tones[Tone.ACCENT],
            secondary=tones[Tone.SWARM],
            accent=tones[Tone.ACCENT],
            success=tones[Tone.GOOD],
            warning=tones[Tone.WARN],
            error=tones[Tone.BAD],
            foreground=tones[Tone.TEXT],
            background=self.background,
            surface=self.surface,
            panel=self.panel,
            variables={
                "rule": tones[Tone.FAINT],
                "muted": tones[Tone.MUTED],
                "strong": tones[Tone.STRONG],
                "block-cursor-background": tones[Tone.ACCENT],
                "block-cursor-foreground": self.background,
                "footer-background": self.panel,
                "footer-key-foreground": tones[Tone.ACCENT],
                "footer-description-foreground": tones[Tone.MUTED],
                "input-selection-background": self.cursor,
                "scrollbar": tones[Tone.FAINT],
                "scrollbar-hover": tones[Tone.MUTED],
                "scrollbar-active": tones[Tone.ACCENT],
                "scrollbar-background": self.surface,
                "scrollbar-background-hover": self.surface,
                "scrollbar-background-active": self.surface,
                "scrollbar-corner-color": self.surface,
            },
        )


PALETTES = {
    DARK: Palette(
        name=DARK,
        dark=True,
        background="#0f141b",
        surface="#141b24",
        panel="#1c2530",
        cursor="#263646",
        tones={
            Tone.TEXT: "#cfd8e3",
            Tone.STRONG: "#ffffff",
            Tone.MUTED: "#94a2b3",
            Tone.FAINT: "#33404e",
            Tone.ACCENT: "#56b4e9",
            Tone.GOOD: "#14b88a",
            Tone.WARN: "#f0e442",
            Tone.BAD: "#ff7a33",
            Tone.LOCAL: "#14b88a",
            Tone.SWARM: "#56b4e9",
            Tone.ORIGIN: "#e69f00",
        },
    ),
    LIGHT: Palette(
        name=LIGHT,
        dark=False,
        background="#f4f5f2",
        surface="#fcfcfa",
        panel="#e3e7e8",
        cursor="#d3e4f0",
        tones={
            Tone.TEXT: "#27313b",
            Tone.STRONG: "#000000",
            Tone.MUTED: "#566270",
            Tone.FAINT: "#c3cacf",
            Tone.ACCENT: "#005f96",
            Tone.GOOD: "#006b4e",
            Tone.WARN: "#6f5c00",
            Tone.BAD: "#a83f00",
            Tone.LOCAL: "#006b4e",
            Tone.SWARM: "#005f96",
            Tone.ORIGIN: "#855200",
        },
    ),
}
"""By theme name; any other theme takes the one of its brightness."""


def palette_of(theme: Theme) -> Palette:
    """The palette that goes with ``theme``."""
    return PALETTES.get(theme.name) or PALETTES[DARK if theme.dark else LIGHT]


class Brush:
    """Turns spans into the styles of a palette."""

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        self.styles = {
            tone: Style(color=colour, bold=True if tone is Tone.STRONG else None)
            for tone, colour in palette.tones.items()
        }
        self.cursor = Style(bgcolor=palette.cursor)

    def styled(self, line: Line) -> list[tuple[str, Style]]:
        """The spans with their styles."""
        return [(text, self.styles[tone]) for text, tone in line]
