"""``eagle-node keys``: the cluster key file, and changing the key without an outage."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from eagle_node.base.errors import UsageError
from eagle_node.cli.exits import Exit
from eagle_node.trust.key import (
    ClusterKey,
    create_key_file,
    load_key_file,
    new_key,
    replace_key_file,
)


def keys(arguments: argparse.Namespace) -> Exit:
    """Do what ``arguments.action`` names; `UsageError` says what stands in its way."""
    path = Path(arguments.file)
    match arguments.action:
        case "generate":
            key = create_key_file(path)
            told = f"{path}: new key {key.key_id()}; copy the file to every node"
        case "list":
            ring = load_key_file(path).ring()
            told = "\n".join(f"{each.key_id()}  {_state(n)}" for n, each in enumerate(ring))
        case "add":
            told = _add(path, Path(arguments.source) if arguments.source else None)
        case "use":
            told = _use(path, arguments.key)
        case _:
            told = _remove(path, arguments.key)
    print(json.dumps(_document(path), indent=2) if arguments.json else told)
    return Exit.OK


def _document(path: Path) -> dict[str, Any]:
    ring = load_key_file(path).ring()
    keys = [{"id": each.key_id(), "state": _state(n)} for n, each in enumerate(ring)]
    return {"file": str(path), "keys": keys}


def _state(number: int) -> str:
    """Of a key by its place in the file."""
    return "accepted" if number else "in use"


def _add(path: Path, source: Path | None) -> str:
    ring = list(load_key_file(path).ring())
    known = {each.primary for each in ring}
    offered = load_key_file(source).ring() if source else [new_key()]
    added = [each for each in offered if each.primary not in known]
    if not added:
        raise UsageError(f"{path} has all keys of {source} already")
    _write(path, [*ring, *added])
    names = " ".join(each.key_id() for each in added)
    return f"{path}: accepts {names} too; do the same on every node before one uses it"


def _use(path: Path, key_id: str) -> str:
    ring = list(load_key_file(path).ring())
    chosen = _find(path, ring, key_id)
    _write(path, [chosen, *(each for each in ring if each != chosen)])
    return f"{path}: {chosen.key_id()} is in use, the others are still accepted"


def _remove(path: Path, key_id: str) -> str:
    ring = list(load_key_file(path).ring())
    chosen = _find(path, ring, key_id)
    if chosen == ring[0]:
        raise UsageError(
            f"key {chosen.key_id()} of {path} is in use; have another one used first: "
            f"eagle-node keys use {path} KEY"
        )
    _write(path, [each for each in ring if each != chosen])
    return f"{path}: {chosen.key_id()} is not accepted any more"


def _find(path: Path, ring: list[ClusterKey], key_id: str) -> ClusterKey:
    """The one key whose id begins like this."""
    found = [each for each in ring if each.key_id().startswith(key_id.lower())]
    if len(found) != 1 or not key_id:
        what = "more than one key" if found else "no key"
        raise UsageError(
            f"{path} has {what} {key_id!r}; see them with: eagle-node keys list {path}"
        )
    return found[0]


def _write(path: Path, ring: list[ClusterKey]) -> None:
    primary, *others = (each.primary for each in ring)
    replace_key_file(path, ClusterKey(primary=primary, others=tuple(others)))
