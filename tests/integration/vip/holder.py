"""A process that holds a virtual address as the holder of a lease does, and answers on it.

    python -m tests.integration.vip.holder --vip ADDR/LEN
        [--lease SECONDS [--renewals N] [--after TIME]]

It has its lease from ``--after`` on (monotonic seconds; default: at once) and renews it every
0.2 s, ``--renewals`` times (default: for ever). It says what happens on its standard
output, the end of each lease before it uses it, and ends on SIGTERM. Without ``--lease`` it starts
and never has one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
import time
from contextlib import suppress
from itertools import count

from eagle_node.base.errors import EagleError
from eagle_node.config.place_kinds import VIP
from eagle_node.config.places import VipAddress
from eagle_node.vip.service import Vip

RENEWAL_S = 0.2
FOR_EVER = -1
EPOCH = 7
ANSWER_PORT = 9999
LEASE_ENDS = "lease until"


async def _hold(address: VipAddress, lease_s: float, renewals: int, after: float) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    family = socket.AF_INET if address.ip.version == 4 else socket.AF_INET6
    echo = socket.socket(family, socket.SOCK_DGRAM)
    echo.bind(("", ANSWER_PORT))
    echo.setblocking(False)
    asyncio.get_running_loop().add_reader(echo, _answer, echo)
    try:
        async with Vip(address) as vip:
            print(f"ready on {vip.interface}", flush=True)
            if lease_s:
                await asyncio.sleep(after - time.monotonic())
                await _renew(vip, lease_s, renewals, stopped)
            await stopped.wait()
    finally:
        asyncio.get_running_loop().remove_reader(echo)
        echo.close()
    print("released", flush=True)


def _answer(echo: socket.socket) -> None:
    data, caller = echo.recvfrom(64)
    echo.sendto(data, caller)


async def _renew(vip: Vip, lease_s: float, renewals: int, stopped: asyncio.Event) -> None:
    for number in count() if renewals == FOR_EVER else range(renewals + 1):
        valid_until = time.monotonic() + lease_s
        print(f"{LEASE_ENDS} {valid_until}", flush=True)
        await vip.acquire(EPOCH, valid_until)
        if not number:
            print(f"held under epoch {vip.epoch}", flush=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), RENEWAL_S)
            return


def main() -> int:
    """Hold the address until SIGTERM; 1 with the error's text when that cannot be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vip", type=VIP.parse, required=True)
    parser.add_argument("--lease", type=float, default=0.0)
    parser.add_argument("--renewals", type=int, default=FOR_EVER)
    parser.add_argument("--after", type=float, default=0.0)
    arguments = parser.parse_args()
    logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
    try:
        asyncio.run(_hold(arguments.vip, arguments.lease, arguments.renewals, arguments.after))
    except EagleError as error:
        print(f"error: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
