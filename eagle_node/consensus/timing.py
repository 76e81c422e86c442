"""Every duration of the room, with the reasons for its value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Durations in seconds.

    The trade: a leader whose process stalls for longer than ``election_min_s`` may be replaced. One
    second rides over most stalls of a loaded host and still gives a new leader within two seconds
    of the old one's disappearance; a process that is killed is missed sooner, by its closed
    connections. A lease outlives one lost renewal and a stall of 1.5 s.
    """

    tick_s: float = 0.05
    """Between calls with `Ticked`."""
    heartbeat_s: float = 0.15
    """Between the leader's messages to each voter."""
    election_min_s: float = 1.0
    """Silence of the leader after which a voter may want another (Raft, section 5.2)."""
    election_max_s: float = 1.6
    """Silence after which every voter does; also the leader's patience with a silent majority."""
    lease_s: float = 2.4
    """Validity of a lease from its last renewal, by the leader's clock."""
    drift: float = 0.05
    """By how much clocks may run apart, as a part of the time that they count."""
    renew_s: float = 0.4
    """Between the beats of nodes that hold a lease or vote."""
    observe_s: float = 1.0
    """Between the beats of others, in clusters of up to `OBSERVERS`; longer in larger ones."""
    answer_s: float = 0.7
    """How long a beat waits for its answer before another node is asked who leads."""
    bootstrap_s: float = 1.0
    """How long a new node looks for a cluster before it starts one."""
    probe_s: float = 0.5
    """Between a leader's questions to members that do not follow it."""
    voter_grace_s: float = 20.0
    """How long a silent voter keeps its seat, unless the gossip has buried it and another node can
    have it."""
    reform_s: float | None = None
    """How long without a leader until a node gives its cluster up and joins or starts another.

    None is never: of two halves that lost each other, one keeps waiting. A number brings two nodes
    back to work when one of them is gone for good, at the price of two holders of a lease when it
    is not.
    """

    def __post_init__(self) -> None:
        assert 2 * self.tick_s < self.heartbeat_s * 2 < self.election_min_s < self.election_max_s
        assert self.election_max_s < self.lease_s
        assert self.renew_s < self.lease_s * (1 - self.drift) / 2

    @property
    def held_s(self) -> float:
        """Validity of a lease from the sending of its renewal, by the holder's clock."""
        return self.lease_s * (1 - self.drift)


OBSERVERS = 50
"""Members up to which everybody beats once in `Timing.observe_s`: 50 beats/s are 1 % of a core."""
