"""The files of a system, for planning: only read."""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from eagle_node.mirror.model import MirrorError

_LONGEST = 4 << 20
"""Bytes; containerd's own default configuration has 8 KiB."""
_MOST_LINKS = 40
"""Symbolic links on the way to one file (Linux' MAXSYMLINKS)."""


class Files(Protocol):
    """Files by absolute path."""

    def read(self, path: str) -> bytes | None:
        """A file's content, None when there is none; `MirrorError` when it cannot be read."""
        ...

    def glob(self, pattern: str) -> Sequence[str]:
        """Paths of files that match, sorted; ``*`` does not cross a slash."""
        ...

    def directories(self, path: str) -> Sequence[str]:
        """Names of the directories in a directory, sorted; none when it is not there."""
        ...


class MemoryFiles:
    """Files in a mapping."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents

    def read(self, path: str) -> bytes | None:
        """The value of ``path``."""
        return self._contents.get(path)

    def glob(self, pattern: str) -> Sequence[str]:
        """Keys that match."""
        parts = pattern.split("/")
        return sorted(path for path in self._contents if _matches(path.split("/"), parts))

    def directories(self, path: str) -> Sequence[str]:
        """Whatever keys have next after ``path`` and before another slash."""
        below = [key[len(path) + 1 :] for key in self._contents if key.startswith(f"{path}/")]
        return sorted({rest.partition("/")[0] for rest in below if "/" in rest})


class HostFiles:
    """Files below a directory that stands for ``/``."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        """The content of the file, through symbolic links."""
        try:
            with self.place(path).open("rb") as file:
                content = file.read(_LONGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise MirrorError(f"cannot read {self.root_joined(path)}: {told(error)}") from error
        if len(content) > _LONGEST:
            raise MirrorError(f"{self.root_joined(path)} is too long to be a configuration file")
        return content

    def glob(self, pattern: str) -> Sequence[str]:
        """Files that match, as paths of the configured system."""
        try:
            found = [each for each in self.root.glob(pattern.lstrip("/")) if each.is_file()]
        except OSError as error:
            raise MirrorError(f"cannot list {pattern}: {told(error)}") from error
        return sorted("/" + each.relative_to(self.root).as_posix() for each in found)

    def directories(self, path: str) -> Sequence[str]:
        """Names, those of links to directories among them."""
        try:
            return sorted(each.name for each in self.place(path).iterdir() if each.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise MirrorError(f"cannot list {self.root_joined(path)}: {told(error)}") from error

    def root_joined(self, path: str) -> Path:
        """Where ``path`` is on this machine, before symbolic links are followed."""
        return self.root / path.lstrip("/")

    def place(self, path: str) -> Path:
        """Where the file really is: links are followed as the configured system would."""
        links = 0
        todo, done = path.strip("/").split("/"), "/"
        while todo:
            part = todo.pop(0)
            here = posixpath.normpath(posixpath.join(done, part))
            real = self.root_joined(here)
            if not real.is_symlink():
                done = here
                continue
            links += 1
            if links > _MOST_LINKS:
                raise MirrorError(f"{self.root_joined(path)}: {os.strerror(errno.ELOOP)}")
            target = os.readlink(real)
            done = "/" if target.startswith("/") else done
            todo = [each for each in target.split("/") if each] + todo
        return self.root_joined(done)


def told(error: OSError) -> str:
    """Why the system refused, and what to do about it."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
        return f"{reason}; run this command as root (sudo)"
    if error.errno == errno.EROFS:
        return (
            f"{reason}; make it writable, or configure the system's image instead and name its "
            "directory with --root"
        )
    return reason


def _matches(path: list[str], pattern: list[str]) -> bool:
    return len(path) == len(pattern) and all(map(fnmatch.fnmatchcase, path, pattern))
