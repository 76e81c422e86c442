"""``eagle-node mirror check``."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.cli.exits import Exit
from eagle_node.cli.findings import report
from eagle_node.mirror.check import check, variables
from eagle_node.mirror.files import HostFiles
from eagle_node.mirror.model import Mirror, Runtime


async def run_check(
    files: HostFiles, runtimes: Sequence[Runtime], mirror: Mirror, *, as_json: bool
) -> Exit:
    """Print what is found; FAILURE when pulls of a runtime do not pass the node."""
    return report(await check(files, runtimes, mirror, variables()), as_json=as_json)
