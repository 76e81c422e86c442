"""What is asked for, what is planned, and what is recorded of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.base.errors import EagleError

DEFAULT_PROXY = "http://127.0.0.1:43002"
"""Where a node listens for runtimes unless told otherwise."""


class MirrorError(EagleError):
    """A file stands in the way; nothing was written. The text names it and the way out."""


class Runtime(enum.StrEnum):
    """A container runtime, by the files that configure it."""

    CONTAINERD = "containerd"
    DOCKER = "docker"
    PODMAN = "podman"
    """Also skopeo and buildah: they read the same files."""
    CRIO = "crio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """What runtimes shall ask first, and for which registries."""

    url: str = DEFAULT_PROXY
    """``http://host:port`` of the node's proxy."""
    registries: tuple[str, ...] = ()
    """Names as in image references; empty: all of containerd's, the well-known ones of others."""

    @property
    def address(self) -> str:
        """``host:port``."""
        return self.url.partition("://")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file's old and new content; None: the file is not there."""

    path: str
    """In the configured system: absolute, whatever the root."""
    runtime: Runtime
    current: bytes | None
    """What stands there at this moment."""
    without: bytes | None
    """What would stand there without us: what uninstall leaves."""
    after: bytes | None

    @property
    def is_needed(self) -> bool:
        """Whether anything is to be written."""
        return self.current != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Changes in the order to write them, and what people should know."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    """For people, one sentence each."""
    activations: Mapping[Runtime, str] | None = None
    """Commands that make a runtime read what is new, for those that do not by themselves."""

    forgotten: tuple[str, ...] = ()
    """Files that need no record any more, whether or not they change."""

    @property
    def needed(self) -> tuple[Change, ...]:
        """The changes that change something."""
        return tuple(change for change in self.changes if change.is_needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What we remember of one file that we changed."""

    runtime: Runtime
    url: str
    """The mirror that was put in."""
    before: bytes | None
    """Its content without us; None: there was no file."""
    after: str
    """sha256 of what we wrote, in hex."""


Record = Mapping[str, Recorded]
"""By path."""
