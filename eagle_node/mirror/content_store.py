"""Where containerd's content store is, and what lies in it now. Blocks; for threads."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.errors import BadDigest, Unavailable
from eagle_node.blobs.lent import FileIdentity

CONFIG = Path("/etc/containerd/config.toml")
ROOT = Path("/var/lib/containerd")
"""containerd's root where its configuration names none (containerd-config.toml(5))."""
STORE = "io.containerd.content.v1.content"
"""The content store's directory below the root; blobs are in ``blobs/sha256/HEX`` in there."""
_BLOBS = Path("blobs", "sha256")


class Unreadable(Unavailable):
    """The store is not there, or cannot be read."""

    def __init__(self, reason: str, way_out: str, *, missing: bool = False) -> None:
        super().__init__(f"{reason}: {way_out}")
        self.reason = reason
        self.way_out = way_out
        self.missing = missing
        """There is no containerd, or none that has ever pulled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What lay in a store at one moment."""

    directory: Path
    stamp: tuple[int, int, int]
    """Device, inode and time of change of the directory."""
    settled: bool = False
    """Taken well after that change: nothing can have come since without another stamp."""
    files: Mapping[Digest, FileIdentity] = field(default_factory=dict)


def configured_root(config: Path = CONFIG) -> Path:
    """The root of this host's containerd, as its configuration says; `ROOT` when it does not."""
    try:
        root = tomllib.loads(config.read_text()).get("root")
    except (OSError, ValueError):
        return ROOT
    return Path(root) if isinstance(root, str) and root.startswith("/") else ROOT


def blobs_directory(path: Path) -> Path:
    """The directory of blobs below ``path``, containerd's root or its content store.

    `Unreadable` when neither is there, or when this user may not look.
    """
    for store in (path / STORE, path):
        if _kind(store / _BLOBS) == stat.S_IFDIR:
            return store / _BLOBS
    kind = _kind(path)
    if kind == stat.S_IFDIR:
        raise Unreadable(
            f"{path} holds no content store of containerd ({STORE}/{_BLOBS})",
            f"it comes with the first pull; if not, give containerd's root (`root` in {CONFIG}) "
            "with --containerd-content",
            missing=True,
        )
    raise Unreadable(
        f"{path} is no directory" if kind else f"{path} is not there",
        f"start containerd, or give its root (`root` in {CONFIG}) with --containerd-content",
        missing=not kind,
    )


def look(path: Path, before: Look | None, *, thorough: bool) -> Look:
    """What lies in the store at ``path``; ``before`` again while its directory is unchanged.

    Files that are known by name and inode are only looked at again when ``thorough``. Raises
    `Unreadable`.
    """
    directory = blobs_directory(path)
    try:
        status = directory.stat()
        stamp = (status.st_dev, status.st_ino, status.st_mtime_ns)
        same = before is not None and (before.directory, before.stamp) == (directory, stamp)
        if before is not None and same and before.settled and not thorough:
            return before
        known = {} if thorough or before is None else before.files
        return Look(directory=directory, stamp=stamp, settled=same, files=_files(directory, known))
    except PermissionError as error:
        raise _forbidden(directory) from error
    except OSError as error:
        raise Unreadable(
            f"cannot read {directory} ({error.strerror})", "look at its disk and its mount"
        ) from error


def _kind(path: Path) -> int:
    """The type of what is there (stat(2)); 0: nothing."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except PermissionError as error:
        raise _forbidden(path) from error
    except OSError:
        return 0


def _files(directory: Path, known: Mapping[Digest, FileIdentity]) -> Mapping[Digest, FileIdentity]:
    found: dict[Digest, FileIdentity] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                digest = parse_digest(f"sha256:{entry.name}")
                identity = known.get(digest)
                if identity is None or identity.inode != entry.inode():
                    status = entry.stat(follow_symlinks=False)
                    if not stat.S_ISREG(status.st_mode):
                        continue
                    identity = FileIdentity.of(status)
            except (BadDigest, FileNotFoundError):
                continue
            found[digest] = identity
    return found


def _forbidden(path: Path) -> Unreadable:
    return Unreadable(
        f"user {os.geteuid()} may not read {path}",
        "run the node as root, or give it the capability CAP_DAC_READ_SEARCH (systemd: "
        "AmbientCapabilities=), or leave out --containerd-content",
    )
