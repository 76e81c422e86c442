"""``CONNECT``: opens HTTPS connections to registries, and tunnels all others."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from http import HTTPStatus
from weakref import WeakKeyDictionary

from aiohttp import web

from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.dial import TooSlow, dial
from eagle_node.proxy.front import ESTABLISHED, Front
from eagle_node.proxy.intercept import Intercepts, Opened, Way, parse_head
from eagle_node.proxy.opening import HANDSHAKE_S, HELLO, Hello, open_tls
from eagle_node.proxy.tunnel import IDLE_S, Tunnel
from eagle_node.registry.names import BadName
from eagle_node.runtime.lookup import Resolver
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.trust.leaves import Leaves
from eagle_node.trust.local_ca_file import CannotOpen, LocalCaFile

log = logging.getLogger(__name__)

_HELLO_S = 10.0
"""For a client to begin TLS with a host that is to be opened; then the connection is tunnelled,
since protocols in which the server speaks first are none of ours."""
_MOST = 4096
"""Connections that are being made or tunnelled at a time."""
_MOST_NOTED = 1024
_BROKEN = "a client broke off"


class Connects:
    """Serves ``CONNECT``; an async context manager that ends all tunnels."""

    def __init__(
        self,
        intercepts: Intercepts,
        ca: LocalCaFile,
        metrics: Metrics,
        *,
        idle_s: float = IDLE_S,
        hello_s: float = _HELLO_S,
    ) -> None:
        self._intercepts = intercepts
        self._ca = ca
        self._metrics = metrics
        self._idle_s = idle_s
        self._hello_s = hello_s
        self._resolver = Resolver()
        self._tasks = TaskSet()
        self._under_way = 0
        self._noted: dict[Address, str] = {}
        self._opened: WeakKeyDictionary[asyncio.BaseTransport, Opened] = WeakKeyDictionary()
        self.server: web.Server | None = None
        """Serves HTTP on opened connections."""

    async def check(self) -> None:
        """Tell which hosts of a list that was given cannot be opened now."""
        for pattern in self._intercepts.given:
            try:
                await self._leaves(Address(pattern.host, pattern.port))
            except Denied as error:
                log.warning("%s", error)

    async def aclose(self) -> None:
        """End all tunnels and handshakes."""
        await self._tasks.cancel()

    def opened_on(self, transport: asyncio.BaseTransport | None) -> Opened | None:
        """Whom the node stands in for on a connection; None: it is a plain one."""
        return None if transport is None else self._opened.get(transport)

    def begin(self, front: Front, head: bytes) -> None:
        """Serve the ``CONNECT`` whose head has come."""
        self._tasks.spawn(self._serve(front, head), name="connect")

    async def _serve(self, front: Front, head: bytes) -> None:
        self._under_way += 1
        try:
            await self._connect(front, parse_head(head))
        except EagleError as error:
            status, outcome = _meaning(error)
            log.info("CONNECT: %d %s", status, error)
            self._metrics.connects.labels(outcome).inc()
            front.refuse(status, status.phrase, str(error))
        except BaseException:  # cancelled, or a fault of ours: the client must not wait for it
            front.transport.abort()
            raise
        finally:
            self._under_way -= 1

    async def _connect(self, front: Front, target: Address) -> None:
        if self._under_way > _MOST:
            raise Unavailable(f"this proxy has {_MOST} connections under way")
        way = self._intercepts.way(target)
        if way is Way.REFUSE:
            raise _denied(
                f"this proxy leads to hosts on its intercept list only (--tunnel), {target} is not "
                f"on it (--intercept {target})"
            )
        leaves = await self._leaves(target) if way is Way.OPEN else None
        if leaves is not None:
            await self._open(front, target, leaves)
        else:
            inner_allowed = way is Way.OPEN or front.is_local
            server = await dial(target, inner_allowed=inner_allowed, resolver=self._resolver)
            front.transport.write(ESTABLISHED)
            await self._tunnel(front, server, front.take())

    async def _leaves(self, target: Address) -> Leaves | None:
        """Certificates for a host that is to be opened; None, told once, if it is tunnelled."""
        try:
            return await self._ca.leaves(target.host)
        except CannotOpen as error:
            if not self._intercepts.may_tunnel_listed:
                raise _denied(
                    f"{target} cannot be opened, and this proxy makes no tunnels (--tunnel none): "
                    f"{error}"
                ) from error
            self._note(
                target,
                str(error),
                f"{target} is tunnelled unseen, all its layers come from the registry: {error}",
            )
            return None

    async def _open(self, front: Front, target: Address, leaves: Leaves) -> None:
        front.transport.write(ESTABLISHED)
        first = await front.first_bytes(self._hello_s)
        if front.is_lost:
            return
        if not first.startswith(HELLO):
            await self._tunnel_unopened(front, target, first)
            return
        context = leaves.context(target.host)
        try:
            hello = await self._whole_hello(front, target, context, first)
            if hello is None:
                return
            whom = self._intercepts.opened(target)
            await open_tls(
                front.transport, context, hello, lambda inner: self._hand_over(inner, whom)
            )
        except OSError as error:
            self._metrics.connects.labels("failed").inc()
            self._note(
                target,
                _BROKEN,
                f"a client broke off TLS with {target}, opened with the local CA: {_said(error)}; "
                "if it does not trust the CA: eagle-node ca trust",
            )
            return
        self._noted.pop(target, None)

    async def _whole_hello(
        self, front: Front, target: Address, context: ssl.SSLContext, first: bytes
    ) -> bytes | None:
        """The client's hello; None, and the connection ended, if it does not come or is refused."""
        hello, received = Hello(context), first
        try:
            while not hello.feed(first):
                first = await front.first_bytes(HANDSHAKE_S)
                if not first:
                    front.transport.abort()
                    return None
                received += first
        except ssl.SSLError as error:
            log.info("CONNECT %s: the client's TLS hello is refused: %s", target, _said(error))
            self._metrics.connects.labels("refused").inc()
            front.leave(hello.alert())
            return None
        return received

    def _hand_over(self, inner: asyncio.Transport, whom: Opened) -> asyncio.Protocol:
        assert self.server is not None, "served before it was started"
        self._metrics.connects.labels("opened").inc()
        self._opened[inner] = whom
        return self.server()

    async def _tunnel_unopened(self, front: Front, target: Address, first: bytes) -> None:
        """What is not TLS goes on as it is; the client has been told that it is connected."""
        try:
            if not self._intercepts.may_tunnel_listed:
                raise _denied(f"{target}: no TLS within, and --tunnel none")
            server = await dial(target, inner_allowed=True, resolver=self._resolver)
        except EagleError as error:
            log.info("CONNECT: %s", error)
            self._metrics.connects.labels(_meaning(error)[1]).inc()
            front.transport.abort()
            return
        await self._tunnel(front, server, first)

    async def _tunnel(self, front: Front, server: socket.socket, first: bytes) -> None:
        if front.is_lost:
            server.close()
            return
        self._metrics.connects.labels("tunnelled").inc()
        tunnel = Tunnel(self._metrics, idle_s=self._idle_s)
        try:
            await tunnel.join(front.transport, server, first)
            await tunnel.ended
        finally:
            tunnel.abort()

    def _note(self, target: Address, what: str, text: str) -> None:
        """Tell it once, until it is over or something else is wrong."""
        if self._noted.get(target) != what and len(self._noted) < _MOST_NOTED:
            self._noted[target] = what
            log.warning("%s", text)


def _denied(text: str) -> Denied:
    return Denied(text, status=403, code="DENIED")


def _meaning(error: EagleError) -> tuple[HTTPStatus, str]:
    """The status to answer with, and the outcome to count."""
    match error:
        case Denied() | BadName():
            return HTTPStatus(error.status), "refused"
        case TooSlow():
            return HTTPStatus.GATEWAY_TIMEOUT, "failed"
        case Unavailable():
            return HTTPStatus.BAD_GATEWAY, "failed"
    return HTTPStatus.INTERNAL_SERVER_ERROR, "failed"


def _said(error: OSError) -> str:
    """What TLS said, without the library's own place in its sources."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error) or type(error).__name__
