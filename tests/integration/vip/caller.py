"""A process that calls a virtual address every 10 ms and says when it is answered.

    python -m tests.integration.vip.caller ADDRESS

A line per answer: monotonic seconds at which the answered call was sent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time

from tests.integration.vip.holder import ANSWER_PORT

CALL_S = 0.01


async def _call(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM) as calls:
        calls.setblocking(False)
        loop.add_reader(calls, _answered, calls)
        while True:
            try:
                calls.sendto(struct.pack("d", time.monotonic()), (address, ANSWER_PORT))
            except OSError as error:  # the neighbour is being looked for
                print(f"# {error}", flush=True)
            await asyncio.sleep(CALL_S)


def _answered(calls: socket.socket) -> None:
    try:
        (sent,) = struct.unpack("d", calls.recv(64))
    except OSError as error:  # an ICMP error in place of an answer
        print(f"# {error}", flush=True)
    else:
        print(sent, flush=True)


if __name__ == "__main__":
    asyncio.run(_call(sys.argv[1]))
