"""The content store of containerd as a part of the node."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError, Unavailable
from eagle_node.base.sizes import format_size
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.lent import Changed, FileIdentity, Forbidden, LentFile
from eagle_node.blobs.segments import MAX_SIZE, layout_of
from eagle_node.config.tree import LendingConfig, SwarmConfig
from eagle_node.lending import policy as p
from eagle_node.lending.dedupe import QUIET_S, Dedupe
from eagle_node.lending.hashing import Fingerprint, Hashing, split_layers
from eagle_node.lending.index import Index
from eagle_node.lending.listener import Listener
from eagle_node.lending.offers import Offers
from eagle_node.metrics.instruments import Metrics
from eagle_node.mirror.content_store import Look, Unreadable, configured_root, look
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.swarm.torrents import SegmentTorrent, assemble_torrent
from eagle_node.swarm.transfer import INLINE_LIMIT
from eagle_node.swarm.transfers import Transfers

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks at the directory; only one that has changed is listed."""
THOROUGH_S = 60.0
"""Between two looks at every file."""
PATIENCE_S = 5.0
"""How long a client waits for a file to be verified; then the blob comes as if it were not here."""
_STEP = 4 << 20
"""Bytes that a thread hashes at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What there is to tell about the store."""

    path: Path
    trouble: str
    """Why it cannot be read, and the way out; empty when it can."""
    blobs: int
    """Verified ones."""
    size: int
    """Bytes of these."""
    waiting: int
    """Files that were not read yet."""
    wrong: int
    """Files whose bytes do not have the digest of their name."""


