"""Which registries are in trouble, and until when they are not to be asked; no IO."""

from __future__ import annotations

import email.utils
import hashlib
import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.runtime.clock import Clock, monotonic

MOST_WAIT_S = 3600.0
"""A longer ``Retry-After`` is cut to this: nobody should be locked out for days by one header."""
SILENT_S = 5.0
"""How long a registry is left alone that did not even accept a connection in time: each further
attempt would make a client wait as long again, when an old word or a quick error serves it."""
_MOST_REGISTRIES = 256
_MOST_LIMITS = 4096
_LIMITING = frozenset({429, 503})


class NoConnection(Unavailable):
    """Nobody answered the attempt to connect, not even with a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTrouble:
    """A registry that cannot be asked, or not now."""

    registry: str
    reason: str
    for_s: float
    """Seconds since it last answered as it should."""
    retry_in_s: float
    """Seconds until it is asked again; 0: it is asked each time."""


@dataclass(slots=True)
class _Trouble:
    since: float
    reason: str
    silent_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Limit:
    until: float
    refusal: EagleError


class RegistryHealth:
    """Notes each answer of a registry, and says whether it may be asked.

    A reader who was told to wait (429 or 503 with ``Retry-After``) is not asked for until then; a
    limit is the reader's own, by a salted hash of what he shows. A registry that does not accept
    connections is left alone by all for a moment.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._limits: OrderedDict[tuple[str, bytes], _Limit] = OrderedDict()
        self._troubles: OrderedDict[str, _Trouble] = OrderedDict()

    def admit(self, registry: str, authorization: str | None) -> None:
        """Return if the registry may be asked for this reader; else raise why not."""
        now = self._clock()
        limit = self._limits.get(self._key(registry, authorization))
        if limit is not None and now < limit.until:
            left = math.ceil(limit.until - now)
            raise _still(limit.refusal, f"it is asked again in {left} s", str(left))
        trouble = self._troubles.get(registry)
        if trouble is not None and now < trouble.silent_until:
            left = math.ceil(trouble.silent_until - now)
            raise Unavailable(f"{trouble.reason}; it is asked again in {left} s")

    def answered(
        self, registry: str, authorization: str | None, status: int, headers: Mapping[str, str]
    ) -> None:
        """It has answered, with this status."""
        if status in _LIMITING:
            wait_s = retry_after_s(headers)
            message = f"registry {registry} answered {status}"
            refusal = (
                Denied(message, status=429, code="TOOMANYREQUESTS")
                if status == 429
                else Unavailable(message)
            )
            self._limit(registry, authorization, wait_s, refusal)
        if status >= 500 or status == 429:
            self._worse(registry, f"registry {registry} answers {status}")
        else:
            self._troubles.pop(registry, None)

    def failed(self, registry: str, authorization: str | None, error: EagleError) -> None:
        """It could not be asked, or its token service has refused."""
        match error:
            case Denied(status=429):
                wait_s = retry_after_s({"Retry-After": error.retry_after or ""})
                self._limit(registry, authorization, wait_s, error)
            case NoConnection():
                self._worse(registry, str(error)).silent_until = self._clock() + SILENT_S
            case Unavailable():
                self._worse(registry, str(error))

    def troubles(self) -> list[RegistryTrouble]:
        """What is wrong now, for people."""
        now = self._clock()
        waits = dict.fromkeys(self._troubles, 0.0)
        for (registry, _), limit in self._limits.items():
            if registry in waits:
                waits[registry] = max(waits[registry], limit.until - now)
        return [
            RegistryTrouble(
                registry=registry,
                reason=trouble.reason,
                for_s=now - trouble.since,
                retry_in_s=max(0.0, waits[registry], trouble.silent_until - now),
            )
            for registry, trouble in self._troubles.items()
        ]

    def check(self) -> None:
        """Assert the bounds."""
        assert len(self._limits) <= _MOST_LIMITS
        assert len(self._troubles) <= _MOST_REGISTRIES

    def _worse(self, registry: str, reason: str) -> _Trouble:
        trouble = self._troubles.setdefault(registry, _Trouble(self._clock(), reason))
        trouble.reason = reason
        while len(self._troubles) > _MOST_REGISTRIES:
            self._troubles.popitem(last=False)
        return trouble

    def _limit(
        self, registry: str, authorization: str | None, wait_s: float, refusal: EagleError
    ) -> None:
        if wait_s <= 0:
            return
        key = self._key(registry, authorization)
        self._limits[key] = _Limit(self._clock() + wait_s, refusal)
        self._limits.move_to_end(key)
        while len(self._limits) > _MOST_LIMITS:
            self._limits.popitem(last=False)

    def _key(self, registry: str, authorization: str | None) -> tuple[str, bytes]:
        shown = (authorization or "").encode("utf-8", "surrogateescape")
        return registry, hashlib.blake2b(shown, key=self._salt).digest()


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds to wait (RFC 9110 section 10.2.3); a date counts from the answer's own ``Date``."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return min(float(value[:9]), MOST_WAIT_S)
    try:
        until = email.utils.parsedate_to_datetime(value)
        since = email.utils.parsedate_to_datetime(headers.get("Date", ""))
        wait_s = (until - since).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait_s, 0.0), MOST_WAIT_S)


def _still(refusal: EagleError, addition: str, retry_after: str) -> EagleError:
    message = f"{refusal}; {addition}"
    if isinstance(refusal, Denied):
        return Denied(message, status=refusal.status, code=refusal.code, retry_after=retry_after)
    return Unavailable(message)
