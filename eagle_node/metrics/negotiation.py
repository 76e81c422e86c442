"""Which exposition a scraper gets: OpenMetrics or Prometheus text, compressed or not. No IO."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OPENMETRICS_VERSION = "1.0.0"


class Format(enum.Enum):
    """What can be answered; the value is the Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = f"application/openmetrics-text; version={OPENMETRICS_VERSION}; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Offer:
    """One element of an Accept or Accept-Encoding header (RFC 9110 section 12.5)."""

    name: str
    quality: float
    parameters: dict[str, str] = field(default_factory=dict)


def choose_format(accept: str) -> Format:
    """The format that ``accept`` prefers; text when it names neither, or likes both as much.

    OpenMetrics of another version than ours is as good as none.
    """
    quality = {Format.TEXT: 0.0, Format.OPENMETRICS: 0.0}
    for offer in _offers(accept):
        version = offer.parameters.get("version", OPENMETRICS_VERSION)
        if offer.name == "application/openmetrics-text" and version == OPENMETRICS_VERSION:
            quality[Format.OPENMETRICS] = max(quality[Format.OPENMETRICS], offer.quality)
        elif offer.name in ("text/plain", "text/*", "*/*"):
            quality[Format.TEXT] = max(quality[Format.TEXT], offer.quality)
    return max(Format, key=lambda each: (quality[each], each is Format.TEXT))


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the answer may be compressed with gzip; an explicit word beats the wildcard."""
    quality = {offer.name: offer.quality for offer in _offers(accept_encoding)}
    return quality.get("gzip", quality.get("*", 0.0)) > 0


def _offers(header: str) -> Iterator[_Offer]:
    for element in header.lower().split(","):
        name, *rest = (part.strip() for part in element.split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip(): value.strip().strip('"') for key, _, value in pairs}
        yield _Offer(name, _quality(parameters.pop("q", "1")), parameters)


def _quality(text: str) -> float:
    """A weight (RFC 9110 section 12.4.2); 0 when it is none."""
    return float(text) if re.fullmatch(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", text) else 0.0
