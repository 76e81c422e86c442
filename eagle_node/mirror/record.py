"""What stood in each file before: ``record.json``, and a copy of each file beside it.

It is kept in ``/etc`` beside the node's own configuration and belongs to root: what is put back
into a runtime's configuration must not be for the node's own user to choose.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eagle_node.mirror.files import HostFiles
from eagle_node.mirror.model import MirrorError, Record, Recorded, Runtime

DIRECTORY = "/etc/eagle-node/mirror"
FILE = f"{DIRECTORY}/record.json"
_VERSION = 1


def backup_path(path: str) -> str:
    """Where the earlier content of ``path`` is kept."""
    return f"{DIRECTORY}/{quote(path.strip('/'), safe='')}.before"


def read_record(files: HostFiles) -> tuple[Record, Sequence[str]]:
    """The record, and all directories that we have made; empty when there is none."""
    content = files.read(FILE)
    if content is None:
        return {}, ()
    try:
        document = json.loads(content)
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']}")
        return {
            path: _recorded(files, path, entry) for path, entry in document["files"].items()
        }, tuple(document["directories"])
    except (ValueError, KeyError, TypeError) as error:
        raise MirrorError(
            f"{files.root_joined(FILE)} is not a record of this version ({error!r}); the files "
            f"beside it hold what stood in the configuration before"
        ) from error


def render_record(record: Record, directories: Sequence[str]) -> bytes:
    """``record.json``."""
    entries = {
        path: {
            "runtime": each.runtime,
            "url": each.url,
            "existed": each.before is not None,
            "after": each.after,
        }
        for path, each in sorted(record.items())
    }
    document = {"version": _VERSION, "directories": list(directories), "files": entries}
    return (json.dumps(document, indent=2) + "\n").encode()


def missing_directories(files: HostFiles, path: str) -> list[str]:
    """Directories that a file at ``path`` needs and that are not there, outermost first."""
    parents = [str(parent) for parent in Path(path).parents]
    return [each for each in reversed(parents) if not files.place(each).is_dir()]


def _recorded(files: HostFiles, path: str, entry: dict[str, Any]) -> Recorded:
    before = files.read(backup_path(path)) if entry["existed"] else None
    if entry["existed"] and before is None:
        raise ValueError(f"{backup_path(path)} is gone")
    return Recorded(
        runtime=Runtime(entry["runtime"]),
        url=str(entry["url"]),
        before=before,
        after=str(entry["after"]),
    )
