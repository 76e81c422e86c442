"""Who may read what: the origin's word, remembered for a while.

A blob in the cache is given only to a client that its origin would give it to, so each (registry,
repository, digest, credential) is checked there. The policy `AccessMemory` decides how long a word
counts; the service `Access` asks for it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import NewType, Protocol

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.registry.names import BlobRef
from eagle_node.registry.upstream import BlobInfo
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.singleflight import SingleFlight

AccessKey = NewType("AccessKey", bytes)
"""Salted hash of who asks for what; neither can be read back from it."""

_VERDICTS = frozenset({401, 403, 404})
"""Statuses that are the origin's no; other refusals say nothing about rights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The right to read a blob."""

    size: int | None
    """Bytes of the blob; None if the origin did not tell."""
    stale: bool = False
    """Whether it rests on an old word, since the origin cannot be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """The origin's last word: a refusal, or else a yes."""

    said_at: float
    size: int | None = None
    refusal: Denied | None = None


class AccessMemory:
    """Remembers the origin's words, the ``limit`` most recently used of them.

    A yes counts for ``allow_ttl_s``, and until ``stale_limit_s`` while the origin is down; a no
    counts for ``deny_ttl_s`` and replaces the yes. Times are seconds of ``clock``.
    """

    def __init__(
        self,
        allow_ttl_s: float,
        deny_ttl_s: float,
        stale_limit_s: float,
        clock: Clock = monotonic,
        *,
        limit: int = 65536,
    ) -> None:
        self._allow_ttl_s = allow_ttl_s
        self._deny_ttl_s = deny_ttl_s
        self._stale_limit_s = stale_limit_s
        self._clock = clock
        self._limit = limit
        self._salt = secrets.token_bytes(16)
        self._words: OrderedDict[AccessKey, _Word] = OrderedDict()

    def __len__(self) -> int:
        return len(self._words)

    def key(self, blob: BlobRef, authorization: str | None) -> AccessKey:
        """The key of a reader, as its ``Authorization`` shows it, and what it wants to read."""
        parts = (blob.repository.registry, blob.repository.name, blob.digest)
        reader = "none" if authorization is None else f"some {authorization}"
        text = "\0".join((*parts, reader))
        return AccessKey(
            hashlib.blake2b(text.encode("utf-8", "surrogateescape"), key=self._salt).digest()
        )

    def recall(self, key: AccessKey) -> Grant | None:
        """What a word that still counts says; a no is raised as `Denied`, None: ask the origin."""
        word = self._words.get(key)
        if word is None:
            return None
        age = self._clock() - word.said_at
        if age >= (self._allow_ttl_s if word.refusal is None else self._deny_ttl_s):
            return None
        self._words.move_to_end(key)
        if word.refusal is not None:
            raise _copy(word.refusal)
        return Grant(size=word.size)

    def recall_stale(self, key: AccessKey) -> Grant | None:
        """The grant of a yes that counts only while the origin cannot be asked."""
        word = self._words.get(key)
        if word is None or word.refusal is not None:
            return None
        if self._clock() - word.said_at >= self._stale_limit_s:
            return None
        return Grant(size=word.size, stale=True)

    def remember_yes(self, key: AccessKey, size: int | None = None) -> None:
        """The origin said yes just now; a size that was known stays known."""
        known = self._words.get(key)
        if size is None and known is not None:
            size = known.size
        self._store(key, _Word(said_at=self._clock(), size=size))

    def remember_no(self, key: AccessKey, refusal: Denied) -> None:
        """The origin refused just now; only a 401, 403 or 404 is a word on rights."""
        if refusal.status in _VERDICTS:
            self._store(key, _Word(said_at=self._clock(), refusal=_copy(refusal)))

    def _store(self, key: AccessKey, word: _Word) -> None:
        self._words[key] = word
        self._words.move_to_end(key)
        while len(self._words) > self._limit:
            self._words.popitem(last=False)


class BlobChecker(Protocol):
    """The part of `Upstream` that `Access` needs."""

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """Return if the asker may read ``blob``; raise `Denied` or `Unavailable`."""
        ...


class Access:
    """Asks the origin whether a client may read a blob, unless it has said so lately."""

    def __init__(self, upstream: BlobChecker, memory: AccessMemory) -> None:
        self._upstream = upstream
        self._memory = memory
        self._asking: SingleFlight[AccessKey, Grant] = SingleFlight("access check")

    async def check(self, blob: BlobRef, authorization: str | None) -> Grant:
        """The client's right to read ``blob``; `Denied` is the origin's no.

        While the origin is down, or limits our rate, its last yes counts further (a stale grant);
        without one its `Unavailable`, or `Denied` with 429, is raised.
        """
        key = self._memory.key(blob, authorization)
        grant = self._memory.recall(key)
        if grant is not None:
            return grant
        return await self._asking.run(key, lambda: self._ask(key, blob, authorization))

    def remember_yes(
        self, blob: BlobRef, authorization: str | None, *, size: int | None = None
    ) -> None:
        """The origin has just given ``blob`` to this client."""
        self._memory.remember_yes(self._memory.key(blob, authorization), size)

    async def _ask(self, key: AccessKey, blob: BlobRef, authorization: str | None) -> Grant:
        try:
            info = await self._upstream.check_blob(blob, authorization)
        except (Denied, Unavailable) as error:
            if isinstance(error, Denied):
                self._memory.remember_no(key, error)
            if isinstance(error, Unavailable) or error.status == 429:
                stale = self._memory.recall_stale(key)
                if stale is not None:
                    return stale
            raise
        self._memory.remember_yes(key, info.size)
        return Grant(size=info.size)


def _copy(refusal: Denied) -> Denied:
    """An equal error without traceback, fit to be kept or to be raised once more."""
    return Denied(
        str(refusal),
        status=refusal.status,
        code=refusal.code,
        challenge=refusal.challenge,
        retry_after=refusal.retry_after,
    )
