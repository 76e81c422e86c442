"""How patient a member is. All times are seconds.

The defaults are for real fleets: an event loop that stands still for two seconds kills nobody, and
a dead node of twenty is out of every view within ten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """SWIM's and Lifeguard's constants."""

    probe_interval_s: float = 0.5
    """Between the starts of probes (SWIM's protocol period T'); they may overlap."""
    ack_timeout_s: float = 0.5
    """After which others are asked to ping the target."""
    probe_timeout_s: float = 1.5
    """After which the target is suspected."""
    helpers: int = 3
    """Members that are asked to ping a target that does not answer (SWIM's k)."""
    suspicion_s: float = 3.0
    """Least time that a suspect has for its refutation, times log10 of the members."""
    suspicion_slack: float = 3.0
    """How much longer it has while nobody confirms (Lifeguard's beta; there 6)."""
    confirmations: int = 3
    """Further accusers that shorten the time to its least (Lifeguard's K)."""
    most_health: int = 8
    """Upper end of the local health multiplier (Lifeguard's S)."""
    gossip_interval_s: float = 0.2
    """Between packets of updates, while there are some to spread."""
    gossip_fanout: int = 3
    """Members that each of them goes to."""
    gossip_factor: float = 4.0
    """An update is sent this often times log10 of the members (SWIM's lambda)."""
    farewell_gossip_s: float = 30.0
    """How long updates also go to members that have died: they may want to refute it."""
    exchange_interval_s: float = 30.0
    """Between push-pulls with a random member, for up to 32 members; longer for more."""
    contact_interval_s: float = 10.0
    """Between attempts at members that are dead and at join addresses that are no member."""
    contact_first_s: float = 0.5
    """The first pause between attempts at join addresses while nobody is found; it doubles."""
    retain_s: float = 86_400.0
    """How long the dead and the departed are remembered: old news of them is known as such."""
    stall_s: float = 0.25
    """A timer that is later than this tells that this process stood still: nobody is blamed."""

    def suspicion_bounds(self, members: int) -> tuple[float, float]:
        """Least and greatest patience with a suspect (Lifeguard, section 4.B)."""
        least = self.suspicion_s * max(1.0, math.log10(max(1, members)))
        return least, least * self.suspicion_slack

    def transmissions(self, members: int) -> int:
        """How often one member sends one update (SWIM, section 4.1)."""
        return math.ceil(self.gossip_factor * math.log10(members + 1))

    def exchange_pause_s(self, members: int) -> float:
        """Grows with the logarithm: what a member has to send in a push-pull grows as well."""
        return self.exchange_interval_s * max(1.0, math.log2(max(1, members) / 32) + 1)
