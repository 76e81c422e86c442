"""Manifests for readers: the registry decides, what it said is remembered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.digest import Digest, digest_of, parse_digest
from eagle_node.base.errors import Denied, EagleError, Unavailable, WrongContent
from eagle_node.registry.access import VERDICTS, AccessKey, AccessMemory, Grant, recall_kept
from eagle_node.registry.manifest_question import ManifestAnswer, ManifestQuestion
from eagle_node.registry.manifest_store import ManifestStore, StoredManifest
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.rights import Rights
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.singleflight import SingleFlight

_MOST_RECENT = 1024
"""Answers that are remembered for a moment; each is a manifest of a few KiB."""
_WRITTEN_S = 600.0
"""How long a manifest is asked for anew that was pushed or deleted through this node; longer than
its yes is remembered by default."""


class ManifestSource(Protocol):
    """The part of `Upstream` that `Manifests` needs, or who asks it in this node's stead."""

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        """The answer for a reader who may have it; raises `Denied` or `Unavailable`."""
        ...

    async def reader(self, registry: str, authorization: str | None) -> str | None:
        """Whose rights count for one who shows ``authorization``: see `Upstream.reader`."""
        ...

    def written(self, repository: Repository) -> None:
        """A client of this node has changed something in ``repository``."""
        ...


@dataclass(frozen=True, slots=True)
class _Recent:
    until: float
    outcome: ManifestAnswer | Denied


