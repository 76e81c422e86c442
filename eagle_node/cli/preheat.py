"""``eagle-node preheat``: an image to nodes before anybody pulls it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from eagle_node.api.client import ApiClient, Refused
from eagle_node.api.codec import to_json
from eagle_node.api.labels import labels
from eagle_node.api.schema import PreheatJob, PreheatTarget
from eagle_node.base.errors import EagleError, Unavailable, UsageError
from eagle_node.base.sizes import format_size
from eagle_node.cli.exits import Exit
from eagle_node.cli.node_api import api_client
from eagle_node.cli.signals import until_signal

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_LOOK_S = 0.5
"""Between two looks at a job."""
_MOST_LOST = 60
"""Looks in a row that may fail: a node that restarts goes on with its jobs."""
_MOST_ROWS = 20
"""Targets that are shown, those that have trouble first."""
_NAMELESS: Mapping[str, str] = {}
ENDED = ("succeeded", "failed", "cancelled")


def preheat(arguments: argparse.Namespace) -> int:
    """Begin a job and follow it, or list or cancel jobs; the exit code tells what came of it."""
    if arguments.image is not None and (arguments.list or arguments.cancel is not None):
        raise UsageError("--list and --cancel take no IMAGE; see eagle-node preheat --help")
    if arguments.cancel is not None:
        return asyncio.run(_cancel(arguments))
    if arguments.list:
        return asyncio.run(_list(arguments))
    if arguments.image is None:
        raise UsageError(
            "name an IMAGE, or say --list or --cancel JOB; see eagle-node preheat --help"
        )
    return asyncio.run(until_signal(_preheat(arguments), on_sigterm=Exit.INTERRUPTED))


async def _preheat(arguments: argparse.Namespace) -> Exit:
    async with api_client(arguments) as api:
        names = labels((await api.members()).members)
        try:
            job = await api.preheat(
                arguments.image, nodes=arguments.nodes, platform=arguments.platform
            )
        except Refused as error:
            if error.status == 400:
                raise UsageError(_of_flags(error.detail)) from error
            raise Unavailable(error.detail) from error
        if arguments.detach:
            _print(job, arguments)
            return Exit.OK
        try:
            job = await _follow(api, job, names, quiet=arguments.json)
        except asyncio.CancelledError:
            print(
                f"eagle-node: preheat job {job.id} goes on without you; stop it with "
                f"eagle-node preheat --cancel {job.id}",
                file=sys.stderr,
            )
            raise
    _print(job, arguments, names)
    return Exit.OK if job.state == "succeeded" else Exit.FAILURE


def _of_flags(detail: str) -> str:
    """What is wrong with a member of the request, said of the flag that gave it."""
    return f"--{detail}" if detail.startswith(("nodes:", "platform:")) else detail


async def _follow(
    api: ApiClient, job: PreheatJob, names: Mapping[str, str], *, quiet: bool
) -> PreheatJob:
    """The job once it has ended; shows how far it is, on a terminal all the time."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    quiet = quiet or not console.is_terminal
    lost = 0
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while job.state not in ENDED:
            if not quiet:
                live.update(_screen(job, names), refresh=True)
            await asyncio.sleep(_LOOK_S)
            try:
                job = await api.preheat_job(job.id)
                lost = 0
            except Refused:
                raise
            except Unavailable:
                lost += 1
                if lost > _MOST_LOST:
                    raise
    return job


async def _list(arguments: argparse.Namespace) -> int:
    async with api_client(arguments) as api:
        jobs = (await api.preheat_jobs()).jobs
    if arguments.json:
        print(json.dumps([to_json(job) for job in jobs], indent=2))
        return Exit.OK
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "job", "image", "nodes", "state", "done", "created (UTC)", box=None, pad_edge=False
    )
    table.columns[1].overflow = "fold"
    for job in jobs:
        created = job.created_at.partition(".")[0].replace("T", " ")
        cells = (str(job.id), job.image, job.nodes, job.state, _done(job), created)
        table.add_row(*map(escape, cells))
    Console(highlight=False).print(table if jobs else "no preheat jobs")
    return Exit.OK


async def _cancel(arguments: argparse.Namespace) -> int:
    async with api_client(arguments) as api:
        try:
            job = await api.cancel_preheat(arguments.cancel)
        except Refused as error:
            raise EagleError(error.detail) from error
    _print(job, arguments)
    return Exit.OK


def _print(
    job: PreheatJob, arguments: argparse.Namespace, names: Mapping[str, str] = _NAMELESS
) -> None:
    if arguments.json:
        print(json.dumps(to_json(job), indent=2))
        return
    from rich.console import Console

    console: Console = Console(highlight=False, soft_wrap=True)
    line = f"job {job.id}: {job.image} {job.state}"
    if job.targets:
        size = f"{job.blobs} blobs, {format_size(job.size_bytes)}"
        line += f", on {_done(job)} nodes ({size})"
    if job.error:
        line += f": {job.error}"
    console.print(line, markup=False)
    if job.state not in ENDED:
        console.print("it goes on without you: eagle-node preheat --list shows how far it is")
    for target in job.targets:
        if target.state == "failed":
            console.print(f"  {_named(target, names)}: {target.error}", markup=False)


def _screen(job: PreheatJob, names: Mapping[str, str]) -> RenderableType:
    from rich.console import Group
    from rich.markup import escape
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    order = {"failed": 0, "running": 1, "pending": 2, "succeeded": 3}
    shown = sorted(job.targets, key=lambda each: (order.get(each.state, 1), each.address))
    for target in shown[:_MOST_ROWS]:
        bar = ProgressBar(total=max(1, job.size_bytes), completed=target.have_bytes, width=30)
        blobs = f"{target.blobs}/{job.blobs}"
        table.add_row(
            escape(_named(target, names)), bar, blobs, format_size(target.have_bytes), target.state
        )
    head = f"job {job.id}  {job.image}  {job.state}  {_done(job)} nodes"
    rest = f"and {len(shown) - _MOST_ROWS} more" if len(shown) > _MOST_ROWS else ""
    return Group(escape(head), table, rest)


def _named(target: PreheatTarget, names: Mapping[str, str]) -> str:
    name = names.get(target.node)
    return f"{name} ({target.address})" if name else target.address


def _done(job: PreheatJob) -> str:
    done = sum(target.state == "succeeded" for target in job.targets)
    return f"{done}/{len(job.targets)}"
