"""Looks host names up by the host's own means, and for no longer than a client can wait.

``getaddrinfo`` honours ``nsswitch.conf``, as the runtimes beside us do, but cannot be stopped: with
dead servers it takes seconds for each of them, each try and each search domain. So each look-up has
a thread of its own, which is left to its fate when time is up; what it still finds serves whoever
asks next.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eagle_node.runtime.clock import Clock, monotonic

LOOK_UP_S = 7.0
"""For one name: a second server is asked after 5 s (resolv.conf(5), ``timeout``)."""
_LEAST_S = 1.0
"""For who joins a look-up that has taken most of its time."""
KEPT_S = 30.0
"""How long an answer that came too late is kept."""
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
    began: float
    until: float = math.inf
    """When it is to be forgotten; infinite while somebody has yet to give up."""


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
        self._look_ups: dict[str, _LookUp] = {}
        self._threads = 0

    async def addresses(self, host: str) -> Sequence[Found]:
        """All addresses of ``host``, which may be one; `LookUpFailed`, `NoServerAnswers`."""
        if (literal := _literal(host)) is not None:
            return [literal]
        now = self._clock()
        self._forget(now)
        look_up = self._look_ups.get(host) or self._begin(host, now)
        left_s = look_up.began + self._look_up_s - now
        await asyncio.wait([look_up.outcome], timeout=max(left_s, min(_LEAST_S, self._look_up_s)))
        if not look_up.outcome.done():
            look_up.until = self._clock() + KEPT_S
            raise NoServerAnswers(unanswered(host))
        if self._look_ups.get(host) is look_up:
            del self._look_ups[host]
        return look_up.outcome.result()

    def is_asking(self, host: str) -> bool:
        """Whether ``host`` is being looked up."""
        return host in self._look_ups and not self._look_ups[host].outcome.done()

    def _begin(self, host: str, now: float) -> _LookUp:
        if self._threads >= _MOST_THREADS:
            raise NoServerAnswers(
                f"host name {host} cannot be looked up: {_MOST_THREADS} others still wait for "
                f"{servers()}"
            )
        loop = asyncio.get_running_loop()
        look_up = self._look_ups[host] = _LookUp(loop.create_future(), now)
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
        """Drop what came too late, if it is old or no answer."""
        for host, look_up in list(self._look_ups.items()):
            outcome = look_up.outcome
            is_late = outcome.done() and look_up.until < math.inf
            if is_late and (look_up.until <= now or outcome.exception() is not None):
                del self._look_ups[host]


def unanswered(host: str) -> str:
    """That nobody says what ``host`` stands for."""
    return f"host name {host} cannot be looked up: no answer from {servers()}"


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
        return NoServerAnswers(unanswered(host))
    return LookUpFailed(f"host name {host} does not resolve ({servers()})")


def _retrieved(outcome: asyncio.Future[Sequence[Found]]) -> None:
    """Mark an exception as seen: nobody may be left who waits for it."""
    if not outcome.cancelled():
        outcome.exception()