class Manifests:
    """Answers for manifests, each asked for once however many ask for it at the time.

    By digest: from the store once the registry has said yes to this reader, for as long as that is
    remembered. By tag: from the source each time, or from its last answer to this reader for
    ``tag_ttl_s``, a refusal likewise. While the source cannot answer, or limits our rate, what was
    last said to this reader counts within the memory's stale limit.
    """

    def __init__(
        self,
        source: ManifestSource,
        store: ManifestStore,
        memory: AccessMemory,
        *,
        rights: Rights | None = None,
        tag_ttl_s: float = 0.0,
        clock: Clock = monotonic,
    ) -> None:
        self._source = source
        self._store = store
        self._memory = memory
        self._rights = rights
        self._tag_ttl_s = tag_ttl_s
        self._clock = clock
        self._recent: BoundedDict[AccessKey, _Recent] = BoundedDict(_MOST_RECENT)
        self._asking: SingleFlight[tuple[AccessKey, bool], ManifestAnswer] = SingleFlight(
            "manifest"
        )
        self._written: BoundedDict[tuple[Repository, str], float] = BoundedDict(_MOST_RECENT)

    def written(self, repository: Repository, reference: str) -> None:
        """A client has just changed this manifest or tag: for a while nothing old will do."""
        self._source.written(repository)
        self._written[repository, reference] = self._clock() + _WRITTEN_S

    async def get(self, asked: ManifestQuestion) -> ManifestAnswer:
        """The manifest; raises `Denied`, `Unavailable`, or `WrongContent` for another digest's."""
        reader = await self._source.reader(asked.repository.registry, asked.authorization)
        asked = replace(asked, authorization=reader)
        if self._written.get((asked.repository, asked.reference), 0.0) > self._clock():
            asked = replace(asked, fresh=True)
        if asked.is_digest and not asked.fresh:
            grant = self._memory.recall(self._right(asked, parse_digest(asked.reference)))
            kept = await self._kept(parse_digest(asked.reference), grant)
            if kept is not None:
                return kept
        key = self._key(asked)
        if not asked.fresh and (recent := self._recall(key)) is not None:
            return recent
        return await self._asking.run((key, asked.fresh), lambda: self._ask(key, asked))

    async def _ask(self, key: AccessKey, asked: ManifestQuestion) -> ManifestAnswer:
        try:
            answer = await self._source.manifest(asked)
        except (Unavailable, Denied) as error:
            if isinstance(error, Denied) and error.status != 429:
                self._note(key, error)
                if self._rights is not None and asked.is_digest and error.status in VERDICTS:
                    blob = BlobRef(asked.repository, parse_digest(asked.reference))
                    self._rights.no(blob, asked.authorization)
                raise
            return await self._stale(asked, error)
        _verify(asked, answer)
        await self._keep(asked, answer)
        if not answer.stale:
            self._note(key, answer)
        return answer

    async def _keep(self, asked: ManifestQuestion, answer: ManifestAnswer) -> None:
        if answer.digest is None:
            return
        if answer.body:
            await self._store.put(
                StoredManifest(digest=answer.digest, media_type=answer.media_type, body=answer.body)
            )
        self._memory.remember_yes(self._right(asked, answer.digest), age_s=answer.age_s)
        if self._rights is not None:
            blob = BlobRef(asked.repository, answer.digest)
            self._rights.yes(blob, asked.authorization, age_s=answer.age_s)
        if not asked.is_digest:
            await self._store.tag(asked.repository, asked.reference, answer.digest)

    async def _stale(self, asked: ManifestQuestion, error: EagleError) -> ManifestAnswer:
        """What the registry said before it went away; its failure when there is nothing."""
        digest: Digest | None
        if asked.is_digest:
            digest = parse_digest(asked.reference)
        else:
            digest = await self._store.tagged(asked.repository, asked.reference)
        if digest is None:
            raise error
        blob = BlobRef(asked.repository, digest)
        grant = self._memory.recall_stale(blob, asked.authorization)
        grant = grant or await recall_kept(self._rights, blob, asked.authorization)
        kept = await self._kept(digest, grant)
        if kept is None:
            raise error
        return replace(kept, stale=True, limited=isinstance(error, Denied))

    async def _kept(self, digest: Digest, grant: Grant | None) -> ManifestAnswer | None:
        stored = await self._store.get(digest) if grant is not None else None
        if grant is None or stored is None:
            return None
        return ManifestAnswer(
            digest=digest,
            media_type=stored.media_type,
            size=len(stored.body),
            body=stored.body,
            age_s=grant.age_s,
            kept=True,
        )

    def _recall(self, key: AccessKey) -> ManifestAnswer | None:
        recent = self._recent.get(key)
        if recent is None or recent.until <= self._clock():
            return None
        if isinstance(recent.outcome, Denied):
            raise recent.outcome.copy()
        age_s = self._tag_ttl_s - (recent.until - self._clock())
        return replace(recent.outcome, age_s=recent.outcome.age_s + age_s)

    def _note(self, key: AccessKey, outcome: ManifestAnswer | Denied) -> None:
        if self._tag_ttl_s <= 0:
            return
        now = self._clock()
        kept = outcome.copy() if isinstance(outcome, Denied) else outcome
        self._recent[key] = _Recent(now + self._tag_ttl_s, kept)
        while next(iter(self._recent.values())).until <= now:
            self._recent.popitem(last=False)

    def _key(self, asked: ManifestQuestion) -> AccessKey:
        where = (asked.repository.registry, asked.repository.name, asked.reference)
        return self._memory.fingerprint(
            *where, asked.method, *asked.accept, authorization=asked.authorization
        )

    def _right(self, asked: ManifestQuestion, digest: Digest) -> AccessKey:
        return self._memory.key(BlobRef(asked.repository, digest), asked.authorization)


def _verify(asked: ManifestQuestion, answer: ManifestAnswer) -> None:
    """Whoever gave the answer: its body has its digest, and that is the one asked for."""
    named = parse_digest(asked.reference) if asked.is_digest else answer.digest
    found = digest_of(answer.body) if answer.body else answer.digest
    if asked.method != "HEAD" and not answer.body:
        raise Unavailable(f"an empty answer for manifest {asked}")
    if found != answer.digest or (named is not None and found not in (named, None)):
        raise WrongContent(f"manifest {asked} came as {found} when {named} was expected")
