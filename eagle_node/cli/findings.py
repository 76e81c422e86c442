"""Findings on a screen, as a document, and as an exit code."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence

from eagle_node.base.findings import Finding, Level
from eagle_node.cli.exits import Exit

_MARKS = {Level.OK: ("✓", "green"), Level.WARNING: ("!", "yellow"), Level.ERROR: ("✗", "red")}


def report(findings: Sequence[Finding], *, as_json: bool) -> Exit:
    """Print what was found; FAILURE when there is an error among it."""
    failed = any(finding.level is Level.ERROR for finding in findings)
    if as_json:
        document = {"ok": not failed, "findings": [dataclasses.asdict(each) for each in findings]}
        print(json.dumps(document, indent=2))
    elif sys.stdout.isatty():
        _print(findings)
    else:
        print("\n".join(_lines(findings)))
    return Exit.FAILURE if failed else Exit.OK


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Whole lines where nobody looks at a screen: a command is not broken in two."""
    width = max((len(finding.subject) for finding in findings), default=0)
    for finding in findings:
        mark, _ = _MARKS[finding.level]
        yield f"{mark} {finding.subject:<{width}}  {finding.text}"
        if finding.remedy:
            yield f"  {'':<{width}}  → {finding.remedy}"


def _print(findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, colour = _MARKS[finding.level]
        text = escape(finding.text)
        if finding.remedy:
            text += f"\n[bold]→ {escape(finding.remedy)}[/bold]"
        table.add_row(f"[{colour}]{mark}[/{colour}]", escape(finding.subject), text)
    Console(highlight=False).print(table)
