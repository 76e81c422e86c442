"""The style sheet. A string, so that every kind of package has it."""

CSS = """
Screen { background: $background; color: $foreground; }
#top { height: 1; background: $panel; }
#pages-line { height: 1; background: $surface; }
#banner { height: 1; background: $panel; display: none; }
#banner.-shown { display: block; }
Footer { background: $panel; }
Footer FooterKey.-command-palette { border-left: vkey $rule; }

ContentSwitcher { height: 1fr; }
Page { height: 1fr; padding: 0; background: $background; }

.panel, Grid {
    border: round $rule;
    border-title-color: $strong;
    border-title-style: bold;
    border-subtitle-color: $muted;
    border-title-background: $background;
    border-subtitle-background: $background;
    background: $background;
    padding: 0 1;
}
Grid { padding: 0; height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
Grid:focus { border: round $accent; }
Canvas { background: $background; }

#saved { height: 5; }
#charts { height: 1fr; min-height: 4; max-height: 16; }
#charts Canvas { width: 1fr; height: 1fr; padding: 0; }
#cards { height: 5; }
#cache { width: 2fr; }
#facts { width: 3fr; }
#cards Canvas { height: 1fr; }
#lists { height: 1fr; min-height: 4; }
#moving { width: 1fr; height: 1fr; }
#lately { width: 1fr; height: 1fr; display: none; }
Screen.-wide #lately { display: block; }

#summary { height: 7; }
Screen.-wide #summary { height: 6; }
#members-row { height: 1fr; }
#members { width: 1fr; }
#leases { width: 44; height: 1fr; display: none; }
Screen.-wide #leases { display: block; }

#tree { height: 8; }
Screen.-tall #tree { height: 14; }
#job { height: 8; }
Screen.-tall #job { height: 16; }

.search { height: 1; display: none; background: $panel; margin: 0 1; }

ModalScreen { align: center middle; background: $background 60%; }
.dialog {
    width: 64; max-width: 94%; height: auto; max-height: 94%;
    border: round $accent; border-title-color: $strong; border-title-style: bold;
    border-subtitle-color: $muted;
    background: $surface; padding: 1 2;
}
.dialog Label { width: 100%; height: auto; }
.dialog .field { color: $muted; }
.dialog .note { color: $muted; margin-top: 1; }
.dialog Input { border: none; height: 1; padding: 0 1; margin-bottom: 1; background: $panel; }
.dialog Input:focus { border: none; background: $boost; }
.dialog .buttons { height: auto; margin-top: 1; align-horizontal: right; }
.dialog Button { margin-left: 2; min-width: 14; height: 1; border: none; }
.details { width: 92; }
.help { width: 84; }
.help Canvas { height: auto; background: $surface; }
"""
