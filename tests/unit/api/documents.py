"""A node that tells fixed things about itself."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.api.problems import Refusal
from eagle_node.api.query import BlobQuery
from eagle_node.api.schema import (
    BlobAction,
    BlobRow,
    Blobs,
    CacheStatus,
    ClusterStatus,
    History,
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
)
from eagle_node.base.digest import Digest

STATUS = Status(
    node=NodeStatus(
        id="n1",
        address="192.0.2.1",
        roles=("peer", "proxy"),
        zone="eu-1",
        version="0.1.0",
        uptime_s=93784.5,
    ),
    cluster=ClusterStatus(
        name="default",
        leader=None,
        term=0,
        members=(
            Member(
                id="n1", address="192.0.2.1", state="alive", roles=("peer", "proxy"), zone="eu-1"
            ),
        ),
    ),
    traffic=TrafficStatus(
        origin_bytes=1,
        peer_download_bytes=2048,
        peer_upload_bytes=3,
        served_bytes=6,
        served_from=ServedFrom(local=1, swarm=2, origin=3),
    ),
    cache=CacheStatus(used_bytes=10, limit_bytes=0, blobs=1),
)
BLOBS = Blobs(
    blobs=(
        BlobRow(digest="sha256:" + "0" * 64, size=10, have_bytes=4, image="a/b:c", whole=False),
    ),
    total=1,
    total_bytes=10,
)
TRANSFERS = Transfers(
    transfers=(
        TransferRow(
            digest="sha256:" + "0" * 64,
            image="a/b:c",
            size=10,
            have_bytes=4,
            state="fetching",
            source="swarm",
            rate=3,
            sent_rate=2,
            sources=(PeerShare(address="192.0.2.2:61007", node="n2", rate=3),),
            children=(PeerShare(address="192.0.2.3:61007", node="", rate=2),),
            age_s=1.5,
            eta_s=2.0,
        ),
    )
)
HISTORY = History(
    interval_s=1.0, from_origin=(1, 2), from_peers=(3, 4), to_peers=(5, 6), served=(7, 8)
)
SETTINGS = Settings(
    settings=(
        Setting(key="upload-limit", value="5", scope="node", changeable=True, help="bytes/s"),
    )
)
JOB = PreheatJob(
    id=7,
    image="a/b:c",
    nodes="all",
    platform="linux/amd64",
    state="running",
    created_at="2026-01-02T03:04:05.678Z",
    updated_at="2026-01-02T03:04:06.678Z",
    digest="sha256:" + "1" * 64,
    blobs=2,
    size_bytes=20,
    targets=(
        PreheatTarget(node="n1", address="192.0.2.1", state="running", blobs=1, have_bytes=12),
    ),
)


class FixedSource:
    """A `NodeSource` whose answers are constants, and that notes what it is asked for."""

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        self._reasons = reasons
        self.asked: list[object] = []

    async def status(self) -> Status:
        """Always the same."""
        return STATUS

    async def ready(self) -> Sequence[str]:
        """As told."""
        return self._reasons

    async def transfers(self) -> Transfers:
        """Always the same."""
        return TRANSFERS

    async def history(self) -> History:
        """Always the same."""
        return HISTORY

    async def blobs(self, query: BlobQuery) -> Blobs:
        """Always the same."""
        self.asked.append(query)
        return BLOBS

    async def act(self, digest: Digest, action: str) -> BlobAction:
        """Says that it is done."""
        self.asked.append((digest, action))
        return BlobAction(digest=digest, action=action, text="done")

    async def settings(self) -> Settings:
        """Always the same."""
        return SETTINGS

    async def change(self, change: SettingChange) -> Settings:
        """Takes every change for done."""
        self.asked.append(change)
        return SETTINGS

    async def preheat(self, request: PreheatRequest) -> PreheatJob:
        """Always the same job."""
        self.asked.append(request)
        return JOB

    async def preheat_jobs(self) -> PreheatJobs:
        """One job."""
        return PreheatJobs(jobs=(JOB,))

    async def preheat_job(self, number: int) -> PreheatJob:
        """The only one."""
        if number != JOB.id:
            raise Refusal(f"there is no preheat job {number}", status=404)
        return JOB

    async def cancel_preheat(self, number: int) -> PreheatJob:
        """Leaves it as it is."""
        self.asked.append(number)
        return await self.preheat_job(number)
