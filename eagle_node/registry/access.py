"""Who may read what: the origin's word, remembered for a while.

A blob in the cache is given only to a client that its origin would give it to, so each (registry,
repository, digest, credential) is checked there. The policy `AccessMemory` decides how long a word
counts; the service `Access` asks for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NewType, Protocol

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.rights import Rights
from eagle_node.registry.upstream import BlobInfo
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.singleflight import SingleFlight
from eagle_node.runtime.tracing import span

AccessKey = NewType("AccessKey", bytes)
"""Salted hash of who asks for what; neither can be read back from it."""

VERDICTS = frozenset({401, 403, 404})
"""Statuses that are the origin's no; other refusals say nothing about rights."""

_PROOF_S = 15.0
"""How long a fetch that is under way is waited for, before the origin is asked beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The right to read a blob."""

    size: int | None
    """Bytes of the blob; None if the origin did not tell."""
    age_s: float = 0.0
    """Seconds since the origin said so."""
    stale: bool = False
    """Whether it rests on an old word, since the origin cannot be asked."""
    limited: bool = False
    """Whether it is stale because the registry has said to wait, so that nobody should ask it."""


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
        self._salt = secrets.token_bytes(16)
        self._words: BoundedDict[AccessKey, _Word] = BoundedDict(limit)

    def __len__(self) -> int:
        return len(self._words)

    def key(self, blob: BlobRef, authorization: str | None) -> AccessKey:
        """The key of a reader, as its ``Authorization`` shows it, and what it wants to read.

        A signed URL shows who asks as well, so its query counts.
        """
        return self.fingerprint(*blob.right, authorization=authorization)

    def fingerprint(self, *parts: str, authorization: str | None) -> AccessKey:
        """A salted hash of a question and of who asks it."""
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
            raise word.refusal.copy()
        return Grant(size=word.size, age_s=age)

    def recall_stale(self, blob: BlobRef, authorization: str | None) -> Grant | None:
        """The grant of a yes that counts only while the origin cannot be asked.

        What it gave to `ANYBODY`, it gave to everybody: that yes counts for all, since each of them
        could have shown nothing as well. A yes to credentials counts for these.
        """
        for reader in dict.fromkeys((authorization, ANYBODY)):
            word = self._words.get(self.key(blob, reader))
            if word is None or word.refusal is not None:
                continue
            age = self._clock() - word.said_at
            if age < self._stale_limit_s:
                return Grant(size=word.size, age_s=age, stale=True)
        return None

    def remember_yes(self, key: AccessKey, size: int | None = None, *, age_s: float = 0.0) -> None:
        """The origin said yes ``age_s`` ago; a size that was known stays known.

        A word that is newer than this one stays.
        """
        said_at, known = self._clock() - age_s, self._words.get(key)
        if known is not None and known.said_at > said_at:
            return
        if size is None and known is not None:
            size = known.size
        self._store(key, _Word(said_at=said_at, size=size))

    def forget(self, key: AccessKey) -> None:
        """What the origin said may be so no longer."""
        self._words.pop(key, None)

    def remember_no(self, key: AccessKey, refusal: Denied) -> None:
        """The origin refused just now; only a 401, 403 or 404 is a word on rights."""
        if refusal.status in VERDICTS:
            self._store(key, _Word(said_at=self._clock(), refusal=refusal.copy()))

    def _store(self, key: AccessKey, word: _Word) -> None:
        self._words[key] = word


class BlobChecker(Protocol):
    """The part of `Upstream` that `Access` needs, or who asks it in this node's stead."""

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """Return if the asker may read ``blob``; raise `Denied` or `Unavailable`."""
        ...

    async def reader(self, registry: str, authorization: str | None) -> str | None:
        """Whose rights count for one who shows ``authorization``: see `Upstream.reader`."""
        ...

    def written(self, repository: Repository) -> None:
        """A client of this node has changed something in ``repository``."""
        ...


async def recall_kept(
    rights: Rights | None, blob: BlobRef, authorization: str | None
) -> Grant | None:
    """As `AccessMemory.recall_stale`, out of what is kept over restarts."""
    if rights is None:
        return None
    word = await rights.recall(blob, *dict.fromkeys((authorization, ANYBODY)))
    return None if word is None else Grant(size=word.size, age_s=word.age_s, stale=True)


@dataclass(frozen=True, slots=True)
class _Proof:
    """A fetch in a reader's name."""

    opened: asyncio.Future[Any]
    hurry: Callable[[], None]


