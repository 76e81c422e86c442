"""The node as the control API sees it: tells about its parts, and steers them."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.api import schema
from eagle_node.api.event_log import EventLog
from eagle_node.api.problems import Refusal
from eagle_node.api.query import BlobQuery
from eagle_node.base.digest import Digest
from eagle_node.base.sizes import format_size
from eagle_node.blobs.cache import Cache
from eagle_node.lending.service import RuntimeStore
from eagle_node.node.activity import Activity
from eagle_node.node.images import Images
from eagle_node.node.settings import NodeSettings
from eagle_node.node.status import NodeStatus
from eagle_node.preheat.jobs import Preheater


class NodeControl:
    """The node as a `NodeSource`."""

    def __init__(
        self,
        *,
        status: NodeStatus,
        activity: Activity,
        cache: Cache,
        lending: RuntimeStore | None,
        images: Images,
        settings: NodeSettings,
        preheater: Preheater,
        events: EventLog,
    ) -> None:
        self._status = status
        self._activity = activity
        self._cache = cache
        self._lending = lending
        self._images = images
        self._settings = settings
        self._preheater = preheater
        self._events = events
        self._present: set[Digest] = set(cache.blobs())
        cache.on_commit.append(self._committed)
        cache.on_drop.append(self._dropped)

    async def status(self) -> schema.Status:
        """The node, its cluster, traffic and cache."""
        return await self._status.status()

    async def ready(self) -> Sequence[str]:
        """Why the node cannot serve clients well now."""
        return await self._status.ready()

    async def transfers(self) -> schema.Transfers:
        """What moves now."""
        return schema.Transfers(transfers=self._activity.rows())

    async def history(self) -> schema.History:
        """Rates of the last minutes."""
        return self._activity.history()

    async def blobs(self, query: BlobQuery) -> schema.Blobs:
        """Blobs of the cache that match: by default by recency, those on their way last."""
        text = query.text.lower()
        rows = [row for row in self._rows() if text in row.digest or text in row.image.lower()]
        match query.order:
            case "size":
                rows.sort(key=lambda row: (row.size, row.digest))
            case "image":
                rows.sort(key=lambda row: (row.image, row.digest))
            case "digest":
                rows.sort(key=lambda row: row.digest)
        if query.descending:
            rows.reverse()
        page = rows[query.offset : query.offset + query.limit]
        return schema.Blobs(
            blobs=tuple(page),
            total=len(rows),
            total_bytes=sum(row.size for row in rows),
            offset=query.offset,
        )

    async def act(self, digest: Digest, action: str) -> schema.BlobAction:
        """Pin, unpin, evict or verify a committed blob."""
        if digest not in self._cache:
            raise Refusal(f"{digest} is not in the cache of this node", status=404)
        if not self._cache.is_resident(digest):
            text = await self._act_on_lent(digest, action)
            return schema.BlobAction(digest=digest, action=action, text=text)
        match action:
            case "pin" | "unpin":
                text = await self._pin(digest, kept=action == "pin")
            case "evict":
                text = await self._evict(digest)
            case _:
                text = await self._verify(digest)
        return schema.BlobAction(digest=digest, action=action, text=text)

    async def settings(self) -> schema.Settings:
        """What can be changed."""
        return schema.Settings(settings=self._settings.all())

    async def change(self, change: schema.SettingChange) -> schema.Settings:
        """Change one setting, and tell everybody who listens."""
        setting = await self._settings.change(change.key, change.value)
        text = f"{setting.key} is {setting.value or 'the default'}"
        self._tell("setting-changed", setting.key, text, setting=setting)
        return await self.settings()

    async def preheat(self, request: schema.PreheatRequest) -> schema.PreheatJob:
        """Begin to bring an image to nodes."""
        return await self._preheater.start(request)

    async def preheat_jobs(self) -> schema.PreheatJobs:
        """Jobs of this node."""
        return schema.PreheatJobs(jobs=tuple(self._preheater.jobs()))

    async def preheat_job(self, number: int) -> schema.PreheatJob:
        """One of them."""
        return self._preheater.job(number)

    async def cancel_preheat(self, number: int) -> schema.PreheatJob:
        """Go on with it no longer."""
        return await self._preheater.cancel(number)

    async def _pin(self, digest: Digest, *, kept: bool) -> str:
        await self._cache.keep(digest, kept=kept)
        text = "stays until it is unpinned" if kept else "may be evicted"
        self._tell("blob-changed", digest, f"{digest} {text}", blob=self._row(digest))
        return text

    async def _evict(self, digest: Digest) -> str:
        if self._cache.is_kept(digest):
            raise Refusal(f"{digest} is pinned; unpin it first", status=409)
        size = self._cache.size(digest)
        if not await self._cache.drop(digest):
            raise Refusal(f"{digest} is being read; try again later", status=409)
        return f"evicted, {format_size(size)} freed"

    async def _verify(self, digest: Digest) -> str:
        if await self._cache.verify(digest):
            return "every byte is right"
        raise Refusal(f"{digest} was damaged on disk; it is dropped", status=409)

    async def _act_on_lent(self, digest: Digest, action: str) -> str:
        if action != "verify" or self._lending is None:
            raise Refusal(
                f"{digest} lies in containerd's store only, and stays as long as containerd keeps "
                "it there",
                status=409,
            )
        if await self._lending.verify(digest):
            return "every byte is right"
        raise Refusal(f"{digest} is damaged in containerd's store; it is not used", status=409)

    def _rows(self) -> list[schema.BlobRow]:
        cached = self._cache.blobs()
        rows = [self._row(digest) for digest in self._cache.lent() if digest not in cached]
        rows += [self._row(digest) for digest in cached]
        for digest, arrival in self._cache.arrivals().items():
            segments = arrival.layout.segments
            rows.append(
                schema.BlobRow(
                    digest=digest,
                    size=arrival.layout.size,
                    have_bytes=sum(segments[index].length for index in arrival.have),
                    image=self._images.name(digest),
                    whole=False,
                )
            )
        return rows

    def _row(self, digest: Digest) -> schema.BlobRow:
        size = self._cache.size(digest)
        return schema.BlobRow(
            digest=digest,
            size=size,
            have_bytes=size,
            image=self._images.name(digest),
            pinned=self._cache.is_kept(digest),
            source="cache" if self._cache.is_resident(digest) else "containerd",
        )

    def _committed(self, digest: Digest) -> None:
        self._present.add(digest)
        row = self._row(digest)
        self._tell("blob-added", digest, f"{digest} is here, {format_size(row.size)}", blob=row)

    def _dropped(self, digest: Digest) -> None:
        if digest in self._present:
            self._present.discard(digest)
            if digest in self._cache:
                text = f"{digest} lies in containerd's store only"
                self._tell("blob-changed", digest, text, blob=self._row(digest))
                return
            self._tell("blob-evicted", digest, f"{digest} is gone from the cache")

    def _tell(
        self,
        kind: str,
        subject: str,
        text: str,
        *,
        blob: schema.BlobRow | None = None,
        setting: schema.Setting | None = None,
    ) -> None:
        self._events.publish(
            schema.Event(
                id="", time="", kind=kind, subject=subject, text=text, blob=blob, setting=setting
            )
        )
