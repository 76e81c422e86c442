"""Where a redirect may lead, and where credentials may follow it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from yarl import URL

from eagle_node.base.errors import Unavailable
from eagle_node.registry.headers import shown

MAX_REDIRECTS = 5

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""Statuses that lead elsewhere when a ``Location`` comes with them (RFC 9110 section 15.4)."""


def same_origin(one: URL, other: URL) -> bool:
    """Whether credentials for ``one`` may be shown to ``other``: equal scheme, host and port."""
    return _origin(one) == _origin(other)


def next_url(seen: Sequence[URL], location: str) -> URL:
    """The URL that ``location`` leads to from the last of ``seen``; `Unavailable` if it may not.

    Query strings are kept byte by byte: storage services sign them.
    """
    current = seen[-1]
    try:
        if not location.isascii() or not location.isprintable() or " " in location:
            raise ValueError
        target = current.join(URL(location, encoded=True)).with_fragment(None)
        target = target.with_user(None) if target.raw_user is not None else target
        refuse_leap(current, target)
    except ValueError:
        raise Unavailable(f"{current.authority} redirects to no usable URL") from None
    trail = " -> ".join(shown(url) for url in [*seen, target])
    if target in seen:
        raise Unavailable(f"redirect loop: {trail}")
    if len(seen) > MAX_REDIRECTS:
        raise Unavailable(f"more than {MAX_REDIRECTS} redirects: {trail}")
    return target


def refuse_leap(source: URL, target: URL) -> None:
    """Raise `Unavailable` when ``source`` may not send this node on to ``target``.

    Neither from TLS to plain text, nor to an address that means something to this machine only
    (loopback, link-local: the cloud's metadata service) unless the source is there as well.
    """
    if target.scheme not in ("http", "https") or not target.host:
        raise Unavailable(f"{source.authority} leads to a URL that is not HTTP; refused")
    if (source.scheme, target.scheme) == ("https", "http"):
        raise Unavailable(
            f"{source.authority} leads from https to plain http at {target.authority}; refused"
        )
    if _is_local(target.host.lower()) and not _is_local(source.host or ""):
        raise Unavailable(f"{source.authority} leads to the local address {target.host}; refused")


def _origin(url: URL) -> tuple[str, str, int | None]:
    return url.scheme, (url.host or "").lower(), url.port


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or address.is_unspecified
