"""Puts the virtual address where its lease is."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from eagle_node.base.errors import Unavailable
from eagle_node.consensus.policy import VIP
from eagle_node.consensus.service import Consensus
from eagle_node.vip.service import Vip

log = logging.getLogger(__name__)

_RENEW_S = 0.2
"""Between looks at the lease: half of the time between its renewals."""
_AGAIN_S = 2.0
"""Until an address that could not be taken is tried again."""


async def follow_lease(vip: Vip, consensus: Consensus) -> None:
    """Have the address for as long as this node holds its lease; until cancelled."""
    trouble = ""
    while True:
        holding = consensus.held().get(VIP)
        if holding is None:
            await vip.release()
            trouble = ""
            await consensus.wait_for(lambda state: VIP in state.held)
            continue
        pause = _RENEW_S
        try:
            await vip.acquire(holding.epoch, holding.until)
        except Unavailable as error:
            if not trouble:
                log.error("the virtual address cannot be taken: %s", error)
            trouble, pause = str(error), _AGAIN_S
        else:
            if trouble:
                log.info("the virtual address is taken after all")
            trouble = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await consensus.wait_for(lambda state: VIP not in state.held)
