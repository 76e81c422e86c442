"""The data directory: rights, file system, room."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from eagle_node.base.findings import Finding, error, ok, warning
from eagle_node.base.sizes import format_size
from eagle_node.config.tree import Config

_MEMORY = ("tmpfs", "ramfs")
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs")
_LEAST = 1 << 30
"""Bytes of room below which hardly any image fits."""
_LEAST_INODES = 10_000


def check_data_dir(config: Config) -> list[Finding]:
    """Whether the node can keep its data there, safely and with room for the cache."""
    directory = config.node.data_dir
    present = _nearest(directory)
    findings = [*_rights(directory, present)]
    try:
        room = os.statvfs(present)
    except OSError as failure:
        text = f"cannot look at {present}: {failure.strerror}"
        return [*findings, error("disk", text, "look at the mount, or choose another --data-dir")]
    return [*findings, *_file_system(directory, present), *_room(config, room)]


def file_system_of(path: Path) -> str:
    """The type of the file system that a path is on, as mount(8) names it; empty: not known."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    real = path.resolve()
    found, depth = "", -1
    for line in lines:
        # Field 5 is the mount point; the type follows the lone hyphen (proc_pid_mountinfo(5)).
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if real.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = after.split()[0], len(point.parts)
    return found


def _nearest(directory: Path) -> Path:
    """The directory itself, or the nearest of its parents that is there."""
    return next((each for each in (directory, *directory.parents) if each.exists()), Path("/"))


def _rights(directory: Path, present: Path) -> list[Finding]:
    flag = "choose another with --data-dir"
    try:
        was = present.stat()
    except OSError as failure:
        return [error("data", f"cannot look at {present}: {failure.strerror}", flag)]
    if not stat.S_ISDIR(was.st_mode):
        return [error("data", f"{present} is not a directory", flag)]
    if not os.access(present, os.W_OK | os.X_OK):
        who = f"user {os.geteuid()}"
        text = f"{who} may not write in {present}"
        return [error("data", text, f"run this as the node's user, chown {present}, or {flag}")]
    if present != directory:
        return [ok("data", f"{directory} is not there yet; it can be made")]
    if was.st_mode & stat.S_IWOTH:
        text = f"every user may write in {directory}"
        return [error("data", text, f"chmod 700 {directory}")]
    if was.st_uid != os.geteuid() and os.geteuid() != 0:
        text = f"{directory} belongs to user {was.st_uid}"
        return [warning("data", text, f"run the node as that user, or {flag}")]
    return [ok("data", f"{directory} can be written")]


def _file_system(directory: Path, present: Path) -> list[Finding]:
    kind = file_system_of(present)
    remedy = "mount a local disk there, or choose another --data-dir"
    if kind in _MEMORY:
        text = f"{directory} is on {kind}: the cache takes memory, and is gone after a restart"
        return [warning("disk", text, remedy)]
    if kind in _REMOTE:
        text = f"{directory} is on {kind}: slow, and its locks are not to be relied on"
        return [warning("disk", text, remedy)]
    if kind == "overlay":
        text = f"{directory} is on overlay, a container's own layer: it is gone with the container"
        return [warning("disk", text, "mount a volume there")]
    return []


def _room(config: Config, room: os.statvfs_result) -> list[Finding]:
    free = max(0, room.f_bavail * room.f_frsize - config.cache.reserve)
    used = _used(config.node.data_dir / "cache")
    limit = config.cache.size
    shown = f"{format_size(free)} free for the cache, after --cache-reserve"
    findings: list[Finding] = []
    if free + used < _LEAST:
        remedy = "make room, lower --cache-reserve, or choose another --data-dir"
        findings.append(error("disk", f"only {shown}", remedy))
    elif limit and free + used < limit:
        remedy = "make room, or lower --cache-size: the cache will be smaller than that"
        text = f"{shown}, with {format_size(used)} in it; --cache-size is {format_size(limit)}"
        findings.append(warning("disk", text, remedy))
    else:
        findings.append(ok("disk", f"{shown}, with {format_size(used)} in it"))
    if room.f_files > 0 and room.f_favail < _LEAST_INODES:
        text = f"only {room.f_favail} files more fit on this file system (inodes)"
        findings.append(error("disk", text, "make room, or choose another --data-dir"))
    return findings


def _used(cache: Path) -> int:
    """Bytes on disk below a directory."""
    total = 0
    for directory, _, names in os.walk(cache):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except OSError:  # evicted meanwhile
                continue
    return total
