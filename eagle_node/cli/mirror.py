"""``eagle-node mirror``: points the host's container runtimes at the node, or takes it back."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eagle_node.base.errors import UsageError
from eagle_node.cli.exits import Exit
from eagle_node.config.kinds import parse_registry_name, parse_registry_url
from eagle_node.config.suggest import did_you_mean
from eagle_node.mirror.apply import apply
from eagle_node.mirror.files import HostFiles
from eagle_node.mirror.model import Change, Mirror, Plan, Record, Runtime
from eagle_node.mirror.plan import install, uninstall
from eagle_node.mirror.record import backup_path, read_record
from eagle_node.mirror.runtimes import installed_runtimes
from eagle_node.mirror.show import RuntimeView, show


def mirror(arguments: argparse.Namespace) -> Exit:
    """Do what ``arguments.action`` names; errors say what stands in its way."""
    files = HostFiles(Path(arguments.root))
    if not files.root.is_dir():
        raise UsageError(f"--root: {files.root} is not a directory")
    runtimes = _runtimes(arguments.runtime, files)
    wanted = _mirror(arguments)
    match arguments.action:
        case "install":
            record, _ = read_record(files)
            plan = install(files, runtimes, wanted, record)
            return _carry_out(arguments, files, plan, runtimes, record, wanted)
        case "uninstall":
            record, _ = read_record(files)
            plan = uninstall(files, runtimes, record)
            return _carry_out(arguments, files, plan, runtimes, record, wanted)
        case "show":
            return _show(arguments, [show(files, each, wanted) for each in runtimes])
        case _:
            from eagle_node.cli.mirror_check import run_check

            return asyncio.run(run_check(files, runtimes, wanted, as_json=arguments.json))


def _runtimes(given: Sequence[str] | None, files: HostFiles) -> list[Runtime]:
    if given is None:
        found = installed_runtimes(files)
        if not found:
            raise UsageError(
                f"no container runtime is installed in {files.root}; name one with --runtime "
                f"{'|'.join(Runtime)}"
            )
        return found
    names = [name.strip() for text in given for name in text.split(",")]
    for name in names:
        if name not in list(Runtime):
            hint = did_you_mean(name, list(Runtime))
            raise UsageError(f"--runtime: {name!r} is none of {', '.join(Runtime)}{hint}")
    return [Runtime(name) for name in dict.fromkeys(names)]


def _mirror(arguments: argparse.Namespace) -> Mirror:
    if arguments.action == "uninstall":
        return Mirror()
    try:
        url = parse_registry_url(arguments.proxy)
    except ValueError as error:
        raise UsageError(f"--proxy: {error}") from None
    try:
        names = [parse_registry_name(name) for name in arguments.registry or ()]
    except ValueError as error:
        raise UsageError(f"--registry: {error}") from None
    return Mirror(url=url, registries=tuple(dict.fromkeys(names)))


def _carry_out(
    arguments: argparse.Namespace,
    files: HostFiles,
    plan: Plan,
    runtimes: Sequence[Runtime],
    record: Record,
    wanted: Mirror,
) -> Exit:
    installs = arguments.action == "install"
    if not arguments.dry_run:
        apply(files, plan, url=wanted.url)
    notes = [*plan.notes]
    if installs and files.root == Path("/"):
        notes += asyncio.run(_about_node(wanted.url))
    if arguments.json:
        print(json.dumps(_document(arguments, plan, runtimes, notes), indent=2))
        return Exit.OK
    if arguments.dry_run:
        for change in plan.needed:
            print(_diff(change), end="")
    for change in plan.needed:
        print(_told(change, installs=installs, dry_run=arguments.dry_run, record=record))
    if not plan.needed:
        names = ", ".join(runtimes)
        print(f"{names}: " + ("all in place already" if installs else "nothing of ours there"))
    for note in notes:
        print(f"note: {note}")
    for runtime, command in (plan.activations or {}).items():
        print(f"{runtime} reads this once you run: {command}")
    if installs and plan.needed and not arguments.dry_run:
        print("prove it with: eagle-node mirror check")
    return Exit.OK


async def _about_node(url: str) -> Sequence[str]:
    """That there is no node to ask, if there is none."""
    from eagle_node.mirror.check import check_node

    found = await check_node(url)
    return [f"{found.text}; {found.remedy}"] if found.remedy else []


def _told(change: Change, *, installs: bool, dry_run: bool, record: Record) -> str:
    would = "would be " if dry_run else ""
    if change.after is None:
        return f"{change.path}: {would}removed"
    if change.current is None:
        return f"{change.path}: {would}made"
    if not installs:
        whole = change.path in record and change.after == record[change.path].before
        return f"{change.path}: {would}{'as it was before' if whole else 'without our part'}"
    kept = "" if dry_run else f"; what was there is in {backup_path(change.path)}"
    return f"{change.path}: {would}changed{kept}"


def _diff(change: Change) -> str:
    old, new = (
        [] if text is None else text.decode("utf-8", "replace").splitlines(keepends=True)
        for text in (change.current, change.after)
    )
    lines = difflib.unified_diff(
        old,
        new,
        fromfile=change.path if change.current is not None else os.devnull,
        tofile=change.path if change.after is not None else os.devnull,
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _document(
    arguments: argparse.Namespace, plan: Plan, runtimes: Sequence[Runtime], notes: Sequence[str]
) -> dict[str, Any]:
    return {
        "action": arguments.action,
        "dry_run": arguments.dry_run,
        "runtimes": list(runtimes),
        "changes": [
            {"path": change.path, "runtime": change.runtime, "change": _kind(change)}
            for change in plan.needed
        ],
        "notes": list(notes),
        "activations": dict(plan.activations or {}),
    }


def _kind(change: Change) -> str:
    if change.after is None:
        return "removed"
    return "made" if change.current is None else "changed"


def _show(arguments: argparse.Namespace, views: Sequence[RuntimeView]) -> Exit:
    if arguments.json:
        documents = [
            {"runtime": each.runtime, "files": list(each.files), "registries": each.registries}
            for each in views
        ]
        print(json.dumps({"runtimes": documents}, indent=2))
        return Exit.OK
    for view in views:
        print(f"{view.runtime}: {'asks the node first' if view.registries else 'not set up'}")
        for registry, path in view.registries.items():
            print(f"  {registry}   ({path})")
    return Exit.OK
