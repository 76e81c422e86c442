"""URLs of object stores: ``s3://bucket/prefix?endpoint=http://127.0.0.1:9000&allow_http=true``.

No IO. Credentials are never part of a URL, which ends up in logs and process lists: drivers take
them from the environment, as the stores' own tools do.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from eagle_node.base.errors import UsageError

OptionType = Literal["text", "flag"]

_COMMON: dict[str, OptionType] = {
    "endpoint": "text",
    "allow_http": "flag",
    "skip_signature": "flag",
}
_OPTIONS: dict[str, dict[str, OptionType]] = {
    "s3": {**_COMMON, "region": "text", "virtual_hosted_style_request": "flag"},
    "gs": _COMMON,
    "az": _COMMON,
}
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketUrl:
    """A place in an object store."""

    host: str
    """The bucket; for Azure, the account."""
    path: str
    """What follows, without slashes around it; empty: nothing."""
    endpoint: str | None = None
    """Where the store is reached, instead of at its public address."""
    allow_http: bool = False
    """Whether ``endpoint`` may be plain HTTP."""
    skip_signature: bool = False
    """Send no credentials: the bucket is public."""
    settings: Mapping[str, str | bool]
    """Options that only this kind of store has."""


def parse_bucket_url(url: str) -> BucketUrl:
    """The place that ``url`` names; `UsageError` says what is wrong with it otherwise."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise UsageError(
            f"--storage {parts.scheme}://…@…: credentials come from the environment, not the URL"
        )
    if not parts.netloc:
        raise UsageError(f"--storage {url!r} names no bucket; write {parts.scheme}://BUCKET/PREFIX")
    options = _options(parts.scheme, parts.query)
    place = BucketUrl(
        host=parts.netloc,
        path=unquote(parts.path).strip("/"),
        endpoint=_text(options.pop("endpoint", None)),
        allow_http=options.pop("allow_http", False) is True,
        skip_signature=options.pop("skip_signature", False) is True,
        settings=options,
    )
    if place.endpoint is not None:
        _check_endpoint(place.endpoint, allow_http=place.allow_http)
    return place


def parse_file_url(url: str) -> PurePosixPath:
    """The directory of a ``file:///…`` URL; `UsageError` for any other form."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or parts.query or not path.strip("/"):
        raise UsageError(f"--storage {url!r} names no directory; write file:///var/lib/blobs")
    return PurePosixPath(path)


def _options(scheme: str, query: str) -> dict[str, str | bool]:
    known = _OPTIONS[scheme]
    options: dict[str, str | bool] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            raise UsageError(f"--storage {scheme}://…: unknown option {name!r}; {hint}")
        options[name] = _flag(name, value) if known[name] == "flag" else value
    return options


def _flag(name: str, value: str) -> bool:
    if value.lower() not in _FLAGS:
        raise UsageError(f"--storage …: {name}={value!r} is neither true nor false")
    return _FLAGS[value.lower()]


def _check_endpoint(endpoint: str, *, allow_http: bool) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--storage …: endpoint {endpoint!r} is not an http:// or https:// URL")
    if parts.scheme == "http" and not allow_http:
        raise UsageError(
            f"--storage …: endpoint {endpoint!r} is not encrypted; add allow_http=true"
        )


def _text(value: str | bool | None) -> str | None:
    return value if isinstance(value, str) else None