class Access:
    """Asks the origin whether a client may read a blob, unless it has said so lately."""

    def __init__(
        self,
        upstream: BlobChecker,
        memory: AccessMemory,
        metrics: Metrics | None = None,
        *,
        rights: Rights | None = None,
    ) -> None:
        self._upstream = upstream
        self._rights = rights
        self._metrics = metrics
        self._memory = memory
        self._asking: SingleFlight[AccessKey, Grant] = SingleFlight("access check")
        self._proving: dict[AccessKey, _Proof] = {}

    async def reader(self, blob: BlobRef, authorization: str | None) -> str | None:
        """Whose rights count; what is proved and remembered is theirs."""
        return await self._upstream.reader(blob.repository.registry, authorization)

    async def check(
        self, blob: BlobRef, authorization: str | None, *, proving: bool = False
    ) -> Grant:
        """The client's right to read ``blob``; `Denied` is the origin's no.

        While the origin is down, or limits our rate, its last yes counts further (a stale grant);
        without one its `Unavailable`, or `Denied` with 429, is raised. ``proving``: who asks is the
        fetch that `prove` has told of, and so cannot wait for it.
        """
        with span("access check", "internal", blob.attributes):
            reader = await self.reader(blob, authorization)
            return await self._check(blob, reader, proving=proving)

    async def _check(self, blob: BlobRef, authorization: str | None, *, proving: bool) -> Grant:
        key = self._memory.key(blob, authorization)
        grant = self._memory.recall(key)
        proof = None if proving else self._proving.get(key)
        if grant is None and proof is not None:
            proof.hurry()
            await asyncio.wait([proof.opened], timeout=_PROOF_S)
            grant = self._memory.recall(key)
        if grant is not None:
            return grant
        return await self._asking.run(key, lambda: self._ask(key, blob, authorization))

    def remember_yes(
        self,
        blob: BlobRef,
        authorization: str | None,
        *,
        size: int | None = None,
        age_s: float = 0.0,
    ) -> None:
        """The origin has given ``blob`` to this client, ``age_s`` ago."""
        self._memory.remember_yes(self._memory.key(blob, authorization), size, age_s=age_s)
        if self._rights is not None:
            self._rights.yes(blob, authorization, size, age_s)

    def forget(self, blob: BlobRef, authorization: str | None) -> None:
        """This client has put or deleted ``blob``: the origin is asked anew, by this node itself.

        Seeders may still have an old word, so they are left aside for a while.
        """
        for reader in (authorization, authorization or ANYBODY):
            self._memory.forget(self._memory.key(blob, reader))
            if self._rights is not None:
                self._rights.no(blob, reader)
        self._upstream.written(blob.repository)

    def prove(
        self,
        blob: BlobRef,
        authorization: str | None,
        opened: asyncio.Future[Any],
        hurry: Callable[[], None],
        age_s: Callable[[], float],
    ) -> None:
        """This client's own fetch is under way: once it is ``opened``, the origin has said yes.

        ``age_s`` tells then how long ago: what another node sends rests on an earlier word. Until
        then whoever checks the same waits for it, rather than asking a second time, after ``hurry``
        has told that somebody waits.
        """
        key = self._memory.key(blob, authorization)
        proof = self._proving[key] = _Proof(opened, hurry)

        def remember(done: asyncio.Future[Any]) -> None:
            if self._proving.get(key) is proof:
                del self._proving[key]
            if not done.cancelled() and done.exception() is None:
                self.remember_yes(blob, authorization, age_s=age_s())

        opened.add_done_callback(remember)

    async def _ask(self, key: AccessKey, blob: BlobRef, authorization: str | None) -> Grant:
        try:
            info = await self._upstream.check_blob(blob, authorization)
        except (Denied, Unavailable) as error:
            if isinstance(error, Denied):
                self._memory.remember_no(key, error)
                if self._rights is not None and error.status in VERDICTS:
                    self._rights.no(blob, authorization)
            if isinstance(error, Unavailable) or error.status == 429:
                stale = await self._stale(blob, authorization)
                if stale is not None:
                    return self._counted(replace(stale, limited=isinstance(error, Denied)))
            raise
        self._memory.remember_yes(key, info.size, age_s=info.age_s)
        if self._rights is not None:
            self._rights.yes(blob, authorization, info.size, info.age_s)
        grant = Grant(size=info.size, age_s=info.age_s, stale=info.stale, limited=info.limited)
        return self._counted(grant)

    async def _stale(self, blob: BlobRef, authorization: str | None) -> Grant | None:
        """An old yes, of this process or one before it."""
        return self._memory.recall_stale(blob, authorization) or await recall_kept(
            self._rights, blob, authorization
        )

    def _counted(self, grant: Grant) -> Grant:
        if grant.stale and self._metrics is not None:
            self._metrics.stale_answers.labels("blob").inc()
        return grant