class RuntimeStore:
    """Lends the blobs of a content store to the cache and to peers; an async context manager.

    It is the `Lender` of the transfers that it is given.
    """

    def __init__(
        self,
        config: LendingConfig,
        swarm: SwarmConfig,
        *,
        cache: Cache,
        transfers: Transfers,
        metrics: Metrics,
        index: Path | None,
        listener: socket.socket,
        upload: ByteBudget,
        tls: ssl.SSLContext | None = None,
        root_certificate: bytes = b"",
        clock: Clock = monotonic,
        look_s: float = LOOK_S,
        quiet_s: float = QUIET_S,
    ) -> None:
        """``index`` is the database's file; ``listener`` where peers come to."""
        self._look_s = look_s
        self._quiet_s = quiet_s
        chosen = config.store.path if config.store is not None else None
        self._config = config
        self._path = chosen or configured_root()
        self._expected = chosen is not None
        self._cache = cache
        self._transfers = transfers
        self._metrics = metrics
        self._index = Index(index)
        self._root_certificate = root_certificate
        self._clock = clock
        self._shelf = p.Shelf()
        self._offers = Offers(swarm.most_torrents)
        self._listener = Listener(
            self._offers,
            listener,
            upload=upload,
            slots=swarm.unchoke_slots,
            metrics=metrics,
            altered=self._altered,
            tls=tls,
        )
        self._look: Look | None = None
        self._thorough_at = 0.0
        self._trouble = ""
        self._former: frozenset[Digest] = frozenset()
        """What a former run has verified, until the first look."""
        self._to_offer: asyncio.Queue[Digest] = asyncio.Queue()
        self._unread: set[Digest] = set()
        """Files of which the log says that they cannot be read."""
        self._hurry: dict[Digest, asyncio.Event] = {}
        """Of files that are being read: set once somebody waits for them."""
        self._decided: dict[Digest, asyncio.Event] = {}
        """Set once nobody needs to wait for a file any more."""
        self._tasks = TaskSet()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._index)
            await stack.enter_async_context(self._listener)
            stack.push_async_callback(self._tasks.cancel)
            remembered = await self._index.identities()
            self._former = frozenset(remembered)
            self._tell(p.Remembered(files=remembered))
            self._tasks.spawn(self._offer_lent(), name="lending-offers")
            for digest in self._cache.blobs():
                self._tell(p.Copied(digest=digest))
            self._cache.on_commit.append(lambda digest: self._tell(p.Copied(digest=digest)))
            self._cache.on_recall.append(self._altered)
            self._transfers.seeding.lender = self
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transfers.seeding.lender = None
        await self._stack.aclose()

    @property
    def port(self) -> int:
        """Where peers get the blobs."""
        return self._listener.port

    @property
    def state(self) -> StoreState:
        """What there is to tell about the store."""
        counts = self._shelf.counts()
        lent = self._cache.lent().values()
        return StoreState(
            path=self._path,
            trouble=self._trouble,
            blobs=len(lent),
            size=sum(each.size for each in lent),
            waiting=counts[p.State.FOUND] + counts[p.State.CHECKING],
            wrong=counts[p.State.WRONG],
        )

    async def run(self) -> None:
        """Look into the store, and drop copies of what is in it, until cancelled."""
        async with TaskSet() as tasks:
            if self._config.dedupe:
                dedupe = Dedupe(
                    self._cache,
                    self._transfers,
                    self.torrents_of,
                    clock=self._clock,
                    quiet_s=self._quiet_s,
                )
                tasks.spawn(dedupe.run(), name="lending-dedupe")
            while True:
                await self._look_again()
                await asyncio.sleep(self._look_s)

    def offered(self) -> Mapping[Digest, Sequence[SegmentTorrent]]:
        """Blobs that peers may take, with their torrents."""
        return self._offers.torrents()

    async def ready(self, digest: Digest) -> None:
        """Have a file verified now that nobody has read yet; return after `PATIENCE_S` anyway."""
        if self._shelf.state(digest) not in (p.State.FOUND, p.State.CHECKING):
            return
        decided = self._decided.setdefault(digest, asyncio.Event())
        self._tell(p.Asked(digest=digest))
        if digest in self._hurry:
            self._hurry[digest].set()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await decided.wait()

    async def torrents_of(self, digest: Digest) -> Sequence[SegmentTorrent]:
        """The torrents of a lent blob, offered from now on; none for one that travels whole."""
        if digest in self._offers:
            return self._offers.use(digest)
        lent = self._cache.lent().get(digest)
        if lent is None:
            raise Unavailable(f"{digest} is not in {self._path} any more")
        if lent.size <= INLINE_LIMIT:
            return []
        torrents = await self._torrents(lent)
        if self._cache.lent().get(digest) != lent:
            raise Unavailable(f"{digest} has just been removed from {self._path}")
        self._offers.add(lent, torrents)
        return torrents

    async def verify(self, digest: Digest) -> bool:
        """Read a lent blob again; False: it is wrong, or gone, and lent no more."""
        lent = self._cache.lent().get(digest)
        try:
            if lent is not None and (await self._fingerprint(lent)).digest == digest:
                return True
        except Unavailable as error:
            log.warning("%s: %s", digest, error)
        self._altered(digest)
        return False

    async def _look_again(self) -> None:
        thorough = self._clock() >= self._thorough_at
        try:
            found = await finish_in_thread(look, self._path, self._look, thorough=thorough)
        except Unreadable as error:
            self._lost(error)
            return
        if self._trouble:
            log.info("containerd's content store %s can be read", found.directory)
            self._trouble = ""
        if thorough:
            self._thorough_at = self._clock() + THOROUGH_S
        if found is self._look:
            self._tell(p.Ticked())
            return
        self._look = found
        self._tell(p.Listed(files=found.files))
        if gone := self._former - found.files.keys():
            await self._forget(gone)
        self._former = frozenset()

    def _lost(self, error: Unreadable) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            expected = self._expected or self._look is not None or not error.missing
            log.log(
                logging.WARNING if expected else logging.INFO, "containerd's content: %s", error
            )
        self._look = None
        self._tell(p.Lost())

    def _altered(self, digest: Digest) -> None:
        """A lent file is not what it was: it is looked at anew, like all others."""
        self._thorough_at = 0.0
        self._tell(p.Altered(digest=digest))

    def _tell(self, event: p.Event) -> None:
        gone: set[Digest] = set()
        for effect in self._shelf.handle(event, self._clock()):
            match effect:
                case p.Check():
                    lent = self._file(effect.digest, effect.identity)
                    check = self._check(lent, hurried=effect.hurried)
                    self._tasks.spawn(check, name=f"verify-{effect.digest[7:19]}")
                case p.Offer():
                    self._lend(effect.digest, effect.identity)
                case p.Withdraw():
                    self._cache.recall(effect.digest)
                    self._offers.withdraw(effect.digest)
                    gone |= set() if effect.kept else {effect.digest}
        if gone:
            log.info("%d blobs are gone from %s, or are others", len(gone), self._path)
            self._tasks.spawn(self._forget(gone), name="lending-forget")
        for digest in [d for d in self._decided if not self._shelf.is_hurried(d)]:
            self._decided.pop(digest).set()

    def _lend(self, digest: Digest, identity: FileIdentity) -> None:
        lent = self._file(digest, identity)
        self._cache.lend(lent)
        if lent.size > INLINE_LIMIT:
            self._to_offer.put_nowait(digest)

    async def _offer_lent(self) -> None:
        """Offer what is lent, one after the other, as long as there is room."""
        while True:
            digest = await self._to_offer.get()
            lent = self._cache.lent().get(digest)
            if lent is None or not self._offers.has_room(lent.size):
                continue
            try:
                await self.torrents_of(digest)
            except EagleError as error:
                log.info("cannot offer %s: %s", digest, error)

    async def _forget(self, gone: Set[Digest]) -> None:
        try:
            await self._index.forget(gone - self._cache.lent().keys())
        except EagleError as error:
            log.info("what is gone is remembered until the next start: %s", error)

    def _file(self, digest: Digest, identity: FileIdentity) -> LentFile:
        assert self._look is not None, "files are found by looking"
        path = self._look.directory / digest.removeprefix("sha256:")
        return LentFile(digest=digest, path=path, identity=identity)

    async def _check(self, lent: LentFile, *, hurried: bool) -> None:
        hurry = self._hurry[lent.digest] = asyncio.Event()
        if hurried:
            hurry.set()
        try:
            found = await self._fingerprint(lent, hurry)
        except EagleError as error:
            changed = isinstance(error, Changed) and not isinstance(error, Forbidden)
            if changed:
                self._thorough_at = 0.0
            elif lent.digest not in self._unread:
                self._unread.add(lent.digest)
                log.warning("cannot verify a blob of containerd's: %s", error)
            self._tell(p.Unread(digest=lent.digest, changed=changed))
            return
        finally:
            del self._hurry[lent.digest]
        self._unread.discard(lent.digest)
        right = found.digest == lent.digest
        if right:
            await self._remember(lent, found)
        else:
            self._metrics.wrong_content.labels("containerd").inc()
            log.error(
                "%s holds other bytes than its name says (%s); it is not used. Have containerd "
                "fetch it again: ctr content rm %s, and pull",
                *(lent.path, found.digest, lent.digest),
            )
        self._tell(p.Checked(digest=lent.digest, identity=lent.identity, right=right))

    async def _remember(self, lent: LentFile, found: Fingerprint) -> None:
        try:
            await self._index.verified(lent.digest, lent.identity, found.layers)
        except EagleError as error:
            log.info("%s will be read again after a restart: %s", lent.digest, error)

    async def _fingerprint(self, lent: LentFile, hurry: asyncio.Event | None = None) -> Fingerprint:
        """What a file's bytes are; read at a bounded rate until ``hurry`` is set."""
        if lent.size > MAX_SIZE:
            raise Unavailable(f"{lent.path} has {format_size(lent.size)}; no blob has")
        with await finish_in_thread(lent.open) as file:
            hashing = Hashing(file, lent.size)
            steps = iter(hashing)
            try:
                while count := await finish_in_thread(_some, steps):
                    if hurry is not None and self._config.verify_rate:
                        with suppress(TimeoutError):
                            async with asyncio.timeout(count / self._config.verify_rate):
                                await hurry.wait()
            except EOFError as error:
                raise Changed(f"{lent.path}: {error}") from error
            except OSError as error:
                raise Unavailable(f"cannot read {lent.path}: {error.strerror}") from error
            lent.check(file)
            return hashing.result()

    async def _torrents(self, lent: LentFile) -> Sequence[SegmentTorrent]:
        layers = split_layers(await self._index.layers(lent.digest) or b"", lent.size)
        if not layers:
            found = await self._fingerprint(lent)
            layers = split_layers(found.layers, lent.size)
        return await asyncio.to_thread(_assemble, lent, layers, self._root_certificate)


def _some(steps: Iterator[int]) -> int:
    """Bytes hashed; 0 at the end."""
    total = 0
    for count in steps:
        total += count
        if total >= _STEP:
            break
    return total


def _assemble(
    lent: LentFile, layers: Sequence[bytes], root_certificate: bytes
) -> Sequence[SegmentTorrent]:
    return [
        assemble_torrent(layer, lent.digest, segment, root_certificate=root_certificate)
        for layer, segment in zip(layers, layout_of(lent.size).segments, strict=True)
    ]
