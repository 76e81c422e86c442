"""What can be changed while the node runs."""

from __future__ import annotations

from eagle_node.api.schema import Setting
from eagle_tui.columns import Column
from eagle_tui.paint import Line, Tone, line


def columns() -> list[Column[Setting]]:
    """Of the table."""
    return [
        Column(
            name="key",
            title="setting",
            cells=14,
            grows=1,
            most=26,
            cell=lambda row, _: line(row.key),
            sort=lambda row: row.key,
        ),
        Column(name="value", title="value", cells=10, grows=1, most=24, cell=_value),
        Column(
            name="scope",
            title="of",
            cells=7,
            cell=lambda row, _: line((row.scope, Tone.MUTED)),
            sort=lambda row: row.scope,
        ),
        Column(
            name="help",
            title="meaning",
            cells=38,
            grows=4,
            cell=lambda row, _: line((row.help, Tone.MUTED)),
        ),
    ]


def consequence(setting: Setting) -> str:
    """How far a change reaches."""
    if setting.scope == "cluster":
        return "All nodes of the cluster take it over, for good."
    return "This node takes it over until it restarts."


def _value(row: Setting, _: int) -> Line:
    tone = Tone.STRONG if row.changeable else Tone.MUTED
    if row.value == "0" and row.scope == "node":
        return line(("none", tone), (" (0)", Tone.MUTED))
    lock = "" if row.changeable else " (fixed)"
    return line((row.value or "default", tone), (lock, Tone.MUTED))
