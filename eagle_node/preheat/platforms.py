"""Which manifests of an index are wanted (OCI image-spec, image-index.md). No IO."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass
from typing import Any

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.errors import BadDigest, Unavailable, UsageError

ALL = "all"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
"""Go's names (OCI image-spec, image-index.md) for the kernel's; others are the same."""
_PLATFORM = re.compile(r"[a-z0-9_.-]+/[a-z0-9_.-]+(?:/[a-z0-9_.-]+)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """A manifest that an index names."""

    digest: Digest
    platform: str
    """``os/architecture[/variant]``; empty: it has none."""


def parse_platform(text: str) -> str:
    """``all``, ``os/arch`` or ``os/arch/variant``; empty is this host's. `UsageError` otherwise."""
    if not text:
        machine = platform.machine()
        return f"linux/{_ARCHITECTURES.get(machine, machine)}"
    if text != ALL and not _PLATFORM.match(text):
        raise UsageError(f"platform: {text[:80]!r} is not like linux/amd64, linux/arm/v7 or all")
    return text


def index_entries(body: bytes) -> list[IndexEntry] | None:
    """What an index names; None for a manifest of another kind, `Unavailable` for a broken one."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"the registry sent a manifest that is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unavailable("the registry sent a manifest that is no JSON object")
    manifests = document.get("manifests")
    if not isinstance(manifests, list):
        return None
    return [_entry(each) for each in manifests]


def wanted_entries(entries: list[IndexEntry], wanted: str) -> list[IndexEntry]:
    """Those of a platform; one without variant means all variants. `Unavailable` names the others.

    ``all`` means every manifest, attestations included.
    """
    if wanted == ALL:
        return entries
    found = [
        entry
        for entry in entries
        if entry.platform == wanted or entry.platform.startswith(f"{wanted}/")
    ]
    if not found:
        known = sorted({entry.platform for entry in entries} - {"", "unknown/unknown"})
        raise Unavailable(f"the image is not made for {wanted}, but for {', '.join(known)}")
    return found


def check_config(body: bytes, wanted: str, *, image: str) -> None:
    """Raise `Unavailable` if the config of an image without an index is of another platform."""
    try:
        found = _platform(json.loads(body))
    except (ValueError, RecursionError):
        found = ""
    if not found:
        raise Unavailable(f"{image} names no platform: it is no image that runs; leave --platform")
    if found != wanted and not found.startswith(f"{wanted}/"):
        raise Unavailable(f"{image} is made for {found} alone, not for {wanted}")


def _entry(descriptor: Any) -> IndexEntry:
    match descriptor:
        case {"digest": str(text), **others}:
            try:
                return IndexEntry(
                    digest=parse_digest(text), platform=_platform(others.get("platform"))
                )
            except BadDigest as error:
                raise Unavailable(f"the registry sent a broken index: {error}") from error
    raise Unavailable("the registry sent a broken index: a manifest without a digest")


def _platform(value: Any) -> str:
    match value:
        case {"os": str(system), "architecture": str(architecture), **others}:
            variant = others.get("variant")
            named = f"{system}/{architecture}"
            return f"{named}/{variant}" if isinstance(variant, str) and variant else named
    return ""
