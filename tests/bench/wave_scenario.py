"""What a wave is, and what came out of it; a scenario that contradicts itself is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.netns import CONGESTION_CONTROL

MBIT = 1_000_000
MIB = 1 << 20
TAR_BLOCK = 512
"""Layers are tar archives: whole blocks of this many bytes (POSIX ustar)."""
SMALLEST_LAYER = 4 * TAR_BLOCK
SLOWNESS = 4
"""How many times slower a slow node's link is."""


class Contradiction(ValueError):
    """Parameters that cannot be had together; the text says which, and the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One wave. Rates are Mbit/s, times seconds, shares 0 to 1."""

    nodes: int = 20
    rate: float = 20
    origin_rate: float | None = None
    """Of the origin's link; None: as the nodes'."""
    sizes: tuple[int, ...] = (64 * MIB,)
    """Bytes of each layer; all are pulled at once."""
    zones: int = 1
    border: float | None = None
    """Of each zone's uplink; None: not shaped."""
    spread: float = 0.0
    """Nodes start within this time, evenly."""
    late: float = 0.0
    """Share of nodes that start after half of the wave."""
    slow: float = 0.0
    """Share of nodes whose links are `SLOWNESS` times slower."""
    sudden: bool = False
    """They become so when the wave begins: nobody can have measured it."""
    killed: float = 0.0
    """Share of nodes that are killed on the way, beside seeder and tracker."""
    kill_seeder: bool = False
    kill_tracker: bool = False
    freeze: bool = False
    """Stop one node (SIGSTOP) on the way."""
    elected: bool = False
    """Seeders and trackers are elected; else the first node is both, and no other is."""
    warm: bool = False
    """The first node holds the image already."""
    runtime: str = "http"
    """The nodes' clients: a name of `wave_clients.RUNTIMES`."""
    congestion_control: str = CONGESTION_CONTROL
    """Of all hosts, the origin's too: its name in the kernel."""
    flags: tuple[str, ...] = ()
    """Further flags for every node."""

    def __post_init__(self) -> None:
        for wrong, why in self._contradictions():
            if wrong:
                raise Contradiction(why)

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(self.sizes)

    @property
    def slow_from(self) -> int:
        """Index of the first slow node; slow nodes are the last ones."""
        return self.nodes - round(self.slow * self.nodes)

    @property
    def late_from(self) -> int:
        """Index of the first late node; late nodes are the last ones."""
        return self.nodes - round(self.late * self.nodes)

    @property
    def killed_nodes(self) -> int:
        """Nodes killed on the way, beside seeder and tracker."""
        return round(self.killed * self.nodes)

    def rate_of(self, index: int) -> float:
        """Mbit/s of a node's link."""
        return self.rate / SLOWNESS if index >= self.slow_from else self.rate

    def zone_of(self, index: int) -> int:
        """The zone of a node: equal runs of nodes."""
        return index * self.zones // self.nodes

    def _contradictions(self) -> list[tuple[bool, str]]:
        shares = (self.late, self.slow, self.killed)
        rates = (self.rate, self.origin_rate or 1, self.border or 1)
        lost = self.killed_nodes + self.freeze
        ordinary = max(0, self.nodes - 2)
        spent = len({0} if self.kill_seeder or self.warm else {}) + self.kill_tracker
        small = [size for size in self.sizes if size < SMALLEST_LAYER or size % TAR_BLOCK]
        return [
            (self.nodes < 1, "a wave needs at least one node: raise --nodes"),
            (min(rates) <= 0 or self.origin_rate == 0, "a link's rate must be above 0 Mbit/s"),
            (self.border == 0, "a border of 0 Mbit/s lets nothing through: raise --border"),
            (not self.sizes, "an image needs at least one layer: raise --layers"),
            (bool(small), f"layers are whole blocks of 512 bytes, at least four, not {small}"),
            (not all(0 <= share <= 1 for share in shares), "a share is between 0 and 1"),
            (self.sudden and not self.slow, "--sudden needs nodes that become slow: give --slow"),
            (self.spread < 0, "--spread is a time: it cannot be negative"),
            (
                not 1 <= self.zones <= self.nodes,
                f"{self.zones} zones for {self.nodes} node(s): every zone needs at least one node",
            ),
            (
                self.spread > 0 and self.late_from < self.nodes,
                "--spread and --late both say when the last nodes arrive: give one of them",
            ),
            (self.warm and self.nodes < 2, "--warm needs a node beside the holder: raise --nodes"),
            (
                lost > ordinary,
                f"only {ordinary} node(s) beside seeder and tracker can be killed or frozen, "
                f"not {lost}: lower --killed or raise --nodes",
            ),
            (
                self.nodes <= lost + spent,
                "nobody is left to finish the wave: kill fewer nodes or raise --nodes",
            ),
        ]


@dataclass(slots=True, kw_only=True)
class Pull:
    """What one node's client saw."""

    node: str
    started: float = 0.0
    """Seconds after the wave's start."""
    first_byte: float | None = None
    """Seconds from its start to the first byte, where the client tells."""
    finished: float | None = None
    """Seconds after the wave's start."""
    error: str = ""
    fate: str = ""
    """Why it does not count: what was done to it, or ``warm``; empty for those that do."""
    progress: list[tuple[float, int]] = field(default_factory=list)
    """(seconds after the wave's start, bytes so far), now and then."""

    @property
    def counts(self) -> bool:
        """Whether it has to finish."""
        return not self.fate

    @property
    def took(self) -> float | None:
        """Seconds from its start to its end."""
        return None if self.finished is None else self.finished - self.started


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a wave did."""

    direct_s: float
    """One direct download on the idle rig by the same client, all layers at once."""
    direct_first_byte_s: float | None
    pulls: list[Pull]
    origin_copies: float
    origin_requests: int
    seeder_copies: float | None
    """None when the seeder was killed, or was elected."""
    zone_copies: dict[str, float]
    """Bytes of TCP's payload into each zone / the image's."""
    cpu_s: float
    peak_rss_mib: float

    @property
    def survivors(self) -> list[Pull]:
        """Pulls that have to finish and did."""
        return [pull for pull in self.pulls if pull.counts and pull.finished is not None]

    @property
    def finished(self) -> list[float]:
        """Seconds that each surviving pull took, ascending."""
        return sorted(pull.took for pull in self.survivors if pull.took is not None)

    @property
    def last_s(self) -> float:
        """When the last survivor was done, from the wave's start."""
        return max((pull.finished or 0.0 for pull in self.survivors), default=0.0)

    @property
    def failed(self) -> int:
        """Nodes that should have finished with the right bytes and did not."""
        return sum(1 for pull in self.pulls if pull.counts and pull.finished is None)

    @property
    def rank(self) -> tuple[int, float]:
        """Outcomes sort by this, the best one first."""
        return self.failed, self.last_s / self.direct_s
