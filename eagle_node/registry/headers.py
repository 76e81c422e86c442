"""Headers on their way through this node (RFC 9110 section 7.6.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping
from yarl import URL

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_FORWARDED = frozenset({"host", "expect"})
_LINK_TARGET = re.compile(r"<([^>]*)>")

Headers = MultiMapping[str] | CIMultiDictProxy[str] | Mapping[str, str]


def end_to_end(headers: Headers) -> CIMultiDict[str]:
    """``headers`` without those that concern one connection only."""
    named = {
        name.strip().lower()
        for key, value in headers.items()
        if key.lower() == "connection"
        for name in value.split(",")
    }
    dropped = _HOP_BY_HOP | named
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in dropped)


def to_forward(headers: Headers) -> CIMultiDict[str]:
    """The headers of a client's request that go on to another server."""
    kept = end_to_end(headers)
    for name in _NOT_FORWARDED:
        kept.popall(name, None)
    return kept


def through_mirror(headers: Headers, *, base: URL, registry: str) -> CIMultiDict[str]:
    """An answer's end-to-end headers, such that a mirror's client can follow their links.

    A target in ``Location`` and ``Link`` that stays at the registry (relative, or at the origin of
    ``base``) becomes ``/v2/…?ns=<registry>``: the client resolves it against this node, which
    finds the registry by it again. A target elsewhere (blob storage) stays as it is.
    """
    kept = end_to_end(headers)
    if "Location" in kept:
        kept["Location"] = _local(kept["Location"], base, registry)
    if "Link" in kept:
        links = ", ".join(kept.popall("Link"))
        kept["Link"] = _LINK_TARGET.sub(lambda m: f"<{_local(m[1], base, registry)}>", links)
    return kept


def moved(headers: Headers, *, base: URL, to: URL) -> CIMultiDict[str]:
    """An answer's headers, such that links into ``base`` lead into ``to``.

    For clients who know a registry by another origin than it is reached at. Links elsewhere, and
    relative ones, stay as they are.
    """
    kept = CIMultiDict(headers)
    there, here = _prefix(base), _prefix(to)
    if kept.get("Location", "").startswith(f"{there}/"):
        kept["Location"] = here + kept["Location"].removeprefix(there)
    if "Link" in kept:
        links = ", ".join(kept.popall("Link"))
        kept["Link"] = links.replace(f"<{there}/", f"<{here}/")
    return kept


def without_ns(query: str) -> str:
    """A raw query string without ``ns``, which tells a mirror the registry and is none of its."""
    return "&".join(p for p in query.split("&") if p.partition("=")[0] != "ns")


def shown(url: URL) -> str:
    """``url`` for people: without query and user, where storage services put signatures."""
    return f"{url.scheme}://{url.host_port_subcomponent or ''}{url.raw_path}"


def parse_length(value: Any) -> int | None:
    """The bytes that a ``Content-Length`` value promises; None if it is missing or malformed."""
    text = str(value or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 else None


def _prefix(base: URL) -> str:
    return str(base.origin()) + base.raw_path.rstrip("/")


def _local(target: str, base: URL, registry: str) -> str:
    prefix = base.raw_path.rstrip("/")
    path = target
    for origin in (str(base.origin()), str(base.with_scheme("http").origin())):
        path = path.removeprefix(origin)
    if not path.startswith(f"{prefix}/v2/"):
        return target
    path, _, query = path.removeprefix(prefix).partition("?")
    queries = [q for q in (without_ns(query), f"ns={registry}") if q]
    return f"{path}?{'&'.join(queries)}"
