"""``WWW-Authenticate``: what a registry wants to see before it answers (RFC 9110 section 11)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_SEPARATOR = re.compile(r"[ \t,]*")
_PARAM = re.compile(
    rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e\x80-\xff])*)"'
    r"|([^\s,\"\x00-\x1f\x7f]+))(?=[ \t]*(?:,|\Z))"
)
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t,]|\Z)")
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|\Z))")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'(["\\])')
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerChallenge:
    """A token of the service at ``realm`` (a URL) is wanted, good for ``scope``."""

    realm: str
    service: str = ""
    scope: str = ""
    """Space-separated ``type:name:actions``, as the token service takes them."""

    def __post_init__(self) -> None:
        _check(self.realm, self.service, self.scope)

    def render(self) -> str:
        """The header value."""
        fields = {"realm": self.realm, "service": self.service, "scope": self.scope}
        return "Bearer " + ",".join(f"{k}={_quoted(v)}" for k, v in fields.items() if v)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicChallenge:
    """User name and password are wanted (RFC 7617)."""

    realm: str = ""

    def __post_init__(self) -> None:
        _check(self.realm)

    def render(self) -> str:
        """The header value."""
        return f"Basic realm={_quoted(self.realm)}"


Challenge = BearerChallenge | BasicChallenge


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header value, in order (several header lines: joined with commas).

    Unknown schemes are skipped, and so is a Bearer challenge without a realm, which leads nowhere.
    What follows a syntax error is ignored, whatever the text.
    """
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while position < len(header):
        position = _skip(_SEPARATOR, header, position)
        if (match := _PARAM.match(header, position)) and found:
            key, quoted, plain = match.groups()
            value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
            found[-1][1].setdefault(key.lower(), value)
        elif match := _SCHEME.match(header, position):
            found.append((match[1].lower(), {}))
        else:
            break
        position = match.end()
        if not found[-1][1] and not _PARAM.match(header, _skip(_SEPARATOR, header, position)):
            position = _skip(_TOKEN68, header, position)
    return tuple(c for scheme, fields in found if (c := _challenge(scheme, fields)) is not None)


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _challenge(scheme: str, fields: dict[str, str]) -> Challenge | None:
    if scheme == "basic":
        return BasicChallenge(realm=fields.get("realm", ""))
    if scheme == "bearer" and fields.get("realm"):
        return BearerChallenge(
            realm=fields["realm"],
            service=fields.get("service", ""),
            scope=fields.get("scope", ""),
        )
    return None


def _quoted(value: str) -> str:
    return '"' + _TO_ESCAPE.sub(r"\\\1", value) + '"'


def _check(*values: str) -> None:
    if any(_UNPRINTABLE.search(value) for value in values):
        raise ValueError("a challenge holds control characters")
