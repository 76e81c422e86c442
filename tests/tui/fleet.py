"""A node of a made-up fleet, as the control API tells of it: the same at each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from eagle_node.api.problems import Refusal
from eagle_node.api.query import BlobQuery
from eagle_node.api.schema import (
    BlobAction,
    BlobRow,
    Blobs,
    CacheStatus,
    ClusterStatus,
    Event,
    History,
    Lease,
    LogLine,
    Member,
    NodeStatus,
    PeerShare,
    PreheatJob,
    PreheatJobs,
    PreheatRequest,
    PreheatTarget,
    ServedFrom,
    Setting,
    SettingChange,
    Settings,
    Status,
    TrafficStatus,
    TransferRow,
    Transfers,
    VipStatus,
)
from eagle_node.base.digest import Digest

MIB = 1 << 20
IMAGES = (
    "docker.io/library/nginx:1.27",
    "ghcr.io/acme/checkout:2026.11.3",
    "quay.io/prometheus/prometheus:v3.1.0",
    "registry.example:5000/ml/llama-serving:cuda12",
    "docker.io/library/postgres:17",
    "ghcr.io/acme/search-indexer:8f3c2d1",
)


def node_id(n: int) -> str:
    """The id of node ``n``: one that was made, as those of real nodes are."""
    return f"{Random(n).getrandbits(128):032x}"


class Fleet:
    """A `NodeSource` of a cluster with ``members`` nodes and ``transfers`` transfers.

    What tests change is public; the rest comes from a seed.
    """

    def __init__(self, *, members: int = 12, transfers: int = 5, blobs: int = 40) -> None:
        self._random = Random(20261121)
        self.members = [self._member(n) for n in range(members)]
        self.transfers_now = [self._transfer(n) for n in range(transfers)]
        self.blobs_now = [self._blob(n) for n in range(blobs)]
        self.settings_now = list(SETTINGS)
        self.jobs = list(JOBS)
        self.reasons: Sequence[str] = ()
        self.pulled = True
        """Whether any client has been served."""
        self.asked: list[object] = []
        """What was to be changed."""

    @property
    def here(self) -> Member:
        """The node that answers."""
        return self.members[min(2, len(self.members) - 1)]

    async def status(self) -> Status:
        """From the members as they are."""
        here = self.here
        served = ServedFrom(local=48 * MIB, swarm=310 * MIB, origin=31 * MIB)
        served = served if self.pulled else ServedFrom(local=0, swarm=0, origin=0)
        return Status(
            node=NodeStatus(
                id=here.id,
                address=here.address,
                roles=here.roles,
                zone=here.zone,
                rack=here.rack,
                version=here.version,
                name=here.name,
                uptime_s=93784.5,
            ),
            cluster=self._cluster(),
            traffic=TrafficStatus(
                origin_bytes=31 * MIB,
                peer_download_bytes=310 * MIB,
                peer_upload_bytes=744 * MIB,
                served_bytes=served.local + served.swarm + served.origin,
                served_from=served,
                last_served_s=3.0 if self.pulled else None,
            ),
            cache=CacheStatus(used_bytes=12_700 * MIB, limit_bytes=20_480 * MIB, blobs=231),
        )

    async def ready(self) -> Sequence[str]:
        """As told."""
        return self.reasons

    async def transfers(self) -> Transfers:
        """As they are."""
        return Transfers(transfers=tuple(self.transfers_now))

    async def history(self) -> History:
        """A wave that has begun a minute ago."""
        random = Random(7)
        wave = [0] * 60 + [min(n * 5, 90) for n in range(1, 61)] + [88] * 60
        noise = [random.uniform(0.75, 1.0) for _ in wave]
        peers = [int(v * MIB * f) for v, f in zip(wave, noise, strict=True)]
        origin = [int(9 * MIB * f) if 50 < n < 70 else 0 for n, f in enumerate(noise)]
        return History(
            interval_s=1.0,
            from_origin=tuple(origin),
            from_peers=tuple(peers),
            to_peers=tuple(int(v * 0.6) for v in reversed(peers)),
            served=tuple(int(v * 0.3) for v in peers),
        )

    async def blobs(self, query: BlobQuery) -> Blobs:
        """Those that match, sorted."""
        found = [row for row in self.blobs_now if query.text in row.image + row.digest]
        if query.order != "recency":
            found.sort(key=lambda row: getattr(row, query.order))
        found = found[::-1] if query.descending else found
        page = found[query.offset : query.offset + query.limit]
        total = sum(row.size for row in found)
        return Blobs(blobs=tuple(page), total=len(found), total_bytes=total, offset=query.offset)

    async def act(self, digest: Digest, action: str) -> BlobAction:
        """Do it to the rows."""
        self.asked.append((str(digest), action))
        at = next((n for n, row in enumerate(self.blobs_now) if row.digest == str(digest)), None)
        if at is None:
            raise Refusal(f"{digest} is not in the cache", status=404)
        if action == "evict":
            if self.blobs_now[at].pinned:
                raise Refusal("it is pinned: unpin it first", status=409)
            del self.blobs_now[at]
        elif action in ("pin", "unpin"):
            self.blobs_now[at] = replace(self.blobs_now[at], pinned=action == "pin")
        return BlobAction(digest=str(digest), action=action, text=f"{action}: done")

    async def settings(self) -> Settings:
        """As they are."""
        return Settings(settings=tuple(self.settings_now))

    async def change(self, change: SettingChange) -> Settings:
        """Take over what can be a value."""
        self.asked.append(change)
        if change.key == "upload-limit" and not change.value[:1].isdigit():
            raise Refusal(f"upload-limit: {change.value!r} is not a size", status=400)
        self.settings_now = [
            replace(row, value=change.value) if row.key == change.key else row
            for row in self.settings_now
        ]
        return await self.settings()

    async def preheat(self, request: PreheatRequest) -> PreheatJob:
        """One more job, which waits."""
        self.asked.append(request)
        made = replace(
            JOBS[0],
            id=max((job.id for job in self.jobs), default=0) + 1,
            image=request.image,
            nodes=request.nodes,
            platform=request.platform,
            state="pending",
            targets=(),
            size_bytes=0,
        )
        self.jobs.insert(0, made)
        return made

    async def preheat_jobs(self) -> PreheatJobs:
        """As they are."""
        return PreheatJobs(jobs=tuple(self.jobs))

    async def preheat_job(self, number: int) -> PreheatJob:
        """One of them."""
        for job in self.jobs:
            if job.id == number:
                return job
        raise Refusal(f"there is no preheat job {number}", status=404)

    async def cancel_preheat(self, number: int) -> PreheatJob:
        """Mark it."""
        self.asked.append(("cancel", number))
        made = replace(await self.preheat_job(number), state="cancelled")
        self.jobs = [made if job.id == number else job for job in self.jobs]
        return made

    def _cluster(self) -> ClusterStatus:
        ids = [member.id for member in self.members]
        leases = [
            Lease(name=name, holder=ids[n % len(ids)], epoch=epoch, expires_in_s=left)
            for n, (name, epoch, left) in enumerate(
                (("seeder-0", 3, 8.0), ("seeder-1", 1, 9.5), ("tracker-0", 2, 7.0), ("vip", 5, 6.0))
            )
        ]
        return ClusterStatus(
            name="production",
            leader=ids[0],
            term=7,
            members=tuple(self.members),
            voters=tuple(member.id for member in self.members if member.voter),
            leases=tuple(leases),
            vip=VipStatus(address="10.0.0.250/24", holder=ids[3 % len(ids)]),
        )

    def _member(self, n: int) -> Member:
        zone = ("eu-1", "eu-2", "us-1")[n % 3]
        roles = ["peer", "proxy"]
        roles += ["seeder"] if n < 2 else []
        roles += ["tracker"] if n == 2 else []
        return Member(
            id=node_id(n),
            name=f"{zone}-web-{n:04d}",
            address=f"10.{n % 3}.{n // 250}.{n % 250 + 1}",
            state="suspect" if n % 97 == 7 else "dead" if n % 101 == 9 else "alive",
            roles=tuple(sorted(roles)),
            zone=zone,
            rack=f"r{n % 12}",
            version="0.2.0" if n % 50 != 10 else "0.1.0",
            voter=n < 5,
            changed_s=float(self._random.randrange(5, 400_000)),
        )

    def _digest(self) -> str:
        return f"sha256:{self._random.getrandbits(256):064x}"

    def _peers(self, most: int) -> tuple[PeerShare, ...]:
        chosen = [self._random.choice(self.members) for _ in range(self._random.randint(1, most))]
        return tuple(
            PeerShare(
                address=f"{member.address}:61007",
                node=member.id,
                rate=self._random.randrange(MIB, 12 * MIB),
            )
            for member in dict.fromkeys(chosen)
        )

    def _transfer(self, n: int) -> TransferRow:
        size = self._random.randrange(2 * MIB, 900 * MIB)
        state = ("fetching", "fetching", "fetching", "sending", "waiting", "verifying")[n % 6]
        have = {"sending": size, "verifying": size, "waiting": 0}.get(
            state, int(size * self._random.random())
        )
        sources = self._peers(3) if state == "fetching" else ()
        children = self._peers(6) if state != "waiting" else ()
        rate = sum(peer.rate for peer in sources)
        return TransferRow(
            digest=self._digest(),
            image=IMAGES[n % len(IMAGES)],
            size=size,
            have_bytes=have,
            state=state,
            source="swarm" if sources and n % 7 else "origin" if state == "fetching" else "",
            rate=rate,
            sent_rate=sum(peer.rate for peer in children),
            sources=sources,
            children=children,
            age_s=float(n),
            eta_s=(size - have) / rate if rate else None,
        )

    def _blob(self, n: int) -> BlobRow:
        size = self._random.randrange(500, 400 * MIB)
        whole = n % 9 != 4
        return BlobRow(
            digest=self._digest(),
            size=size,
            have_bytes=size if whole else size // 3,
            image=IMAGES[n % len(IMAGES)],
            pinned=n % 8 == 1,
            whole=whole,
        )


SETTINGS = (
    Setting(
        key="upload-limit",
        value="50MB",
        scope="node",
        changeable=True,
        help="bytes/s to other hosts; 0: none",
    ),
    Setting(
        key="download-limit",
        value="0",
        scope="node",
        changeable=True,
        help="bytes/s from other hosts; 0: none",
    ),
    Setting(key="cache-size", value="20GiB", scope="node", changeable=True, help="limit for blobs"),
    Setting(
        key="log-level", value="info", scope="node", changeable=True, help="least severe lines"
    ),
    Setting(key="seeders", value="2", scope="cluster", changeable=True, help="how many nodes seed"),
    Setting(
        key="trackers", value="1", scope="cluster", changeable=False, help="how many nodes track"
    ),
)
JOBS = (
    PreheatJob(
        id=8,
        image="ghcr.io/acme/checkout:2026.11.3",
        nodes="zone=eu-1",
        platform="linux/amd64",
        state="running",
        created_at="2026-11-21T09:30:12.000Z",
        updated_at="2026-11-21T09:30:20.000Z",
        digest="sha256:" + "1" * 64,
        blobs=6,
        size_bytes=240 * MIB,
        targets=tuple(
            PreheatTarget(
                node=node_id(3 * n),
                address=f"10.0.0.{n + 1}",
                state=state,
                blobs=blobs,
                have_bytes=blobs * 40 * MIB,
                error=error,
            )
            for n, (state, blobs, error) in enumerate(
                (
                    ("succeeded", 6, ""),
                    ("running", 4, ""),
                    ("failed", 1, "no space left: 120 MiB free, 240 MiB needed"),
                    ("pending", 0, ""),
                )
            )
        ),
    ),
    PreheatJob(
        id=7,
        image="docker.io/library/nginx:1.27",
        nodes="all",
        platform="",
        state="succeeded",
        created_at="2026-11-21T08:02:00.000Z",
        updated_at="2026-11-21T08:02:09.000Z",
        digest="sha256:" + "2" * 64,
        blobs=7,
        size_bytes=68 * MIB,
        targets=(
            PreheatTarget(
                node=node_id(0),
                address="10.0.0.1",
                state="succeeded",
                blobs=7,
                have_bytes=68 * MIB,
            ),
        ),
    ),
)


def events(fleet: Fleet) -> list[Event]:
    """What has happened of late; the log fills in ids, and times unless it is told them."""
    row = fleet.transfers_now[0] if fleet.transfers_now else None
    digest = row.digest if row is not None else ""
    return [
        _event("member-joined", node_id(11), "us-1-web-0011 at 10.2.0.12 has joined"),
        _event("leader-changed", node_id(0), "eu-1-web-0000 leads, term 7"),
        _event("lease-moved", "vip", "vip is held by eu-1-web-0003"),
        _event("transfer-started", digest, f"fetching {IMAGES[0]}"),
        _event("blob-added", digest, f"{IMAGES[4]} is whole: 48.1 MiB"),
        _event("member-suspect", node_id(7), "eu-2-web-0007 at 10.1.0.8 does not answer"),
        _log(
            "warning", "swarm.session", "parent 10.1.0.5 sends nothing: taking the next one", "r1f3"
        ),
        _log("info", "proxy.mirror", "GET /v2/library/nginx/manifests/1.27 200", "r1f4"),
        _log("error", "registry.upstream", "ghcr.io answered 503 three times", "r1f5"),
        _log("debug", "tracker.service", "announce of 10.2.0.12", ""),
        _event("setting-changed", "upload-limit", "upload-limit is 50MB"),
    ]


def _event(kind: str, subject: str, text: str) -> Event:
    return Event(id="", time="", kind=kind, subject=subject, text=text)


def _log(level: str, logger: str, text: str, request: str) -> Event:
    line = LogLine(level=level, logger=f"eagle_node.{logger}", request=request)
    return Event(id="", time="", kind="log", subject=line.logger, text=text, log=line)
