"""Which registries are in trouble, and until when they are not to be asked; no IO."""

from __future__ import annotations

import email.utils
import hashlib
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.errors import Denied, EagleError, Silent, Unavailable
from eagle_node.registry.circuit import FIRST_PATIENCE_S, Circuit, Turn
from eagle_node.runtime.clock import Clock, monotonic

MOST_WAIT_S = 3600.0
"""A longer ``Retry-After`` is cut to this: nobody should be locked out for days by one header."""
FORGET_S = 600.0
"""How long after it was last asked in vain a registry's trouble is told: one that nobody asks any
more, such as a mistyped name, is nobody's concern."""
DOUBT_S = 30.0
"""How long another node's word counts that a registry is silent, unless it answers this one."""
_MOST_REGISTRIES = 256
_MOST_LIMITS = 4096
_LIMITING = frozenset({429, 503})


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
    last: float
    """When it was last asked in vain."""
    circuit: Circuit = field(default_factory=Circuit)


@dataclass(frozen=True, slots=True)
class _Limit:
    until: float
    refusal: EagleError


class RegistryHealth:
    """Notes each answer of a registry, and says whether it may be asked.

    A reader who was told to wait (429 or 503 with ``Retry-After``) is not asked for until then; a
    limit is the reader's own, by a salted hash of what he shows. A registry that is silent is asked
    by one reader at a time, now and then (`Circuit`); one that answers, whatever it says, by all. A
    question is no sign of silence if another one was answered after it was asked.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._limits: BoundedDict[tuple[str, bytes], _Limit] = BoundedDict(_MOST_LIMITS)
        self._troubles: BoundedDict[str, _Trouble] = BoundedDict(_MOST_REGISTRIES)
        """The one that was asked in vain most lately comes last."""
        self._doubts: BoundedDict[str, float] = BoundedDict(_MOST_REGISTRIES)
        """Until when another node's word counts."""
        self._heard: BoundedDict[str, float] = BoundedDict(_MOST_REGISTRIES)
        """When there last was an answer."""

    def admit(self, registry: str, authorization: str | None) -> Turn:
        """Leave to ask the registry for this reader; else why not is raised.

        What comes of it is told by `answered`, `failed` or `given_up`.
        """
        now = self._clock()
        limit = self._limits.get(self._key(registry, authorization))
        if limit is not None and now < limit.until:
            left = math.ceil(limit.until - now)
            raise _still(limit.refusal, f"it is asked again in {left} s", str(left))
        doubted = now < self._doubts.get(registry, 0.0)
        trouble = self._troubles.get(registry)
        if trouble is None:
            return Turn(asked_at=now, patience_s=FIRST_PATIENCE_S if doubted else None)
        turn = trouble.circuit.ask(now)
        if turn is None:
            left = math.ceil(trouble.circuit.wait_s(now))
            when = f"it is asked again in {left} s" if left else "it is being asked again"
            raise Silent(f"{trouble.reason}; {when}")
        return replace(turn, patience_s=FIRST_PATIENCE_S) if doubted else turn

    def begin(self) -> Turn:
        """A question that is asked in any case begins."""
        return Turn(asked_at=self._clock())

    def answered(
        self, registry: str, authorization: str | None, status: int, headers: Mapping[str, str]
    ) -> None:
        """It has answered, with this status."""
        self._hear(registry)
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
            self._worse(registry, f"registry {registry} answers {status}").circuit.answered()
        else:
            self._troubles.pop(registry, None)

    def failed(
        self, registry: str, authorization: str | None, error: EagleError, turn: Turn
    ) -> None:
        """It could not be asked, or its token service has refused."""
        match error:
            case Silent():
                trouble = self._worse(registry, str(error))
                if self._heard.get(registry, -math.inf) < turn.asked_at:
                    trouble.circuit.silent(turn, self._clock())
            case Unavailable():
                self._worse(registry, str(error)).circuit.answered()
            case Denied():
                self._hear(registry)
                if registry in self._troubles:
                    self._troubles[registry].circuit.answered()
            case _:
                self.given_up(registry, turn)
        if isinstance(error, Denied) and error.status == 429:
            wait_s = retry_after_s({"Retry-After": error.retry_after or ""})
            self._limit(registry, authorization, wait_s, error)

    def given_up(self, registry: str, turn: Turn) -> None:
        """Whoever asked has left before there was an answer."""
        if (trouble := self._troubles.get(registry)) is not None:
            trouble.circuit.given_up(turn)

    def doubt(self, registry: str) -> None:
        """Another node says that the registry is silent: for a while patience with it is short."""
        self._doubts[registry] = self._clock() + DOUBT_S

    def vouch(self, registry: str, age_s: float) -> None:
        """Another node has had an answer of the registry ``age_s`` ago, so this one may ask."""
        self._doubts.pop(registry, None)
        trouble = self._troubles.get(registry)
        if trouble is not None and self._clock() - age_s > trouble.last:
            del self._troubles[registry]

    def troubles(self) -> list[RegistryTrouble]:
        """What is wrong now, for people."""
        now = self._clock()
        self._forget(now)
        waits = dict.fromkeys(self._troubles, 0.0)
        for (registry, _), limit in self._limits.items():
            if registry in waits:
                waits[registry] = max(waits[registry], limit.until - now)
        return [
            RegistryTrouble(
                registry=registry,
                reason=trouble.reason,
                for_s=now - trouble.since,
                retry_in_s=max(0.0, waits[registry], trouble.circuit.wait_s(now)),
            )
            for registry, trouble in self._troubles.items()
        ]

    def check(self) -> None:
        """Assert the invariants of what stands between this node and a registry."""
        for trouble in self._troubles.values():
            trouble.circuit.check()

    def _hear(self, registry: str) -> None:
        self._doubts.pop(registry, None)
        self._heard[registry] = self._clock()

    def _worse(self, registry: str, reason: str) -> _Trouble:
        now = self._clock()
        self._forget(now)
        trouble = self._troubles.get(registry) or _Trouble(now, reason, now)
        trouble.reason, trouble.last = reason, now
        self._troubles[registry] = trouble
        return trouble

    def _forget(self, now: float) -> None:
        """Drop what nobody has asked for a while; the oldest come first."""
        while self._troubles and next(iter(self._troubles.values())).last + FORGET_S <= now:
            self._troubles.popitem(last=False)

    def _limit(
        self, registry: str, authorization: str | None, wait_s: float, refusal: EagleError
    ) -> None:
        if wait_s <= 0:
            return
        key = self._key(registry, authorization)
        self._limits[key] = _Limit(self._clock() + wait_s, refusal)

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
