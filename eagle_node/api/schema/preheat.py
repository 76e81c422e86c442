"""Bringing an image to nodes before anybody pulls it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PreheatRequest:
    """The body of ``POST /v1/preheat``."""

    image: str
    """As ``docker pull`` takes it."""
    nodes: str = "all"
    """``all``, ``seeders``, ``zone=NAME`` or ``N%`` of all."""
    platform: str = ""
    """``os/arch[/variant]``, or ``all``; default: that of the answering node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreheatTarget:
    """One node's part in a job."""

    node: str
    """Node id."""
    address: str
    state: str
    """``pending``, ``running``, ``succeeded`` (it has verified every blob) or ``failed``."""
    blobs: int
    """Blobs that it has verified."""
    have_bytes: int
    """Bytes of the image that it holds."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreheatJob:
    """``/v1/preheat/{id}``."""

    id: int
    image: str
    nodes: str
    platform: str
    state: str
    """``pending``, ``running``, ``succeeded`` (every target has), ``failed`` or ``cancelled``."""
    created_at: str
    """RFC 3339, UTC."""
    updated_at: str
    digest: str
    """Of the image's manifest or index; empty: not resolved yet."""
    blobs: int
    """How many each node needs."""
    size_bytes: int
    """Their sizes together."""
    targets: tuple[PreheatTarget, ...]
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreheatJobs:
    """``/v1/preheat``, newest first."""

    jobs: tuple[PreheatJob, ...]
