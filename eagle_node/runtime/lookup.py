"""Looks host names up by the host's own means, and for no longer than a client can wait.

``getaddrinfo`` honours ``nsswitch.conf``, as the runtimes beside us do, but cannot be stopped: with
dead servers it takes seconds for each of them, each try and each search domain. So each look-up has
a thread of its own, which is left to its fate when time is up; what it still finds serves whoever
asks next.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eagle_node.runtime.clock import Clock, monotonic

LOOK_UP_S = 7.0
"""For one name: a second server is asked after 5 s (resolv.conf(5), ``timeout``)."""
AGAIN_S = 1.0
"""For a name whose last look-up took too long: the answer may have come meanwhile."""
KEPT_S = 30.0
"""How long an answer that came too late is kept, and how long a name that got none is doubted."""
_MOST_THREADS = 32
_RESOLV_CONF = Path("/etc/resolv.conf")
_SERVER = re.compile(r"^\s*nameserver\s+(\S+)", re.MULTILINE)

Where = tuple[str, int] | tuple[str, int, int, int]
Found = tuple[socket.AddressFamily, Where]
"""Address family and socket address; its port is 0."""


class LookUpFailed(OSError):
    """A name stands for no address; says why, and who says so."""


class NoServerAnswers(LookUpFailed):
    """It is not known whether it does: nobody answers."""


@dataclass(slots=True)
class _LookUp:
    """One that is under way, or that came too late."""

    outcome: asyncio.Future[Sequence[Found]]
    until: float = float("inf")
    """When it is to be forgotten."""


class Resolver:
    """Looks names up, each once at a time, for all who ask."""

    def __init__(
        self,
        *,
        look_up_s: float = LOOK_UP_S,
        ask: Callable[[str], Sequence[Found]] | None = None,
        clock: Clock = monotonic,
    ) -> None:
        """``ask`` blocks, and raises `socket.gaierror`; the default is ``getaddrinfo``."""
        self._look_up_s = look_up_s
        self._ask = ask or _getaddrinfo
        self._clock = clock
        self._look_ups: OrderedDict[str, _LookUp] = OrderedDict()
        self._slow: OrderedDict[str, float] = OrderedDict()
        """Until when a name is doubted."""
        self._threads = 0

    async def addresses(self, host: str) -> Sequence[Found]:
        """All addresses of ``host``, which may be one; `LookUpFailed`, `NoServerAnswers`."""
        if (literal := _literal(host)) is not None:
            return [literal]
        self._forget(self._clock())
        look_up = self._look_ups.get(host) or self._begin(host)
        patience_s = min(AGAIN_S, self._look_up_s) if host in self._slow else self._look_up_s
        await asyncio.wait([look_up.outcome], timeout=patience_s)
        if not look_up.outcome.done():
            look_up.until = self._slow[host] = self._clock() + KEPT_S
            raise NoServerAnswers(
                f"host name {host} cannot be looked up: no answer from {servers()}"
            )
        self._slow.pop(host, None)
        self._look_ups.pop(host, None)
        return look_up.outcome.result()

    def _begin(self, host: str) -> _LookUp:
        if self._threads >= _MOST_THREADS:
            raise NoServerAnswers(
                f"host name {host} cannot be looked up: {_MOST_THREADS} others still wait for "
                f"{servers()}"
            )
        loop = asyncio.get_running_loop()
        look_up = self._look_ups[host] = _LookUp(loop.create_future())
        look_up.outcome.add_done_callback(_retrieved)
        self._threads += 1
        threading.Thread(
            target=self._work,
            args=(host, look_up.outcome, loop),
            name=f"look-up-{host}",
            daemon=True,
        ).start()
        return look_up

    def _work(
        self,
        host: str,
        outcome: asyncio.Future[Sequence[Found]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """In a thread of its own."""
        found: Sequence[Found] = ()
        error: LookUpFailed | None = None
        try:
            found = self._ask(host)
        except (OSError, UnicodeError) as failure:
            error = _told(host, failure)
        with suppress(RuntimeError):  # the loop has ended before the look-up
            loop.call_soon_threadsafe(self._done, outcome, found, error)

    def _done(
        self,
        outcome: asyncio.Future[Sequence[Found]],
        found: Sequence[Found],
        error: LookUpFailed | None,
    ) -> None:
        self._threads -= 1
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(found)

    def _forget(self, now: float) -> None:
        self._slow = OrderedDict((h, until) for h, until in self._slow.items() if until > now)
        for host, look_up in list(self._look_ups.items()):
            if look_up.until <= now and look_up.outcome.done():
                del self._look_ups[host]


def servers() -> str:
    """The DNS servers that this host asks, for people."""
    try:
        named = _SERVER.findall(_RESOLV_CONF.read_text(errors="replace"))
    except OSError:
        named = []
    if not named:
        return f"any DNS server ({_RESOLV_CONF} names none)"
    return f"DNS server{'s' if len(named) > 1 else ''} {', '.join(named)} ({_RESOLV_CONF})"


def _literal(host: str) -> Found | None:
    """The address that ``host`` is; one with a scope is for the system to understand."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    if "%" in host:
        return None
    if version == 4:
        return socket.AF_INET, (host, 0)
    return socket.AF_INET6, (host, 0, 0, 0)


def _getaddrinfo(host: str) -> Sequence[Found]:
    infos = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    found = [(family, where) for family, _, _, _, where in infos]
    return list(dict.fromkeys(found))  # type: ignore[arg-type]


def _told(host: str, failure: OSError | UnicodeError) -> LookUpFailed:
    if isinstance(failure, socket.gaierror) and failure.errno == socket.EAI_AGAIN:
        return NoServerAnswers(f"host name {host} cannot be looked up: no answer from {servers()}")
    return LookUpFailed(f"host name {host} does not resolve ({servers()})")


def _retrieved(outcome: asyncio.Future[Sequence[Found]]) -> None:
    """Mark an exception as seen: nobody may be left who waits for it."""
    if not outcome.cancelled():
        outcome.exception()
