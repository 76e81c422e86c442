"""Writes a plan: all of it or nothing, each file in one step."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from eagle_node.mirror.files import HostFiles, told
from eagle_node.mirror.model import Change, MirrorError, Plan, Record, Recorded
from eagle_node.mirror.plan import sha256
from eagle_node.mirror.record import (
    DIRECTORY,
    FILE,
    backup_path,
    missing_directories,
    read_record,
    render_record,
)

_FILE_MODE = 0o644
_BACKUP_MODE = 0o600
"""Some of these files hold credentials of registries."""


def apply(files: HostFiles, plan: Plan, *, url: str) -> None:
    """Make every change of ``plan``; `MirrorError` when one fails, and then none is made.

    What stood there is recorded first, so that uninstall works after a crash at any point.
    """
    if not plan.needed and not plan.forgotten:
        return
    for change in plan.needed:
        if files.read(change.path) != change.current:
            raise MirrorError(f"{change.path} has just been changed by somebody; run this again")
    old, made = read_record(files)
    new = _next_record(old, plan, url)
    directories: Sequence[str] = made
    undo: list[Callable[[], None]] = [lambda: _write_record(files, old, directories)]
    try:
        directories = _directories(files, made, plan.needed)
        _write_record(files, {**old, **new}, directories)
        for change in plan.needed:
            undo.append(partial(_put, files, change.path, change.current))
            _put(files, change.path, change.after)
        _write_record(files, new, directories)
    except OSError as error:
        for step in reversed(undo):
            with contextlib.suppress(OSError):
                step()
        raise MirrorError(f"cannot write {error.filename}: {told(error)}") from error


def _next_record(old: Record, plan: Plan, url: str) -> dict[str, Recorded]:
    """The record once all changes are made; what is as it was before us leaves it."""
    record = {path: each for path, each in old.items() if path not in plan.forgotten}
    for change in plan.needed:
        record.pop(change.path, None)
        if change.after is not None and change.after != change.without:
            record[change.path] = Recorded(
                runtime=change.runtime,
                url=url,
                before=change.without,
                after=sha256(change.after),
            )
    return record


def _directories(files: HostFiles, made: Sequence[str], changes: Iterable[Change]) -> Sequence[str]:
    """Those that we have made, and shall make for ``changes`` and the record; outermost first."""
    paths = [FILE, *(change.path for change in changes if change.after is not None)]
    missing = [each for path in paths for each in missing_directories(files, path)]
    return sorted({*made, *missing}, key=lambda path: (path.count("/"), path))


def _write_record(files: HostFiles, record: Record, directories: Sequence[str]) -> None:
    """The record and its copies of files; nothing is left of it when it is empty.

    Directories of ours that are empty are removed on the way.
    """
    kept = {backup_path(path): each.before for path, each in record.items()}
    for path, before in kept.items():
        if before is not None:
            _put(files, path, before, mode=_BACKUP_MODE)
    for path in files.glob(f"{DIRECTORY}/*.before"):
        if kept.get(path) is None:
            files.place(path).unlink()
    if record:
        _put(files, FILE, render_record(record, directories))
    else:
        files.place(FILE).unlink(missing_ok=True)
    for directory in reversed(directories):
        with contextlib.suppress(OSError):  # it is not empty: somebody uses it
            files.place(directory).rmdir()


def _put(files: HostFiles, path: str, content: bytes | None, *, mode: int = _FILE_MODE) -> None:
    """Replace a file in one step, keeping owner, mode and attributes; None removes it."""
    place = files.place(path)
    if content is None:
        place.unlink(missing_ok=True)
        if place.parent.is_dir():
            _sync_directory(place.parent)
        return
    for directory in missing_directories(files, path):
        files.place(directory).mkdir(mode=0o755, exist_ok=True)
    part = place.with_name(f".{place.name}.eagle-node.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _take_over(place, descriptor, mode)
            os.fsync(descriptor)
        if place.exists():
            _copy_attributes(place, part)
        os.replace(part, place)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _sync_directory(place.parent)


def _take_over(place: Path, descriptor: int, mode: int) -> None:
    """Give a new file the owner and mode of the one that it replaces, or ``mode``."""
    try:
        was = place.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, was.st_uid, was.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(was.st_mode))


def _copy_attributes(place: Path, part: Path) -> None:
    """Extended attributes (SELinux labels); the time of change is ours."""
    shutil.copystat(place, part)
    os.utime(part)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
